package feature

import (
	"math"
	"slices"
)

// Median returns the median of xs, 0 for none. xs is not changed.
func Median(xs []float64) float64 {
	if len(xs) == 0 {
		return 0
	}
	s := slices.Clone(xs)
	slices.Sort(s)
	return quantile(s, 0.5)
}

// MAD returns the median absolute deviation of xs from their median.
func MAD(xs []float64) float64 {
	m := Median(xs)
	d := make([]float64, len(xs))
	for i, x := range xs {
		d[i] = math.Abs(x - m)
	}
	return Median(d)
}

// quantile returns the p-quantile of sorted values, interpolated.
func quantile(sorted []float64, p float64) float64 {
	at := p * float64(len(sorted)-1)
	lo := int(at)
	if lo+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[lo] + (at-float64(lo))*(sorted[lo+1]-sorted[lo])
}

// probability returns where x stands among quantiles at (i+½)/n, kept away
// from 0 and 1.
func probability(qs []float64, x float64) float64 {
	n := float64(len(qs))
	i, _ := slices.BinarySearch(qs, x)
	switch {
	case i == 0:
		return 0.25 / n
	case i == len(qs):
		return 1 - 0.25/n
	}
	part := 0.5
	if d := qs[i] - qs[i-1]; d > 0 {
		part = (x - qs[i-1]) / d
	}
	return (float64(i) - 0.5 + part) / n
}

// atProbability is the inverse of probability.
func atProbability(qs []float64, p float64) float64 {
	at := p*float64(len(qs)) - 0.5
	switch {
	case at <= 0:
		return qs[0]
	case at >= float64(len(qs)-1):
		return qs[len(qs)-1]
	}
	i := int(at)
	return qs[i] + (at-float64(i))*(qs[i+1]-qs[i])
}

func probit(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

func normalCDF(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

// meanSD returns the mean and the standard deviation (n-1) of xs, 0 for too few.
func meanSD(xs []float64) (mean, sd float64) {
	if len(xs) == 0 {
		return 0, 0
	}
	for _, x := range xs {
		mean += x
	}
	mean /= float64(len(xs))
	if len(xs) < 2 {
		return mean, 0
	}
	for _, x := range xs {
		sd += (x - mean) * (x - mean)
	}
	return mean, math.Sqrt(sd / float64(len(xs)-1))
}
