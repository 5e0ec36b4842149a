package daemon

import (
	"net"
	"os"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"ksd/internal/wire"
)

// FuzzOpening sends any packet with none to three descriptors of any kind over a
// real socket. What is taken is a Hello with one terminal or a Request with
// nothing, and what is not taken leaves no descriptor open.
func FuzzOpening(f *testing.F) {
	for _, p := range []string{
		"", "H", "N", "Vcode=accept\x00",
		"Hv=2\x00user=ana\x00service=su\x00source=x\x00term=xterm\x00client=OpenSSH_9.9\x00",
		"Nv=2\x00user=ana\x00service=su\x00source=x\x00token=x\x00",
		"Hv=1\x00user=ana\x00service=su\x00source=x\x00",
	} {
		for n := range 4 {
			f.Add([]byte(p), uint8(n), false)
		}
		f.Add([]byte(p), uint8(1), true)
	}
	keys, tty, err := pty.Open()
	if err != nil {
		f.Skipf("no pseudo-terminal: %v", err)
	}
	f.Cleanup(func() { _ = keys.Close(); _ = tty.Close() })
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = null.Close() })
	f.Fuzz(func(t *testing.T, packet []byte, n uint8, isNull bool) {
		if len(packet) > 2*wire.MaxPacket {
			t.Skip("a socket's buffer is not what this is about")
		}
		fd := int(tty.Fd())
		if isNull {
			fd = int(null.Fd())
		}
		var rights []byte
		if count := int(n % 4); count > 0 {
			rights = unix.UnixRights([]int{fd, fd, fd}[:count]...)
		}
		client, server := socketPair(t)
		if _, _, err := client.WriteMsgUnix(packet, rights, nil); err != nil {
			t.Fatal(err)
		}
		_ = client.CloseWrite()
		before := countFiles(t)
		o, err := receiveOpening(server)
		switch {
		case err != nil && o != (opening{}), err == nil && (o.hello == nil) == (o.request == nil):
			t.Fatalf("%q: %+v, %v", packet, o, err)
		case err == nil && (o.hello != nil) != (o.tty != nil):
			t.Fatalf("%q: %+v", packet, o)
		case o.hello != nil && (n%4 != 1 || isNull), o.request != nil && n%4 != 0:
			t.Fatalf("%q was taken with %d descriptors, null: %v", packet, n%4, isNull)
		}
		if o.tty != nil {
			_ = o.tty.Close()
		}
		if after := countFiles(t); after > before {
			t.Fatalf("%q: %d descriptors are open, before it was %d", packet, after, before)
		}
	})
}

// socketPair returns both ends of a conversation.
func socketPair(t *testing.T) (client, server *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ends := make([]*net.UnixConn, len(fds))
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socket")
		c, err := net.FileConn(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = c.(*net.UnixConn)
		t.Cleanup(func() { _ = c.Close() })
	}
	return ends[0], ends[1]
}

func countFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
