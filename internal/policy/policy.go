// Package policy turns scores and history into decisions. It is pure: no
// input, no output, no clock of its own. Whatever it cannot make sense of, it
// denies, and the zero value of everything in it denies too.
//
// Five rules live here: when the phrases typed so far are enough to decide
// (Decide), whether a typed line may be judged at all (CheckText), how long
// somebody who was refused too often has to wait (Lockout), which typings
// templates grow by (Growth), and who may in where there is nothing to type at
// (Entry).
package policy

import "math"

// Decision is what comes of the phrases judged so far. The zero value denies.
type Decision int

// The decisions.
const (
	Deny   Decision = iota // it is not the owner, or it cannot be told
	Accept                 // it is the owner
	More                   // one more phrase is needed
)

// String returns the decision in one word.
func (d Decision) String() string {
	switch d {
	case Accept:
		return "accept"
	case More:
		return "more"
	}
	return "deny"
}

// Bounds are the thresholds of one attempt, in natural-log units of the
// likelihood ratio P(typing | owner) / P(typing | stranger). The zero value
// denies everything.
type Bounds struct {
	Accept float64 // sum from which the attempt is accepted at once, above 0
	Refuse float64 // sum up to which it is refused at once, below 0
	Final  float64 // sum from which it is accepted when no phrase is left
}

// NewBounds returns the bounds of the sequential probability ratio test that
// accepts a stranger's attempt with a probability of about fmr and refuses an
// owner's with about fnmr (A. Wald, "Sequential Tests of Statistical
// Hypotheses", Annals of Mathematical Statistics 16, 1945):
//
//	Accept = ln((1-fnmr) / fmr)
//	Refuse = ln(fnmr / (1-fmr))
//
// Wald's test has no last phrase and ours does. Final is the threshold of the
// fixed-length test that is left then. Where calibrated log-likelihood ratios
// are normal, a stranger's sum has mean -d²/2 and variance d² for some d, and
//
//	P(sum ≥ t) = Q(t/d + d/2) ≤ Q(√(2t))
//
// whatever d is (the arithmetic mean is not below the geometric one), so that
// Final = z²/2 with Q(z) = fmr keeps a stranger's chance at the last phrase to
// fmr without knowing how good the model is. For fmr 0.01 it is 2.71, where
// Accept is 4.55; it is never above Accept.
//
// The two ways of being accepted add up to fmr/(1-fnmr) + fmr at most; for
// three phrases and these rates, TestErrorRates finds 0.96 % at the worst of
// models. Both say nothing of a model that is not calibrated.
//
// The rates must lie between 0 and 1 and add up to less than 1, and fmr must
// be below one half; else the bounds are zero and deny everything.
func NewBounds(fmr, fnmr float64) Bounds {
	if !(fmr > 0 && fmr < 0.5 && fnmr > 0 && fmr+fnmr < 1) {
		return Bounds{}
	}
	accept := math.Log((1 - fnmr) / fmr)
	z := math.Sqrt2 * math.Erfinv(1-2*fmr)
	return Bounds{
		Accept: accept,
		Refuse: math.Log(fnmr / (1 - fmr)),
		Final:  math.Min(z*z/2, accept),
	}
}

// valid reports whether the bounds can decide anything. It is false for NaN.
func (b Bounds) valid() bool {
	return b.Refuse < 0 && b.Accept > 0 && b.Final > 0 && b.Final <= b.Accept &&
		!math.IsInf(b.Refuse, 0) && !math.IsInf(b.Accept, 0)
}

// Decide judges an attempt from the sum of the log-likelihood ratios of the
// phrases typed so far. It asks for More only while typed < maxPhrases. It
// denies where sum is not a finite number, where nothing was typed or more
// than was allowed, and where the bounds are not those of NewBounds.
func Decide(sum float64, typed, maxPhrases int, b Bounds) Decision {
	switch {
	case !b.valid() || math.IsNaN(sum) || math.IsInf(sum, 0):
		return Deny
	case typed < 1 || typed > maxPhrases:
		return Deny
	case sum >= b.Accept:
		return Accept
	case sum <= b.Refuse:
		return Deny
	case typed < maxPhrases:
		return More
	case sum >= b.Final:
		return Accept
	}
	return Deny
}
