package capture

import (
	"errors"
	"slices"
	"time"

	"ksd/internal/evdev"
	"ksd/internal/keystroke"
)

// matchWindow is how long after a key went down its character may be read. The
// kernel takes well under a millisecond, a busy machine some more.
const matchWindow = 50 * time.Millisecond

// The ways in which a typing cannot be told by the keyboards.
var (
	errUnmatched = errors.New("the keys pressed are not the characters read")
	errShort     = errors.New("fewer keys were pressed than characters read")
)

// matching gives the characters that a tty brought the keys that typed them.
type matching struct {
	typed   []Input // up to the Enter that ended the line
	since   time.Duration
	meaning func(code uint16) meaning

	next   int // the input whose key comes next
	down   []downKey
	events []keystroke.Event
	start  time.Duration // the first press
}

// match gives each input of a tty its key and makes the events of the typing of
// it, on the channel Full. typed are the inputs in order, from the time since on,
// the last being the Enter that ended the line; keys are the events of all
// keyboards in order.
//
// The tty decides what was typed, the keyboards only when. It must be clear which
// key typed what: every press or repeat of a key that is no modifier has typed
// the next input, not more than matchWindow before it was read, and is able to
// by the console's keymap; every input has its press; and only characters,
// Backspace and Enter were typed. Else the error is errUnmatched, or errShort
// where more presses may still come. So a key that types nothing or only with the
// next (a dead key, an arrow, Alt-F2), text that no key brought (a paste by
// mouse), and a key of another console that the devices told make the whole typing press-only.
//
// Keys that were down before since, and releases without a press, say nothing. Nor
// does what comes after the Enter, but for releases. The form of the events is
// that of all samples on Full: a Shift is an event of its own, the first ones are
// modifiers pressed for the first character and still held, a repeat is a release
// and a press.
func match(typed []Input, keys []evdev.Event, since time.Duration, meaning func(code uint16) meaning) (*matching, error) {
	m := &matching{typed: typed, since: since, meaning: meaning, events: make([]keystroke.Event, 0, len(keys))}
	if n := len(typed); n == 0 || typed[n-1].Kind != Enter {
		return m, errUnmatched
	}
	for _, e := range keys {
		if err := m.take(e); err != nil {
			return m, err
		}
	}
	if m.next < len(typed) {
		return m, errShort
	}
	return m, nil
}

// take goes on by one event.
func (m *matching) take(e evdev.Event) error {
	code := uint32(e.Keyboard)<<16 | uint32(e.Code)
	i := slices.IndexFunc(m.down, func(d downKey) bool { return d.code == code })
	if e.Action == evdev.Up {
		if i >= 0 {
			m.up(m.down[i].event, e.At)
			m.down = slices.Delete(m.down, i, i+1)
		}
		return nil
	}
	what := m.meaning(e.Code)
	d := downKey{code, what.key, e.At, noEvent}
	switch {
	case e.At < m.since:
		if d.event = earlier; i < 0 {
			return m.press(d)
		}
		return nil
	case m.next == len(m.typed):
		return nil
	case modifier(what.key):
		return m.modifier(d, e.Action, i)
	case e.Action == evdev.Down && i >= 0: // its release is missing
		return errUnmatched
	case e.Action == evdev.Repeat && (i < 0 || m.down[i].event == earlier):
		return errUnmatched
	}
	in := m.typed[m.next]
	if age := in.Event.Down - e.At; age < 0 || age > matchWindow || !what.brings(in) {
		return errUnmatched
	}
	m.next++
	if i >= 0 { // as it is with every terminal, see reader.pressed
		m.up(m.down[i].event, e.At)
		m.down[i].event = noEvent
	} else if err := m.press(d); err != nil {
		return err
	}
	return m.typing(in, code, e.At)
}

// modifier is a press of a key that types nothing by itself.
func (m *matching) modifier(d downKey, a evdev.Action, i int) error {
	switch {
	case a == evdev.Repeat:
		return nil
	case i >= 0:
		return errUnmatched
	}
	if err := m.press(d); err != nil || len(m.events) == 0 {
		return err
	}
	return m.add(keystroke.Event{Key: d.key, Down: d.at}, d.code)
}

// press enters a key into those that are down.
func (m *matching) press(d downKey) error {
	if len(m.down) == maxDown {
		return errUnmatched
	}
	m.down = append(m.down, d)
	return nil
}

// typing adds the event of a key that typed in, if it has one: as reader.key and
// reader.record do.
func (m *matching) typing(in Input, code uint32, at time.Duration) error {
	if in.Kind == Enter || len(m.events) == 0 && in.Kind != Text {
		return nil
	}
	if len(m.events) == 0 {
		m.start = at
		for _, d := range slices.Clone(m.down) {
			if !modifier(d.key) || d.event != noEvent {
				continue
			}
			m.start = min(m.start, d.at)
			if err := m.add(keystroke.Event{Key: d.key, Down: d.at}, d.code); err != nil {
				return err
			}
		}
	}
	return m.add(keystroke.Event{Key: in.Event.Key, Rune: in.Event.Rune, Mods: m.mods(), Down: at}, code)
}

// mods returns the Shift keys that are down.
func (m *matching) mods() (mods keystroke.Mods) {
	for _, d := range m.down {
		if d.key == keystroke.ShiftKey {
			mods |= keystroke.Shift | shiftSide(uint16(d.code))
		}
	}
	return mods
}

// add adds an event, which the key of code made.
func (m *matching) add(e keystroke.Event, code uint32) error {
	e.Down -= m.start
	if len(m.events) == keystroke.MaxEvents || e.Down > keystroke.MaxDuration {
		return errUnmatched
	}
	for i := range m.down {
		if m.down[i].code == code {
			m.down[i].event = len(m.events)
		}
	}
	m.events = append(m.events, e)
	return nil
}

// up gives an event its release, if there is an event.
func (m *matching) up(event int, at time.Duration) {
	if event >= 0 && at-m.start <= keystroke.MaxDuration {
		e := &m.events[event]
		e.Up, e.Released = at-m.start, true
	}
}

// held reports whether a key that typed a character has not gone up.
func (m *matching) held() bool {
	return slices.ContainsFunc(m.down, func(d downKey) bool { return d.event >= 0 && m.events[d.event].Rune != 0 })
}

// wipe forgets what was typed.
func (m *matching) wipe() { clear(m.events[:cap(m.events)]) }
