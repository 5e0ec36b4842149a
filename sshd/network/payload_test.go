package network

import (
	"bytes"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"ksd/internal/wire"
	"ksd/sshd/link"
)

type (
	oneString struct{ S string }
	twoString struct{ A, B string }
	sizes     struct{ C, R, W, H uint32 }
	ptyReq    struct {
		Term       string
		C, R, W, H uint32
		Modes      string
	}
	hostPort struct {
		Host string
		Port uint32
	}
	direct struct {
		Host   string
		Port   uint32
		Origin string
		From   uint32
	}
)

func marshal(v any) []byte { return ssh.Marshal(v) }

// cut returns b without its last byte, and with one more: both are malformed.
func cut(b []byte) [][]byte {
	return [][]byte{b[:len(b)-1], append(slices.Clone(b), 0), nil, {0, 0, 0}}
}

// TestPayloadsRefused has the malformed ones.
func TestPayloadsRefused(t *testing.T) {
	long := strings.Repeat("x", maxCommand+1)
	parsers := map[string]func([]byte) error{
		"text":   func(b []byte) error { _, err := parseText(b, maxCommand); return err },
		"env":    func(b []byte) error { _, _, err := parseEnv(b); return err },
		"pty":    func(b []byte) error { _, err := parsePty(b); return err },
		"window": func(b []byte) error { _, err := parseWindow(b); return err },
		"signal": func(b []byte) error { _, err := parseSignal(b); return err },
		"listen": func(b []byte) error { _, _, err := parseForward(b); return err },
		"direct": func(b []byte) error { _, _, err := parseDirect(b); return err },
	}
	good := map[string]any{
		"text": oneString{"ls"}, "env": twoString{"LANG", "C"}, "pty": ptyReq{"xterm", 80, 24, 0, 0, "\x35\x00\x00\x00\x01\x00"},
		"window": sizes{80, 24, 0, 0}, "signal": oneString{"INT"}, "listen": hostPort{"localhost", 80}, "direct": direct{"h", 1, "o", 2},
	}
	bad := map[string][]any{
		"text":   {oneString{""}, oneString{"a\x00b"}, oneString{long}, struct{ N uint32 }{math.MaxUint32}},
		"env":    {twoString{"", "v"}, twoString{"A=B", "v"}, twoString{"A\x00", "v"}, twoString{"A", "v\x00"}, twoString{"A B", "v"}, twoString{"ä", "v"}, twoString{long[:maxName+1], "v"}, twoString{"A", long[:maxValue+1]}},
		"pty":    {ptyReq{long[:maxTermSent+1], 80, 24, 0, 0, ""}, ptyReq{"xterm", 80, 24, 0, 0, "\x35\x00\x00\x00"}, ptyReq{"xterm", 80, 24, 0, 0, long[:maxModes+1]}},
		"signal": {oneString{""}, oneString{"SIGINT"}, oneString{"STOP"}, oneString{"int"}},
		"listen": {hostPort{"a b", 1}, hostPort{"h", 1 << 16}, hostPort{"h\n", 1}, hostPort{long[:maxHost+1], 1}},
		"direct": {direct{"h\x00", 1, "", 0}, direct{"h", 1 << 16, "", 0}, direct{"h", 1, long[:maxHost+1], 0}},
	}
	for name, parse := range parsers {
		b := marshal(good[name])
		if err := parse(b); err != nil {
			t.Errorf("%s: the good one: %v", name, err)
		}
		for _, b := range cut(b) {
			if parse(b) == nil {
				t.Errorf("%s: %q is taken", name, b)
			}
		}
		for _, v := range bad[name] {
			if parse(marshal(v)) == nil {
				t.Errorf("%s: %.80q is taken", name, v)
			}
		}
	}
}

func TestParsePty(t *testing.T) {
	got, err := parsePty(marshal(ptyReq{"xterm-256color", 132, 50, 1 << 20, 900, "\x35\x00\x00\x00\x01\x80\x00\x00\x96\x00\x00junk"}))
	want := link.Pty{
		Term: "xterm-256color", Window: link.Window{Columns: 132, Rows: 50, Width: math.MaxUint16, Height: 900},
		Modes: map[uint8]uint32{0x35: 1, 0x80: 38400},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, term := range []string{"", "x\x1b[2J", "a/../b", strings.Repeat("x", 65)} {
		if got, err := parsePty(marshal(ptyReq{Term: term})); err != nil || got.Term != "dumb" {
			t.Errorf("%q became %q, %v", term, got.Term, err)
		}
	}
	// Undefined opcodes end the list, and so does its end without a mark.
	for _, modes := range []string{"\x01\x00\x00\x00\x03\xa0rest", "\x01\x00\x00\x00\x03"} {
		if got, err := parseModes(modes); err != nil || !maps.Equal(got, map[uint8]uint32{1: 3}) {
			t.Errorf("%q: %v, %v", modes, got, err)
		}
	}
}

// FuzzPayloads feeds every parser. What is taken must keep to the limits and,
// where nothing is lost in reading it, encode to the same bytes.
func FuzzPayloads(f *testing.F) {
	for _, v := range []any{
		oneString{"ls -l"},
		twoString{"LC_ALL", "C.UTF-8"},
		ptyReq{"xterm", 80, 24, 640, 480, "\x01\x00\x00\x00\x03\x00"},
		sizes{80, 24, 0, 0},
		oneString{"TERM"},
		hostPort{"", 0},
		direct{"::1", 22, "127.0.0.1", 40000},
	} {
		f.Add(marshal(v))
	}
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		same := func(what string, err error, v any) {
			if err == nil && !bytes.Equal(marshal(v), b) {
				t.Errorf("%s: %q was read as %+v", what, b, v)
			}
		}
		s, err := parseText(b, maxCommand)
		same("text", err, oneString{s})
		name, value, err := parseEnv(b)
		same("env", err, twoString{name, value})
		sig, err := parseSignal(b)
		same("signal", err, oneString{sig})
		host, port, err := parseForward(b)
		same("listen", err, hostPort{host, port})
		if host, port, err := parseDirect(b); err == nil && (port > math.MaxUint16 || !printable(host)) {
			t.Errorf("direct: %q, %d", host, port)
		}
		if p, err := parsePty(b); err == nil && (!wire.CleanTerm(p.Term) || !fits(p.Window) || len(p.Modes) > maxModes/5) {
			t.Errorf("pty: %+v", p)
		}
		if w, err := parseWindow(b); err == nil && !fits(w) {
			t.Errorf("window: %+v", w)
		}
	})
}

func fits(w link.Window) bool {
	for _, n := range []int{w.Columns, w.Rows, w.Width, w.Height} {
		if n < 0 || n > math.MaxUint16 {
			return false
		}
	}
	return true
}
