package model

import (
	"math"

	"ksd/internal/keystroke"
)

// maxOdds clamps a head's log-odds before they are used.
const maxOdds = 8.0

// Weights turn what the scorers say into a log-likelihood ratio: the logistic
// combination of scores that Brümmer and Doddington describe. They are those of
// Score.Inputs.
type Weights [inputs]float64

const inputs = 4

// Inputs are what the fusion reads: 1, Ratio, Base and Head. The
// detector is not among them: beside the ratio it adds nothing.
func (s Score) Inputs() [inputs]float64 {
	return [inputs]float64{1, s.Ratio, s.Base, s.Head}
}

// The weights, by channel: alone for texts for which a person has no head, free
// for those that it does not know at all, and both for the others. But for free
// they were fitted on the 40 people of GREYC's class c2, five enrolment typings of
// each phrase, hosts of eight people, impostors from other hosts:
//
//	ksdctl bench fit greyc-dev.tsv.gz --class c2 --local 8 --outsiders --channel press
//
// docs/MODEL.md has what they come to when fitted on one half of the people and
// measured on the other.
var (
	alone = map[keystroke.Channel]Weights{
		keystroke.Full:     {-2.651, 0.601, 0.201},
		keystroke.Press:    {-2.168, 0.706, 0.192},
		keystroke.SSHPress: {-2.090, 0.706, 0.199},
	}
	both = map[keystroke.Channel]Weights{
		keystroke.Full:     {-1.160, 0.396, 0.178, 0.441},
		keystroke.Press:    {-0.297, 0.395, 0.160, 0.433},
		keystroke.SSHPress: {-0.310, 0.399, 0.169, 0.411},
	}
	// Fitted on the 200 people of KLiCKe that the base network has not seen, ten
	// windows of 50 keys enrolled:
	//
	//	ksdctl bench fit klicke-train.tsv.gz --free --skip 3000 --people 200 --impostors 10 --channel press
	free = map[keystroke.Channel]Weights{
		keystroke.Full:     {-0.609, 0.222, 0.175},
		keystroke.Press:    {-0.970, 0.412, 0.294},
		keystroke.SSHPress: {-0.959, 0.409, 0.302},
	}
)

// fuse returns the log-likelihood ratio of a score of a text that the person
// knows, clamped to ±MaxLLR.
func fuse(ch keystroke.Channel, s Score) float64 {
	if s.HasHead {
		return both[ch].llr(s)
	}
	return alone[ch].llr(s)
}

// llr is clamped to ±MaxLLR. What is not a number is a stranger's.
func (w Weights) llr(s Score) float64 {
	var llr float64
	for i, x := range s.Inputs() {
		llr += w[i] * x
	}
	if math.IsNaN(llr) {
		return -MaxLLR
	}
	return clamp(llr, MaxLLR)
}
