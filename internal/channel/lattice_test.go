package channel

import (
	"testing"
	"time"

	"ksd/internal/keystroke"
)

// TestTicked is right about nearly all typings, and never about too few keys.
func TestTicked(t *testing.T) {
	const typings = 400
	r := rng(3)
	var found, jittered, mistaken int
	for range typings {
		free := keystroke.Sample{}
		for free = random(r, 20, 350*ms); Ticked(free); free = random(r, 20, 350*ms) {
			mistaken++
		}
		ticked := Tick(free, TickInterval, TickFuzz, r)
		if Ticked(ticked) {
			found++
		}
		if Ticked(Jitter(ticked, 1*ms, r)) {
			jittered++
		}
		short := typed(downs(ticked)[:minIntervals]...)
		if Ticked(short) {
			t.Fatal("told from too few keys")
		}
	}
	if found < typings*95/100 || jittered < typings*85/100 || mistaken > typings/100 {
		t.Errorf("of %d: %d ticked ones found, %d over a line with 1 ms of jitter, %d free ones mistaken", typings, found, jittered, mistaken)
	}
}

// TestTickedBeginsAgain holds where long pauses end trains.
func TestTickedBeginsAgain(t *testing.T) {
	r := rng(4)
	var at []time.Duration
	for i := range 20 {
		at = append(at, time.Duration(i)*130*ms+time.Duration(r.Int64N(int64(90*ms)))+time.Duration(i/7)*5*time.Second)
	}
	if s := typed(at...); Ticked(s) || !Ticked(Tick(s, TickInterval, TickFuzz, r)) {
		t.Error("not told over pauses")
	}
}
