package capture

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"
)

const (
	tripsEach  = 12            // round trips measured in one prompt
	tripsKept  = 2 * tripsEach // the last ones, over all prompts
	tripsLeast = 8             // below which nothing can be said
	tripsLate  = 3             // that many take too long, and no more are sent in this prompt
)

// trips are round trips to the terminal and back: how long it took to answer a
// fence that was sent alone.
type trips struct {
	under bool            // one is under way
	left  int             // to be measured in this prompt
	late  int             // of this prompt's, those that took longer than askLimit
	took  []time.Duration // the last ones
}

// back notes that the terminal answered, after took.
func (j *trips) back(took time.Duration) {
	if !j.under {
		return
	}
	j.under = false
	if took < 0 {
		return // the answer was there at a time nobody noted
	}
	if took > askLimit {
		j.late++
	}
	if len(j.took) == tripsKept {
		j.took = slices.Delete(j.took, 0, 1)
	}
	j.took = append(j.took, took)
}

// measure sends the next fence, if the last one was answered. Only a terminal
// that has answered before is measured, so no prompt ever waits for one; and not
// one that is slow to, so that Leave need not wait for long.
func (t *Terminal) measure(ctx context.Context, w link) error {
	k := &t.talk
	if !k.heard || k.slow || k.owed > 0 || k.trips.left == 0 || k.trips.late == tripsLate {
		return nil
	}
	k.trips.left--
	k.sent(t.clock(), true)
	return w.write(ctx, []byte(fence))
}

// spreadNormal is by what the standard deviation of normal numbers is larger
// than that of the five sixths closest to their median; for the sum of two
// uniform ones it is 1.34.
const spreadNormal = 1.4

// Jitter returns by how much an interval between two keys is off when it gets
// here: the standard deviation of that error, as far as the way from the terminal
// to this machine makes it. ok is false where too little was measured, which is
// so of terminals that were not asked or do not answer.
//
// It is measured during prompts by twelve round trips of a query, one after the
// other. Each has one error of the way there and one of the way back. If both
// ways are alike, that is as much as the difference of two keys' errors on the
// way here, so the spread of round trips is that of intervals. A sixth of them,
// those furthest off, are left out: one packet that was lost, or a machine that
// stood still once, makes no line rough. What lies behind a program that answers
// by itself, such as tmux or mosh, is not measured.
func (t *Terminal) Jitter() (sd time.Duration, ok bool) {
	took := slices.Clone(t.talk.trips.took)
	if len(took) < tripsLeast {
		return 0, false
	}
	slices.Sort(took)
	middle := took[len(took)/2]
	slices.SortFunc(took, func(a, b time.Duration) int { return cmp.Compare((a - middle).Abs(), (b - middle).Abs()) })
	took = took[:len(took)-len(took)/6]
	var sum, squares float64
	for _, d := range took {
		x := float64(d - middle)
		sum += x
		squares += x * x
	}
	n := float64(len(took))
	variance := max(squares-sum*sum/n, 0) / (n - 1)
	return time.Duration(spreadNormal * math.Sqrt(variance)), true
}
