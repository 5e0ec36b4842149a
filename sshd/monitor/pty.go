package monitor

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"

	"ksd/sshd/link"
)

// terminal is a new pseudo-terminal. The slave is closed once its process runs.
type terminal struct {
	master, slave *os.File
	name          string // such as /dev/pts/7
}

// openTerminal makes a terminal that belongs to an account, in the modes and of
// the size that a client asks for (RFC 4254, 6.2).
func openTerminal(a account, p link.Pty) (t terminal, err error) {
	defer func() {
		if err != nil {
			t.close()
			err = fmt.Errorf("terminal: %w", err)
		}
	}()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return t, err
	}
	t.master = os.NewFile(uintptr(fd), "/dev/ptmx")
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		return t, err
	}
	t.name = fmt.Sprintf("/dev/pts/%d", n)
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return t, err
	}
	// By the master, not by name: the name could be another's in this namespace.
	slave, err := openPeer(fd)
	if err != nil {
		return t, err
	}
	t.slave = os.NewFile(uintptr(slave), t.name)
	gid, mode := ttyGroup(a)
	err = errors.Join(unix.Fchown(slave, int(a.uid), gid), unix.Fchmod(slave, mode), setModes(slave, p.Modes), resize(fd, p.Window))
	return t, err
}

// openPeer opens the slave of a master (ioctl_tty(2), TIOCGPTPEER).
func openPeer(master int) (int, error) {
	fd, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if e != 0 {
		return -1, e
	}
	return int(fd), nil
}

// ttyGroup returns what lets write(1) and nobody else write to a terminal.
func ttyGroup(a account) (gid int, mode uint32) {
	if g, err := user.LookupGroup("tty"); err == nil {
		if n, err := strconv.Atoi(g.Gid); err == nil {
			return n, 0o620
		}
	}
	return int(a.gid), 0o600
}

func resize(fd int, w link.Window) error {
	clip := func(n int) uint16 { return uint16(max(0, min(n, 1<<16-1))) }
	return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{
		Row: clip(w.Rows), Col: clip(w.Columns), Xpixel: clip(w.Width), Ypixel: clip(w.Height),
	})
}

func (t *terminal) close() {
	for _, f := range []*os.File{t.master, t.slave} {
		if f != nil {
			_ = f.Close()
		}
	}
	t.master, t.slave = nil, nil
}
