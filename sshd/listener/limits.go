package listener

import (
	"net/netip"

	"ksd/conf"
)

// drop says whether a new connection is dropped while so many are not let in
// yet. random returns a number below its argument. It is sshd's rule
// (MaxStartups in sshd_config(5)): none below Start, all from Full on, and
// between them Rate percent at first and linearly more.
func drop(waiting int, s conf.Startups, random func(n int) int) bool {
	switch {
	case waiting < s.Start:
		return false
	case waiting >= s.Full || s.Rate >= 100:
		return true
	}
	share := s.Rate + (100-s.Rate)*(waiting-s.Start)/(s.Full-s.Start)
	return random(100) < share
}

// source is who a connection counts for: an IPv4 address, or the network that
// one IPv6 host commonly has for itself, 64 bits.
func source(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fails for no address alone, which then is one source
	return p
}
