// Package model judges rhythms: given what the enrolled people typed before,
// it says how much more likely a new sample is their own than a stranger's.
//
// It does no I/O. A Verifier is built from People (from the store) and a File
// (trained heads, possibly none) and is then safe for concurrent use.
// Retrain makes a new File, Update adds people to one.
package model

import (
	"errors"
	"time"

	"ksd/internal/keystroke"
)

// The facts a Verifier states.
var (
	ErrUnenrolled = errors.New("person is not enrolled")
	ErrPhrase     = errors.New("phrase is not enrolled on this channel")
	ErrUnusable   = errors.New("sample cannot be judged")
	ErrTooFew     = errors.New("too few samples")
	ErrFile       = errors.New("not a ksd model file")
)

// Sitting is one enrolment sitting of a person. Samples of one sitting are
// never on both sides of a train/validation split.
type Sitting struct {
	ID      int64
	Samples []keystroke.Sample // in the order typed, without warm-ups
}

// Person is everything the model needs to know of one enrolled person.
type Person struct {
	Name     string
	Sittings []Sitting
}

// Score is how one sample was judged.
type Score struct {
	LLR       float64 // natural log of P(sample | owner) / P(sample | stranger), clamped to ±MaxLLR
	Ratio     float64 // the two-covariance model's log-likelihood ratio, uncalibrated
	Base      float64 // the base network's log-likelihood ratio, uncalibrated
	Detector  float64 // robust distance to the template, 0 (same) to 3 (nothing alike); NaN from ScoreAny for words never typed
	Head      float64 // the local head's log-odds that it is the owner; valid if HasHead
	HasHead   bool    // whether the file has a head for this person, text and channel
	NearCopy  bool    // the sample is a near copy of one of the template's own
	TooSteady bool    // the sample is more regular than hands are
}

// Beat is one stroke of a judged sample.
type Beat struct {
	Rune   rune
	Typed  time.Duration // press-press interval before it, 0 if none
	Usual  time.Duration // the owner's median
	Spread time.Duration // half the range the owner keeps to
}

// MaxLLR bounds what one sample can say, in natural-log units.
const MaxLLR = 8.0

// Progress tells how far a training is.
type Progress struct {
	Stage       string // "samples", "validation", "training"
	Head, Heads int    // trained, and to be trained over the whole run
	Done        float64
	Loss        float64 // of the last head
}

// Options steer a training. The zero value of a field means its default.
type Options struct {
	Seed      uint64  // of the drawn strangers; default 1
	Impostors float64 // strangers drawn for each genuine typing of a phrase; default 20
}

// Figures are the error rates of heads on validation sittings.
type Figures struct {
	Loss           float64 // mean cross-entropy, owners and others weighing alike, nats
	FMR, FNMR, EER float64 // 0 to 1; FMR and FNMR at log-odds 0
}

// Report is what came of a training.
type Report struct {
	People     int // with a head
	Heads      int
	Samples    int // real, for training
	Validation int // real, for validation
	Impostors  int // drawn, for training
	TrainLoss  float64
	Figures             // of heads that did not learn from the validation sittings
	Before     *Figures // those that the file before had when it was trained; nil if there was none
}
