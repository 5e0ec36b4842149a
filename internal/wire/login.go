// Package wire is what ksd's programs say to each other, and the only way from
// a client to the verifier. The daemon has two sockets.
//
// # login.sock: the hand-over protocol (version 2)
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
//	     v        "2"
//	     user     the account that wants in
//	     service  the PAM service or program name, such as "su"
//	     source   where the attempt comes from, for the lock-out:
//	              "host:ADDRESS", "uid:NUMBER" or "tty:NAME"
//	     silent   "1" if texts are not wanted (the challenge is never silenced)
//	     term     the terminal's type as TERM names it, 1 to 64 of
//	              A-Z a-z 0-9 + . _ -; without it nothing is asked of the terminal
//	     client   the ssh client's version as it told it, such as
//	              "OpenSSH_9.9p1 Debian-3": 1 to 255 printable ASCII characters
//	N  client → daemon, once, first, with no descriptor: an attempt without a
//	   terminal, such as a command or a file transfer. The daemon decides by
//	   its configuration, or by a one-time token
//	     v user service source silent    as in H
//	     token    a one-time token of the user: 1 to 64 printable ASCII characters
//	M  daemon → client, any number: what the terminal is switched to, or may be
//	   before the next M. The client undoes it if the conversation ends without a
//	   verdict: every mode told since the last "plain"
//	     mode     "plain", "kitty" or "win32"
//	T  daemon → client, any number: a text for the person
//	     kind     "info" or "error"
//	     text     one line
//	V  daemon → client, once, last: the verdict
//	     code     one of the Code constants
//
// The client ends a conversation early by closing the socket; the daemon then
// restores the terminal. If the daemon closes it first, the client restores it:
// the settings as it found them, then, if an M came and the terminal has room,
// ESC [ < u for kitty, ESC [ ? 9001 l for win32, and ESC [ ? 2004 l.
//
// Version 1 had no term, client, M and N. A daemon refuses it: in a login
// stack half an update must be seen at once, not when something is missed.
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
	"fmt"
	"strings"
)

// Version is the version of the hand-over protocol, as it stands in H and N.
const Version = "2"

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

// Hello opens a conversation on login.sock about a terminal.
type Hello struct {
	User    string
	Service string
	Source  string
	Silent  bool
	Term    string // TERM of the terminal, "" if it is not known or not CleanTerm
	Client  string // version of the ssh client, "" if there is none or not CleanClient
}

// Request opens a conversation on login.sock about an attempt without a
// terminal.
type Request struct {
	User    string
	Service string
	Source  string
	Token   string // a one-time token, "" for none
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
	f := opening(h.User, h.Service, h.Source, h.Silent)
	if h.Term != "" {
		f = append(f, field{"term", h.Term})
	}
	if h.Client != "" {
		f = append(f, field{"client", h.Client})
	}
	if err := checkHello(h); err != nil {
		return nil, err
	}
	return encode('H', f)
}

// EncodeRequest returns the packet of r. The error wraps ErrPacket.
func EncodeRequest(r Request) ([]byte, error) {
	f := opening(r.User, r.Service, r.Source, r.Silent)
	if r.Token != "" {
		f = append(f, field{"token", r.Token})
	}
	if err := checkRequest(r); err != nil {
		return nil, err
	}
	return encode('N', f)
}

// opening returns the fields that every first packet has.
func opening(user, service, source string, silent bool) []field {
	f := []field{{"v", Version}, {"user", user}, {"service", service}, {"source", source}}
	if silent {
		f = append(f, field{"silent", "1"})
	}
	return f
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

// DecodeOpening reads the first packet of a client: a Hello or a Request. The
// error wraps ErrPacket, and ErrVersion where the packet is of another version.
func DecodeOpening(p []byte) (any, error) {
	typ, f, err := decode(p)
	if err != nil {
		return nil, err
	}
	own := ""
	switch typ {
	case 'H':
		own = "term client"
	case 'N':
		own = "token"
	default:
		return nil, fmt.Errorf("%w: type %q, want 'H' or 'N'", ErrPacket, typ)
	}
	// The version goes first: another one may have other fields.
	switch v := f["v"]; v {
	case Version:
	case "":
		return nil, fmt.Errorf("%w: no version", ErrPacket)
	default:
		return nil, fmt.Errorf("%w: it says %q, this one is %q", ErrVersion, v, Version)
	}
	if err := f.only(append(strings.Fields(own), "v", "user", "service", "source", "silent")...); err != nil {
		return nil, err
	}
	for name, v := range f {
		if v == "" || name == "silent" && v != "1" {
			return nil, fmt.Errorf("%w: %s=%q", ErrPacket, name, v) // never the token: it is not empty
		}
	}
	if typ == 'N' {
		r := Request{f["user"], f["service"], f["source"], f["token"], f["silent"] == "1"}
		if err := checkRequest(r); err != nil {
			return nil, err
		}
		return r, nil
	}
	h := Hello{f["user"], f["service"], f["source"], f["silent"] == "1", f["term"], f["client"]}
	if err := checkHello(h); err != nil {
		return nil, err
	}
	return h, nil
}

// DecodeHello is DecodeOpening for those who expect a Hello.
func DecodeHello(p []byte) (Hello, error) {
	m, err := DecodeOpening(p)
	if err != nil {
		return Hello{}, err
	}
	h, ok := m.(Hello)
	if !ok {
		return Hello{}, fmt.Errorf("%w: type 'N', want 'H'", ErrPacket)
	}
	return h, nil
}

// DecodeReply reads one packet of the daemon: a Text, a Mode or a Verdict. The
// error wraps ErrPacket.
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
	case 'M':
		if err := f.only("mode"); err != nil {
			return nil, err
		}
		if m := Mode(f["mode"]); m.Valid() {
			return m, nil
		}
		return nil, fmt.Errorf("%w: mode %q", ErrPacket, f["mode"])
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

// checkHello refuses what a first packet cannot say. The error wraps ErrPacket.
func checkHello(h Hello) error {
	switch {
	case h.User == "" || h.Service == "" || h.Source == "":
		return fmt.Errorf("%w: user, service and source must be given", ErrPacket)
	case h.Term != "" && !CleanTerm(h.Term):
		return fmt.Errorf("%w: term %q", ErrPacket, h.Term)
	case h.Client != "" && !CleanClient(h.Client):
		return fmt.Errorf("%w: client %q", ErrPacket, h.Client)
	}
	return nil
}

// checkRequest is checkHello for a Request. A token stands in no error.
func checkRequest(r Request) error {
	switch {
	case r.User == "" || r.Service == "" || r.Source == "":
		return fmt.Errorf("%w: user, service and source must be given", ErrPacket)
	case r.Token != "" && !printableASCII(r.Token, maxToken):
		return fmt.Errorf("%w: the token", ErrPacket)
	}
	return nil
}
