package model

import (
	"math"

	"ksd/internal/keystroke"
)

// maxOdds clamps the network's log-odds before they are used.
const maxOdds = 8.0

// fusion turns what the scorers say into a log-likelihood ratio: offset +
// ratio·Ratio + distance·Detector + odds·Network, the logistic combination of
// scores that Brümmer and Doddington describe.
type fusion struct{ offset, ratio, distance, odds float64 }

// The weights, by channel: alone for people whom the network does not know,
// both for the others. They were fitted on the 40 people of GREYC's class c2,
// five enrolment typings of each phrase, hosts of eight people, impostors from
// other hosts. docs/MODEL.md has what they come to when fitted on one half of
// the people and measured on the other.
var (
	alone = map[keystroke.Channel]fusion{
		keystroke.Full:     {offset: 4.74, ratio: 0.505, distance: -4.10},
		keystroke.Press:    {offset: 3.00, ratio: 0.590, distance: -2.63},
		keystroke.SSHPress: {offset: 2.71, ratio: 0.604, distance: -2.40},
	}
	both = map[keystroke.Channel]fusion{
		keystroke.Full:     {offset: 5.21, ratio: 0.424, distance: -3.64, odds: 0.340},
		keystroke.Press:    {offset: 3.84, ratio: 0.520, distance: -2.46, odds: 0.374},
		keystroke.SSHPress: {offset: 3.55, ratio: 0.524, distance: -2.25, odds: 0.366},
	}
)

// fuse returns the log-likelihood ratio of a score, clamped to ±MaxLLR. What is
// not a number is a stranger's.
func fuse(ch keystroke.Channel, s Score) float64 {
	f := alone[ch]
	if s.HasNet {
		f = both[ch]
	}
	llr := f.offset + f.ratio*s.Ratio + f.distance*s.Detector
	if s.HasNet {
		llr += f.odds * s.Network
	}
	if math.IsNaN(llr) {
		return -MaxLLR
	}
	return math.Max(-MaxLLR, math.Min(MaxLLR, llr))
}
