package listener

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A connection comes from one place: with multipath TCP it could move to others,
// past what goes by its source.
func TestOnePath(t *testing.T) {
	sockets, err := Open(t.Context(), []string{"127.0.0.1:0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sockets[0].Close()
	raw, err := sockets[0].SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	protocol := 0
	if failed := raw.Control(func(fd uintptr) { protocol, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PROTOCOL) }); failed != nil || err != nil {
		t.Fatal(failed, err)
	}
	if protocol != unix.IPPROTO_TCP {
		t.Errorf("protocol %d, want %d", protocol, unix.IPPROTO_TCP)
	}
}
