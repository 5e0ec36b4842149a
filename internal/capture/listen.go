package capture

import (
	"context"
	"errors"
	"os"
	"time"

	"ksd/internal/evdev"
	"ksd/internal/keystroke"
)

// ErrNotConsole says that a terminal's keys are not, or not now, those of the
// machine's own keyboards.
var ErrNotConsole = errors.New("not a virtual console of this machine, or not the one in front")

// ears are where a Terminal hears keys go up, beside what the tty tells.
type ears struct {
	seat seat
	open func() ([]*os.File, error) // nil: it does not listen
}

// Listen has prompts on this terminal listen to the keyboards that open returns,
// which is evdev.Keyboards. They do so only while the terminal is the virtual
// console in front, from the prompt's beginning to its end. Samples are then on
// channel Full where every character can be given its key without a doubt, and on
// Press where one cannot (see match). The clock of the Terminal must be
// CLOCK_MONOTONIC itself.
//
// The error is ErrNotConsole, or that of open, which is tried at once; nothing
// has changed then. A terminal that Ask made tell releases is not listened to.
func (t *Terminal) Listen(open func() ([]*os.File, error)) error {
	seat := t.dev.seat()
	if seat == nil || !seat.active() {
		return ErrNotConsole
	}
	files, err := open()
	for _, f := range files {
		f.Close()
	}
	if err != nil {
		return err
	}
	t.ears = ears{seat, open}
	return nil
}

// stopListening ends what a prompt hears.
func (t *Terminal) stopListening() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deaf()
}

// deaf does the work of stopListening under t.mu.
func (t *Terminal) deaf() {
	if t.rec != nil {
		t.rec.Close()
		t.rec = nil
	}
}

// hearing is what one prompt hears.
type hearing struct {
	rec     *evdev.Recorder // nil: nothing
	since   time.Duration   // when the prompt began, on the clock
	typed   []Input         // what the tty brought since
	keys    []evdev.Event
	matched bool // the events of the reader are those of the keyboards
}

// maxTyped is how much of the tty's input is kept to be matched: a whole sample
// and as many keys that do not count.
const maxTyped = 2 * keystroke.MaxEvents

// begin sets aside all room at once, so that wipe reaches everything.
func (h *hearing) begin(rec *evdev.Recorder) {
	h.rec = rec
	h.typed, h.keys = make([]Input, 0, maxTyped), make([]evdev.Event, 0, evdev.MaxEvents)
}

// note keeps an input to be matched.
func (h *hearing) note(in Input) {
	switch {
	case h.rec == nil || in.answer():
	case len(h.typed) == maxTyped:
		h.rec.Close()
	default:
		h.typed = append(h.typed, in)
	}
}

// wipe forgets what was typed.
func (h *hearing) wipe() {
	clear(h.typed[:cap(h.typed)])
	clear(h.keys[:cap(h.keys)])
}

// listen opens the keyboards for this prompt. Where that fails it goes on
// without: the tty tells all that is needed.
func (r *reader) listen() {
	t := r.t
	if r.mode != Plain || t.ears.open == nil || !t.ears.seat.active() {
		return
	}
	files, err := t.ears.open()
	if err != nil {
		return
	}
	rec := evdev.Record(files, t.ears.seat.active, t.clock)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.link != r.w { // given back meanwhile
		rec.Close()
		return
	}
	t.rec = rec
	r.hearing.begin(rec)
}

// hear puts what the keyboards told in the place of what the tty did, once all
// keys that type have gone up or the time for it is over. On any doubt the
// typing stays as the tty told it.
func (r *reader) hear(ctx context.Context) error {
	h := &r.hearing
	limited, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	for {
		var err error
		if h.keys, err = h.rec.Events(h.keys[:0]); err != nil {
			return nil
		}
		m, err := match(h.typed, h.keys, h.since, r.t.ears.seat.meaning)
		switch {
		case errors.Is(err, errUnmatched):
			m.wipe()
			return nil
		case err == nil && !m.held():
			r.adopt(m)
			return nil
		}
		select {
		case <-h.rec.More():
			m.wipe()
		case <-limited.Done():
			if err == nil {
				r.adopt(m)
			} else {
				m.wipe()
			}
			if ctx.Err() != nil {
				return contextError(ctx)
			}
			return nil
		}
	}
}

// adopt takes the keyboards' events.
func (r *reader) adopt(m *matching) {
	clear(r.events)
	r.events, r.start, r.hearing.matched = m.events, m.start, true
}
