package channel

import (
	"math"
	"time"

	"ksd/internal/keystroke"
)

const (
	// minIntervals is how many intervals it takes to tell.
	minIntervals = 10
	// longest interval that still tells: every tick errs by 0.6 ms, and after
	// that many nothing is left of the lattice.
	longest = 600 * time.Millisecond
	// onLattice is the least mean cosine of ticked typing. Of 19 free intervals
	// the mean has a standard deviation of 0.16, and the best of the periods
	// tried reaches 0.65 in one typing of some thousand.
	onLattice = 0.65
)

// The periods that an OpenSSH client can have, by its fuzz: 19 to 21 ms.
const (
	shortestPeriod = 18.9
	longestPeriod  = 21.1
	periodStep     = 0.05
)

// Ticked says whether the presses of s lie on the lattice of an ssh client's
// tick, by their times alone: it is a periodogram of the press-press intervals
// over the periods that a client can have, at phase zero. Below ten intervals
// of less than 600 ms it says no.
func Ticked(s keystroke.Sample) bool {
	gaps := make([]float64, 0, keystroke.MaxEvents) // ms; on the stack
	for i := 1; i < len(s.Events); i++ {
		if d := s.Events[i].Down - s.Events[i-1].Down; d < longest {
			gaps = append(gaps, float64(d)/float64(time.Millisecond))
		}
	}
	if len(gaps) < minIntervals {
		return false
	}
	for period := shortestPeriod; period <= longestPeriod; period += periodStep {
		var sum float64
		for _, g := range gaps {
			sum += math.Cos(2 * math.Pi * g / period)
		}
		if sum >= onLattice*float64(len(gaps)) {
			return true
		}
	}
	return false
}
