package model

import (
	"math/rand/v2"

	"ksd/internal/channel"
	"ksd/internal/keystroke"
)

// views returns a typing as all the channels show it that show no more than
// its own: whoever enrolled with releases can come from a plain terminal, or
// through an ssh client that sends keys at its tick only. n numbers typings, so
// that the same one is always ticked alike.
func views(s keystroke.Sample, n int) []keystroke.Sample {
	s = asSeen(s)
	out := []keystroke.Sample{s}
	if s.Channel == keystroke.Full {
		out = append(out, s.PressOnly())
	}
	if s.Channel != keystroke.SSHPress {
		out = append(out, tick(s, n))
	}
	return out
}

// asSeen returns s on the channel that its times show: a plain terminal on
// which keys arrive at an ssh client's tick is the end of that client's line.
func asSeen(s keystroke.Sample) keystroke.Sample {
	if s.Channel == keystroke.Press && channel.Ticked(s) {
		s.Channel = keystroke.SSHPress
	}
	return s
}

// seenOn returns the probe s on the best channel that the owner's templates
// have: with fewer times than it has, never with more.
func seenOn(s keystroke.Sample, has func(keystroke.Channel) bool) (keystroke.Sample, bool) {
	s = asSeen(s)
	if s.Channel == keystroke.Full && !has(keystroke.Full) {
		s = s.PressOnly()
	}
	if s.Channel == keystroke.Press && !has(keystroke.Press) {
		s = tick(s, 0)
	}
	return s, has(s.Channel)
}

func tick(s keystroke.Sample, n int) keystroke.Sample {
	rng := rand.New(rand.NewPCG(uint64(n), 0x7469636b)) // "tick"
	return channel.Tick(s, channel.TickInterval, channel.TickFuzz, rng)
}
