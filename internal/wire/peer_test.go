package wire

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestTrusted(t *testing.T) {
	const self, account = 1000, 990
	for _, c := range []struct {
		name          string
		uid           uint32
		self, account int
		ok            bool
	}{
		{"a stranger", 1001, self, account, false},
		{"a stranger where there is no ksd account", 1001, self, -1, false},
		{"a uid that overflows to -1 is not the missing account", 0xffffffff, self, -1, false},
		{"root", 0, self, account, true},
		{"the ksd account", account, self, account, true},
		{"the caller itself", self, self, account, true},
	} {
		err := trusted(Peer{UID: c.uid}, c.self, c.account)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && !errors.Is(err, ErrServer) {
			t.Errorf("%s: %v does not wrap ErrServer", c.name, err)
		}
	}
}

func TestAccountUID(t *testing.T) {
	if got := accountUID("root"); got != 0 {
		t.Errorf("root: uid %d", got)
	}
	if got := accountUID("nobody has this name"); got != -1 {
		t.Errorf("missing account: uid %d, want -1", got)
	}
}

// TestPeerOf asks for the peer of both ends of a real socket: it is this
// process.
func TestPeerOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	want := Peer{PID: int32(os.Getpid()), UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	for name, c := range map[string]net.Conn{"client": client, "server": server} {
		if got, err := PeerOf(c.(*net.UnixConn)); err != nil || got != want {
			t.Errorf("%s's peer is %+v (%v), want %+v", name, got, err, want)
		}
	}
	if got := want.String(); got[:4] != "uid:" {
		t.Errorf("String: %q", got)
	}
	_ = server.Close()
	if _, err := PeerOf(server.(*net.UnixConn)); err == nil {
		t.Error("a closed socket has a peer")
	}
}
