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

// waiter parks a goroutine until a terminal is ready, without a thread and
// without O_NONBLOCK on the terminal: an epoll instance of its own watches the
// terminal, and the runtime's poller watches the epoll instance.
type waiter struct {
	ep     *os.File
	epConn syscall.RawConn
	tty    syscall.RawConn
	events uint32
	clock  func() time.Duration
}

func newWaiter(tty syscall.RawConn, clock func() time.Duration) (*waiter, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	w := &waiter{ep: os.NewFile(uintptr(fd), "epoll"), tty: tty, clock: clock}
	if w.epConn, err = w.ep.SyscallConn(); err == nil {
		err = w.watch(unix.EPOLL_CTL_ADD, unix.EPOLLIN)
	}
	if err != nil {
		w.ep.Close()
		return nil, err
	}
	return w, nil
}

// close ends a wait in progress with ErrNotRaw.
func (w *waiter) close() { w.ep.Close() }

func (w *waiter) watch(op int, events uint32) error {
	var failed error
	err := w.epConn.Control(func(ep uintptr) {
		failed = control(w.tty, "epoll_ctl", func(fd int) error {
			return unix.EpollCtl(int(ep), op, fd, &unix.EpollEvent{Events: events})
		})
	})
	if err != nil {
		return ErrNotRaw // closed meanwhile
	}
	w.events = events
	return failed
}

// wait returns once the terminal is ready for events (EPOLLIN or EPOLLOUT) or
// has hung up, with the time at which the goroutine learnt of it. The error is
// ErrHangup, ErrTimeout, ErrNotRaw or the context's.
func (w *waiter) wait(ctx context.Context, events uint32) (time.Duration, error) {
	if events != w.events {
		if err := w.watch(unix.EPOLL_CTL_MOD, events); err != nil {
			return 0, err
		}
	}
	stop := context.AfterFunc(ctx, func() { w.ep.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		if ctx.Err() != nil {
			return 0, contextError(ctx)
		}
		at, ready, err := w.park()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			// The context is done, or an earlier one set the deadline late.
			// Should it be done just now, the check above sees it.
			w.ep.SetReadDeadline(time.Time{})
		case err != nil:
			return 0, ErrNotRaw // closed meanwhile
		case ready&(unix.EPOLLHUP|unix.EPOLLERR) != 0:
			return 0, ErrHangup
		default:
			return at, nil
		}
	}
}

// park sleeps until epoll_wait has something. On a level-triggered instance of
// one descriptor that call does not fail.
func (w *waiter) park() (at time.Duration, ready uint32, err error) {
	var ev [1]unix.EpollEvent
	err = w.epConn.Read(func(ep uintptr) bool {
		n, _ := unix.EpollWait(int(ep), ev[:], 0)
		at = w.clock()
		return n > 0
	})
	return at, ev[0].Events, err
}

// read waits for input and fetches it; at is when the wait ended. It may fetch
// nothing, if someone else was faster.
func (w *waiter) read(ctx context.Context, b []byte) (n int, at time.Duration, err error) {
	if at, err = w.wait(ctx, unix.EPOLLIN); err != nil {
		return 0, 0, err
	}
	n, err = w.poll(b)
	return n, at, err
}

func (w *waiter) poll(b []byte) (n int, err error) {
	err = control(w.tty, "read", func(fd int) error {
		n, err = unix.Read(fd, b)
		return again(err)
	})
	return max(n, 0), err
}

// writeChunk is how many bytes a terminal that reports room takes at least
// without blocking: the kernel hands out tty buffers by 256 bytes, and output
// processing may double a byte. Another
// process writing at that very moment can still make the write wait for as long
// as nobody reads the terminal's other end.
const writeChunk = 128

func (w *waiter) write(ctx context.Context, b []byte) error {
	for len(b) > 0 {
		if _, err := w.wait(ctx, unix.EPOLLOUT); err != nil {
			return err
		}
		err := control(w.tty, "write", func(fd int) error {
			n, err := unix.Write(fd, b[:min(len(b), writeChunk)])
			b = b[max(n, 0):]
			return again(err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// again makes nothing of the errors that only say "not now".
func again(err error) error {
	if err == unix.EAGAIN || err == unix.EINTR {
		return nil
	}
	return err
}

// control runs a system call on a descriptor that cannot be closed meanwhile,
// and says in this package's words what it failed with.
func control(c syscall.RawConn, name string, call func(fd int) error) error {
	var failed error
	if err := c.Control(func(fd uintptr) { failed = call(int(fd)) }); err != nil {
		return fmt.Errorf("%s: %w", name, os.ErrClosed)
	}
	switch {
	case failed == nil:
		return nil
	case errors.Is(failed, unix.EIO) || errors.Is(failed, unix.ENXIO):
		return fmt.Errorf("%s: %w", name, ErrHangup)
	}
	return fmt.Errorf("%s: %w", name, failed)
}

func contextError(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ErrTimeout
	}
	return ctx.Err()
}
