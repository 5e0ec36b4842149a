package ksdtest

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"ksd/internal/keystroke"
)

// Typist has a rhythm: every key pair its own interval, the same each time but
// for the unsteadiness of hands. It belongs to one goroutine.
type Typist struct {
	tempo time.Duration // the mean press-press interval, 40 ms or more
	seed  uint64
	noise *rand.Rand
}

// unsteady is how much of an interval is chance, at least, either way.
const unsteady = 16 * time.Millisecond

// NewTypist returns a typist with a mean press-press interval of tempo. seed
// gives it its own rhythm and its own unsteadiness.
func NewTypist(seed uint64, tempo time.Duration) *Typist {
	return &Typist{tempo: tempo, seed: seed, noise: rand.New(rand.NewPCG(seed, 1))}
}

// At returns the same hands at another tempo.
func (t *Typist) At(tempo time.Duration) *Typist {
	return &Typist{tempo: tempo, seed: t.seed, noise: t.noise}
}

// Downs returns the press times of one typing of text, the first at 0. Each
// interval is the tempo times 0.7 to 1.3, by key pair, and up to 15 % or 16 ms
// more or less, anew each time: hands that are steadier look like a copy.
func (t *Typist) Downs(text string) []time.Duration {
	runes := []rune(text)
	downs := make([]time.Duration, len(runes))
	for i := 1; i < len(runes); i++ {
		pair := rand.New(rand.NewPCG(t.seed, uint64(runes[i-1])<<32|uint64(runes[i])))
		usual := float64(t.tempo) * (0.7 + 0.6*pair.Float64())
		spread := max(0.15*usual, float64(unsteady))
		downs[i] = downs[i-1] + time.Duration(usual+spread*(2*t.noise.Float64()-1))
	}
	return downs
}

// Sample returns one typing of phrase on channel Press, as a program would
// bring it to ksd.sock.
func (t *Typist) Sample(phrase string) keystroke.Sample {
	return Sample(phrase, t.Downs(phrase))
}

// Sample returns a typing of phrase with the given press times on channel
// Press.
func Sample(phrase string, downs []time.Duration) keystroke.Sample {
	s := keystroke.Sample{Phrase: phrase, Channel: keystroke.Press}
	for i, r := range []rune(phrase) {
		s.Events = append(s.Events, keystroke.Event{Key: keystroke.KeyOf(r), Rune: r, Down: downs[i]})
	}
	return s
}

// Type presses the keys of text at w in real time, at the given press times
// from now on, one write each.
func Type(w io.Writer, text string, downs []time.Duration) error {
	start := time.Now()
	for i, r := range []rune(text) {
		time.Sleep(time.Until(start.Add(downs[i])))
		if _, err := io.WriteString(w, string(r)); err != nil {
			return err
		}
	}
	return nil
}

// Patience is how long a test waits for something before it fails.
const Patience = 20 * time.Second

// Terminal is a pseudo-terminal with somebody before it: Keys is the keyboard,
// TTY the side that programs see, and what they show is kept.
type Terminal struct {
	Keys, TTY *os.File

	mu     sync.Mutex
	shown  bytes.Buffer
	seen   int           // bytes that Await has gone past
	more   chan struct{} // closed and renewed when something is shown
	ended  bool
	speaks speaker // what it answers as; nil: nothing
	heard  int     // bytes that it has looked at for that
}

// NewTerminal opens a pseudo-terminal that the test closes. Without any the
// test is skipped.
func NewTerminal(t *testing.T) *Terminal {
	t.Helper()
	keys, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	if keys, err = pollable(keys); err != nil {
		t.Fatal(err)
	}
	term := &Terminal{Keys: keys, TTY: tty, more: make(chan struct{})}
	done := make(chan struct{})
	go func() { defer close(done); term.watch() }()
	t.Cleanup(func() {
		_ = tty.Close()
		_ = keys.Close()
		<-done
	})
	return term
}

// pollable returns f in a form that Close ends a Read of.
func pollable(f *os.File) (*os.File, error) {
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// watch keeps what is shown until the terminal is closed.
func (t *Terminal) watch() {
	buf := make([]byte, 4096)
	for {
		n, err := t.Keys.Read(buf)
		t.mu.Lock()
		t.shown.Write(buf[:n])
		t.ended = err != nil
		answer, late := t.answer(), time.Duration(0)
		if t.speaks != nil {
			late = t.speaks.late()
		}
		close(t.more)
		t.more = make(chan struct{})
		t.mu.Unlock()
		if err != nil {
			return
		}
		if answer != "" {
			if late > 0 {
				time.Sleep(rand.N(late))
			}
			_, _ = io.WriteString(t.Keys, answer)
		}
	}
}

// Shown returns everything that was shown so far.
func (t *Terminal) Shown() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shown.String()
}

// Await returns what is shown up to the end of want, from where the last Await
// ended.
func (t *Terminal) Await(tb testing.TB, want string) string {
	tb.Helper()
	out, _ := t.AwaitAny(tb, want)
	return out
}

// AwaitAny is Await for several texts; it returns the one that came first.
func (t *Terminal) AwaitAny(tb testing.TB, wants ...string) (shown, which string) {
	tb.Helper()
	deadline := time.After(Patience)
	for {
		t.mu.Lock()
		rest, more, ended := t.shown.String()[t.seen:], t.more, t.ended
		end := -1
		for _, want := range wants {
			if i := strings.Index(rest, want); i >= 0 && (end < 0 || i+len(want) < end) {
				end, which = i+len(want), want
			}
		}
		if end >= 0 {
			t.seen += end
			t.mu.Unlock()
			return rest[:end], which
		}
		t.mu.Unlock()
		if ended {
			tb.Fatalf("the terminal closed before %q was shown; it showed %q", wants, rest)
		}
		select {
		case <-more:
		case <-deadline:
			tb.Fatalf("%q was not shown in %v; the terminal shows %q", wants, Patience, rest)
		}
	}
}

// Press presses keys at once, as one write.
func (t *Terminal) Press(tb testing.TB, keys string) {
	tb.Helper()
	if _, err := io.WriteString(t.Keys, keys); err != nil {
		tb.Fatal(err)
	}
}

// Type has the typist type text in real time, and then press Enter.
func (t *Terminal) Type(tb testing.TB, hands *Typist, text string) {
	tb.Helper()
	if err := Type(t.Keys, text, hands.Downs(text)); err != nil {
		tb.Fatal(err)
	}
	time.Sleep(hands.tempo)
	t.Press(tb, "\r")
}

// Settings returns the terminal's settings.
func (t *Terminal) Settings(tb testing.TB) unix.Termios {
	tb.Helper()
	raw, err := t.TTY.SyscallConn()
	if err != nil {
		tb.Fatal(err)
	}
	var got *unix.Termios
	var failed error
	err = raw.Control(func(fd uintptr) { got, failed = unix.IoctlGetTermios(int(fd), unix.TCGETS) })
	if err != nil || failed != nil {
		tb.Fatal(err, failed)
	}
	return *got
}
