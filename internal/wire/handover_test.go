package wire

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// openTTY returns the terminal side of a new pseudo-terminal.
func openTTY(t *testing.T) *os.File {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { _ = master.Close(); _ = tty.Close() })
	return tty
}

func termios(t *testing.T, tty *os.File) unix.Termios {
	t.Helper()
	got, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *got
}

// serveLogin lets daemon answer the first conversation on a new login.sock. It
// gets the hello and the terminal that came with it.
func serveLogin(t *testing.T, daemon func(c *net.UnixConn, h Hello, tty *os.File)) string {
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
		h, err := DecodeHello(p[:n])
		if err != nil {
			t.Error(err)
			return
		}
		msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil || len(msgs) != 1 {
			t.Errorf("control messages: %v, %v", msgs, err)
			return
		}
		fds, err := unix.ParseUnixRights(&msgs[0])
		if err != nil || len(fds) != 1 {
			t.Errorf("descriptors: %v, %v", fds, err)
			return
		}
		tty := os.NewFile(uintptr(fds[0]), "tty")
		defer tty.Close()
		daemon(c, h, tty)
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return path
}

// send sends packets as they are. A client that has its verdict, or an error,
// may be gone before the last of them.
func send(t *testing.T, c *net.UnixConn, packets ...string) {
	for _, p := range packets {
		if _, err := c.Write([]byte(p)); err != nil && !errors.Is(err, unix.EPIPE) {
			t.Error(err)
		}
	}
}

var hello = Hello{User: "ana", Service: "su", Source: "tty:pts/1", Silent: true}

// TestHandOver sets the terminal raw as a daemon would and ends in every way a
// daemon can end. Whatever has no verdict is an error, the zero Verdict, and a
// terminal as it was.
func TestHandOver(t *testing.T) {
	const info, accept = "Tkind=info\x00text=hello\x00", "Vcode=accept\x00"
	for _, c := range []struct {
		name    string
		packets []string
		texts   []Text
		want    Verdict
		err     error
	}{
		{"closed at once", nil, nil, Verdict{}, ErrNoVerdict},
		{"closed after a text", []string{info}, []Text{{false, "hello"}}, Verdict{}, ErrNoVerdict},
		{"verdict that does not exist", []string{"Vcode=yes\x00"}, nil, Verdict{}, ErrPacket},
		{"verdict without code", []string{"V"}, nil, Verdict{}, ErrPacket},
		{"packet of a client", []string{"Hv=2\x00user=a\x00service=b\x00source=c\x00"}, nil, Verdict{}, ErrPacket},
		{"accept inside too large a packet", []string{accept + string(make([]byte, MaxPacket))}, nil, Verdict{}, ErrPacket},
		{"refuse", []string{"Tkind=error\x00text=no\x00", "Vcode=refuse\x00"}, []Text{{true, "no"}}, Verdict{Refuse}, nil},
		{"accept", []string{info, accept}, []Text{{false, "hello"}}, Verdict{Accept}, nil},
		{"nothing after the verdict is read", []string{"Vcode=locked\x00", accept}, nil, Verdict{Locked}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			tty := openTTY(t)
			before := termios(t, tty)
			path := serveLogin(t, func(conn *net.UnixConn, h Hello, passed *os.File) {
				if h != hello {
					t.Errorf("hello %+v, want %+v", h, hello)
				}
				if _, err := term.MakeRaw(int(passed.Fd())); err != nil {
					t.Error(err)
				}
				send(t, conn, c.packets...)
			})
			var texts []Text
			v, err := HandOver(t.Context(), path, hello, tty, func(x Text) { texts = append(texts, x) })
			if v != c.want || !errors.Is(err, c.err) {
				t.Errorf("verdict %+v, error %v; want %+v, %v", v, err, c.want, c.err)
			}
			if !reflect.DeepEqual(texts, c.texts) {
				t.Errorf("texts %+v, want %+v", texts, c.texts)
			}
			if after := termios(t, tty); err != nil && after != before {
				t.Errorf("terminal changed: %+v, was %+v", after, before)
			}
		})
	}
}

// TestHandOverCancelled ends the client's context in the middle: the daemon
// sees the end of the conversation and the terminal is as it was.
func TestHandOverCancelled(t *testing.T) {
	tty := openTTY(t)
	before := termios(t, tty)
	ctx, cancel := context.WithCancel(t.Context())
	path := serveLogin(t, func(conn *net.UnixConn, _ Hello, passed *os.File) {
		if _, err := term.MakeRaw(int(passed.Fd())); err != nil {
			t.Error(err)
		}
		cancel()
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("the daemon read %d bytes (%v), want the end", n, err)
		}
		send(t, conn, "Vcode=accept\x00")
	})
	v, err := HandOver(ctx, path, hello, tty, func(Text) {})
	if v != (Verdict{}) || !errors.Is(err, context.Canceled) {
		t.Errorf("verdict %+v, error %v; a verdict that comes too late is none", v, err)
	}
	if termios(t, tty) != before {
		t.Error("terminal changed")
	}
}

func TestHandOverRefusals(t *testing.T) {
	tty := openTTY(t)
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := HandOver(t.Context(), missing, hello, tty, nil); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("no socket: %v", err)
	}
	if _, err := HandOver(t.Context(), missing, Hello{User: "a\nb"}, tty, nil); !errors.Is(err, ErrPacket) {
		t.Errorf("control character: %v", err)
	}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: missing, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := HandOver(t.Context(), missing, hello, file, nil); err == nil {
		t.Error("a file that is no terminal was handed over")
	}
}
