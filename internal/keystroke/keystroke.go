// Package keystroke holds the words of the whole project: which key was
// pressed, when, and what line of text came of it. It imports nothing of ksd.
//
// All times are time.Duration (ns) since the first press of the sample, read
// from CLOCK_MONOTONIC, so a wall clock that is set back cannot bend a rhythm.
//
// The terms are those of the field. For keys i-1 and i of a line:
//
//	dwell (hold, HT)          up(i)   - down(i)
//	down-down (PPT)           down(i) - down(i-1)
//	flight (up-down, RPT)     down(i) - up(i-1), negative where keys overlap
//	up-up (RRT)               up(i)   - up(i-1)
package keystroke

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// MaxEvents is the largest number of key events one sample may hold.
const MaxEvents = 512

// MaxDuration is the longest time one sample may span.
const MaxDuration = 5 * time.Minute

// Channel says how much of the typing the path from keyboard to verifier lets
// through. Templates of different channels are never compared. The zero value
// is no channel and is refused everywhere.
type Channel string

// The channels.
const (
	Full     Channel = "full"      // presses and releases
	Press    Channel = "press"     // presses only: a plain terminal
	SSHPress Channel = "ssh-press" // presses only, delayed to the tick of an ssh client
)

// channels are all of them: each shows all that the ones after it show.
var channels = [...]Channel{Full, Press, SSHPress}

// Channels returns all channels, those that show more first.
func Channels() []Channel { return slices.Clone(channels[:]) }

// Coarser returns the channels that show no more than c, c itself first: a
// typing on c can be brought to any of them. There are none of no channel.
func (c Channel) Coarser() []Channel {
	i := slices.Index(channels[:], c)
	if i < 0 {
		return nil
	}
	return slices.Clone(channels[i:])
}

// Valid reports whether c is one of the channels above.
func (c Channel) Valid() bool { return slices.Contains(channels[:], c) }

// Mods is the set of modifiers held while a key went down.
type Mods uint8

// The modifiers. Left and right shift are told apart where the terminal tells.
const (
	Shift Mods = 1 << iota
	ShiftLeft
	ShiftRight
	Alt
	Ctrl
	Super
)

// Event is one key going down and, where it is known, up again.
type Event struct {
	Key      Key           // which key; Unknown if the terminal did not say
	Rune     rune          // the character it typed, 0 if none
	Mods     Mods          // modifiers held at the press
	Down     time.Duration // press, ns since the first press of the sample
	Up       time.Duration // release, ns since the first press; valid only if Released
	Released bool          // whether the release was seen
}

// Dwell returns how long the key was held, and whether that is known.
func (e Event) Dwell() (time.Duration, bool) { return e.Up - e.Down, e.Released }

// Sample is one typing of one phrase: every key event as it came, corrections
// included, without the Enter that ended it. Nothing is ever removed from it;
// Line derives what was meant.
type Sample struct {
	Phrase  string  // the text that was asked for
	Channel Channel // how the events were captured
	Events  []Event // in order of press
}

// ErrInvalid is the fact that a sample breaks one of the rules of Validate.
var ErrInvalid = errors.New("invalid sample")

// Validate checks what every reader of a sample relies on: a known channel, at
// most MaxEvents events in order of press, the first at 0, no release before
// its press, nothing beyond MaxDuration. The error wraps ErrInvalid.
func (s Sample) Validate() error {
	if !s.Channel.Valid() {
		return fmt.Errorf("%w: channel %q", ErrInvalid, s.Channel)
	}
	if len(s.Events) == 0 || len(s.Events) > MaxEvents {
		return fmt.Errorf("%w: %d events, want 1 to %d", ErrInvalid, len(s.Events), MaxEvents)
	}
	if s.Events[0].Down != 0 {
		return fmt.Errorf("%w: the first press is at %v, not 0", ErrInvalid, s.Events[0].Down)
	}
	var last time.Duration
	for i, e := range s.Events {
		switch {
		case e.Down < last:
			return fmt.Errorf("%w: event %d goes back in time", ErrInvalid, i)
		case e.Down > MaxDuration || e.Up > MaxDuration:
			return fmt.Errorf("%w: event %d lies beyond %v", ErrInvalid, i, MaxDuration)
		case e.Released && e.Up < e.Down:
			return fmt.Errorf("%w: event %d is released before its press", ErrInvalid, i)
		case !e.Released && e.Up != 0:
			return fmt.Errorf("%w: event %d has the time of a release it does not have", ErrInvalid, i)
		case s.Channel != Full && e.Released:
			return fmt.Errorf("%w: event %d has a release on channel %q", ErrInvalid, i, s.Channel)
		}
		last = e.Down
	}
	return nil
}

// Duration returns the time from the first press to the last.
func (s Sample) Duration() time.Duration {
	if len(s.Events) == 0 {
		return 0
	}
	return s.Events[len(s.Events)-1].Down
}

// PressOnly returns the sample as a plain terminal would have delivered it: no
// releases, no modifier keys, and nothing before the first character. Keys are
// known by what they type alone, so "!" is a key of its own.
func (s Sample) PressOnly() Sample {
	out := Sample{Phrase: s.Phrase, Channel: Press}
	var start time.Duration
	for _, e := range s.Events {
		if e.Rune == 0 && (modifier(e.Key) || len(out.Events) == 0) {
			continue
		}
		if len(out.Events) == 0 {
			start = e.Down
		}
		if e.Rune != 0 {
			e.Key = KeyOf(e.Rune)
		}
		e.Mods &= Alt | Ctrl
		e.Up, e.Released = 0, false
		e.Down -= start
		out.Events = append(out.Events, e)
	}
	return out
}
