package capture

import (
	"context"
	"os"
	"sync"
	"time"

	"ksd/internal/evdev"
)

// outputLimit is how long output outside a prompt's own time may be stuck.
const outputLimit = time.Second

// dropLimit is how many bytes of type-ahead are read to drop them.
const dropLimit = 1 << 16

const (
	bracketsOn  = "\x1b[?2004h"
	bracketsOff = "\x1b[?2004l"
)

// Terminal is a terminal that belongs to somebody else and is given back as it
// was found. One goroutine uses it; Restore alone may come from any other.
type Terminal struct {
	dev      device
	clock    func() time.Duration
	brackets bool // the terminal knows bracketed paste
	moves    bool // it knows cursor movement and erasing

	parser Parser
	keys   keyboard
	inputs []Input // of the last read
	talk   talk    // what it was asked and what it answered
	ears   ears    // on the keyboards of the machine

	mu   sync.Mutex
	link link            // nil unless raw
	mode Mode            // Plain unless raw
	undo string          // takes back what was switched on, the last first
	rec  *evdev.Recorder // what a prompt hears, nil if it does not listen
}

// Open makes a Terminal of f, which must be a terminal open for reading and
// writing; else the error is ErrNotTerminal. Nothing is changed yet, and f stays
// the caller's to close. term is the terminal's type as TERM names it, ""
// standing for dumb; clock is CLOCK_MONOTONIC, from any origin.
func Open(f *os.File, term string, clock func() time.Duration) (*Terminal, error) {
	dev, err := openTTY(f, clock)
	if err != nil {
		return nil, err
	}
	return newTerminal(dev, term, clock), nil
}

func newTerminal(dev device, term string, clock func() time.Duration) *Terminal {
	dumb := term == "" || term == "dumb"
	return &Terminal{
		dev: dev, clock: clock, moves: !dumb, brackets: !dumb && term != "linux",
		talk: talk{can: !dumb && term != "linux"},
	}
}

// Raw takes the terminal: settings changed, type-ahead dropped, pastes announced
// where the terminal can. A second call does nothing.
func (t *Terminal) Raw() error {
	t.mu.Lock()
	raw := t.link != nil
	var err error
	if !raw {
		err = t.enter()
	}
	w := t.link
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
	w, err := t.dev.take()
	if err != nil {
		return err
	}
	t.link, t.mode, t.undo = w, Plain, ""
	if t.brackets {
		t.undo = bracketsOff
	}
	t.talk.owed, t.talk.trips.under = 0, false // what was owed before is lost with the input dropped
	t.parser = Parser{}
	t.keys.forget()
	return nil
}

// Restore gives the terminal back: settings as found, unread input dropped,
// pastes no longer announced, releases no longer told. Where the settings are no
// longer those that Raw made, somebody else has taken over and nothing is
// touched. It ends a Read in progress with ErrNotRaw. It does nothing if the
// terminal is not raw, and it is no error that the terminal is gone.
//
// It never waits. A key that is held meanwhile may tell its release to the next
// program; Leave waits that out.
func (t *Terminal) Restore() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.link == nil {
		return nil
	}
	t.link.close()
	t.link = nil
	t.deaf()
	undo := t.undo
	t.mode, t.undo = Plain, ""
	return t.dev.give(undo)
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
func (t *Terminal) print(w link, s string) error {
	ctx, cancel := context.WithTimeout(context.Background(), outputLimit)
	defer cancel()
	return w.write(ctx, []byte(s))
}

func (t *Terminal) held() (link, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.link == nil {
		return nil, ErrNotRaw
	}
	return t.link, nil
}

// in returns the mode the terminal is in.
func (t *Terminal) in() Mode {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mode
}

// next reads once and parses into t.inputs.
func (t *Terminal) next(ctx context.Context, w link, b []byte) error {
	n, at, err := w.read(ctx, b)
	if err != nil {
		return err
	}
	t.take(b[:n], at)
	return nil
}

// take parses bytes into t.inputs, and hears what the terminal answers, whenever
// that comes.
func (t *Terminal) take(b []byte, at time.Duration) {
	t.inputs = t.parser.Feed(t.inputs[:0], b, at)
	t.talk.hear(t.inputs, at)
}

// drop forgets what was typed so far. It reads it, so that a sequence that has
// come by half does not become text, and answers and releases are not missed.
func (t *Terminal) drop(w link) error {
	var b [256]byte
	defer t.wipe(b[:])
	for range dropLimit / len(b) {
		n, err := w.poll(b[:])
		if n == 0 || err != nil {
			return err
		}
		t.take(b[:n], 0)
		t.keys.note(t.inputs)
	}
	t.parser = Parser{untold: t.parser.untold}
	t.keys.forget()
	return t.dev.flush()
}

// wipe clears what a person typed out of the buffers.
func (t *Terminal) wipe(b []byte) {
	clear(b)
	clear(t.inputs[:cap(t.inputs)])
	t.parser.wipe()
}

// width returns the columns of the terminal: 80 if it does not say, and never
// less than 20.
func (t *Terminal) width() int {
	cols := t.dev.width()
	if cols <= 0 {
		cols = 80
	}
	return max(cols, 20)
}
