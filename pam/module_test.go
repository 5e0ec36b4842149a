//go:build cgo

package pam

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ksd/internal/wire"
)

// The codes of Linux-PAM that the module returns, as the test host reports
// them. Where the only module of a stack returns PAM_IGNORE, pam_authenticate
// has no opinion to go by and returns PAM_PERM_DENIED, which the module never
// returns itself.
const (
	success     = 100 + 0
	serviceErr  = 100 + 3
	systemErr   = 100 + 4 // libpam's own, never the module's
	ignored     = 100 + 6
	authErr     = 100 + 7
	unavailable = 100 + 9
	maxTries    = 100 + 11
)

// stack writes a PAM folder with one service, "test", of the module alone.
func (b built) stack(t testing.TB, options string) string {
	t.Helper()
	dir := t.TempDir()
	line := fmt.Sprintf("auth required %s %s\naccount required %s\n", b.module, options, b.module)
	if err := os.WriteFile(filepath.Join(dir, "test"), []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// me is the name of who runs the tests.
func me(t testing.TB) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

// deadSocket is the file of a socket on which nobody listens any more.
func deadSocket(t *testing.T) string {
	t.Helper()
	path := filepath.Join(shortDir(t), "login.sock")
	l, err := listenAs(path, -1)
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	return path
}

// endings is the table of docs/PAM.md: what the daemon does, the options, the
// host's flags, and the code that must come of it.
var endings = []struct {
	name    string
	run     script
	options string
	flags   string
	want    int
	text    string // part of what the person sees; "-" is nothing at all
}{
	{"accept", verdict(wire.Accept), "", "", success, "info: the daemon says hello\n"},
	{"accept/strict", verdict(wire.Accept), "", "-n", success, ""},
	{"accept/silent", verdict(wire.Accept), "", "-s", success, "-"},
	{"accept/forked", verdict(wire.Accept), "", "-f", success, "info: the daemon says hello\n"},
	{"accept/debug", verdict(wire.Accept), "debug", "", success, ""},
	{"refuse", verdict(wire.Refuse), "", "", authErr, "delay\n"},
	{"refuse/lenient", verdict(wire.Refuse), lenient, "", authErr, "delay\n"},
	{"refuse/forked", verdict(wire.Refuse), "", "-f", authErr, "delay\n"},
	{"locked", verdict(wire.Locked), lenient, "", maxTries, "info: the daemon says hello\n"},
	{"unenrolled", verdict(wire.Unenrolled), "", "", authErr, ""},
	{"unenrolled/closed", verdict(wire.Unenrolled), "fail=open no_tty=ignore", "", authErr, ""},
	{"unenrolled/ignore", verdict(wire.Unenrolled), "unenrolled=ignore", "", ignored, ""},
	{"unenrolled/ignore strict", verdict(wire.Unenrolled), "unenrolled=ignore", "-n", authErr, ""},
	{"cancelled", verdict(wire.Cancelled), lenient, "", authErr, ""},
	{"timeout", verdict(wire.Timeout), lenient, "", authErr, ""},
	{"unusable", verdict(wire.Unusable), lenient, "", authErr, ""},
	{"failed", verdict(wire.Failed), lenient, "", authErr, ""},

	{"dies", raw(), lenient, "", authErr, "error: The typing check failed"},
	{"dies/silent", raw(), lenient, "-s", authErr, "-"},
	{"dies/forked", raw(), lenient, "-f", authErr, ""},
	{"dies after a text", raw("Tkind=info\x00text=one moment\x00"), lenient, "", authErr, "info: one moment\n"},
	{"dies in plain mode", raw("Mmode=plain\x00"), lenient, "-s", authErr, "\x1b[?2004l"},
	{"dies in kitty mode", raw("Mmode=kitty\x00"), lenient, "-s", authErr, "\x1b[<u\x1b[?2004l"},
	{"dies in win32 mode", raw("Mmode=win32\x00"), lenient, "-s", authErr, "\x1b[?9001l\x1b[?2004l"},
	{"dies in either mode", raw("Mmode=plain\x00", "Mmode=kitty\x00", "Mmode=win32\x00"), lenient, "-s", authErr, "\x1b[<u\x1b[?9001l\x1b[?2004l"},
	{"dies in kitty mode/forked", raw("Mmode=kitty\x00"), lenient, "-f", authErr, "\x1b[<u\x1b[?2004l"},
	{"dies out of its mode", raw("Mmode=kitty\x00", "Mmode=plain\x00"), lenient, "-s", authErr, "\x1b[?2004l"},
	{"mode and a verdict", raw("Mmode=kitty\x00", "Vcode=accept\x00"), lenient, "-s", success, "-"},
	{"mode and silence", func(c *conversation) { raw("Mmode=kitty\x00")(c); silent(c) }, lenient + " timeout=1", "-s", authErr, "\x1b[<u\x1b[?2004l"},
	{"mode that does not exist", raw("Mmode=linux\x00", "Vcode=accept\x00"), lenient, "-s", authErr, "-"},
	{"mode at a stopped terminal", stopped, lenient, "-s", authErr, "-"},

	{"silent", silent, lenient + " timeout=1", "", authErr, "error: The typing check did not answer"},
	{"silent/interrupted", silent, lenient + " timeout=1", "-i", authErr, "error: The typing check did not answer"},
	{"slow/interrupted", slow, "", "-i", success, "info: the daemon says hello\n"},
	{"slow/timeout", slow, "timeout=1", "", success, ""},
	{"silent/forked", silent, lenient + " timeout=1", "-f", authErr, ""},
	{"chatters for ever", chatter, lenient + " timeout=1", "-s", authErr, "-"},

	{"garbage", raw("\x00\x01\x02"), lenient, "", authErr, ""},
	{"HTTP", raw("HTTP/1.1 200 OK\r\n\r\n"), lenient, "", authErr, ""},
	{"unknown code", raw("Vcode=yes\x00"), lenient, "", authErr, ""},
	{"no code", raw("V"), lenient, "", authErr, ""},
	{"code cut off", raw("Vcode=accep\x00"), lenient, "", authErr, ""},
	{"code not ended", raw("Vcode=accept"), lenient, "", authErr, ""},
	{"extra field", raw("Vcode=accept\x00v=2\x00"), lenient, "", authErr, ""},
	{"two codes", raw("Vcode=accept\x00code=accept\x00"), lenient, "", authErr, ""},
	{"refuses, then accepts", raw("Vcode=refuse\x00", "Vcode=accept\x00"), lenient, "", authErr, "delay\n"},
	{"a hello", raw("Hv=2\x00user=a\x00service=su\x00source=uid:0\x00"), lenient, "", authErr, ""},
	{"text with an escape", raw("Tkind=info\x00text=\x1b[2J\x00", "Vcode=accept\x00"), lenient, "", authErr, "error: The typing check failed"},
	{"text one byte too long", raw("Tkind=info\x00text="+strings.Repeat("x", wire.MaxPacket-17)+"\x00x", "Vcode=accept\x00"), lenient, "", authErr, "error: The typing check failed"},
	{"text of 1 MiB", huge, lenient, "", authErr, "error: The typing check failed"},
	{"accept, and 1 MiB more", hugeVerdict, lenient, "", authErr, ""},
	{"percent signs", raw("Tkind=info\x00text=%s%n%s\x00", "Vcode=accept\x00"), "", "", success, "info: %s%n%s\n"},

	{"unknown option", verdict(wire.Accept), "bogus", "", serviceErr, ""},
	{"unknown option/lenient", verdict(wire.Accept), lenient + " bogus", "", serviceErr, ""},
	{"bad value", verdict(wire.Accept), "fail=maybe", "", serviceErr, ""},
}

// lenient is every option that lets people pass. None of them may turn a
// failure beside their own into a pass.
const lenient = "fail=open no_tty=ignore unenrolled=ignore"

// slow accepts, but not before the client's system calls were interrupted.
func slow(c *conversation) {
	time.Sleep(300 * time.Millisecond)
	verdict(wire.Accept)(c)
}

// stopped dies in a mode, with the terminal's output stopped as by Ctrl-S.
func stopped(c *conversation) {
	unix.IoctlSetInt(int(c.tty.Fd()), unix.TCXONC, unix.TCOOFF)
	raw("Mmode=kitty\x00")(c)
}

func chatter(c *conversation) {
	for p := []byte("Tkind=info\x00text=one moment\x00"); ; {
		if _, err := c.Write(p); err != nil {
			return
		}
	}
}

func huge(c *conversation) { writeHuge(c, "Tkind=info\x00text=") }

func hugeVerdict(c *conversation) { writeHuge(c, "Vcode=accept\x00a=") }

// writeHuge sends start and 1 MiB more as one packet.
func writeHuge(c *conversation, start string) {
	raw, err := c.SyscallConn()
	if err != nil {
		panic(err)
	}
	raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 4<<20)
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<20)
	})
	// Where the kernel allows no such packet, the largest that it takes.
	for size := 1 << 20; size > wire.MaxPacket; size /= 2 {
		if _, err := c.Write([]byte(start + strings.Repeat("x", size) + "\x00")); err == nil {
			break
		}
	}
	c.Write([]byte("Vcode=accept\x00"))
}

func TestEndings(t *testing.T)          { testEndings(t, plain()) }
func TestEndingsSanitized(t *testing.T) { testEndings(t, sanitized()) }

func testEndings(t *testing.T, b built) {
	b.check(t)
	for _, e := range endings {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			d := (&fakeDaemon{uid: -1, run: e.run}).start(t)
			r := b.at(t, "socket="+d.path+" "+e.options, e.flags).wait()
			r.check(t, e.want, e.text)
			if e.flags == "-s" && strings.HasPrefix(e.text, "\x1b") && r.output != e.text {
				t.Errorf("the screen has %q, want %q and no more", r.output, e.text)
			}
			if _, n := d.last(); n != 1 && e.want != serviceErr {
				t.Errorf("%d conversations, want one", n)
			}
		})
	}
}

// Every golden packet through the whole module, with each access checked, and
// an accept after it that counts only where the packet was a text.
func TestGoldenPacketsSanitized(t *testing.T) {
	b := sanitized().check(t)
	for name, p := range goldenPackets(t) {
		want, text := authErr, ""
		switch {
		case name == "verdict-refuse":
			text = "delay\n"
		case strings.HasPrefix(name, "text-"), strings.HasPrefix(name, "mode-"), name == "verdict-accept":
			want = success
		case name == "verdict-locked":
			want = maxTries
		case name == "verdict-unenrolled":
			want = ignored
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := (&fakeDaemon{uid: -1, run: raw(string(p), "Vcode=accept\x00")}).start(t)
			b.at(t, lenient+" socket="+d.path, "").wait().check(t, want, text)
		})
	}
}

// at runs the host at a terminal.
func (b built) at(t testing.TB, options, flags string) *terminal {
	t.Helper()
	argv := append([]string{b.host}, strings.Fields(flags)...)
	argv = led(append(argv, b.stack(t, options), "test", me(t))...)
	return open(t, exec.Command(argv[0], argv[1:]...))
}

// check compares the code and the text, and holds the terminal to its settings.
func (r result) check(t testing.TB, want int, text string) {
	t.Helper()
	if r.status != want {
		t.Errorf("status %d, want %d; screen: %q", r.status, want, r.output)
	}
	screen := strings.ReplaceAll(r.output, "\r\n", "\n")
	if text == "-" && screen != "" || text != "-" && !strings.Contains(screen, text) {
		t.Errorf("the screen has %q, want %q", screen, text)
	}
	if strings.Contains(screen, "delay\n") != (text == "delay\n") {
		t.Errorf("a delay was asked for, or was not: %q", screen)
	}
	for _, complaint := range []string{"leak\n", "setcred failed", "account phase was opened"} {
		if strings.Contains(screen, complaint) {
			t.Errorf("the host complains: %q", screen)
		}
	}
	r.sameSettings(t)
}

// The time that the module adds to an authentication is the difference between
// the two; the rest is the leader, the host and libpam.
func BenchmarkHost(b *testing.B) {
	m := plain().check(b)
	d := (&fakeDaemon{uid: -1, run: verdict(wire.Accept)}).start(b)
	for name, line := range map[string]string{
		"permit": "auth required pam_permit.so\n",
		"ksd":    fmt.Sprintf("auth required %s socket=%s\n", m.module, d.path),
	} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "test"), []byte(line), 0o644); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				argv := led(m.host, dir, "test", me(b))
				if r := open(b, exec.Command(argv[0], argv[1:]...)).wait(); r.status != success {
					b.Fatalf("status %d, screen %q", r.status, r.output)
				}
			}
		})
	}
}
