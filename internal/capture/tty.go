package capture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// device is where a Terminal's bytes come from and go to: a tty or a Stream.
type device interface {
	// take makes the settings that a prompt needs and opens the link. It leaves
	// all as it was if it fails.
	take() (link, error)
	// give writes last, drops unread input and puts back the settings. It never
	// waits, and does nothing where somebody else has taken over.
	give(last string) error
	// try writes at most writeChunk bytes, all of them or none, if there is room
	// and nobody else has taken over.
	try(s string) bool
	flush() error // drops what was typed and not read yet
	width() int   // columns, 0 if unknown
	seat() seat   // the console that it is, nil if it is none
}

// link is a device's two directions while it is held. The errors of waiting are
// ErrHangup, ErrTimeout, ErrNotRaw once closed, or the context's.
type link interface {
	// read waits for input; at is when the wait ended. It may fetch nothing.
	read(ctx context.Context, b []byte) (n int, at time.Duration, err error)
	poll(b []byte) (n int, err error) // reads what is there, without waiting
	write(ctx context.Context, b []byte) error
	close() // ends a read or write in progress
}

// tty is a terminal of the kernel's.
type tty struct {
	file        *os.File // kept so that the descriptor stays open
	conn        syscall.RawConn
	clock       func() time.Duration
	found, ours unix.Termios
}

func openTTY(f *os.File, clock func() time.Duration) (*tty, error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotTerminal, err)
	}
	err = control(conn, "open", func(fd int) error {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err == nil && flags&unix.O_ACCMODE != unix.O_RDWR {
			return ErrNotTerminal
		}
		if _, tcErr := unix.IoctlGetTermios(fd, unix.TCGETS); errors.Is(tcErr, unix.ENOTTY) || errors.Is(tcErr, unix.EINVAL) {
			return ErrNotTerminal
		} else if err == nil {
			err = tcErr
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &tty{file: f, conn: conn, clock: clock}, nil
}

// take makes the settings with TCSETS and drops the input afterwards (TCIFLUSH),
// not with TCSETSF: that one waits for output to drain, for ever if it is
// stopped, and drops the input before the settings change.
func (t *tty) take() (link, error) {
	w, err := newWaiter(t.conn, t.clock)
	if err != nil {
		return nil, err
	}
	err = control(t.conn, "raw mode", func(fd int) error {
		found, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			return err
		}
		t.found = *found
		if err := unix.IoctlSetTermios(fd, unix.TCSETS, rawSettings(*found)); err != nil {
			return err
		}
		// The driver may have its own mind: ours is what it made of them.
		ours, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			unix.IoctlSetTermios(fd, unix.TCSETS, found)
			return err
		}
		t.ours = *ours
		return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH)
	})
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// rawSettings is cfmakeraw(3) without its change to the character size, and with
// reads that return at once. Output processing is on, not off: the driver makes
// CR LF of LF for us and for whoever else prints meanwhile.
func rawSettings(s unix.Termios) *unix.Termios {
	s.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	s.Oflag &^= unix.OLCUC | unix.OCRNL | unix.ONOCR | unix.ONLRET
	s.Oflag |= unix.OPOST | unix.ONLCR
	s.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	s.Cc[unix.VMIN], s.Cc[unix.VTIME] = 0, 0
	return &s
}

// held calls f if the settings are still those that take made.
func (t *tty) held(name string, f func(fd int) error) error {
	return control(t.conn, name, func(fd int) error {
		now, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil || *now != t.ours {
			return err
		}
		return f(fd)
	})
}

func (t *tty) give(last string) error {
	err := t.held("restore", func(fd int) error {
		if last != "" && writable(fd) {
			unix.Write(fd, []byte(last))
		}
		unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH)
		return unix.IoctlSetTermios(fd, unix.TCSETS, &t.found)
	})
	if errors.Is(err, ErrHangup) {
		return nil
	}
	return err
}

func (t *tty) try(s string) bool {
	done := false
	err := t.held("write", func(fd int) error {
		if !writable(fd) {
			return nil
		}
		n, err := unix.Write(fd, []byte(s))
		done = n == len(s)
		return err
	})
	return done && err == nil
}

// writable reports whether a short write would go through at once.
func writable(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(p, 0)
	return err == nil && n == 1 && p[0].Revents == unix.POLLOUT
}

func (t *tty) flush() error {
	return control(t.conn, "flush", func(fd int) error {
		return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH)
	})
}

func (t *tty) width() (cols int) {
	control(t.conn, "window size", func(fd int) error {
		ws, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
		if err == nil {
			cols = int(ws.Col)
		}
		return err
	})
	return cols
}
