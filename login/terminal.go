package login

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Terminal reports whether f is the controlling terminal of this process's
// session (TIOCGSID in ioctl_tty(2) knows no other). It is an error if it cannot
// be typed at: because the session's foreground is somebody else's, whose keys
// would be taken away (ErrBackground), or because it is open one way only
// (ErrOneWay). An attempt at such a terminal is not one without a terminal:
// else whoever is refused at the keyboard could choose the other policy.
func Terminal(f *os.File) (own bool, err error) {
	raw, err := f.SyscallConn() // Fd would make the terminal block for others who share it
	if err != nil {
		return false, err
	}
	controlErr := raw.Control(func(fd uintptr) { own, err = controlling(int(fd)) })
	return own, errors.Join(controlErr, err)
}

func controlling(fd int) (bool, error) {
	if _, err := unix.IoctlGetInt(fd, unix.TIOCGSID); err != nil {
		return false, nil
	}
	front, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	if err != nil {
		return false, err
	}
	if front != unix.Getpgrp() {
		return false, ErrBackground
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err == nil && flags&unix.O_ACCMODE != unix.O_RDWR {
		err = ErrOneWay
	}
	return err == nil, err
}
