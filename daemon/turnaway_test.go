package daemon_test

import (
	"context"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ksd/daemon"
	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

// TestLingeringDescriptors has one account fill its share of both sockets and
// bring one connection more, each with a TCP socket in it that takes a minute to
// drop. The daemon must go on answering everybody else.
func TestLingeringDescriptors(t *testing.T) {
	d := ksdtest.Start(t)
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	one := must(daemon.New(t.Context(), d.Options()))(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	t.Cleanup(func() {
		cancel()
		<-done
	})
	d.As(d.UID("mallory"))
	dial := func(network, path string) *net.UnixConn {
		t.Helper()
		c := must(net.DialUnix(network, nil, &net.UnixAddr{Name: path, Net: network}))(t)
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(ksdtest.Patience))
		return c
	}
	// All of these wait in the queues until the daemon serves.
	last := map[string]*net.UnixConn{}
	for network, c := range map[string]struct {
		path  string
		share int
	}{
		"unixpacket": {d.Config.Daemon.LoginSocket, 8},
		"unix":       {d.Config.Daemon.APISocket, 16},
	} {
		for range c.share {
			dial(network, c.path)
		}
		last[network] = dial(network, c.path)
		fd := lingering(t)
		if _, _, err := last[network].WriteMsgUnix([]byte("x"), unix.UnixRights(fd), nil); err != nil {
			t.Fatal(err)
		}
		_ = unix.Close(fd) // the daemon's is the last
	}
	go func() { done <- one.Serve(ctx) }()
	<-one.Ready()
	for network, c := range last {
		// What it is told, if anything, depends on who is faster.
		if _, err := c.Read(make([]byte, wire.MaxPacket)); os.IsTimeout(err) {
			t.Fatalf("%s: one more was not turned away", network)
		}
	}

	d.As(0)
	hasty, stop := context.WithTimeout(t.Context(), ksdtest.Patience)
	defer stop()
	if _, err := must(wire.Dial(hasty, d.Config.Daemon.APISocket))(t).Status(hasty); err != nil {
		t.Errorf("root at ksd.sock: %v", err)
	}
	conn := dial("unixpacket", d.Config.Daemon.LoginSocket)
	sendPacket(t, conn, "nonsense")
	if v := readVerdict(t, conn); v != wire.Failed {
		t.Errorf("root at login.sock: verdict %q", v)
	}
}

// lingering returns a connected TCP socket with more to send than will ever be
// read, the last close of which waits for that for a minute.
func lingering(t *testing.T) int {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	t.Cleanup(func() { _ = l.Close() })
	c := must(net.Dial("tcp", l.Addr().String()))(t).(*net.TCPConn)
	f := must(c.File())(t)
	_ = c.Close()
	fd := must(unix.Dup(int(f.Fd())))(t)
	_ = f.Close()
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 60}); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for {
		switch _, err := unix.Write(fd, make([]byte, 1<<16)); err {
		case nil:
		case syscall.EAGAIN:
			return fd
		default:
			t.Fatal(os.NewSyscallError("write", err))
		}
	}
}
