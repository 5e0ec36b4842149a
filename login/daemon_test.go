package login

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ksd/internal/wire"
)

// patience bounds every wait that is not expected to end by a timeout.
const patience = 60 * time.Second

// fakeDaemon stands in for ksdd on login.sock where a test is about the gate and
// not about typing. With a terminal it sets raw mode first, as the real one does.
type fakeDaemon struct {
	path string
	run  func(c *conversation) // after the first packet; then the connection is closed

	l        *net.UnixListener
	mu       sync.Mutex
	openings []any // wire.Hello and wire.Request
}

// conversation is one connection to the fake daemon.
type conversation struct {
	*net.UnixConn
	opening any
	tty     *os.File // nil without a terminal
	found   *unix.Termios
}

func (c *conversation) restore() {
	if c.tty != nil {
		_ = unix.IoctlSetTermios(int(c.tty.Fd()), unix.TCSETS, c.found)
	}
}

func (c *conversation) send(p []byte, err error) {
	if err != nil {
		panic(err)
	}
	_, _ = c.Write(p)
}

// waitForEnd blocks until the client closes.
func (c *conversation) waitForEnd() {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	_, _ = c.Read(make([]byte, 1))
}

// verdict is a daemon that does everything right. text is an error, unless it is
// empty.
func verdict(code wire.Code, text string) func(*conversation) {
	return func(c *conversation) {
		c.restore()
		if text != "" {
			c.send(wire.EncodeText(wire.Text{IsError: true, Text: text}))
		}
		c.send(wire.EncodeVerdict(wire.Verdict{Code: code}))
	}
}

// dies ends without a verdict and leaves the terminal as it is.
func dies(*conversation) {}

// silent says nothing until the client gives up, and leaves the terminal as it is.
func silent(c *conversation) { c.waitForEnd() }

// start listens until the test ends.
func (d *fakeDaemon) start(t testing.TB) *fakeDaemon {
	t.Helper()
	if d.path == "" {
		d.path = filepath.Join(shortDir(t), "login.sock")
	}
	var err error
	if d.l, err = net.ListenUnix("unixpacket", &net.UnixAddr{Name: d.path, Net: "unixpacket"}); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(d.path, 0o666); err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := d.l.AcceptUnix()
			if err != nil {
				return
			}
			open.Go(func() { d.converse(c) })
		}
	})
	t.Cleanup(func() {
		_ = d.l.Close()
		open.Wait()
	})
	return d
}

func (d *fakeDaemon) converse(conn *net.UnixConn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	packet, control := make([]byte, wire.MaxPacket+1), make([]byte, 256)
	n, m, _, _, err := conn.ReadMsgUnix(packet, control)
	if errors.Is(err, io.EOF) || n == 0 {
		return // the client changed its mind
	}
	c := &conversation{UnixConn: conn}
	if c.opening, err = wire.DecodeOpening(packet[:n]); err != nil {
		panic(err)
	}
	if _, ok := c.opening.(wire.Hello); ok {
		c.take(control[:m])
		defer c.tty.Close()
	}
	d.mu.Lock()
	d.openings = append(d.openings, c.opening)
	run := d.run
	d.mu.Unlock()
	run(c)
}

// take receives the terminal and sets it to raw mode.
func (c *conversation) take(control []byte) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) != 1 {
		panic("not one control message")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		panic("not one descriptor")
	}
	c.tty = os.NewFile(uintptr(fds[0]), "tty")
	if c.found, err = unix.IoctlGetTermios(fds[0], unix.TCGETS); err != nil {
		panic(err)
	}
	raw := *c.found
	raw.Lflag &^= unix.ECHO | unix.ICANON | unix.ISIG
	raw.Iflag &^= unix.ICRNL
	if err := unix.IoctlSetTermios(fds[0], unix.TCSETSF, &raw); err != nil {
		panic(err)
	}
}

// behave changes what the daemon does from now on and forgets what it was told.
func (d *fakeDaemon) behave(run func(*conversation)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.run, d.openings = run, nil
}

// asked returns the first packets since the last behave.
func (d *fakeDaemon) asked() []any {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.openings
}

// shortDir is a folder whose name leaves room for a socket in it, for everybody
// to enter.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ksd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
