package channel

import (
	"strconv"
	"strings"
)

// The first version of OpenSSH that sends keys at a tick
// (https://www.openssh.com/txt/release-9.5).
const (
	tickMajor = 9
	tickMinor = 5
)

// MayTick reports whether an ssh client of the given version sends keys at a
// tick unless it is told not to: OpenSSH from 9.5 on, that for Windows as well.
// version is what the client says of itself, such as "OpenSSH_9.9p1 Debian-3",
// with or without the protocol's "SSH-2.0-" before it. It is a hint and nothing
// more: a client may be configured otherwise, or lie.
func MayTick(version string) bool {
	version = strings.TrimPrefix(version, "SSH-2.0-")
	version, found := strings.CutPrefix(version, "OpenSSH_")
	if !found {
		return false
	}
	version = strings.TrimPrefix(version, "for_Windows_")
	major, rest, _ := strings.Cut(version, ".")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	x, errX := strconv.ParseUint(major, 10, 16)
	y, errY := strconv.ParseUint(rest[:end], 10, 16)
	if errX != nil || errY != nil {
		return false
	}
	return x > tickMajor || x == tickMajor && y >= tickMinor
}
