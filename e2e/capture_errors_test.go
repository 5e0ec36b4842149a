package e2e

import (
	"math/rand/v2"
	"testing"
	"time"

	"ksd/internal/ksdtest"
)

// The measure itself: a delay that is always the same is no error, one that comes
// and goes is, and what a schedule did to a hand is an error to the hand alone.
func TestCaptureErrors(t *testing.T) {
	const ms = time.Millisecond
	typed := []press{{0, 0}, {100 * ms, 97 * ms}, {210 * ms, 210 * ms}}
	for _, c := range []struct {
		name       string
		late       [3]time.Duration
		sent, hand string
	}{
		{"on time", [3]time.Duration{}, "0.00 | 0.00 | 0.00 | 0.00", "3.00 | 3.00 | 3.00 | 3.00"},
		{"late", [3]time.Duration{7 * ms, 7 * ms, 7 * ms}, "0.00 | 0.00 | 0.00 | 0.00", "3.00 | 3.00 | 3.00 | 3.00"},
		{"one late", [3]time.Duration{0, 2 * ms, 0}, "2.00 | 2.00 | 2.00 | 2.00", "5.00 | 5.00 | 5.00 | 5.00"},
		{"the last late", [3]time.Duration{0, 0, 2 * ms}, "0.00 | 0.00 | 0.00 | 2.00", "1.00 | 1.00 | 1.00 | 3.00"},
	} {
		var downs []time.Duration
		for i, p := range typed {
			downs = append(downs, p.sent+c.late[i]-c.late[0])
		}
		sent, hand := captureErrors(typed, ksdtest.Sample("abc", downs))
		if s, h := quantiles(sent), quantiles(hand); s != c.sent || h != c.hand {
			t.Errorf("%s: %s and %s, want %s and %s", c.name, s, h, c.sent, c.hand)
		}
	}
}

// Each schedule delays keys by what its name says, and never brings one forward
// or before another.
func TestSchedules(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	hand := make([]time.Duration, 500)
	for i := 1; i < len(hand); i++ {
		hand[i] = hand[i-1] + gap(rng)
	}
	for i, most := range []time.Duration{0, 22 * time.Millisecond, 2 * jitterMost} {
		var longest time.Duration
		last := time.Duration(-1)
		for k, at := range schedules[i].send(hand, rng) {
			if at < hand[k] || at <= last {
				t.Fatalf("%s: key %d, pressed at %v, is sent at %v, the one before at %v", schedules[i].name, k, hand[k], at, last)
			}
			longest, last = max(longest, at-hand[k]), at
		}
		if longest > most || longest < most*4/5 {
			t.Errorf("%s: at most %v late, want nearly %v", schedules[i].name, longest, most)
		}
	}
}
