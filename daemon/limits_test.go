package daemon

import (
	"testing"
	"time"

	"ksd/internal/wire"
)

// TestAllowance fills an allowance from every side: nobody takes more than its
// share, all together no more than theirs, and root always has its own.
func TestAllowance(t *testing.T) {
	a := allowance{most: 5, each: 2}
	var held []func()
	for _, c := range []struct {
		uid uint32
		ok  bool
	}{
		{1, true},
		{1, true},
		{1, false}, // its share
		{2, true},
		{2, true},
		{3, true},
		{4, false},
		{3, false}, // all together
		{0, true},
		{0, true},
		{0, true},
		{0, true},
		{0, true},
		{0, false},
	} {
		release, ok := a.take(wire.Peer{UID: c.uid})
		if ok != c.ok {
			t.Errorf("uid %d: %v, want %v", c.uid, ok, c.ok)
		}
		if ok {
			held = append(held, release)
		}
	}
	for _, release := range held {
		release()
	}
	if len(a.held) != 0 || a.others != 0 {
		t.Errorf("after all was given back: %v, %d", a.held, a.others)
	}
}

// TestPace does too much at once: each caller has its share of each window, also
// after the clock was set back.
func TestPace(t *testing.T) {
	var none pace
	if none.take(1, time.Now()) {
		t.Error("the zero value lets somebody through")
	}
	p := pace{most: 2, window: time.Minute}
	start := time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		after time.Duration
		uid   uint32
		ok    bool
	}{
		{0, 1, true},
		{0, 1, true},
		{0, 1, false},
		{0, 2, true},
		{59 * time.Second, 1, false},
		{time.Minute, 1, true},
		{time.Minute, 1, true},
		{90 * time.Second, 1, false},
		{-time.Hour, 1, true},
	} {
		if ok := p.take(c.uid, start.Add(c.after)); ok != c.ok {
			t.Errorf("uid %d after %v: %v, want %v", c.uid, c.after, ok, c.ok)
		}
	}
}

// TestPick draws phrases: in each round every one once, and never the same one
// twice running where there is another.
func TestPick(t *testing.T) {
	for n := 1; n <= 4; n++ {
		c := &claim{phrases: []string{"a", "b", "c", "d"}[:n]}
		last := ""
		for round := range 40 {
			seen := map[string]bool{}
			for range n {
				p := c.pick()
				if p == last && n > 1 {
					t.Fatalf("of %d, round %d: %q twice running", n, round, p)
				}
				last, seen[p] = p, true
			}
			if len(seen) != n {
				t.Fatalf("of %d, round %d: only %v", n, round, seen)
			}
		}
	}
}
