package feature

import (
	"math"

	"ksd/internal/keystroke"
)

// Spread describes how one time is distributed over people who type it, in
// the unit of that time (log-ms for down-down and dwell, ms for flight).
type Spread struct {
	Center float64 // median over all people and typings
	Scale  float64 // half the distance from the 16th to the 84th percentile; > 0
	Within float64 // mean over people of their own median absolute deviation; > 0
}

// Z returns how many population scales x lies from the centre, clipped to ±MaxZ.
func (s Spread) Z(x float64) float64 { return clip((x - s.Center) / s.Scale) }

func clip(z float64) float64 { return math.Max(-MaxZ, math.Min(MaxZ, z)) }

// At is the inverse of Z.
func (s Spread) At(z float64) float64 { return s.Center + z*s.Scale }

type pair struct{ prev, key keystroke.Key }

// Population is what is known of how people in general type: a Spread for
// each key pair that is common enough, backing off to the key and then to all,
// and how residuals hang together along a line.
type Population struct {
	dd, flight       map[pair]Spread
	ddKey, flightKey map[keystroke.Key]Spread
	dwell            map[keystroke.Key]Spread
	ddAll, flightAll Spread
	dwellAll         Spread

	// Tempers are those of real people, one line each, in no order.
	Tempers []Temper
	// Quantiles of what is left of a residual without its line's temper,
	// (z-mean)/sd, at probabilities (i+½)/len, ascending.
	DDQuantiles, DwellQuantiles []float64
	// Covariances of the normal scores of that rest: DDLags[lag] and
	// DwellLags[lag] for lags 0 to MaxLag, CrossLags[lag+MaxLag] of the dwell
	// at i and the down-down at i+lag for lags -MaxLag to MaxLag; 0 beyond.
	DDLags, DwellLags, CrossLags []float64

	// How residuals, tempers and all, hang together in one person, from place
	// to place and from typing to typing.
	DDCovariance, DwellCovariance Covariance
	// Across is the covariance, in one typing, of the interval before a key and
	// its dwell, in squared population scales.
	Across float64
}

// Temper is what one line of one person has in all its keys: the mean and the
// standard deviation of its residuals.
type Temper struct{ DDMean, DDSD, DwellMean, DwellSD float64 }

// MaxLag is the longest distance, in keys, at which covariances are kept.
const MaxLag = 4

// DownDown returns the spread of the press-press interval from prev to key, log-ms.
func (p *Population) DownDown(prev, key keystroke.Key) Spread {
	return backOff(p.dd, p.ddKey, p.ddAll, prev, key)
}

// Flight returns the spread of the release-press interval from prev to key, ms.
func (p *Population) Flight(prev, key keystroke.Key) Spread {
	return backOff(p.flight, p.flightKey, p.flightAll, prev, key)
}

// Dwell returns the spread of how long key is held, log-ms.
func (p *Population) Dwell(key keystroke.Key) Spread {
	if s, ok := p.dwell[key]; ok {
		return s
	}
	return p.dwellAll
}

func backOff(pairs map[pair]Spread, keys map[keystroke.Key]Spread, all Spread, prev, key keystroke.Key) Spread {
	if s, ok := pairs[pair{prev, key}]; ok {
		return s
	}
	if s, ok := keys[key]; ok {
		return s
	}
	return all
}
