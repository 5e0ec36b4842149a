// Package channel bends typing to what a path between keyboard and verifier
// would have shown of it: the tick of an ssh client, the jitter of a line. Bench
// and training use it to make such typing out of clean typing.
package channel

import (
	"math/rand/v2"
	"time"

	"ksd/internal/keystroke"
)

// What OpenSSH 9.5 and later does by default (ObscureKeystrokeTiming in
// ssh_config(5); set_next_interval and obfuscate_keystroke_timing in its
// clientloop.c).
const (
	TickInterval = 20 * time.Millisecond
	TickFuzz     = 0.1 // of the interval
)

// After the last key the client goes on ticking for chaffMin and up to
// chaffRange more. Then it falls idle, and the next key is sent at once.
const (
	chaffMin   = 1024 * time.Millisecond
	chaffRange = 2048 * time.Millisecond
)

// Tick returns s as a server behind an OpenSSH client sees it: without releases,
// on the channel keystroke.SSHPress, each key held back to the next tick, so
// that keys of one tick arrive at the same time.
//
// The first key of a train is sent at once and starts the ticks. One tick
// follows the other after
//
//	interval · (1 - fuzz + U + R),  U and R uniform in [0, fuzz)
//
// U is drawn for each tick, R once for each train: one client is a little faster
// than another all along. A train ends 1.0 to 3.1 s after its last key. fuzz
// lies between 0 and 1; an interval of 0 holds nothing back.
func Tick(s keystroke.Sample, interval time.Duration, fuzz float64, rng *rand.Rand) keystroke.Sample {
	out := s.PressOnly()
	out.Channel = keystroke.SSHPress
	if interval <= 0 {
		return out
	}
	var rate float64
	var next, idle time.Duration // the next tick, and when the train ends
	step := func() time.Duration {
		return time.Duration(float64(interval) * (1 - fuzz + fuzz*rng.Float64() + rate))
	}
	for i, e := range out.Events {
		sent := e.Down
		if i == 0 || e.Down >= idle {
			rate = fuzz * rng.Float64()
			next = e.Down + step()
		} else {
			for next < e.Down {
				next += max(step(), 1)
			}
			sent = next
		}
		idle = e.Down + chaffMin + time.Duration(rng.Int64N(int64(chaffRange)))
		out.Events[i].Down = min(sent, keystroke.MaxDuration)
	}
	return out
}

// Jitter returns s with every press and release moved by normal noise of
// standard deviation sd, as a line that delays each packet by another time would
// deliver them: in their order, and a release never before its press. An
// interval errs by √2·sd where order does not bind it.
func Jitter(s keystroke.Sample, sd time.Duration, rng *rand.Rand) keystroke.Sample {
	out := keystroke.Sample{Phrase: s.Phrase, Channel: s.Channel, Events: make([]keystroke.Event, len(s.Events))}
	noise := func() time.Duration { return time.Duration(rng.NormFloat64() * float64(sd)) }
	var start, last time.Duration
	for i, e := range s.Events {
		e.Down += noise()
		if i == 0 {
			start, last = e.Down, e.Down
		}
		e.Down = max(e.Down, last)
		last = e.Down
		e.Down = min(e.Down-start, keystroke.MaxDuration)
		if e.Released {
			e.Up = min(max(e.Up+noise()-start, e.Down), keystroke.MaxDuration)
		}
		out.Events[i] = e
	}
	return out
}
