package clitest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"

	"ksd/internal/cli"
)

// Patience is how long a test waits for what must come.
const Patience = 10 * time.Second

// Terminal is a pseudo-terminal of 80 by 24 with somebody sitting at it.
type Terminal struct {
	Tty *os.File // the program's end

	tb    testing.TB
	term  string
	keys  *os.File // the person's end
	clock atomic.Int64

	mu      sync.Mutex
	changed *sync.Cond
	screen  Screen
	log     bytes.Buffer // everything since Mark
	closed  bool
	kitty   bool // it knows the kitty keyboard protocol
	all     bool // and is to tell all that happens to keys
	ended   bool // the program that Go started last
}

// Open makes a terminal of the type that TERM would name. It is closed with the
// test.
func Open(tb testing.TB, term string) *Terminal {
	tb.Helper()
	keys, tty, err := pty.Open()
	if err != nil {
		tb.Skipf("no pseudo-terminals here: %v", err)
	}
	if err := pty.Setsize(keys, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		tb.Fatal(err)
	}
	t := &Terminal{Tty: tty, tb: tb, term: term, keys: keys}
	t.changed = sync.NewCond(&t.mu)
	t.clock.Store(int64(time.Hour))
	var reading sync.WaitGroup
	reading.Go(t.read)
	tb.Cleanup(func() {
		tty.Close()
		keys.Close()
		reading.Wait()
	})
	return t
}

func (t *Terminal) read() {
	b := make([]byte, 4096)
	for {
		n, err := t.keys.Read(b)
		t.mu.Lock()
		t.screen.Write(b[:n])
		for _, told := range t.screen.told {
			t.obey(told)
		}
		t.screen.told = nil
		t.log.Write(b[:n])
		t.closed = err != nil
		t.changed.Broadcast()
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Kitty makes it a terminal that tells releases if it is asked to, by the kitty
// keyboard protocol, or one that does so no more.
func (t *Terminal) Kitty(knows bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kitty, t.all = knows, false
}

// obey does what a program asks of the terminal. Each is what one says of itself
// that knows only presses.
func (t *Terminal) obey(told string) {
	switch {
	case told == "\x1b[c":
		t.keys.WriteString("\x1b[?62;22c")
	case !t.kitty:
	case told == "\x1b[>31u":
		t.all = true
	case told == "\x1b[<u":
		t.all = false
	case told == "\x1b[?u" && t.all:
		t.keys.WriteString("\x1b[?31u")
	case told == "\x1b[?u":
		t.keys.WriteString("\x1b[?0u")
	}
}

// Env is the world of a program at this terminal, with the terminal's own
// clock. Its stdout and stderr are the terminal as well.
func (t *Terminal) Env(name string, args ...string) cli.Env {
	vars := map[string]string{"TERM": t.term, "LANG": "C.UTF-8"}
	return cli.Env{
		Name: name, Args: args,
		Stdin: t.Tty, Stdout: t.Tty, Stderr: t.Tty, Tty: t.Tty,
		User:   "ana",
		Getenv: func(name string) string { return vars[name] },
		Now:    func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
		Clock:  func() time.Duration { return time.Duration(t.clock.Load()) },
		Width: func(f *os.File) int {
			if f != t.Tty {
				return 0
			}
			return 80
		},
	}
}

// Go runs a program and returns where its exit code will come.
func (t *Terminal) Go(run func(ctx context.Context) int) <-chan int {
	ctx, cancel := context.WithCancel(context.Background())
	t.tb.Cleanup(cancel)
	t.mu.Lock()
	t.ended = false
	t.mu.Unlock()
	done := make(chan int, 1)
	go func() {
		done <- run(ctx)
		t.mu.Lock()
		t.ended = true
		t.changed.Broadcast()
		t.mu.Unlock()
	}()
	return done
}

// Exit waits for a program that Go started.
func (t *Terminal) Exit(done <-chan int) int {
	t.tb.Helper()
	select {
	case code := <-done:
		// A NUL, which a terminal ignores, shows that all before it was read.
		t.Tty.Write([]byte{0})
		t.until("the end of the output", func() bool { return bytes.IndexByte(t.log.Bytes(), 0) >= 0 })
		return code
	case <-time.After(Patience):
		t.tb.Fatalf("the program does not end; the screen:\n%s", t.Screen())
		return -1
	}
}

// Screen returns what the screen shows.
func (t *Terminal) Screen() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.screen.String()
}

// Wait waits until text has come since the last Wait or Press.
func (t *Terminal) Wait(text string) {
	t.tb.Helper()
	t.until(text, func() bool {
		i := strings.Index(t.log.String(), text)
		if i >= 0 {
			t.log.Next(i + len(text))
		}
		return i >= 0
	})
}

// Show waits until the screen shows text.
func (t *Terminal) Show(text string) {
	t.tb.Helper()
	t.until(text, func() bool { return strings.Contains(t.screen.String(), text) })
}

// until waits for a condition that output can make true.
func (t *Terminal) until(what string, ok func() bool) {
	t.tb.Helper()
	late := false
	timer := time.AfterFunc(Patience, func() {
		t.mu.Lock()
		late = true
		t.changed.Broadcast()
		t.mu.Unlock()
	})
	defer timer.Stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	for !ok() {
		if late || t.closed {
			t.tb.Fatalf("never came: %q; the screen:\n%s", what, t.screen.String())
		}
		t.changed.Wait()
	}
}

// Type presses the keys of text one after the other, gap apart on the
// terminal's clock, and waits until each stands on the screen. An Enter ("\r")
// at the end is not waited for.
func (t *Terminal) Type(text string, gap time.Duration) {
	t.tb.Helper()
	downs := make([]time.Duration, utf8.RuneCountInString(text))
	for i := range downs {
		downs[i] = time.Duration(i) * gap
	}
	t.TypeAt(text, downs)
}

// TypeAt is Type with a press time for each key, which keeps to the terminal's
// clock.
func (t *Terminal) TypeAt(text string, downs []time.Duration) {
	t.tb.Helper()
	typed := ""
	start := t.clock.Load() + int64(time.Second)
	for i, r := range []rune(text) {
		t.clock.Store(start + int64(downs[i]))
		t.Press(string(r))
		switch {
		case r == '\r':
			continue
		case r == 0x7f:
			typed = typed[:len(typed)-1]
		default:
			typed += string(r)
		}
		t.until(typed, func() bool { return strings.HasSuffix(t.screen.beforeCursor(), typed) })
	}
}

// Press hits keys at once and waits for nothing. A terminal that tells releases
// does so.
func (t *Terminal) Press(keys string) {
	t.tb.Helper()
	t.mu.Lock()
	t.log.Reset()
	if t.all {
		events := ""
		for _, r := range keys {
			text := ""
			if r >= ' ' && r != 0x7f {
				text = fmt.Sprintf(";%d", r)
			}
			events += fmt.Sprintf("\x1b[%d;1:1%su\x1b[%d;1:3u", r, text, r)
		}
		keys = events
	}
	t.mu.Unlock()
	if _, err := t.keys.WriteString(keys); err != nil {
		t.tb.Fatal(err)
	}
}

// Asked waits until a program asks for a phrase and returns it; more is false
// once the program that Go started last has ended instead.
func (t *Terminal) Asked() (phrase string, more bool) {
	t.tb.Helper()
	t.until("a phrase to type", func() bool {
		if t.screen.beforeCursor() == "> " && t.screen.row > 0 {
			phrase, more = strings.TrimSpace(t.screen.line(t.screen.row-1)), true
		}
		return more || t.ended
	})
	return phrase, more
}
