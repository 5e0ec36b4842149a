//go:build cgo

package pam

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ksd/internal/wire"
)

// patience bounds every wait that is not expected to end by a timeout.
const patience = 20 * time.Second

// A script is what the fake daemon does with one conversation after the first
// packet; then the connection is closed.
type script func(c *conversation)

// fakeDaemon stands in for ksdd on login.sock. It sets raw mode on the terminal
// that it is handed, as the real one does, before it runs its script.
type fakeDaemon struct {
	path string
	uid  int // whose credentials it has; -1 is our own
	run  script

	mu     sync.Mutex
	hellos []wire.Hello
	found  []*unix.Termios // the terminal's settings as they were handed over
}

// conversation is one connection to the fake daemon.
type conversation struct {
	*net.UnixConn
	tty   *os.File
	found *unix.Termios
}

func (c *conversation) restore() {
	unix.IoctlSetTermios(int(c.tty.Fd()), unix.TCSETS, c.found)
}

func (c *conversation) text(isError bool, text string) {
	p, err := wire.EncodeText(wire.Text{IsError: isError, Text: text})
	if err != nil {
		panic(err)
	}
	c.Write(p)
}

// waitForEnd blocks until the client closes, which is what tells the daemon to
// mend the terminal; it reports whether the client did.
func (c *conversation) waitForEnd() bool {
	c.SetReadDeadline(time.Now().Add(patience))
	n, err := c.Read(make([]byte, 1))
	return n == 0 && (err == nil || errors.Is(err, io.EOF))
}

// verdict is the script of a daemon that does everything right.
func verdict(code wire.Code) script {
	return func(c *conversation) {
		c.text(false, "the daemon says hello")
		c.restore()
		p, err := wire.EncodeVerdict(wire.Verdict{Code: code})
		if err != nil {
			panic(err)
		}
		c.Write(p)
	}
}

// raw sends packets and closes.
func raw(packets ...string) script {
	return func(c *conversation) {
		for _, p := range packets {
			c.Write([]byte(p))
		}
	}
}

// silent says nothing until the client gives up.
func silent(c *conversation) { c.waitForEnd() }

// start listens on d.path, or on a new path if there is none, until the test ends.
func (d *fakeDaemon) start(t testing.TB) *fakeDaemon {
	t.Helper()
	if d.path == "" {
		d.path = filepath.Join(shortDir(t), "login.sock")
	}
	l, err := listenAs(d.path, d.uid)
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			open.Go(func() { d.converse(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		os.Remove(d.path)
		open.Wait()
	})
	return d
}

func (d *fakeDaemon) converse(c *net.UnixConn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	packet, control := make([]byte, wire.MaxPacket+1), make([]byte, 256)
	n, m, _, _, err := c.ReadMsgUnix(packet, control)
	if err != nil || n == 0 {
		return // the client did not like our credentials
	}
	h, err := wire.DecodeHello(packet[:n])
	if err != nil {
		panic(err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:m])
	if err != nil || len(messages) != 1 {
		panic("not one control message")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		panic("not one descriptor")
	}
	tty := os.NewFile(uintptr(fds[0]), "tty")
	defer tty.Close()
	found, err := unix.IoctlGetTermios(fds[0], unix.TCGETS)
	if err != nil {
		panic(err)
	}
	changed := *found
	changed.Lflag &^= unix.ECHO | unix.ICANON | unix.ISIG
	changed.Iflag &^= unix.ICRNL
	if err := unix.IoctlSetTermios(fds[0], unix.TCSETSF, &changed); err != nil {
		panic(err)
	}
	d.mu.Lock()
	d.hellos, d.found = append(d.hellos, h), append(d.found, found)
	d.mu.Unlock()
	d.run(&conversation{UnixConn: c, tty: tty, found: found})
}

// last returns the last first packet, and how many there were.
func (d *fakeDaemon) last() (wire.Hello, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.hellos) == 0 {
		return wire.Hello{}, 0
	}
	return d.hellos[len(d.hellos)-1], len(d.hellos)
}

// listenAs listens at path with the credentials of uid, for which it changes
// the effective uid of one thread while it calls listen.
func listenAs(path string, uid int) (*net.UnixListener, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, err
	}
	if uid >= 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := setThreadEUID(uid); err != nil {
			return nil, err
		}
		defer setThreadEUID(0)
	}
	if err := unix.Listen(fd, 8); err != nil {
		return nil, err
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	return l.(*net.UnixListener), nil
}

func setThreadEUID(uid int) error {
	const same = ^uintptr(0)
	if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, same, uintptr(uid), same); errno != 0 {
		return errno
	}
	return nil
}

// shortDir is a folder whose name leaves room for a socket in it.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ksd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
