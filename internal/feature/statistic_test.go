package feature

import (
	"math"
	"slices"
	"testing"
)

func near(a, b, by float64) bool { return math.Abs(a-b) <= by }

func TestMedianAndMAD(t *testing.T) {
	for _, c := range []struct {
		xs          []float64
		median, mad float64
	}{
		{nil, 0, 0},
		{[]float64{7}, 7, 0},
		{[]float64{4, 1}, 2.5, 1.5},
		{[]float64{9, 1, 2}, 2, 1},
		{[]float64{1, 100, 3, 2}, 2.5, 1}, // deviations 1.5, 97.5, 0.5, 0.5
		{[]float64{1, 1, 1, 50}, 1, 0},
	} {
		before := slices.Clone(c.xs)
		if got := Median(c.xs); got != c.median {
			t.Errorf("median of %v is %v, want %v", c.xs, got, c.median)
		}
		if got := MAD(c.xs); got != c.mad {
			t.Errorf("MAD of %v is %v, want %v", c.xs, got, c.mad)
		}
		if !slices.Equal(c.xs, before) {
			t.Errorf("%v was changed to %v", before, c.xs)
		}
	}
}

func TestMeanSD(t *testing.T) {
	for _, c := range []struct {
		xs       []float64
		mean, sd float64
	}{
		{nil, 0, 0},
		{[]float64{5}, 5, 0},
		{[]float64{2, 4, 4, 4, 5, 5, 7, 9}, 5, math.Sqrt(32.0 / 7)},
	} {
		if mean, sd := meanSD(c.xs); mean != c.mean || !near(sd, c.sd, 1e-12) {
			t.Errorf("%v: %v, %v, want %v, %v", c.xs, mean, sd, c.mean, c.sd)
		}
	}
}

func TestQuantile(t *testing.T) {
	xs := []float64{0, 10, 20, 40}
	for p, want := range map[float64]float64{0: 0, 1: 40, 0.5: 15, 1.0 / 3: 10, 0.9: 34} {
		if got := quantile(xs, p); !near(got, want, 1e-9) {
			t.Errorf("quantile %v is %v, want %v", p, got, want)
		}
	}
}

// TestProbability checks that probability and atProbability undo each other
// within the table, stay off 0 and 1 outside of it and never go down.
func TestProbability(t *testing.T) {
	qs := []float64{-2, -1, 0, 0, 5}
	for x, want := range map[float64]float64{-2: 0.05, -1.5: 0.2, -1: 0.3, 2.5: 0.8, 5: 0.9, -9: 0.05, 9: 0.95} {
		if got := probability(qs, x); !near(got, want, 1e-12) {
			t.Errorf("probability of %v is %v, want %v", x, got, want)
		}
	}
	last := 0.0
	for x := -3.0; x <= 6; x += 0.01 {
		p := probability(qs, x)
		if p < last || p <= 0 || p >= 1 {
			t.Fatalf("probability of %v is %v after %v", x, p, last)
		}
		last = p
		if want := math.Max(-2, math.Min(5, x)); !near(atProbability(qs, p), want, 1e-9) {
			t.Fatalf("%v went to %v and back to %v", x, p, atProbability(qs, p))
		}
	}
	for p, want := range map[float64]float64{0: -2, 0.1: -2, 0.5: 0, 0.9: 5, 1: 5, 0.8: 2.5} {
		if got := atProbability(qs, p); !near(got, want, 1e-9) {
			t.Errorf("at probability %v is %v, want %v", p, got, want)
		}
	}
}

func TestNormal(t *testing.T) {
	for x, p := range map[float64]float64{0: 0.5, 1: 0.8413447460685429, -1.959963984540054: 0.025} {
		if got := normalCDF(x); !near(got, p, 1e-12) {
			t.Errorf("below %v lies %v, want %v", x, got, p)
		}
		if got := probit(p); !near(got, x, 1e-9) {
			t.Errorf("probit of %v is %v, want %v", p, got, x)
		}
	}
}
