package capture

import (
	"context"
	"errors"
	"slices"
	"time"

	"ksd/internal/keystroke"
)

// settleLimit is how long after Enter the releases of the last keys are waited
// for. Who rolls over into Enter lifts them within a tenth of a second. What is
// still held then stays without a release, which the features show as unknown.
const settleLimit = 250 * time.Millisecond

// pressed enters a press into the account of keys and reports whether it counts.
//
// On a plain terminal all do, and only what a byte itself says of modifiers is
// kept, so that keys are the same whatever tells of them. Else:
//
// A repeat of a held key types its character again, as it does everywhere. The
// corpora log it as a press of a key that is down, which goes up that moment,
// and so does this; feature.Builder knows repeats by that. Modifiers do not
// repeat. Nor does a key whose press was not seen at this prompt: the Enter that
// is still held from the prompt before must not answer this one.
func (r *reader) pressed(in *Input) bool {
	keys := &r.t.keys
	if r.mode == Plain {
		in.Event.Mods &= keystroke.Alt | keystroke.Ctrl
		return !modifier(in.Event.Key)
	}
	if in.Code == 0 || in.Code == codeSame || in.answer() {
		return true
	}
	if in.Repeat || r.mode == Win32 && keys.holds(in.Code) {
		i := keys.find(in.Code)
		if i < 0 || keys.down[i].event == earlier || modifier(in.Event.Key) {
			return false
		}
		r.up(keys.down[i].event, in.Event.Down)
		keys.down[i].event = noEvent
	} else {
		keys.press(*in)
	}
	if in.Event.Mods&keystroke.Shift != 0 {
		in.Event.Mods |= keys.sides()
	}
	return true
}

// release notes that a key went up.
func (r *reader) release(in Input) {
	if r.mode == Plain {
		return
	}
	if d, ok := r.t.keys.release(in.Code); ok {
		r.up(d.event, in.Event.Down)
	}
}

// up gives an event its release, if there is an event.
func (r *reader) up(event int, at time.Duration) {
	if event >= 0 && at-r.start <= keystroke.MaxDuration {
		e := &r.events[event]
		e.Up, e.Released = at-r.start, true
	}
}

// settle waits for the releases of the keys that type and are still held.
func (r *reader) settle(ctx context.Context) error {
	if r.hearing.rec != nil {
		return r.hear(ctx)
	}
	limited, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	for r.mode != Plain && slices.ContainsFunc(r.t.keys.down, r.waited) {
		switch err := r.next(limited); {
		case errors.Is(err, ErrTimeout):
			return nil
		case err != nil:
			return err
		}
		for _, in := range r.t.inputs {
			if in.Kind == Interrupt {
				return ErrInterrupted
			}
			if in.Kind == Release {
				r.release(in)
			}
		}
		r.t.keys.note(r.t.inputs)
	}
	return nil
}

// waited reports whether a key that is down typed a character of the sample.
func (r *reader) waited(d downKey) bool { return d.event >= 0 && r.events[d.event].Rune != 0 }
