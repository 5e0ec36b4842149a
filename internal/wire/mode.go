package wire

import "fmt"

// Mode is what a terminal was switched to for a conversation. The zero value is
// no mode at all: nothing is to be undone.
type Mode string

// The modes.
const (
	Plain Mode = "plain" // pastes are announced (bracketed paste), nothing else
	Kitty Mode = "kitty" // and keys are told by the kitty keyboard protocol
	Win32 Mode = "win32" // and keys are told by win32-input-mode
)

// Valid reports whether m is one of the modes above.
func (m Mode) Valid() bool { return m == Plain || m == Kitty || m == Win32 }

// switched is what a terminal may be in, by the M packets that came. The zero
// value is nothing.
type switched struct{ told, kitty, win32 bool }

// note takes up a mode: plain takes back those before it.
func (s *switched) note(m Mode) {
	switch m {
	case Plain:
		*s = switched{}
	case Kitty:
		s.kitty = true
	case Win32:
		s.win32 = true
	}
	s.told = true
}

// undo returns what takes a terminal out of its modes. All of it is harmless
// where a terminal has left a mode already, or never knew it. Sources: kitty
// keyboard protocol (pop), Windows Terminal's win32-input-mode (DECRST 9001),
// xterm's bracketed paste (DECRST 2004).
func (s switched) undo() string {
	const pop, win32Off, bracketsOff = "\x1b[<u", "\x1b[?9001l", "\x1b[?2004l"
	if !s.told {
		return ""
	}
	out := bracketsOff
	if s.win32 {
		out = win32Off + out
	}
	if s.kitty {
		out = pop + out
	}
	return out
}

// EncodeMode returns the packet of m. The error wraps ErrPacket.
func EncodeMode(m Mode) ([]byte, error) {
	if !m.Valid() {
		return nil, fmt.Errorf("%w: mode %q", ErrPacket, m)
	}
	return encode('M', []field{{"mode", string(m)}})
}

// The longest words of a first packet, in bytes.
const (
	maxTerm   = 64
	maxClient = 255 // RFC 4253, 4.2: an identification string
	maxToken  = 64
)

// CleanTerm reports whether s can stand as term in H. It is what terminfo's
// names are made of.
func CleanTerm(s string) bool {
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		case r == '+' || r == '.' || r == '_' || r == '-':
		default:
			return false
		}
	}
	return s != "" && len(s) <= maxTerm
}

// CleanClient reports whether s can stand as client in H.
func CleanClient(s string) bool { return printableASCII(s, maxClient) }

// printableASCII reports whether s is 1 to most characters of ASCII from space
// to tilde.
func printableASCII(s string, most int) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= most
}
