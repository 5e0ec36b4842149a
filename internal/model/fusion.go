package model

import (
	"math"

	"ksd/internal/keystroke"
)

// maxOdds clamps the network's log-odds before they are used.
const maxOdds = 8.0

// fusion turns the detector's distance and the network's log-odds into a
// log-likelihood ratio: offset + distance·Detector + odds·Network, the logistic
// combination of scores that Brümmer and Doddington describe.
type fusion struct{ offset, distance, odds float64 }

// The weights, by channel: alone for people whom the network does not know,
// both for the others. They were fitted on 32 people of GREYC's class c2, five
// enrolment typings of each phrase, hosts of eight people:
//
//	ksdctl bench fit -class c2 -skip 8 -channel press -local 8 greyc-dev.tsv.gz
//
// No program brings ssh-press yet. Until one is fitted it counts like press,
// but a tenth less, because a tick takes a little away.
var (
	alone = map[keystroke.Channel]fusion{
		keystroke.Full:     {offset: 19.26, distance: -11.81},
		keystroke.Press:    {offset: 11.83, distance: -7.15},
		keystroke.SSHPress: {offset: 10.65, distance: -6.43},
	}
	both = map[keystroke.Channel]fusion{
		keystroke.Full:     {offset: 17.12, distance: -9.65, odds: 0.496},
		keystroke.Press:    {offset: 11.87, distance: -6.31, odds: 0.545},
		keystroke.SSHPress: {offset: 10.68, distance: -5.68, odds: 0.490},
	}
)

// fuse returns the log-likelihood ratio of a score, clamped to ±MaxLLR. What is
// not a number is a stranger's.
func fuse(ch keystroke.Channel, s Score) float64 {
	f := alone[ch]
	if s.HasNet {
		f = both[ch]
	}
	llr := f.offset + f.distance*s.Detector
	if s.HasNet {
		llr += f.odds * s.Network
	}
	if math.IsNaN(llr) {
		return -MaxLLR
	}
	return math.Max(-MaxLLR, math.Min(MaxLLR, llr))
}
