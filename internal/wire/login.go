// Package wire is what ksd's programs say to each other, and the only way from
// a client to the verifier. The daemon has two sockets.
//
// # login.sock: the hand-over protocol (version 1)
//
// SOCK_SEQPACKET; one message is one packet. For programs that hold a terminal
// and want a verdict: the PAM module, the login shell. The client passes its
// terminal as a descriptor (SCM_RIGHTS) and then only relays texts; the daemon
// prompts, reads the keys and restores the terminal itself.
//
// A packet is a type byte, then fields, each
//
//	name '=' value NUL
//
// in UTF-8. A packet has at most MaxPacket bytes and MaxFields fields; names
// are lower-case letters; values hold no control characters; a name stands at
// most once. Whatever breaks a rule, and every unknown type, name or code, ends
// the conversation, and a conversation that ends without a verdict is a denial.
//
//	H  client → daemon, once, first, with exactly one descriptor: a terminal
//	     v        "1"
//	     user     the account that wants in
//	     service  the PAM service or program name, such as "su"
//	     source   where the attempt comes from, for the lock-out:
//	              "host:ADDRESS", "uid:NUMBER" or "tty:NAME"
//	     silent   "1" if texts are not wanted (the challenge is never silenced)
//	T  daemon → client, any number: a text for the person
//	     kind     "info" or "error"
//	     text     one line
//	V  daemon → client, once, last: the verdict
//	     code     one of the Code constants
//
// The client ends a conversation early by closing the socket; the daemon then
// restores the terminal. If the daemon closes it first, the client restores it.
//
// Root may name any user; anybody else only itself. Both sides check the
// other's credentials (SO_PEERCRED): the server must be root, the ksd user or
// the caller itself.
//
// # ksd.sock: the API (version 1)
//
// HTTP/1.1 with JSON bodies over SOCK_STREAM; see API and the types it names.
// The kernel's peer credentials decide, per route, what a caller may do.
package wire

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Version is the version of the hand-over protocol, as it stands in H.
const Version = "1"

// Limits of a packet of login.sock.
const (
	MaxPacket = 4096 // bytes
	MaxFields = 8
)

// ErrPacket is the fact that a packet breaks a rule of the hand-over protocol.
var ErrPacket = errors.New("malformed packet")

// Code is the verdict of one conversation. The zero value is no code at all
// and is treated as a refusal.
type Code string

// The verdicts.
const (
	Accept     Code = "accept"     // the rhythm is the person's own
	Refuse     Code = "refuse"     // it is not
	Locked     Code = "locked"     // too many refusals: try again later
	Unenrolled Code = "unenrolled" // the daemon holds no rhythm of this person
	Cancelled  Code = "cancelled"  // the person gave up (Ctrl-C, Ctrl-D, hang-up)
	Timeout    Code = "timeout"    // nothing was typed in time
	Unusable   Code = "unusable"   // what was typed could not be judged
	Failed     Code = "failed"     // the daemon could not do its work
)

// Valid reports whether c is one of the codes above.
func (c Code) Valid() bool {
	switch c {
	case Accept, Refuse, Locked, Unenrolled, Cancelled, Timeout, Unusable, Failed:
		return true
	}
	return false
}

// Hello opens a conversation on login.sock.
type Hello struct {
	User    string
	Service string
	Source  string
	Silent  bool
}

// Text is one line for the person.
type Text struct {
	IsError bool
	Text    string
}

// Verdict ends a conversation on login.sock.
type Verdict struct{ Code Code }

// EncodeHello returns the packet of h. The error wraps ErrPacket.
func EncodeHello(h Hello) ([]byte, error) {
	f := []field{{"v", Version}, {"user", h.User}, {"service", h.Service}, {"source", h.Source}}
	if h.Silent {
		f = append(f, field{"silent", "1"})
	}
	return encode('H', f)
}

// EncodeText returns the packet of t. The error wraps ErrPacket.
func EncodeText(t Text) ([]byte, error) {
	kind := "info"
	if t.IsError {
		kind = "error"
	}
	return encode('T', []field{{"kind", kind}, {"text", t.Text}})
}

// EncodeVerdict returns the packet of v. The error wraps ErrPacket.
func EncodeVerdict(v Verdict) ([]byte, error) {
	if !v.Code.Valid() {
		return nil, fmt.Errorf("%w: verdict %q", ErrPacket, v.Code)
	}
	return encode('V', []field{{"code", string(v.Code)}})
}

// DecodeHello reads the first packet of a client. The error wraps ErrPacket.
func DecodeHello(p []byte) (Hello, error) {
	typ, f, err := decode(p)
	if err != nil {
		return Hello{}, err
	}
	if typ != 'H' {
		return Hello{}, fmt.Errorf("%w: type %q, want 'H'", ErrPacket, typ)
	}
	if err := f.only("v", "user", "service", "source", "silent"); err != nil {
		return Hello{}, err
	}
	if f["v"] != Version {
		return Hello{}, fmt.Errorf("%w: version %q, want %q", ErrPacket, f["v"], Version)
	}
	if s, ok := f["silent"]; ok && s != "1" {
		return Hello{}, fmt.Errorf("%w: silent=%q", ErrPacket, s)
	}
	h := Hello{User: f["user"], Service: f["service"], Source: f["source"], Silent: f["silent"] == "1"}
	if h.User == "" || h.Service == "" || h.Source == "" {
		return Hello{}, fmt.Errorf("%w: user, service and source must be given", ErrPacket)
	}
	return h, nil
}

// DecodeReply reads one packet of the daemon: a Text or a Verdict. The error
// wraps ErrPacket.
func DecodeReply(p []byte) (any, error) {
	typ, f, err := decode(p)
	if err != nil {
		return nil, err
	}
	switch typ {
	case 'T':
		if err := f.only("kind", "text"); err != nil {
			return nil, err
		}
		if f["kind"] != "info" && f["kind"] != "error" {
			return nil, fmt.Errorf("%w: kind %q", ErrPacket, f["kind"])
		}
		return Text{IsError: f["kind"] == "error", Text: f["text"]}, nil
	case 'V':
		if err := f.only("code"); err != nil {
			return nil, err
		}
		if c := Code(f["code"]); c.Valid() {
			return Verdict{c}, nil
		}
		return nil, fmt.Errorf("%w: verdict %q", ErrPacket, f["code"])
	}
	return nil, fmt.Errorf("%w: type %q", ErrPacket, typ)
}

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
			return 0, nil, fmt.Errorf("%w: field %q", ErrPacket, one)
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
