package capture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// outputLimit is how long output outside a prompt's own time may be stuck.
const outputLimit = time.Second

const (
	bracketsOn  = "\x1b[?2004h"
	bracketsOff = "\x1b[?2004l"
)

// Terminal is a terminal that belongs to somebody else and is given back as it
// was found. One goroutine uses it; Restore alone may come from any other.
type Terminal struct {
	file     *os.File // kept so that the descriptor stays open
	tty      syscall.RawConn
	clock    func() time.Duration
	brackets bool // the terminal knows bracketed paste
	moves    bool // it knows cursor movement and erasing

	mu          sync.Mutex
	waiter      *waiter // nil unless raw
	found, ours unix.Termios
}

// Open makes a Terminal of f, which must be a terminal open for reading and
// writing; else the error is ErrNotTerminal. Nothing is changed yet, and f stays
// the caller's to close. term is the terminal's type as TERM names it, ""
// standing for dumb; clock is CLOCK_MONOTONIC, from any origin.
func Open(f *os.File, term string, clock func() time.Duration) (*Terminal, error) {
	tty, err := f.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotTerminal, err)
	}
	t := &Terminal{
		file: f, tty: tty, clock: clock,
		moves:    term != "" && term != "dumb",
		brackets: term != "" && term != "dumb" && term != "linux",
	}
	err = control(tty, "open", func(fd int) error {
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
	return t, nil
}

// Raw takes the terminal: settings changed, type-ahead dropped, pastes announced
// where the terminal can. A second call does nothing.
//
// The settings are made with TCSETS and the input dropped afterwards (TCIFLUSH),
// not with TCSETSF: that one waits for output to drain, for ever if it is
// stopped, and drops the input before the settings change.
func (t *Terminal) Raw() error {
	t.mu.Lock()
	raw := t.waiter != nil
	var err error
	if !raw {
		err = t.enter()
	}
	w := t.waiter
	t.mu.Unlock()
	if raw || err != nil || !t.brackets {
		return err
	}
	if err := t.print(w, bracketsOn); err != nil {
		t.Restore()
		return err
	}
	return nil
}

// enter does the work of Raw under t.mu. It leaves all as it was if it fails.
func (t *Terminal) enter() error {
	w, err := newWaiter(t.tty, t.clock)
	if err != nil {
		return err
	}
	err = control(t.tty, "raw mode", func(fd int) error {
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
		return err
	}
	t.waiter = w
	return nil
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

// Restore gives the terminal back: settings as found, unread input dropped,
// pastes no longer announced. Where the settings are no longer those that Raw
// made, somebody else has taken over and nothing is touched. It ends a Read in
// progress with ErrNotRaw. It does nothing if the terminal is not raw, and it is
// no error that the terminal is gone.
func (t *Terminal) Restore() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiter == nil {
		return nil
	}
	t.waiter.close()
	t.waiter = nil
	err := control(t.tty, "restore", func(fd int) error {
		now, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil || *now != t.ours {
			return err
		}
		unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH)
		err = unix.IoctlSetTermios(fd, unix.TCSETS, &t.found)
		if t.brackets && writable(fd) {
			unix.Write(fd, []byte(bracketsOff))
		}
		return err
	})
	if errors.Is(err, ErrHangup) {
		return nil
	}
	return err
}

// writable reports whether a short write would go through at once.
func writable(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(p, 0)
	return err == nil && n == 1 && p[0].Revents == unix.POLLOUT
}

// Println shows one line of text, made safe. The terminal must be raw, else the
// error is ErrNotRaw; it is ErrTimeout if the output is stuck.
func (t *Terminal) Println(text string) error {
	w, err := t.held()
	if err != nil {
		return err
	}
	return t.print(w, clean(text)+"\n")
}

// print writes s, which must be safe, within outputLimit.
func (t *Terminal) print(w *waiter, s string) error {
	ctx, cancel := context.WithTimeout(context.Background(), outputLimit)
	defer cancel()
	return w.write(ctx, []byte(s))
}

func (t *Terminal) held() (*waiter, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiter == nil {
		return nil, ErrNotRaw
	}
	return t.waiter, nil
}

// flush drops what was typed and not read yet.
func (t *Terminal) flush() error {
	return control(t.tty, "flush", func(fd int) error {
		return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH)
	})
}

// width returns the columns of the terminal: 80 if it does not say, and never
// less than 20.
func (t *Terminal) width() int {
	cols := 80
	control(t.tty, "window size", func(fd int) error {
		ws, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
		if err == nil && ws.Col > 0 {
			cols = int(ws.Col)
		}
		return err
	})
	return max(cols, 20)
}
