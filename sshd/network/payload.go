package network

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"ksd/internal/wire"
	"ksd/sshd/link"
)

// Limits of what a request may carry, in bytes. Longer ones are refused.
const (
	maxCommand  = 128 << 10
	maxName     = 128 // of a variable, a subsystem, a signal
	maxValue    = 8 << 10
	maxHost     = 255
	maxModes    = 1 << 10
	maxTermSent = 256 // longer ones are refused, unclean ones replaced
)

// errPayload is the fact that a request does not hold what its type says.
var errPayload = errors.New("malformed request")

// payload reads the fields of a request one after the other (RFC 4251, 5). Once
// one is missing or too long, all that follow are empty and end says so.
type payload struct {
	rest []byte
	bad  bool
}

func (p *payload) uint32() uint32 {
	if p.bad || len(p.rest) < 4 {
		p.bad = true
		return 0
	}
	v := binary.BigEndian.Uint32(p.rest)
	p.rest = p.rest[4:]
	return v
}

func (p *payload) string(most int) string {
	n := p.uint32()
	if p.bad || n > uint32(most) || int(n) > len(p.rest) {
		p.bad = true
		return ""
	}
	s := string(p.rest[:n])
	p.rest = p.rest[n:]
	return s
}

// end returns errPayload unless every byte was read and none was missing.
func (p *payload) end() error {
	if p.bad || len(p.rest) > 0 {
		return errPayload
	}
	return nil
}

// parseText reads the one string of "exec" and "subsystem". It holds bytes, as
// names of files do, but no NUL, which no program takes.
func parseText(b []byte, most int) (string, error) {
	p := payload{rest: b}
	s := p.string(most)
	if err := p.end(); err != nil || s == "" || strings.ContainsRune(s, 0) {
		return "", errPayload
	}
	return s, nil
}

// parseEnv reads "env" (RFC 4254, 6.4).
func parseEnv(b []byte) (name, value string, err error) {
	p := payload{rest: b}
	name, value = p.string(maxName), p.string(maxValue)
	if err := p.end(); err != nil {
		return "", "", err
	}
	if name == "" || !printable(name) || strings.ContainsRune(name, '=') || strings.ContainsRune(value, 0) {
		return "", "", errPayload
	}
	return name, value, nil
}

// parsePty reads "pty-req" (RFC 4254, 6.2). A type that no terminal has becomes
// "dumb": it ends up in an environment and in front of a terminfo library.
func parsePty(b []byte) (link.Pty, error) {
	p := payload{rest: b}
	term := p.string(maxTermSent)
	w := parseSize(&p)
	encoded := p.string(maxModes)
	if err := p.end(); err != nil {
		return link.Pty{}, err
	}
	if !wire.CleanTerm(term) {
		term = "dumb"
	}
	modes, err := parseModes(encoded)
	return link.Pty{Term: term, Window: w, Modes: modes}, err
}

// parseModes reads encoded terminal modes (RFC 4254, 8): a byte and its argument
// each, up to TTY_OP_END, a byte that is not defined, or the end.
func parseModes(encoded string) (map[uint8]uint32, error) {
	const end, undefined = 0, 160
	out := map[uint8]uint32{}
	for encoded != "" && encoded[0] != end && encoded[0] < undefined {
		if len(encoded) < 5 {
			return nil, errPayload
		}
		out[encoded[0]] = binary.BigEndian.Uint32([]byte(encoded[1:5]))
		encoded = encoded[5:]
	}
	return out, nil
}

// parseWindow reads "window-change" (RFC 4254, 6.7).
func parseWindow(b []byte) (link.Window, error) {
	p := payload{rest: b}
	w := parseSize(&p)
	return w, p.end()
}

// parseSize reads the four figures of a window. The kernel has 16 bits for each.
func parseSize(p *payload) link.Window {
	next := func() int { return int(min(p.uint32(), 1<<16-1)) }
	return link.Window{Columns: next(), Rows: next(), Width: next(), Height: next()}
}

// signals are those of RFC 4254, 6.10.
var signals = []string{"ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2"}

// parseSignal reads "signal" (RFC 4254, 6.9).
func parseSignal(b []byte) (string, error) {
	p := payload{rest: b}
	s := p.string(maxName)
	if err := p.end(); err != nil {
		return "", err
	}
	if !slices.Contains(signals, s) {
		return "", errPayload
	}
	return s, nil
}

// parseForward reads "tcpip-forward" and "cancel-tcpip-forward" (RFC 4254, 7.1).
func parseForward(b []byte) (host string, port uint32, err error) {
	p := payload{rest: b}
	host, port = p.string(maxHost), p.uint32()
	return host, port, target(&p, host, port)
}

// parseDirect reads what "direct-tcpip" is opened with (RFC 4254, 7.2). Whom the
// client says it is for is no fact, and nobody asks.
func parseDirect(b []byte) (host string, port uint32, err error) {
	p := payload{rest: b}
	host, port = p.string(maxHost), p.uint32()
	p.string(maxHost)
	p.uint32()
	return host, port, target(&p, host, port)
}

func target(p *payload, host string, port uint32) error {
	if err := p.end(); err != nil {
		return err
	}
	if port > 1<<16-1 || !printable(host) {
		return errPayload
	}
	return nil
}

// printable reports whether s is ASCII without controls or blanks, as the names
// of hosts and addresses are.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
