package wire

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Peer is the process at the other end of a Unix socket, as the kernel knows
// it (SO_PEERCRED, unix(7)): for a server the one that accepted, for a client
// the one that called listen. There is no useful zero value: it would be root.
type Peer struct {
	PID int32
	UID uint32
	GID uint32
}

// String returns the peer as it stands in the audit log.
func (p Peer) String() string { return "uid:" + strconv.FormatUint(uint64(p.UID), 10) }

// ErrServer is the fact that the process behind a socket is not one that may
// judge anybody: neither root, nor the ksd account, nor the caller itself.
var ErrServer = errors.New("the socket belongs to somebody else")

// ServerAccount is the account that the installed daemon runs as.
const ServerAccount = "ksd"

// PeerOf asks the kernel who is at the other end of c, which must be a
// connected Unix socket.
func PeerOf(c syscall.Conn) (Peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return Peer{}, fmt.Errorf("peer credentials: %w", err)
	}
	var cred *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, failed); err != nil {
		return Peer{}, fmt.Errorf("peer credentials: %w", err)
	}
	return Peer{PID: cred.Pid, UID: cred.Uid, GID: cred.Gid}, nil
}

// checkServer returns an error that wraps ErrServer unless the process behind
// c is root, the account ServerAccount, or self.
func checkServer(c syscall.Conn, self int) error {
	p, err := PeerOf(c)
	if err != nil {
		return err
	}
	return trusted(p, self, accountUID(ServerAccount))
}

// trusted decides for checkServer. self and account are uids, -1 for none.
func trusted(p Peer, self, account int) error {
	uid := int(p.UID)
	if uid == 0 || uid == self || uid == account {
		return nil
	}
	return fmt.Errorf("%w: %v", ErrServer, p)
}

// accountUID returns the uid of an account, or -1 if there is none.
func accountUID(name string) int {
	u, err := user.Lookup(name)
	if err != nil {
		return -1
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return -1
	}
	return uid
}
