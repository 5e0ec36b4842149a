package capture

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"ksd/internal/keystroke"
)

func TestOpenRefuses(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	con := newConsole(t)
	readOnly, err := os.OpenFile(con.tty.Name(), os.O_RDONLY|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	closed, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, f := range map[string]*os.File{
		"nil": nil, "/dev/null": null, "a pipe": r, "a file": file, "a socket": socket, "read-only": readOnly,
	} {
		if _, err := Open(f, "xterm", Monotonic); !errors.Is(err, ErrNotTerminal) {
			t.Errorf("%s: %v, want ErrNotTerminal", name, err)
		}
	}
	if _, err := Open(closed, "xterm", Monotonic); err == nil {
		t.Error("a closed file was taken")
	}
}

func TestNotRaw(t *testing.T) {
	con := newConsole(t)
	term, err := Open(con.tty, "xterm", Monotonic)
	if err != nil {
		t.Fatal(err)
	}
	if err := term.Println("x"); !errors.Is(err, ErrNotRaw) {
		t.Errorf("Println: %v", err)
	}
	if _, err := term.Read(t.Context(), Prompt{}); !errors.Is(err, ErrNotRaw) {
		t.Errorf("Read: %v", err)
	}
	if err := term.Restore(); err != nil {
		t.Errorf("Restore: %v", err)
	}
	if con.shown() != "" {
		t.Errorf("shown: %q", con.shown())
	}
}

// TestSettings leaves a prompt on every path and compares the settings before
// and after. TestReadRefuses and TestRead do so for what is typed.
func TestSettings(t *testing.T) {
	odd := func(s *unix.Termios) {
		s.Lflag &^= unix.ECHO
		s.Iflag |= unix.IXOFF
		s.Oflag &^= unix.OPOST
		s.Cc[unix.VINTR], s.Cc[unix.VMIN] = 7, 3
	}
	already := func(s *unix.Termios) { *s = *rawSettings(*s) }
	for _, c := range []struct {
		name string
		set  func(*unix.Termios)
		read func(t *testing.T, con *console, term *Terminal)
	}{
		{"no prompt", nil, func(*testing.T, *console, *Terminal) {}},
		{"unusual settings", odd, func(*testing.T, *console, *Terminal) {}},
		{"found raw", already, func(*testing.T, *console, *Terminal) {}},
		{"accepted", odd, func(t *testing.T, con *console, term *Terminal) {
			ch := con.read(t.Context(), term, Prompt{Phrase: "p"})
			con.typed("ok")
			con.send("\r")
			if _, err := result(t, ch); err != nil {
				t.Error(err)
			}
		}},
		{"deadline", nil, func(t *testing.T, con *console, term *Terminal) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := term.Read(ctx, Prompt{Phrase: "p"}); !errors.Is(err, ErrTimeout) {
				t.Error(err)
			}
		}},
		{"cancelled before it began", nil, func(t *testing.T, con *console, term *Terminal) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := term.Read(ctx, Prompt{Phrase: "p"}); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}},
		{"restored from elsewhere while reading", nil, func(t *testing.T, con *console, term *Terminal) {
			ch := con.read(t.Context(), term, Prompt{Phrase: "p"})
			con.typed("a")
			if err := term.Restore(); err != nil {
				t.Error(err)
			}
			if _, err := result(t, ch); !errors.Is(err, ErrNotRaw) {
				t.Error(err)
			}
		}},
		{"raw twice", nil, func(t *testing.T, con *console, term *Terminal) {
			if err := term.Raw(); err != nil {
				t.Error(err)
			}
		}},
		{"raw again", nil, func(t *testing.T, con *console, term *Terminal) {
			if err := errors.Join(term.Restore(), term.Raw()); err != nil {
				t.Error(err)
			}
		}},
		{"panic", nil, func(t *testing.T, con *console, term *Terminal) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			defer term.Restore()
			time.AfterFunc(0, func() {
				for !strings.Contains(con.shown(), "\r\n> ") {
					runtime.Gosched()
				}
				con.master.WriteString("a")
			})
			term.Read(t.Context(), Prompt{Phrase: "p", Status: func(keystroke.Sample) string { panic("status") }})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			con := newConsole(t)
			if c.set != nil {
				s := con.settings()
				c.set(&s)
				if err := unix.IoctlSetTermios(int(con.tty.Fd()), unix.TCSETS, &s); err != nil {
					t.Fatal(err)
				}
			}
			before := con.settings()
			term := con.raw("xterm")
			if con.settings() == before && c.name != "found raw" {
				t.Error("Raw changed nothing")
			}
			c.read(t, con, term)
			for range 3 {
				if err := term.Restore(); err != nil {
					t.Error(err)
				}
			}
			if after := con.settings(); after != before {
				t.Errorf("settings before %+v\nafter %+v", before, after)
			}
			if _, err := con.tty.WriteString("[end]"); err != nil {
				t.Fatal(err)
			}
			con.expect("[end]")
			if on, off := strings.Count(con.shown(), bracketsOn), strings.Count(con.shown(), bracketsOff); on != off || on == 0 {
				t.Errorf("bracketed paste switched on %d times, off %d times", on, off)
			}
		})
	}
}

func TestHangup(t *testing.T) {
	t.Run("while reading", func(t *testing.T) {
		con := newConsole(t)
		term := con.raw("xterm")
		ch := con.read(t.Context(), term, Prompt{Phrase: "p"})
		con.typed("ab")
		con.master.Close()
		if _, err := result(t, ch); !errors.Is(err, ErrHangup) {
			t.Errorf("Read: %v, want ErrHangup", err)
		}
		if err := term.Println("x"); !errors.Is(err, ErrHangup) {
			t.Errorf("Println: %v, want ErrHangup", err)
		}
		if err := term.Restore(); err != nil {
			t.Errorf("Restore: %v", err)
		}
	})
	t.Run("before", func(t *testing.T) {
		con := newConsole(t)
		term, err := Open(con.tty, "xterm", Monotonic)
		if err != nil {
			t.Fatal(err)
		}
		con.master.Close()
		<-con.done
		if err := term.Raw(); !errors.Is(err, ErrHangup) {
			t.Errorf("Raw: %v, want ErrHangup", err)
		}
	})
}

func TestRestoreLeavesOthersSettingsAlone(t *testing.T) {
	con := newConsole(t)
	term := con.raw("xterm")
	shell := con.settings()
	shell.Lflag |= unix.ICANON
	if err := unix.IoctlSetTermios(int(con.tty.Fd()), unix.TCSETS, &shell); err != nil {
		t.Fatal(err)
	}
	con.send("ls\n")
	con.waiting(3)
	if err := term.Restore(); err != nil {
		t.Fatal(err)
	}
	if con.settings() != shell {
		t.Error("a shell's settings were overwritten")
	}
	con.waiting(3) // nor was its input dropped
	if _, err := con.tty.WriteString("done"); err != nil {
		t.Fatal(err)
	}
	con.expect("done")
	if strings.Contains(con.shown(), bracketsOff) {
		t.Error("a shell's bracketed paste was switched off")
	}
}

// TestStuckOutput fills the terminal until it takes no more, as a terminal
// whose other end is not read does. Nothing may wait longer than it was told.
func TestStuckOutput(t *testing.T) {
	m, s, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	fd, err := unix.Open(s.Name(), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	tty := os.NewFile(uintptr(fd), s.Name())
	defer tty.Close()
	term, err := Open(tty, "xterm", Monotonic)
	if err != nil {
		t.Fatal(err)
	}
	if err := term.Raw(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	filler := int(s.Fd()) // another open file description than term's
	if err := unix.SetNonblock(filler, true); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = unix.Write(filler, []byte("x"))
	}
	if err != unix.EAGAIN {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := term.Read(ctx, Prompt{Phrase: "p"}); !errors.Is(err, ErrTimeout) {
		t.Errorf("Read: %v, want ErrTimeout", err)
	}
	if err := term.Println("x"); !errors.Is(err, ErrTimeout) {
		t.Errorf("Println: %v, want ErrTimeout", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	ch := make(chan outcome, 1)
	go func() {
		_, err := term.Read(ctx, Prompt{Phrase: "p"})
		ch <- outcome{err: err}
	}()
	cancel()
	if _, err := result(t, ch); !errors.Is(err, context.Canceled) {
		t.Errorf("Read: %v, want Canceled", err)
	}
	if err := term.Restore(); err != nil {
		t.Error(err)
	}
}

// TestNonblockIsNotTouched looks at the flag that the terminal's other users
// would see.
func TestNonblockIsNotTouched(t *testing.T) {
	con := newConsole(t)
	flags := func() int {
		n, err := unix.FcntlInt(con.tty.Fd(), unix.F_GETFL, 0)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := flags()
	term := con.raw("xterm")
	ch := con.read(t.Context(), term, Prompt{Phrase: "p"})
	if during := flags(); during != before || during&unix.O_NONBLOCK != 0 {
		t.Errorf("flags %#x before, %#x during the prompt", before, during)
	}
	con.send("\x03")
	result(t, ch)
	term.Restore()
	if after := flags(); after != before {
		t.Errorf("flags %#x before, %#x after", before, after)
	}
}

// TestNothingIsLeft runs many prompts, ended in different ways, and counts
// goroutines and descriptors.
func TestNothingIsLeft(t *testing.T) {
	con := newConsole(t)
	round := func(i int) {
		term := con.raw("xterm")
		ctx, cancel := context.WithCancel(t.Context())
		ch := con.read(ctx, term, Prompt{Phrase: "p"})
		switch i % 4 {
		case 0:
			con.typed("a")
			con.send("\r")
		case 1:
			con.send("\x03")
		case 2:
			cancel()
		case 3:
			term.Restore()
		}
		result(t, ch)
		cancel()
		term.Restore()
	}
	round(0)
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	for i := range 200 {
		round(i)
	}
	for end := Monotonic() + 5*time.Second; runtime.NumGoroutine() > goroutines && Monotonic() < end; {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines before, %d after", goroutines, n)
	}
	if n := descriptors(t); n > files {
		t.Errorf("%d descriptors before, %d after", files, n)
	}
}

func descriptors(t *testing.T) int {
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}
