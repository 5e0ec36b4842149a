package capture

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

// pipe is a Stream as an SSH server would make one: packets with the times at
// which they came, and what was sent back.
type pipe struct {
	t testing.TB

	mu      sync.Mutex
	changed chan struct{} // closed at any change
	in      []packet
	out     strings.Builder
	seen    int // how much of out expect has passed
	columns int
	waits   int  // how often a read had to wait
	gone    bool // the other end is
	stuck   bool // and this: nothing is taken
	hear    func([]byte)
}

type packet struct {
	bytes string
	at    time.Duration
}

func newPipe(t testing.TB) *pipe {
	return &pipe{t: t, changed: make(chan struct{}), columns: 80}
}

// change calls f and wakes whoever waits.
func (p *pipe) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

// until waits until ok, which is called with the lock held, or ctx is done.
func (p *pipe) until(ctx context.Context, ok func() bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !ok() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		p.mu.Lock()
	}
	return nil
}

func (p *pipe) Read(ctx context.Context, b []byte) (n int, at time.Duration, err error) {
	waited := p.until(ctx, func() bool {
		if len(p.in) == 0 {
			err = io.EOF
			if ctx.Err() == nil {
				p.waits++
				close(p.changed)
				p.changed = make(chan struct{})
			}
			return p.gone
		}
		first := &p.in[0]
		n, at, err = copy(b, first.bytes), first.at, nil
		first.bytes = first.bytes[n:]
		if first.bytes == "" {
			p.in = p.in[1:]
		}
		return true
	})
	if waited != nil {
		return 0, 0, waited
	}
	return n, at, err
}

func (p *pipe) Write(ctx context.Context, b []byte) error {
	if err := p.until(ctx, func() bool { return !p.stuck || p.gone }); err != nil {
		return err
	}
	if p.gone {
		return io.ErrClosedPipe
	}
	p.change(func() { p.out.Write(b) })
	if p.hear != nil {
		p.hear(b)
	}
	return nil
}

func (p *pipe) Width() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.columns
}

// put brings a packet.
func (p *pipe) put(s string, at time.Duration) {
	p.change(func() { p.in = append(p.in, packet{s, at}) })
}

// reading waits until a read has to wait that did not before f.
func (p *pipe) reading(f func()) {
	p.t.Helper()
	p.mu.Lock()
	before := p.waits
	p.mu.Unlock()
	f()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if p.until(ctx, func() bool { return p.waits > before }) != nil {
		p.t.Fatal("nobody reads")
	}
}

// expect waits until s was sent after whatever was expected before.
func (p *pipe) expect(s string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := p.until(ctx, func() bool {
		i := strings.Index(p.out.String()[p.seen:], s)
		if i >= 0 {
			p.seen += i + len(s)
		}
		return i >= 0
	})
	if err != nil {
		p.t.Fatalf("%q was not sent; what was: %q", s, p.sent())
	}
}

func (p *pipe) sent() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// read starts a prompt and waits for it.
func (p *pipe) read(ctx context.Context, t *Terminal, prompt Prompt) <-chan outcome {
	p.t.Helper()
	ch := make(chan outcome, 1)
	go func() {
		s, err := t.Read(ctx, prompt)
		ch <- outcome{s, err}
	}()
	p.expect("\r\n> ")
	return ch
}

// overStream is a raw terminal behind a stream, with an emulator of a terminal at
// its other end, if there is one.
func overStream(t testing.TB, e *emulator) (*pipe, *Terminal) {
	t.Helper()
	p := newPipe(t)
	if e != nil {
		e.send = func(s string) { p.put(s, 0) }
		p.hear = e.feed
	}
	term := Over(p, "xterm", func() time.Duration { return time.Hour })
	if err := term.Raw(); err != nil {
		t.Fatal(err)
	}
	return p, term
}

func TestStream(t *testing.T) {
	for name, e := range map[string]*emulator{"kitty": kittyTerminal(), "win32": win32Terminal(), "plain": {win32: -1}} {
		t.Run(name, func(t *testing.T) {
			p, term := overStream(t, e)
			asked, err := term.Ask(t.Context())
			if err != nil || asked.Mode.String() != name {
				t.Fatalf("%+v, %v", asked, err)
			}
			ch := p.read(t.Context(), term, Prompt{Lead: "lead", Phrase: "phrase"})
			for range tripsEach {
				p.expect(fence)
			}
			answers := func(at time.Duration) {
				e.mu.Lock()
				defer e.mu.Unlock()
				e.send = func(s string) { p.put(s, at) }
			}
			answers(90 * time.Millisecond)
			e.hit('a', kittyPress)
			answers(150 * time.Millisecond)
			e.hit('a', kittyRelease)
			e.hit('\r', kittyPress)
			s, err := result(t, ch)
			if err != nil || keys(s) != "a" || s.Channel != asked.Mode.Channel() {
				t.Errorf("%+v, %v", s, err)
			}
			if up, released := s.Events[0].Dwell(); released != (name != "plain") || released && up != 60*time.Millisecond {
				t.Errorf("%+v", s.Events)
			}
			answers(0)
			if err := term.Leave(t.Context()); err != nil || e.state() != "[] false" || len(p.in) != 0 {
				t.Errorf("%v, left on %s, unread %v", err, e.state(), p.in)
			}
			if got := strings.ReplaceAll(p.sent(), "\r\n", ""); strings.Contains(got, "\n") || !strings.Contains(p.sent(), "lead\r\nphrase\r\n> "+strings.Repeat(fence, tripsEach)+"a\r\n") || !strings.Contains(got, bracketsOff) {
				t.Errorf("sent %q", p.sent())
			}
		})
	}
}

func TestStreamEnds(t *testing.T) {
	t.Run("hang-up", func(t *testing.T) {
		p, term := overStream(t, nil)
		ch := p.read(t.Context(), term, Prompt{Phrase: "p"})
		p.change(func() { p.gone = true })
		if _, err := result(t, ch); !errors.Is(err, ErrHangup) {
			t.Errorf("Read: %v", err)
		}
		if _, err := term.Ask(t.Context()); !errors.Is(err, ErrHangup) {
			t.Errorf("Ask: %v", err)
		}
		if err := term.Println("x"); !errors.Is(err, ErrHangup) {
			t.Errorf("Println: %v", err)
		}
		if err := term.Leave(t.Context()); err != nil {
			t.Errorf("Leave: %v", err)
		}
	})
	t.Run("restored meanwhile", func(t *testing.T) {
		p, term := overStream(t, nil)
		ch := p.read(t.Context(), term, Prompt{Phrase: "p"})
		term.Restore()
		if _, err := result(t, ch); !errors.Is(err, ErrNotRaw) {
			t.Errorf("%v, want ErrNotRaw", err)
		}
		p.expect(bracketsOff)
		if err := term.Println("x"); !errors.Is(err, ErrNotRaw) {
			t.Errorf("%v, want ErrNotRaw", err)
		}
	})
	t.Run("deadline, cancelled", func(t *testing.T) {
		p, term := overStream(t, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := term.Read(ctx, Prompt{Phrase: "p"}); !errors.Is(err, ErrTimeout) {
			t.Errorf("%v, want ErrTimeout", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		ch := p.read(ctx, term, Prompt{Phrase: "p"})
		cancel()
		if _, err := result(t, ch); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want Canceled", err)
		}
	})
	t.Run("stuck", func(t *testing.T) {
		e := kittyTerminal()
		p, term := overStream(t, e)
		if asked, err := term.Ask(t.Context()); err != nil || asked.Mode != Kitty {
			t.Fatalf("%+v, %v", asked, err)
		}
		p.change(func() { p.stuck = true })
		if err := term.Println("x"); !errors.Is(err, ErrTimeout) {
			t.Errorf("%v, want ErrTimeout", err)
		}
		if err := term.Leave(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		p, term := overStream(t, nil)
		p.put("early", 0)
		ch := p.read(t.Context(), term, Prompt{Phrase: "p"})
		p.put("abc", time.Second)
		if _, err := result(t, ch); !errors.Is(err, ErrPaste) {
			t.Errorf("%v, want ErrPaste", err)
		}
	})
}

// TestStreamWidth has the window change between prompts.
func TestStreamWidth(t *testing.T) {
	p, term := overStream(t, nil)
	for _, columns := range []int{0, 30, 3} {
		p.change(func() { p.columns = columns })
		ch := p.read(t.Context(), term, Prompt{Phrase: "p"})
		wrap := map[int]int{0: 80, 30: 30, 3: 20}[columns] - 3
		for i := range wrap + 1 {
			p.put("a", time.Duration(i)*time.Millisecond)
		}
		p.expect(strings.Repeat("a", wrap) + "\r\na")
		p.put("\r", time.Second)
		if s, err := result(t, ch); err != nil || len(s.Events) != wrap+1 || s.Channel != keystroke.Press {
			t.Errorf("%d columns: %d events, %v", columns, len(s.Events), err)
		}
	}
}

// TestStreamFlood has more come than may be dropped before a prompt.
func TestStreamFlood(t *testing.T) {
	p, term := overStream(t, nil)
	p.put(strings.Repeat("a", 4*dropLimit), 0)
	if _, err := term.Read(t.Context(), Prompt{Phrase: "p"}); !errors.Is(err, ErrPaste) {
		t.Errorf("%v, want ErrPaste", err)
	}
	if err := term.Restore(); err != nil {
		t.Error(err)
	}
}
