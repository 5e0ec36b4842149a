//go:build cgo

package pam

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"ksd/internal/wire"
)

// sameAsGo fails the test if the C decoder and the Go decoder disagree on p.
func sameAsGo(t *testing.T, p []byte) {
	t.Helper()
	var want reply
	if m, err := wire.DecodeReply(p); err == nil {
		switch m := m.(type) {
		case wire.Text:
			want = reply{kind: "text", isError: m.IsError, text: m.Text}
		case wire.Mode:
			want = reply{kind: "mode", mode: string(m)}
		case wire.Verdict:
			want = reply{kind: "verdict", code: string(m.Code)}
		}
	}
	if got := decodeReply(p); got != want {
		t.Errorf("%q: C says %+v, Go says %+v", p, got, want)
	}
}

// goldenPackets returns internal/wire's packets by name.
func goldenPackets(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../internal/wire/testdata/*.packet")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d golden packets, %v", len(files), err)
	}
	packets := map[string][]byte{}
	for _, f := range files {
		p, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		packets[strings.TrimSuffix(filepath.Base(f), ".packet")] = p
	}
	return packets
}

func TestGoldenPackets(t *testing.T) {
	for name, p := range goldenPackets(t) {
		sameAsGo(t, p)
		kind, rest, _ := strings.Cut(name, "-")
		switch got := decodeReply(p); kind {
		case "bad", "hello", "request":
			if got != (reply{}) {
				t.Errorf("%s was taken: %+v", name, got)
			}
		case "verdict":
			if got.kind != kind || got.code != rest {
				t.Errorf("%s: %+v", name, got)
			}
		case "text":
			if got.kind != kind {
				t.Errorf("%s: %+v", name, got)
			}
		case "mode":
			if got.kind != kind || got.mode != rest {
				t.Errorf("%s: %+v", name, got)
			}
		default:
			t.Errorf("%s: unknown kind of packet", name)
		}
		if kind != "hello" || name == "hello-all" { // no client of ssh runs the module
			continue
		}
		h, err := wire.DecodeHello(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := encodeHello(hello{h.User, h.Service, h.Source, h.Silent, h.Term}); !bytes.Equal(got, p) {
			t.Errorf("%s: C writes %q, the file has %q", name, got, p)
		}
	}
}

func TestEncodeHelloRefuses(t *testing.T) {
	good := hello{user: "alice", service: "su", source: "uid:1000"}
	if encodeHello(good) == nil {
		t.Fatal("a good one was refused")
	}
	bad := map[string]string{
		"empty": "", "newline": "a\nb", "escape": "\x1b[2J", "delete": "a\x7f", "C1": "\u009b",
		"not UTF-8": "caf\xe9", "overlong": "\xc0\xaf", "surrogate": "\xed\xa0\x80",
		"cut": "\xe2\x82", "long": strings.Repeat("x", wire.MaxPacket), "very long": strings.Repeat("x", 1<<20),
	}
	for name, v := range bad {
		for field, h := range map[string]hello{
			"user":    {v, good.service, good.source, false, ""},
			"service": {good.user, v, good.source, false, ""},
			"source":  {good.user, good.service, v, false, ""},
			"term":    {good.user, good.service, good.source, false, v},
		} {
			if field == "term" && v == "" {
				continue // there is none
			}
			if p := encodeHello(h); p != nil {
				t.Errorf("%s %s: wrote %.40q", name, field, p)
			}
		}
	}
	for _, term := range []string{"x term", "a/b", "%s", "ü", "xterm\t", strings.Repeat("x", 65)} {
		h := good
		if h.term = term; encodeHello(h) != nil {
			t.Errorf("term %q was sent", term)
		}
	}
	// The longest that fits, and one byte more.
	room := wire.MaxPacket - len(encodeHello(good)) + len(good.user)
	for n, want := range map[int]bool{room: true, room + 1: false} {
		h := good
		h.user = strings.Repeat("x", n)
		if p := encodeHello(h); (p != nil) != want {
			t.Errorf("a user of %d bytes: packet of %d bytes", n, len(p))
		}
	}
}

func TestOptionsRefused(t *testing.T) {
	for _, words := range [][]string{
		{"sockets=/x"},
		{"socket"},
		{"socket="},
		{"socket=relative"},
		{"socket=/" + strings.Repeat("x", 108)},
		{"timeout="},
		{"timeout=0"},
		{"timeout=-1"},
		{"timeout=601"},
		{"timeout=1s"},
		{"timeout= 1"},
		{"timeout=99999999999999999999"},
		{"unenrolled"},
		{"unenrolled="},
		{"unenrolled=allow"},
		{"unenrolled=ignore "},
		{"unenrolled=Ignore"},
		{"fail=safe"},
		{"fail=opened"},
		{"fail"},
		{"no_tty=skip"},
		{"no-tty=ignore"},
		{"debug=1"},
		{"Debug"},
		{""},
		{"="},
		{"nullok"},
		{"try_first_pass"},
		{"debug", "fail=open", "fail=closed"},
		{"debug", "debug"},
		{"timeout=5", "timeout=5"},
		{"unenrolled=ignore", "fail=open", "no_tty=ignore", "bogus"},
	} {
		o, bad, ok := parseOptions(words)
		if ok || bad != words[len(words)-1] || o != (options{}) {
			t.Errorf("%q: %+v, refused %q", words, o, bad)
		}
	}
}

func TestOptions(t *testing.T) {
	strict := options{socket: "/run/ksd/login.sock", timeout: 120 * time.Second}
	with := func(change func(*options)) options {
		o := strict
		change(&o)
		return o
	}
	for words, want := range map[string]options{
		"": strict,
		"unenrolled=deny fail=closed no_tty=deny": strict,
		"socket=/tmp/s":                       with(func(o *options) { o.socket = "/tmp/s" }),
		"socket=/" + strings.Repeat("x", 106): with(func(o *options) { o.socket = "/" + strings.Repeat("x", 106) }),
		"timeout=1":                           with(func(o *options) { o.timeout = time.Second }),
		"timeout=600":                         with(func(o *options) { o.timeout = 600 * time.Second }),
		"unenrolled=ignore":                   with(func(o *options) { o.ignoreUnenrolled = true }),
		"fail=open":                           with(func(o *options) { o.ignoreUnavailable = true }),
		"no_tty=ignore":                       with(func(o *options) { o.ignoreNoTTY = true }),
		"debug":                               with(func(o *options) { o.debug = true }),
		"debug fail=open timeout=5 socket=/s": with(func(o *options) {
			*o = options{socket: "/s", timeout: 5 * time.Second, ignoreUnavailable: true, debug: true}
		}),
	} {
		if o, bad, ok := parseOptions(strings.Fields(words)); !ok || o != want {
			t.Errorf("%q: %+v, refused %q; want %+v", words, o, bad, want)
		}
	}
}

// FuzzDecodeReply: the two decoders of the project take the same packets for
// the same messages.
func FuzzDecodeReply(f *testing.F) {
	for _, p := range goldenPackets(f) {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) { sameAsGo(t, p) })
}

// FuzzEncodeHello: what the C encoder writes is what the Go encoder writes and
// the daemon takes, and it refuses exactly what one of these refuses.
func FuzzEncodeHello(f *testing.F) {
	f.Add("alice", "su", "uid:1000", false, "xterm-256color")
	f.Add("zoë", "sshd", "host:::1", true, "")
	f.Add("", "\x1b", "\xff", true, "../x")
	f.Fuzz(func(t *testing.T, user, service, source string, silent bool, term string) {
		if strings.ContainsRune(user+service+source+term, 0) {
			t.Skip("a C string ends there")
		}
		want, err := wire.EncodeHello(wire.Hello{User: user, Service: service, Source: source, Silent: silent, Term: term})
		if err == nil {
			_, err = wire.DecodeHello(want)
		}
		if err != nil {
			want = nil
		}
		if got := encodeHello(hello{user, service, source, silent, term}); !bytes.Equal(got, want) {
			t.Errorf("C writes %q, Go %q, %v", got, want, err)
		}
	})
}

// FuzzOptions: no words are taken that are not in the manual, and a refusal
// leaves nothing set.
func FuzzOptions(f *testing.F) {
	f.Add("socket=/run/x timeout=10 unenrolled=ignore fail=open no_tty=ignore debug")
	f.Add("timeout=0 fail=closed")
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsRune(line, 0) || !utf8.ValidString(line) {
			t.Skip("libpam cannot pass it on")
		}
		words := strings.Split(line, " ")
		o, bad, ok := parseOptions(words)
		if !ok {
			if o != (options{}) {
				t.Fatalf("refused %q, but set %+v", bad, o)
			}
			return
		}
		if o.socket == "" || o.socket[0] != '/' || o.timeout < time.Second || o.timeout > 10*time.Minute {
			t.Fatalf("%q: took %+v", words, o)
		}
		for _, w := range words {
			name, v, _ := strings.Cut(w, "=")
			switch {
			case name == "socket" && v == o.socket, name == "timeout", w == "debug":
			case w == "unenrolled=deny", w == "fail=closed", w == "no_tty=deny":
			case w == "unenrolled=ignore" && o.ignoreUnenrolled, w == "fail=open" && o.ignoreUnavailable, w == "no_tty=ignore" && o.ignoreNoTTY:
			default:
				t.Fatalf("%q: took %q as %+v", words, w, o)
			}
		}
	})
}
