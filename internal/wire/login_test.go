package wire

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/*.packet")

// golden are the packets in testdata, which the tests of the PAM module read
// too. The prefix of a name says what the packet is.
var golden = map[string]any{
	"hello-su":           Hello{User: "alice", Service: "su", Source: "uid:1000"},
	"hello-sudo-silent":  Hello{User: "alice", Service: "sudo", Source: "uid:1000", Silent: true},
	"hello-sshd":         Hello{User: "zoë", Service: "sshd", Source: "host:2001:db8::1"},
	"hello-login":        Hello{User: "root", Service: "login", Source: "tty:tty1", Term: "linux"},
	"hello-term":         Hello{User: "alice", Service: "su", Source: "uid:1000", Term: "xterm-256color"},
	"hello-all":          Hello{User: "alice", Service: "sudo", Source: "uid:1000", Silent: true, Term: "xterm-kitty", Client: "OpenSSH_9.9p1 Debian-3"},
	"hello-longest-term": Hello{User: "alice", Service: "su", Source: "uid:1000", Term: strings.Repeat("+._-aZ09", 8)},
	"request-sshd":       Request{User: "alice", Service: "ksd-sshd", Source: "host:2001:db8::1"},
	"request-silent":     Request{User: "zoë", Service: "ksd-login", Source: "host:192.0.2.1", Silent: true},
	"request-token":      Request{User: "alice", Service: "ksd-login", Source: "uid:1000", Token: "5UJWZH6JQ2RRQ2K5QG4XGMHKFE"},
	"request-all":        Request{User: "alice", Service: "ksd-login", Source: "uid:1000", Token: "no token of ours", Silent: true},
	"mode-plain":         Plain,
	"mode-kitty":         Kitty,
	"mode-win32":         Win32,
	"text-info":          Text{Text: "Type the phrase as you always do."},
	"text-error":         Text{IsError: true, Text: "Zu schnell – noch einmal, bitte 🙂"},
	"text-empty":         Text{},
	"text-equals":        Text{Text: "a=b=c"},
	"text-longest":       Text{Text: strings.Repeat("x", MaxPacket-len("Tkind=info\x00text=\x00"))},
	"verdict-accept":     Verdict{Accept},
	"verdict-refuse":     Verdict{Refuse},
	"verdict-locked":     Verdict{Locked},
	"verdict-unenrolled": Verdict{Unenrolled},
	"verdict-cancelled":  Verdict{Cancelled},
	"verdict-timeout":    Verdict{Timeout},
	"verdict-unusable":   Verdict{Unusable},
	"verdict-failed":     Verdict{Failed},
}

// refused are packets that neither side may take. They are in testdata as
// bad-NAME.packet.
var refused = map[string]string{
	"empty":                "",
	"unknown-type":         "Xcode=accept\x00",
	"lower-case-type":      "vcode=accept\x00",
	"verdict-no-field":     "V",
	"verdict-no-code":      "Vcode=\x00",
	"verdict-unknown-code": "Vcode=maybe\x00",
	"verdict-upper-case":   "Vcode=Accept\x00",
	"verdict-prefix":       "Vcode=acceptance\x00",
	"verdict-shorter":      "Vcode=accep\x00",
	"verdict-no-nul":       "Vcode=accept",
	"verdict-two-nuls":     "Vcode=accept\x00\x00",
	"verdict-twice":        "Vcode=refuse\x00code=accept\x00",
	"verdict-extra-field":  "Vcode=accept\x00score=1\x00",
	"verdict-newline":      "Vcode=accept\n\x00",
	"verdict-and-more":     "Vcode=accept\x00Vcode=accept\x00",
	"text-no-kind":         "Ttext=hello\x00",
	"text-unknown-kind":    "Tkind=prompt\x00text=hello\x00",
	"text-escape":          "Tkind=info\x00text=\x1b[2J\x00",
	"text-c1":              "Tkind=info\x00text=\u009b2J\x00",
	"text-delete":          "Tkind=info\x00text=a\x7f\x00",
	"text-newline":         "Tkind=info\x00text=a\nb\x00",
	"text-tab":             "Tkind=info\x00text=a\tb\x00",
	"text-latin1":          "Tkind=info\x00text=caf\xe9\x00",
	"text-overlong":        "Tkind=info\x00text=\xc0\xaf\x00",
	"text-surrogate":       "Tkind=info\x00text=\xed\xa0\x80\x00",
	"text-beyond-unicode":  "Tkind=info\x00text=\xf4\x90\x80\x80\x00",
	"text-cut-rune":        "Tkind=info\x00text=\xe2\x82\x00",
	"no-equals":            "Tkind\x00",
	"no-name":              "T=info\x00",
	"name-with-digit":      "Tkind1=info\x00",
	"name-with-space":      "T kind=info\x00",
	"name-upper-case":      "TKind=info\x00",
	"nine-fields":          "Ta=\x00b=\x00c=\x00d=\x00e=\x00f=\x00g=\x00h=\x00i=\x00",
	"too-long":             "Tkind=info\x00text=" + strings.Repeat("x", MaxPacket) + "\x00",
	"hello-no-version":     "Huser=a\x00service=su\x00source=uid:1\x00",
	"hello-version-1":      "Hv=1\x00user=a\x00service=su\x00source=uid:1\x00",
	"hello-version-3":      "Hv=3\x00user=a\x00service=su\x00source=uid:1\x00keyboard=ansi\x00",
	"hello-no-user":        "Hv=2\x00service=su\x00source=uid:1\x00",
	"hello-empty-user":     "Hv=2\x00user=\x00service=su\x00source=uid:1\x00",
	"hello-no-service":     "Hv=2\x00user=a\x00source=uid:1\x00",
	"hello-no-source":      "Hv=2\x00user=a\x00service=su\x00",
	"hello-silent-no":      "Hv=2\x00user=a\x00service=su\x00source=uid:1\x00silent=0\x00",
	"hello-extra-field":    "Hv=2\x00user=a\x00service=su\x00source=uid:1\x00rhythm=1\x00",
	"hello-user-twice":     "Hv=2\x00user=a\x00user=b\x00service=su\x00source=uid:1\x00",
	"hello-user-newline":   "Hv=2\x00user=a\nb\x00service=su\x00source=uid:1\x00",
	"hello-term-empty":     "Hv=2\x00user=a\x00service=su\x00source=uid:1\x00term=\x00",
	"hello-term-space":     "Hv=2\x00user=a\x00service=su\x00source=uid:1\x00term=x term\x00",
	"hello-term-slash":     "Hv=2\x00user=a\x00service=su\x00source=uid:1\x00term=../x\x00",
	"hello-term-percent":   "Hv=2\x00user=a\x00service=su\x00source=uid:1\x00term=%s\x00",
	"hello-term-umlaut":    "Hv=2\x00user=a\x00service=su\x00source=uid:1\x00term=ü\x00",
	"hello-term-long":      "Hv=2\x00user=a\x00service=su\x00source=uid:1\x00term=" + strings.Repeat("x", 65) + "\x00",
	"hello-client-empty":   "Hv=2\x00user=a\x00service=su\x00source=uid:1\x00client=\x00",
	"hello-client-umlaut":  "Hv=2\x00user=a\x00service=su\x00source=uid:1\x00client=Öpen\x00",
	"hello-client-long":    "Hv=2\x00user=a\x00service=su\x00source=uid:1\x00client=" + strings.Repeat("x", 256) + "\x00",
	"hello-token":          "Hv=2\x00user=a\x00service=su\x00source=uid:1\x00token=x\x00",
	"request-no-version":   "Nuser=a\x00service=su\x00source=uid:1\x00",
	"request-version-1":    "Nv=1\x00user=a\x00service=su\x00source=uid:1\x00",
	"request-no-user":      "Nv=2\x00service=su\x00source=uid:1\x00",
	"request-no-service":   "Nv=2\x00user=a\x00source=uid:1\x00",
	"request-empty-source": "Nv=2\x00user=a\x00service=su\x00source=\x00",
	"request-silent-no":    "Nv=2\x00user=a\x00service=su\x00source=uid:1\x00silent=0\x00",
	"request-term":         "Nv=2\x00user=a\x00service=su\x00source=uid:1\x00term=xterm\x00",
	"request-client":       "Nv=2\x00user=a\x00service=su\x00source=uid:1\x00client=OpenSSH\x00",
	"request-empty-token":  "Nv=2\x00user=a\x00service=su\x00source=uid:1\x00token=\x00",
	"request-token-umlaut": "Nv=2\x00user=a\x00service=su\x00source=uid:1\x00token=ü\x00",
	"request-token-long":   "Nv=2\x00user=a\x00service=su\x00source=uid:1\x00token=" + strings.Repeat("x", 65) + "\x00",
	"request-token-twice":  "Nv=2\x00user=a\x00service=su\x00source=uid:1\x00token=x\x00token=y\x00",
	"mode-no-field":        "M",
	"mode-empty":           "Mmode=\x00",
	"mode-unknown":         "Mmode=linux\x00",
	"mode-upper-case":      "Mmode=Kitty\x00",
	"mode-extra-field":     "Mmode=kitty\x00undo=x\x00",
	"mode-twice":           "Mmode=kitty\x00mode=plain\x00",
}

func encodeAny(m any) ([]byte, error) {
	switch m := m.(type) {
	case Hello:
		return EncodeHello(m)
	case Request:
		return EncodeRequest(m)
	case Mode:
		return EncodeMode(m)
	case Text:
		return EncodeText(m)
	case Verdict:
		return EncodeVerdict(m)
	}
	return nil, errors.New("not a message")
}

// decodeAny reads p as whichever side would have to read it.
func decodeAny(p []byte) (any, error) {
	if len(p) > 0 && (p[0] == 'H' || p[0] == 'N') {
		return DecodeOpening(p)
	}
	return DecodeReply(p)
}

func packetFile(name string) string { return filepath.Join("testdata", name+".packet") }

func TestRefused(t *testing.T) {
	for name, packet := range refused {
		t.Run(name, func(t *testing.T) {
			p := goldenFile(t, "bad-"+name, []byte(packet))
			if m, err := DecodeReply(p); !errors.Is(err, ErrPacket) || m != nil {
				t.Errorf("DecodeReply(%q) = %v, %v; want nil and ErrPacket", p, m, err)
			}
			if h, err := DecodeHello(p); !errors.Is(err, ErrPacket) || h != (Hello{}) {
				t.Errorf("DecodeHello(%q) = %v, %v; want nothing and ErrPacket", p, h, err)
			}
			m, err := DecodeOpening(p)
			if !errors.Is(err, ErrPacket) || m != nil {
				t.Errorf("DecodeOpening(%q) = %v, %v; want nil and ErrPacket", p, m, err)
			}
			if want := strings.Contains(name, "-version-"); errors.Is(err, ErrVersion) != want {
				t.Errorf("DecodeOpening(%q): %v; is it about the version? want %v", p, err, want)
			}
		})
	}
}

func TestGolden(t *testing.T) {
	for name, want := range golden {
		t.Run(name, func(t *testing.T) {
			encoded, err := encodeAny(want)
			if err != nil {
				t.Fatal(err)
			}
			p := goldenFile(t, name, encoded)
			if !bytes.Equal(p, encoded) {
				t.Errorf("the encoder writes\n%q, the file has\n%q", encoded, p)
			}
			if got, err := decodeAny(p); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("decoded %+v, %v; want %+v", got, err, want)
			}
		})
	}
}

// goldenFile returns the content of a packet's file, after writing p to it if
// the flag says so.
func goldenFile(t *testing.T, name string, p []byte) []byte {
	t.Helper()
	if *update {
		if err := os.WriteFile(packetFile(name), p, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(packetFile(name))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, p) {
		t.Errorf("%s holds %q, want %q; run go test -update", packetFile(name), got, p)
	}
	return got
}

// A file that no table names would be read by the tests of the module alone.
func TestEveryFileIsNamed(t *testing.T) {
	files, err := filepath.Glob(packetFile("*"))
	if err != nil || len(files) != len(golden)+len(refused) {
		t.Errorf("%d files, %v; want %d", len(files), err, len(golden)+len(refused))
	}
}

func TestEncodeRefuses(t *testing.T) {
	long := strings.Repeat("x", MaxPacket)
	for name, m := range map[string]any{
		"zero verdict":       Verdict{},
		"unknown verdict":    Verdict{"yes"},
		"no user":            Hello{Service: "su", Source: "uid:1"},
		"term with a slash":  Hello{User: "a", Service: "su", Source: "uid:1", Term: "a/b"},
		"term too long":      Hello{User: "a", Service: "su", Source: "uid:1", Term: strings.Repeat("x", 65)},
		"client with C1":     Hello{User: "a", Service: "su", Source: "uid:1", Client: "\u009b"},
		"client too long":    Hello{User: "a", Service: "su", Source: "uid:1", Client: strings.Repeat("x", 256)},
		"request of nobody":  Request{Service: "su", Source: "uid:1"},
		"newline in token":   Request{User: "a", Service: "su", Source: "uid:1", Token: "a\nb"},
		"token too long":     Request{User: "a", Service: "su", Source: "uid:1", Token: strings.Repeat("x", 65)},
		"zero mode":          Mode(""),
		"unknown mode":       Mode("linux"),
		"newline in user":    Hello{User: "a\nb", Service: "su", Source: "uid:1"},
		"NUL in service":     Hello{User: "a", Service: "s\x00u", Source: "uid:1"},
		"source not UTF-8":   Hello{User: "a", Service: "su", Source: "host:\xff"},
		"user too long":      Hello{User: long, Service: "su", Source: "uid:1"},
		"escape in text":     Text{Text: "\x1b]0;x\a"},
		"C1 control in text": Text{Text: "\u009d"},
		"text too long":      Text{Text: long},
	} {
		if p, err := encodeAny(m); !errors.Is(err, ErrPacket) || p != nil {
			t.Errorf("%s: %q, %v; want nothing and ErrPacket", name, p, err)
		}
	}
}

func TestCodeValid(t *testing.T) {
	for _, c := range []Code{"", "ok", "ACCEPT", "accept ", "none"} {
		if c.Valid() {
			t.Errorf("%q is valid", c)
		}
	}
	for name, m := range golden {
		if v, ok := m.(Verdict); ok && !v.Code.Valid() {
			t.Errorf("%s is not valid", name)
		}
	}
}

// A token is a secret: an error that says what is wrong with it must not hold it.
func TestErrorsKeepTheToken(t *testing.T) {
	const token = "5UJWZH6JQ2RRQ2K5QG4XGMHKFE"
	for _, p := range []string{
		"Nv=2\x00user=a\x00service=su\x00source=uid:1\x00token=" + token + token + token + "\x00",
		"Nv=2\x00user=a\x00service=su\x00source=uid:1\x00token=" + token + "\x1b\x00",
		"Nv=2\x00user=a\x00service=su\x00source=uid:1\x00token" + token + "\x00",
		"Nv=2\x00user=a\x00service=su\x00source=\x00token=" + token + "\x00",
		"Nv=2\x00user=a\x00service=su\x00source=uid:1\x00token=" + token,
	} {
		if _, err := DecodeOpening([]byte(p)); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestUndo(t *testing.T) {
	const pop, win32Off, bracketsOff = "\x1b[<u", "\x1b[?9001l", "\x1b[?2004l"
	for _, c := range []struct {
		told []Mode
		want string
	}{
		{nil, ""},
		{[]Mode{Plain}, bracketsOff},
		{[]Mode{Kitty}, pop + bracketsOff},
		{[]Mode{Win32}, win32Off + bracketsOff},
		{[]Mode{Kitty, Win32}, pop + win32Off + bracketsOff},
		{[]Mode{Win32, Kitty, Kitty}, pop + win32Off + bracketsOff},
		{[]Mode{Kitty, Win32, Plain}, bracketsOff},
		{[]Mode{Plain, Kitty, Win32, Plain, Kitty}, pop + bracketsOff},
	} {
		var s switched
		for _, m := range c.told {
			s.note(m)
		}
		if got := s.undo(); got != c.want {
			t.Errorf("%q: %q, want %q", c.told, got, c.want)
		}
	}
}

// FuzzDecode: whatever is taken must come out of the encoder as a packet with
// the same meaning, and be within the limits.
func FuzzDecode(f *testing.F) {
	for _, m := range golden {
		p, err := encodeAny(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p)
	}
	for _, p := range refused {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		m, err := decodeAny(p)
		if err != nil {
			if !errors.Is(err, ErrPacket) {
				t.Fatalf("%q: %v does not wrap ErrPacket", p, err)
			}
			return
		}
		if len(p) > MaxPacket {
			t.Fatalf("took %d bytes", len(p))
		}
		again, err := encodeAny(m)
		if err != nil {
			if len(p) > MaxPacket-len("text=\x00") {
				return // a text without its text field grows by it
			}
			t.Fatalf("%q is %+v, which cannot be encoded: %v", p, m, err)
		}
		if back, err := decodeAny(again); err != nil || !reflect.DeepEqual(back, m) {
			t.Fatalf("%q is %+v, encoded and decoded %+v, %v", p, m, back, err)
		}
	})
}
