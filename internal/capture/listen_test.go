package capture

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ksd/internal/evdev"
	"ksd/internal/evdev/evdevtest"
	"ksd/internal/keystroke"
)

// fakeSeat is a console that a test switches to and from.
type fakeSeat struct{ away atomic.Bool }

func (s *fakeSeat) active() bool                { return !s.away.Load() }
func (s *fakeSeat) meaning(code uint16) meaning { return usKeymap(code) }

// seated is a tty that is one.
type seated struct {
	device
	at seat
}

func (d seated) seat() seat { return d.at }

// desk is a person at a console with keyboards, whose clock stands unless it is
// moved.
type desk struct {
	*console
	term *Terminal
	seat *fakeSeat
	now  atomic.Int64
	fail atomic.Bool // the keyboards cannot be opened

	mu     sync.Mutex
	boards []*evdevtest.Pipe // of the last prompt
	opened int
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{console: newConsole(t), seat: new(fakeSeat)}
	d.now.Store(int64(time.Hour))
	term, err := Open(d.tty, "linux", d.clock)
	if err != nil {
		t.Fatal(err)
	}
	term.dev = seated{term.dev, d.seat}
	if err := term.Raw(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { term.Restore() })
	d.term = term
	return d
}

// listening is newDesk whose prompts listen.
func listening(t *testing.T) *desk {
	t.Helper()
	d := newDesk(t)
	if err := d.term.Listen(d.open); err != nil {
		t.Fatal(err)
	}
	for i, b := range d.plugged() {
		if !b.Closed() {
			t.Errorf("keyboard %d is open before the prompt", i)
		}
	}
	return d
}

func (d *desk) clock() time.Duration { return time.Duration(d.now.Load()) }

// open plugs in two keyboards.
func (d *desk) open() ([]*os.File, error) {
	if d.fail.Load() {
		return nil, fs.ErrPermission
	}
	p, f := evdevtest.NewPipe(d.t, d.clock)
	q, g := evdevtest.NewPipe(d.t, d.clock)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.boards = []*evdevtest.Pipe{p, q}
	d.opened++
	return []*os.File{f, g}, nil
}

// plugged returns the keyboards of the last prompt.
func (d *desk) plugged() []*evdevtest.Pipe {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.boards
}

// does is an event of a key after a number of ms. It waits until that was heard.
func (d *desk) does(after int, code uint16, a evdev.Action) {
	d.t.Helper()
	d.now.Add(int64(after) * int64(time.Millisecond))
	d.term.mu.Lock()
	rec := d.term.rec
	d.term.mu.Unlock()
	before, err := rec.Events(nil)
	d.plugged()[0].Does(code, a)
	for late := time.Now().Add(10 * time.Second); err == nil; time.Sleep(time.Millisecond) {
		var now []evdev.Event
		if now, err = rec.Events(nil); len(now) > len(before) {
			break
		}
		if time.Now().After(late) {
			d.t.Fatal("not heard")
		}
	}
}

// hits presses keys, each after a number of ms, and lets go of them after as many.
func (d *desk) hits(after int, text string) {
	d.t.Helper()
	for _, r := range text {
		d.does(after, evdevtest.Codes[r], evdev.Down)
		d.typed(string(r))
		d.does(after, evdevtest.Codes[r], evdev.Up)
	}
}

// enters presses Enter after a number of ms.
func (d *desk) enters(after int) {
	d.t.Helper()
	d.does(after, evdevtest.Enter, evdev.Down)
	d.send("\r")
}

// ended returns the sample of a prompt, after which no keyboard may be open.
func (d *desk) ended(ch <-chan outcome) (keystroke.Sample, error) {
	d.t.Helper()
	s, err := result(d.t, ch)
	for i, b := range d.plugged() {
		if !b.Closed() {
			d.t.Errorf("keyboard %d is open after the prompt", i)
		}
	}
	return s, err
}

func TestListenRefuses(t *testing.T) {
	never := func() ([]*os.File, error) {
		t.Error("keyboards opened")
		return nil, fs.ErrPermission
	}
	_, stream := overStream(t, nil)
	atPTY := newConsole(t).raw("linux")
	away := newDesk(t)
	away.seat.away.Store(true)
	for name, term := range map[string]*Terminal{"a stream": stream, "a pseudo-terminal": atPTY, "a console behind": away.term} {
		if err := term.Listen(never); !errors.Is(err, ErrNotConsole) {
			t.Errorf("%s: %v, want ErrNotConsole", name, err)
		}
	}
	d := newDesk(t)
	d.fail.Store(true)
	if err := d.term.Listen(d.open); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v, want that of open", err)
	}
	// It has not begun to listen.
	d.fail.Store(false)
	ch := d.read(t.Context(), d.term, Prompt{Phrase: "hi"})
	d.typed("hi")
	d.send("\r")
	if s, err := d.ended(ch); err != nil || s.Channel != keystroke.Press || d.opened != 0 {
		t.Errorf("%s on %s, %v; opened %d times", keys(s), s.Channel, err, d.opened)
	}
}

// TestListen types with releases at a console, twice: each prompt opens the
// keyboards anew and closes them.
func TestListen(t *testing.T) {
	d := listening(t)
	for i := range 2 {
		ch := d.read(t.Context(), d.term, Prompt{Phrase: "hi"})
		d.plugged()[0].Write(evdevtest.Packet(evdev.Event{Code: evdevtest.Codes['z'], Action: evdev.Down, At: d.clock() - 20*time.Millisecond}))
		d.does(5, evdevtest.Enter, evdev.Up) // still held from before
		d.does(5, evdev.LeftShift, evdev.Down)
		d.does(5, evdevtest.Codes['h'], evdev.Down)
		d.now.Add(int64(time.Millisecond))
		d.typed("H")
		d.does(5, evdev.LeftShift, evdev.Up)
		d.does(5, evdevtest.Codes['i'], evdev.Down)
		d.typed("i")
		d.does(5, evdevtest.Codes['h'], evdev.Up)
		d.enters(5)
		d.does(10, evdevtest.Codes['i'], evdev.Up) // rolled over into Enter
		s, err := d.ended(ch)
		if got := shape(s); err != nil || s.Validate() != nil || s.Channel != keystroke.Full || s.Phrase != "hi" ||
			got != "<Shift> 0-11, H+S+L 5-21, i 16-36" {
			t.Errorf("%s on %s, %v, %v", got, s.Channel, err, s.Validate())
		}
		if d.opened != i+2 {
			t.Errorf("opened %d times", d.opened)
		}
	}
}

// TestListenHeld ends a prompt although a key stays down: it has no release.
func TestListenHeld(t *testing.T) {
	d := listening(t)
	ch := d.read(t.Context(), d.term, Prompt{})
	d.hits(5, "a")
	d.does(5, evdevtest.Codes['b'], evdev.Down)
	d.typed("b")
	d.enters(5)
	if s, err := d.ended(ch); err != nil || s.Channel != keystroke.Full || shape(s) != "a 0-5, b 10-" {
		t.Errorf("%s on %s, %v", shape(s), s.Channel, err)
	}
}

// TestListenInDoubt has something happen between two characters that makes it
// unclear who typed what. The typing is taken as the tty tells it, all of it.
func TestListenInDoubt(t *testing.T) {
	for _, c := range []struct {
		name  string
		do    func(d *desk)
		typed string // beside "hi"
	}{
		{"another console", func(d *desk) {
			d.seat.away.Store(true)
			d.does(5, evdevtest.Codes['x'], evdev.Down)
			d.seat.away.Store(false)
		}, ""},
		{"a key that types nothing", func(d *desk) { d.does(5, evdevtest.F2, evdev.Down) }, ""},
		{"text that no key typed", func(*desk) {}, "x"},
		{"events are missing", func(d *desk) { d.plugged()[1].Write(evdevtest.Dropped()) }, ""},
		{"a keyboard is unplugged", func(d *desk) { d.plugged()[1].Close() }, ""},
		{"an event that is none", func(d *desk) { d.plugged()[1].Write([]byte{1}) }, ""},
		{"the daemon stood still", func(d *desk) {
			d.plugged()[0].Write(evdevtest.Packet(evdev.Event{Code: evdev.LeftShift, Action: evdev.Down, At: d.clock() - time.Second}))
		}, ""},
		{"more Enters than anybody hits", func(d *desk) {
			for range maxTyped + 1 {
				d.send("\r")
			}
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := listening(t)
			ch := d.read(t.Context(), d.term, Prompt{})
			if c.name != "more Enters than anybody hits" {
				d.hits(5, "h")
				c.do(d)
				d.typed(c.typed)
			} else {
				c.do(d)
				d.typed("h")
			}
			d.now.Add(int64(5 * time.Millisecond))
			d.typed("i")
			d.send("\r")
			if s, err := d.ended(ch); err != nil || keys(s) != "h"+c.typed+"i" || s.Channel != keystroke.Press || slices.ContainsFunc(s.Events, func(e keystroke.Event) bool { return e.Released }) {
				t.Errorf("%s on %s, %v", shape(s), s.Channel, err)
			}
			// The next prompt is a new one.
			ch = d.read(t.Context(), d.term, Prompt{})
			d.hits(5, "a")
			d.enters(5)
			if s, err := d.ended(ch); err != nil || s.Channel != keystroke.Full {
				t.Errorf("then %s on %s, %v", shape(s), s.Channel, err)
			}
		})
	}
}

// TestListenNot goes on without keyboards where they cannot be had for a prompt.
func TestListenNot(t *testing.T) {
	for name, do := range map[string]func(d *desk){
		"another console": func(d *desk) { d.seat.away.Store(true) },
		"no permission":   func(d *desk) { d.fail.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			d := listening(t)
			do(d)
			ch := d.read(t.Context(), d.term, Prompt{})
			d.seat.away.Store(false)
			d.fail.Store(false)
			d.typed("hi")
			d.send("\r")
			if s, err := d.ended(ch); err != nil || keys(s) != "hi" || s.Channel != keystroke.Press || d.opened != 1 {
				t.Errorf("%s on %s, %v; opened %d times", keys(s), s.Channel, err, d.opened)
			}
		})
	}
}

// TestListenEnds closes the keyboards however a prompt ends.
func TestListenEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(d *desk, cancel func())
		want error
	}{
		{"Ctrl-C", func(d *desk, _ func()) { d.send("\x03") }, ErrInterrupted},
		{"a paste", func(d *desk, _ func()) { d.send("abcd") }, ErrPaste},
		{"given up", func(_ *desk, cancel func()) { cancel() }, context.Canceled},
		{"given back", func(d *desk, _ func()) { d.term.Restore() }, ErrNotRaw},
		{"given back while a release is waited for", func(d *desk, _ func()) {
			d.does(5, evdevtest.Codes['x'], evdev.Down)
			d.typed("x")
			d.enters(5)
			d.term.Restore()
			if !d.plugged()[0].Closed() {
				d.t.Error("the keyboards are open after Restore")
			}
		}, ErrNotRaw},
		{"given up while a release is waited for", func(d *desk, cancel func()) {
			d.does(5, evdevtest.Codes['x'], evdev.Down)
			d.typed("x")
			d.enters(5)
			cancel()
		}, context.Canceled},
		{"the terminal hangs up", func(d *desk, _ func()) { d.master.Close() }, ErrHangup},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := listening(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ch := d.read(ctx, d.term, Prompt{})
			d.hits(5, "h")
			c.do(d, cancel)
			if s, err := d.ended(ch); !errors.Is(err, c.want) || len(s.Events) > 0 {
				t.Errorf("%s, %v, want %v", keys(s), err, c.want)
			}
			if d.term.rec != nil {
				t.Error("the prompt listens on")
			}
		})
	}
}

// TestListenToKitty leaves the keyboards alone where the terminal itself tells.
func TestListenToKitty(t *testing.T) {
	c, term := asks(t, kittyTerminal())
	term.dev = seated{term.dev, new(fakeSeat)}
	opened := 0
	open := func() ([]*os.File, error) { opened++; return nil, nil }
	if err := term.Listen(open); err != nil {
		t.Fatal(err)
	}
	ch := c.read(t.Context(), term, Prompt{})
	c.send(k('a', down, 0) + k('a', up, 0) + enter)
	if s, err := result(t, ch); err != nil || s.Channel != keystroke.Full || opened != 1 {
		t.Errorf("%s on %s, %v; opened %d times", keys(s), s.Channel, err, opened)
	}
}

// The buffers of a prompt that listened hold nothing after it.
func TestHearingWiped(t *testing.T) {
	rec := evdev.Record(nil, func() bool { return true }, Monotonic)
	defer rec.Close()
	var h hearing
	h.begin(rec)
	h.note(Input{Kind: Text, Event: keystroke.Event{Rune: 'x'}})
	h.keys = append(h.keys, evdev.Event{Code: 1})
	for range maxTyped { // one more than there is room for: the line could not be told any more
		h.note(Input{Kind: Enter})
	}
	if _, err := rec.Events(nil); !errors.Is(err, evdev.ErrClosed) {
		t.Errorf("too much typed: %v", err)
	}
	h.wipe()
	if in, e := h.typed[:cap(h.typed)], h.keys[:cap(h.keys)]; len(in) != maxTyped || len(e) != evdev.MaxEvents || in[0] != (Input{}) || e[0] != (evdev.Event{}) {
		t.Errorf("%+v, %+v", in[0], e[0])
	}
}
