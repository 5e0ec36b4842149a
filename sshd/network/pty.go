package network

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"ksd/sshd/link"
)

// hangover is how long a terminal may be silent after its process has ended,
// before what still holds it is left alone.
const hangover = time.Second

// past is a deadline that ends a Read at once.
var past = time.Unix(1, 0)

// terminal serves a process on a terminal. The end of the client's input means
// nothing there: a terminal has none. What was put out last is read until the
// kernel says that nobody has the terminal any more.
func (p *process) terminal(ctx context.Context, master *os.File) {
	s := p.s
	s.working.Go(func() { s.resizes(ctx, master) })
	s.working.Go(func() { p.input(ctx, master) })
	ended := make(chan link.Exited, 1)
	s.working.Go(func() {
		ended <- p.wait(ctx)
		// A Read that waits would not see that it need not any more.
		stop := s.c.after(hangover, func() { _ = master.SetReadDeadline(past) })
		<-ctx.Done()
		stop()
	})
	s.drain(master)
	if e := <-ended; ctx.Err() == nil {
		s.exit(e)
	}
	_ = s.ch.CloseWrite()
}

// maxLate is how many reads are made of a terminal whose process has ended and
// that was silent since: more than the kernel keeps for one.
const maxLate = 64

// drain copies a terminal's output to the client. A deadline means that the
// process has ended and it was silent since: what lies there is taken, and that
// is all.
func (s *session) drain(master *os.File) {
	buf := make([]byte, 32<<10)
	over := false
	for late := 0; late < maxLate; {
		n, err := master.Read(buf)
		if n > 0 && !s.put(s.ch, buf[:n]) {
			return
		}
		switch {
		case err == nil && !over:
		case err == nil:
			late++
			_ = master.SetReadDeadline(past)
		case errors.Is(err, os.ErrDeadlineExceeded) && readable(master):
			over = true
			_ = master.SetReadDeadline(time.Time{})
		default:
			return
		}
	}
}

// resizes brings the newest window size to a terminal, whose kernel tells its
// processes where it is another one.
func (s *session) resizes(ctx context.Context, master *os.File) {
	for {
		select {
		case <-s.resized:
		case <-ctx.Done():
			return
		}
		w := s.window.Load()
		_ = control(master, func(fd int) error {
			return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{
				Row: uint16(w.Rows), Col: uint16(w.Columns), Xpixel: uint16(w.Width), Ypixel: uint16(w.Height),
			})
		})
	}
}

// readable reports whether a Read would not wait.
func readable(f *os.File) (yes bool) {
	_ = control(f, func(fd int) error {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		yes = n == 1 && p[0].Revents&unix.POLLIN != 0
		return err
	})
	return yes
}

// control calls f with a descriptor that cannot be closed meanwhile.
func control(file *os.File, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	return errors.Join(raw.Control(func(fd uintptr) { failed = f(int(fd)) }), failed)
}
