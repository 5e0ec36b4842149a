package wire

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a packet of login.sock.
const (
	MaxPacket = 4096 // bytes
	MaxFields = 8
)

// ErrPacket is the fact that a packet breaks a rule of the hand-over protocol.
var ErrPacket = errors.New("malformed packet")

// ErrVersion is the fact that a client speaks another version of the hand-over
// protocol. It is an ErrPacket.
var ErrVersion = fmt.Errorf("%w: another version of the hand-over protocol", ErrPacket)

type field struct{ name, value string }

type fields map[string]string

func (f fields) only(names ...string) error {
next:
	for have := range f {
		for _, n := range names {
			if have == n {
				continue next
			}
		}
		return fmt.Errorf("%w: unknown field %q", ErrPacket, have)
	}
	return nil
}

func encode(typ byte, fs []field) ([]byte, error) {
	p := []byte{typ}
	for _, f := range fs {
		if !cleanValue(f.value) {
			return nil, fmt.Errorf("%w: %s has control characters or is not UTF-8", ErrPacket, f.name)
		}
		p = append(p, f.name...)
		p = append(p, '=')
		p = append(p, f.value...)
		p = append(p, 0)
	}
	if len(p) > MaxPacket {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrPacket, len(p), MaxPacket)
	}
	return p, nil
}

func decode(p []byte) (typ byte, f fields, err error) {
	if len(p) == 0 || len(p) > MaxPacket {
		return 0, nil, fmt.Errorf("%w: %d bytes, want 1 to %d", ErrPacket, len(p), MaxPacket)
	}
	f = fields{}
	for rest := string(p[1:]); rest != ""; {
		one, after, found := strings.Cut(rest, "\x00")
		name, value, eq := strings.Cut(one, "=")
		_, twice := f[name]
		switch {
		case !found:
			return 0, nil, fmt.Errorf("%w: the last field does not end", ErrPacket)
		case !eq || !cleanName(name):
			return 0, nil, fmt.Errorf("%w: a field is not name=value", ErrPacket) // it may be a secret
		case twice:
			return 0, nil, fmt.Errorf("%w: %s stands twice", ErrPacket, name)
		case !cleanValue(value):
			return 0, nil, fmt.Errorf("%w: %s has control characters or is not UTF-8", ErrPacket, name)
		case len(f) == MaxFields:
			return 0, nil, fmt.Errorf("%w: more than %d fields", ErrPacket, MaxFields)
		}
		f[name] = value
		rest = after
	}
	return p[0], f, nil
}

func cleanName(s string) bool {
	for _, r := range s {
		if r < 'a' || r > 'z' {
			return false
		}
	}
	return s != ""
}

// cleanValue refuses what a terminal could take for a command: C0, DEL and C1.
func cleanValue(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
