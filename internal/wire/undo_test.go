package wire

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// openPTY returns both sides of a new pseudo-terminal.
func openPTY(t *testing.T) (master, tty *os.File) {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { _ = master.Close(); _ = tty.Close() })
	return master, tty
}

// shown returns what was written to the terminal until now.
func shown(t *testing.T, master *os.File) string {
	t.Helper()
	fd := int(master.Fd())
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<12)
	n, err := unix.Read(fd, buf)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
	return string(buf[:max(n, 0)])
}

// TestUndone ends conversations with and without a verdict after the daemon
// told of modes: those are undone, after the settings, only where nobody else
// has, and not where the terminal has no room for it.
func TestUndone(t *testing.T) {
	const plain, kitty, win32 = "Mmode=plain\x00", "Mmode=kitty\x00", "Mmode=win32\x00"
	for _, c := range []struct {
		name    string
		packets []string
		stopped bool
		want    string
	}{
		{"no mode", nil, false, ""},
		{"plain", []string{plain}, false, "\x1b[?2004l"},
		{"kitty", []string{kitty}, false, "\x1b[<u\x1b[?2004l"},
		{"win32", []string{win32}, false, "\x1b[?9001l\x1b[?2004l"},
		{"both may be", []string{plain, kitty, win32}, false, "\x1b[<u\x1b[?9001l\x1b[?2004l"},
		{"both were", []string{kitty, win32, plain}, false, "\x1b[?2004l"},
		{"kitty after a text", []string{kitty, "Tkind=info\x00text=hello\x00"}, false, "\x1b[<u\x1b[?2004l"},
		{"a mode that does not exist", []string{kitty, "Mmode=linux\x00"}, false, "\x1b[<u\x1b[?2004l"},
		{"a verdict that does not exist", []string{kitty, "Vcode=yes\x00"}, false, "\x1b[<u\x1b[?2004l"},
		{"with a verdict", []string{kitty, "Vcode=refuse\x00"}, false, ""},
		{"output stopped", []string{kitty}, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			master, tty := openPTY(t)
			before := termios(t, tty)
			path := serveLogin(t, func(conn *net.UnixConn, _ Hello, passed *os.File) {
				if _, err := term.MakeRaw(int(passed.Fd())); err != nil {
					t.Error(err)
				}
				if c.stopped {
					if err := unix.IoctlSetInt(int(passed.Fd()), unix.TCXONC, unix.TCOOFF); err != nil {
						t.Error(err)
					}
				}
				send(t, conn, c.packets...)
			})
			_, err := HandOver(t.Context(), path, hello, tty, func(Text) {})
			if verdict := strings.Contains(c.name, "with"); (err == nil) != verdict {
				t.Errorf("error %v", err)
			}
			if c.stopped {
				if err := unix.IoctlSetInt(int(tty.Fd()), unix.TCXONC, unix.TCOON); err != nil {
					t.Fatal(err)
				}
			}
			if got := shown(t, master); got != c.want {
				t.Errorf("the terminal was sent %q, want %q", got, c.want)
			}
			if after := termios(t, tty); err != nil && after != before {
				t.Errorf("terminal changed: %+v, was %+v", after, before)
			}
		})
	}
}

// TestNotUndoneTwice gives up in the middle: a daemon that still says its verdict
// has undone its mode, and once more would pop somebody else's.
func TestNotUndoneTwice(t *testing.T) {
	for verdict, want := range map[string]string{"Vcode=cancelled\x00": "", "": "\x1b[<u\x1b[?2004l"} {
		master, tty := openPTY(t)
		ctx, cancel := context.WithCancel(t.Context())
		path := serveLogin(t, func(conn *net.UnixConn, _ Hello, _ *os.File) {
			send(t, conn, "Mmode=kitty\x00", "Tkind=info\x00text=hello\x00")
			if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("the daemon read %d bytes (%v), want the end", n, err)
			}
			if verdict != "" {
				send(t, conn, verdict)
			}
		})
		_, err := HandOver(ctx, path, hello, tty, func(Text) { cancel() })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%q: error %v", verdict, err)
		}
		if got := shown(t, master); got != want {
			t.Errorf("%q: the terminal was sent %q, want %q", verdict, got, want)
		}
	}
}

// TestLateReleaseDropped has the terminal send a key's release after the daemon
// died: it must not be the next program's input.
func TestLateReleaseDropped(t *testing.T) {
	master, tty := openPTY(t)
	path := serveLogin(t, func(conn *net.UnixConn, _ Hello, passed *os.File) {
		if _, err := term.MakeRaw(int(passed.Fd())); err != nil {
			t.Error(err)
		}
		send(t, conn, "Mmode=kitty\x00")
		if _, err := master.WriteString("\x1b[97;1:3u"); err != nil {
			t.Error(err)
		}
	})
	if _, err := HandOver(t.Context(), path, hello, tty, func(Text) {}); !errors.Is(err, ErrNoVerdict) {
		t.Fatal(err)
	}
	if n, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCINQ); err != nil || n != 0 {
		t.Errorf("%d bytes of input are left, %v", n, err)
	}
}

// TestTermSent passes TERM on where it is clean, and leaves it out where not.
func TestTermSent(t *testing.T) {
	for _, c := range []struct{ term, client, wantTerm, wantClient string }{
		{"xterm-kitty", "OpenSSH_9.9", "xterm-kitty", "OpenSSH_9.9"},
		{"", "", "", ""},
		{"xterm\x1b[2J", "OpenSSH\n9", "", ""},
		{strings.Repeat("x", 64), strings.Repeat("x", 255), strings.Repeat("x", 64), strings.Repeat("x", 255)},
		{strings.Repeat("x", 65), strings.Repeat("x", 256), "", ""},
		{"a/b", "Dröpbear", "", ""},
	} {
		_, tty := openPTY(t)
		path := serveLogin(t, func(conn *net.UnixConn, h Hello, _ *os.File) {
			if h.Term != c.wantTerm || h.Client != c.wantClient {
				t.Errorf("%q, %q: sent %q, %q", c.term, c.client, h.Term, h.Client)
			}
			send(t, conn, "Vcode=accept\x00")
		})
		h := hello
		h.Term, h.Client = c.term, c.client
		if _, err := HandOver(t.Context(), path, h, tty, func(Text) {}); err != nil {
			t.Errorf("%q, %q: %v", c.term, c.client, err)
		}
	}
}

// serveRequest lets daemon answer the first conversation on a new login.sock,
// and gives it the first packet and how many bytes of control messages came
// with it.
func serveRequest(t *testing.T, daemon func(c *net.UnixConn, first any, control int)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "login.sock")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.AcceptUnix()
		if err != nil {
			return
		}
		defer c.Close()
		p, oob := make([]byte, MaxPacket+1), make([]byte, 64)
		n, oobn, _, _, err := c.ReadMsgUnix(p, oob)
		if err != nil {
			t.Error(err)
			return
		}
		first, err := DecodeOpening(p[:n])
		if err != nil {
			t.Error(err)
		}
		daemon(c, first, oobn)
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return path
}

func TestAdmit(t *testing.T) {
	request := Request{User: "ana", Service: "ksd-login", Source: "host:192.0.2.1", Token: "x"}
	for _, c := range []struct {
		name    string
		packets []string
		texts   []Text
		want    Verdict
		err     error
	}{
		{"closed at once", nil, nil, Verdict{}, ErrNoVerdict},
		{"verdict that does not exist", []string{"Vcode=yes\x00"}, nil, Verdict{}, ErrPacket},
		{"packet of a client", []string{"Nv=2\x00user=a\x00service=b\x00source=c\x00"}, nil, Verdict{}, ErrPacket},
		{"refuse", []string{"Tkind=error\x00text=no\x00", "Vcode=refuse\x00"}, []Text{{true, "no"}}, Verdict{Refuse}, nil},
		{"accept", []string{"Vcode=accept\x00"}, nil, Verdict{Accept}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := serveRequest(t, func(conn *net.UnixConn, first any, control int) {
				if first != request || control != 0 {
					t.Errorf("request %+v with %d bytes of control messages, want %+v", first, control, request)
				}
				send(t, conn, c.packets...)
			})
			var texts []Text
			v, err := Admit(t.Context(), path, request, func(x Text) { texts = append(texts, x) })
			if v != c.want || !errors.Is(err, c.err) || !reflect.DeepEqual(texts, c.texts) {
				t.Errorf("verdict %+v, error %v, texts %+v; want %+v, %v, %+v", v, err, texts, c.want, c.err, c.texts)
			}
		})
	}
	missing := filepath.Join(t.TempDir(), "missing")
	if v, err := Admit(t.Context(), missing, request, nil); v != (Verdict{}) || !errors.Is(err, ErrNoDaemon) {
		t.Errorf("no socket: %+v, %v", v, err)
	}
	if v, err := Admit(t.Context(), missing, Request{User: "ana"}, nil); v != (Verdict{}) || !errors.Is(err, ErrPacket) {
		t.Errorf("without a source: %+v, %v", v, err)
	}
	if _, err := Admit(t.Context(), silentServer(t), request, nil); err == nil {
		t.Error("a server that says nothing lets somebody in")
	}
}

// silentServer is a login.sock behind which nobody answers, and which hangs up.
func silentServer(t *testing.T) string {
	return serveRequest(t, func(c *net.UnixConn, _ any, _ int) {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_, _ = c.Read(make([]byte, 1))
	})
}
