// Package eval measures how well scores tell genuine typings from impostors'.
//
// Scores are similarities: higher is more like the owner. A comparison is
// accepted when its score is at or above the threshold; NaN ranks below every
// number. FMR and FNMR are the rates of single comparisons (ISO/IEC 19795-1);
// figures are global, with one threshold for all people, unless a name says
// otherwise: a threshold picked for each person after the fact flatters.
package eval

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Scores are the scores of comparisons, in no order.
type Scores struct{ Genuine, Impostor []float64 }

// Append adds the scores of t.
func (s *Scores) Append(t Scores) {
	s.Genuine = append(s.Genuine, t.Genuine...)
	s.Impostor = append(s.Impostor, t.Impostor...)
}

// Point is one operating point: the error rates at one threshold.
type Point struct{ Threshold, FMR, FNMR float64 }

// DET returns the operating points at every score, by rising threshold, and at
// last the one that accepts nobody: FMR falls from 1 to 0, FNMR rises from 0 to
// 1. It is nil if either kind of score is missing.
func (s Scores) DET() []Point {
	if len(s.Genuine) == 0 || len(s.Impostor) == 0 {
		return nil
	}
	g, i := slices.Sorted(slices.Values(s.Genuine)), slices.Sorted(slices.Values(s.Impostor))
	all := slices.Compact(slices.Sorted(slices.Values(slices.Concat(g, i))))
	out := make([]Point, len(all), len(all)+1)
	for k, t := range all {
		below, _ := slices.BinarySearch(g, t)
		low, _ := slices.BinarySearch(i, t)
		out[k] = Point{t, float64(len(i)-low) / float64(len(i)), float64(below) / float64(len(g))}
	}
	return append(out, Point{math.Inf(1), 0, 1}) // nobody
}

// EER returns the equal error rate, interpolated on the ROC between the two
// points on either side of FMR = FNMR, as Killourhy and Maxion do; NaN if
// either kind of score is missing.
func (s Scores) EER() float64 {
	det := s.DET()
	for k := 1; k < len(det); k++ {
		a, b := det[k-1], det[k]
		if b.FNMR < b.FMR {
			continue
		}
		da, db := a.FMR-a.FNMR, b.FNMR-b.FMR
		return a.FMR + da/(da+db)*(b.FMR-a.FMR)
	}
	return math.NaN()
}

// FNMRAt returns the smallest FNMR whose FMR is at most fmr; NaN if either
// kind of score is missing.
func (s Scores) FNMRAt(fmr float64) float64 {
	for _, p := range s.DET() {
		if p.FMR <= fmr {
			return p.FNMR
		}
	}
	return math.NaN()
}

// At returns the error rates at a threshold.
func (s Scores) At(threshold float64) Point {
	p := Point{Threshold: threshold, FMR: math.NaN(), FNMR: math.NaN()}
	if n := len(s.Impostor); n > 0 {
		p.FMR = float64(count(s.Impostor, threshold)) / float64(n)
	}
	if n := len(s.Genuine); n > 0 {
		p.FNMR = float64(n-count(s.Genuine, threshold)) / float64(n)
	}
	return p
}

func count(xs []float64, threshold float64) (n int) {
	for _, x := range xs {
		if x >= threshold {
			n++
		}
	}
	return n
}

// Cllr returns the cost of scores read as natural-log likelihood ratios, in
// bits: 0 is perfect, 1 is a coin (Brümmer and du Preez, 2006).
func (s Scores) Cllr() float64 {
	if len(s.Genuine) == 0 || len(s.Impostor) == 0 {
		return math.NaN()
	}
	var g, i float64
	for _, x := range s.Genuine {
		g += softplus(-x)
	}
	for _, x := range s.Impostor {
		i += softplus(x)
	}
	return (g/float64(len(s.Genuine)) + i/float64(len(s.Impostor))) / (2 * math.Ln2)
}

func softplus(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// Interval is a confidence interval.
type Interval struct{ Low, High float64 }

// Bootstrap returns the 95 % percentile interval of a figure over people: it
// draws people, not comparisons, because one person's scores hang together.
// byPerson holds the scores of comparisons with each person's template.
func Bootstrap(byPerson []Scores, draws int, seed uint64, figure func(Scores) float64) Interval {
	rng := rand.New(rand.NewPCG(seed, 0))
	xs := make([]float64, 0, draws)
	for range draws {
		var s Scores
		for range byPerson {
			s.Append(byPerson[rng.IntN(len(byPerson))])
		}
		if x := figure(s); !math.IsNaN(x) {
			xs = append(xs, x)
		}
	}
	if len(xs) == 0 {
		return Interval{math.NaN(), math.NaN()}
	}
	slices.Sort(xs)
	at := func(p float64) float64 { return xs[int(p*float64(len(xs)-1)+0.5)] }
	return Interval{at(0.025), at(0.975)}
}

// MeanSD returns the mean and the standard deviation (n-1) of xs, NaN for too
// few.
func MeanSD(xs []float64) (mean, sd float64) {
	for _, x := range xs {
		mean += x
	}
	mean /= float64(len(xs))
	for _, x := range xs {
		sd += (x - mean) * (x - mean)
	}
	return mean, math.Sqrt(sd / float64(max(len(xs)-1, 0)))
}
