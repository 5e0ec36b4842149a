package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listeners are the two sockets of the daemon.
type Listeners struct {
	Login *net.UnixListener // SOCK_SEQPACKET
	API   *net.UnixListener // SOCK_STREAM
}

// Close closes both.
func (l Listeners) Close() error {
	var errs []error
	for _, one := range []*net.UnixListener{l.Login, l.API} {
		if one != nil {
			errs = append(errs, one.Close())
		}
	}
	return errors.Join(errs...)
}

// firstListenFD is the first descriptor of socket activation, and
// maxListenFDs the most that are looked at (sd_listen_fds(3)).
const (
	firstListenFD = 3
	maxListenFDs  = 16
)

// activated returns the sockets that systemd passed, none if it passed none.
// They are told apart by their names, FileDescriptorName=login and =api.
func activated(getenv func(string) string, pid int) (Listeners, error) {
	if getenv("LISTEN_PID") != strconv.Itoa(pid) {
		return Listeners{}, nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 0 || n > maxListenFDs {
		return Listeners{}, fmt.Errorf("socket activation: LISTEN_FDS=%q", getenv("LISTEN_FDS"))
	}
	names := strings.Split(getenv("LISTEN_FDNAMES"), ":")
	var out Listeners
	for i := range n {
		name := ""
		if i < len(names) {
			name = names[i]
		}
		if err := out.take(name, firstListenFD+i); err != nil {
			_ = out.Close()
			return Listeners{}, fmt.Errorf("socket activation: %w", err)
		}
	}
	return out, nil
}

// take makes the listener of one passed descriptor and closes the descriptor.
func (l *Listeners) take(name string, fd int) error {
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	slot, typ := &l.Login, unix.SOCK_SEQPACKET
	switch name {
	case "login":
	case "api":
		slot, typ = &l.API, unix.SOCK_STREAM
	default:
		return fmt.Errorf("descriptor %d is named %q, want \"login\" or \"api\"", fd, name)
	}
	if got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || got != typ {
		return fmt.Errorf("descriptor %d is no socket for %q", fd, name)
	}
	if *slot != nil {
		return fmt.Errorf("two descriptors are named %q", name)
	}
	ln, err := net.FileListener(f)
	if err != nil {
		return err
	}
	u, ok := ln.(*net.UnixListener)
	if !ok {
		_ = ln.Close()
		return fmt.Errorf("descriptor %d is no Unix socket", fd)
	}
	*slot = u
	return nil
}

// listen opens a socket that everybody may connect to. A socket file that
// nobody answers at is replaced; one where somebody does is an error.
func listen(network, path string) (*net.UnixListener, error) {
	addr := &net.UnixAddr{Name: path, Net: network}
	l, err := net.ListenUnix(network, addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err := removeStale(addr); err != nil {
			return nil, err
		}
		l, err = net.ListenUnix(network, addr)
	}
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// removeStale removes a socket file that nobody answers at.
func removeStale(addr *net.UnixAddr) error {
	info, err := os.Lstat(addr.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s: there is a file that is no socket", addr.Name)
	}
	c, err := net.DialUnix(addr.Net, nil, addr)
	if err == nil {
		_ = c.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s: %w", addr.Name, errInUse)
	}
	return os.Remove(addr.Name)
}

// errInUse is the fact that another process works at a socket or in a folder.
var errInUse = errors.New("another daemon is at work here")

// lockFolder takes the state folder for this process until the file is closed.
// The kernel lets go of the lock when the process dies, however it dies.
func lockFolder(folder string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", folder, errInUse)
		}
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return f, nil
}
