package capture

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"ksd/internal/keystroke"
)

// console is a person at a pseudo-terminal: types into one end and sees what
// the program at the other end, tty, shows. tty is a blocking descriptor, as a
// shell's is.
type console struct {
	t      testing.TB
	master *os.File
	tty    *os.File

	mu   sync.Mutex
	more chan struct{}  // closed when something arrives
	out  []byte         // everything shown
	seen int            // how much of it expect has passed
	hear func(b []byte) // the terminal that shows it, if it is more than a screen
	done chan struct{}  // closed when the master can be read no more
}

func newConsole(t testing.TB) *console {
	t.Helper()
	m, s, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	c := &console{t: t, master: reopen(t, m, true), tty: reopen(t, s, false), more: make(chan struct{}), done: make(chan struct{})}
	if err := pty.Setsize(c.tty, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	go c.watch()
	t.Cleanup(func() {
		c.master.Close()
		c.tty.Close()
		<-c.done
	})
	return c
}

// reopen returns f as a file that is, or is not, in the runtime's poller: only
// the former can be closed while it is read.
func reopen(t testing.TB, f *os.File, polled bool) *os.File {
	t.Helper()
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, polled)
	}
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), f.Name())
}

func (c *console) watch() {
	defer close(c.done)
	b := make([]byte, 4096)
	for {
		n, err := c.master.Read(b)
		if err != nil {
			return
		}
		c.mu.Lock()
		hear := c.hear
		c.mu.Unlock()
		if hear != nil {
			hear(b[:n])
		}
		c.mu.Lock()
		c.out = append(c.out, b[:n]...)
		close(c.more)
		c.more = make(chan struct{})
		c.mu.Unlock()
	}
}

// expect waits until s is shown after whatever was expected before.
func (c *console) expect(s string) {
	c.t.Helper()
	late := time.NewTimer(10 * time.Second)
	defer late.Stop()
	for {
		c.mu.Lock()
		if i := bytes.Index(c.out[c.seen:], []byte(s)); i >= 0 {
			c.seen += i + len(s)
			c.mu.Unlock()
			return
		}
		more, rest := c.more, string(c.out[c.seen:])
		c.mu.Unlock()
		select {
		case <-more:
		case <-late.C:
			c.t.Fatalf("%q was not shown; what was: %q", s, rest)
		}
	}
}

func (c *console) shown() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.out)
}

// send hands over all of s at once.
func (c *console) send(s string) {
	c.t.Helper()
	if _, err := c.master.WriteString(s); err != nil {
		c.t.Fatal(err)
	}
}

// typed presses one key after the other, each once the one before is echoed.
func (c *console) typed(s string) {
	c.t.Helper()
	for _, r := range s {
		c.send(string(r))
		c.expect(string(r))
	}
}

// waiting blocks until n bytes of input lie unread at the terminal.
func (c *console) waiting(n int) {
	c.t.Helper()
	for end := Monotonic() + 10*time.Second; c.unread() != n; {
		if Monotonic() > end {
			c.t.Fatalf("%d bytes unread, want %d", c.unread(), n)
		}
		time.Sleep(time.Millisecond)
	}
}

func (c *console) unread() int {
	c.t.Helper()
	n, err := unix.IoctlGetInt(int(c.tty.Fd()), unix.TIOCINQ)
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

func (c *console) settings() unix.Termios {
	c.t.Helper()
	conn, err := c.master.SyscallConn() // Fd would make the master block
	if err != nil {
		c.t.Fatal(err)
	}
	var s *unix.Termios
	err = control(conn, "settings", func(fd int) error {
		s, err = unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return *s
}

// raw opens the console's terminal and takes it.
func (c *console) raw(term string) *Terminal {
	c.t.Helper()
	t, err := Open(c.tty, term, Monotonic)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := t.Raw(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { t.Restore() })
	return t
}

type outcome struct {
	sample keystroke.Sample
	err    error
}

// read starts a prompt, whose Mark must be the usual, and waits for it.
func (c *console) read(ctx context.Context, t *Terminal, p Prompt) <-chan outcome {
	c.t.Helper()
	ch := make(chan outcome, 1)
	go func() {
		s, err := t.Read(ctx, p)
		ch <- outcome{s, err}
	}()
	c.expect("\r\n> ")
	return ch
}

// result waits for the outcome of a prompt.
func result(t testing.TB, ch <-chan outcome) (keystroke.Sample, error) {
	t.Helper()
	select {
	case o := <-ch:
		return o.sample, o.err
	case <-time.After(10 * time.Second):
		t.Fatal("the prompt does not end")
		panic("unreachable")
	}
}

// keys says what a sample holds: characters as they are, other keys in <>.
func keys(s keystroke.Sample) string {
	var b bytes.Buffer
	for _, e := range s.Events {
		if e.Rune != 0 {
			b.WriteRune(e.Rune)
		} else {
			fmt.Fprintf(&b, "<%v>", e.Key)
		}
	}
	return b.String()
}

func setSettings(t *testing.T, c *console, s unix.Termios) {
	t.Helper()
	if err := unix.IoctlSetTermios(int(c.tty.Fd()), unix.TCSETS, &s); err != nil {
		t.Fatal(err)
	}
}
