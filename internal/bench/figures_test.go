package bench

import (
	"math"
	"math/rand/v2"
	"testing"

	"ksd/internal/model/eval"
)

func TestSummarise(t *testing.T) {
	got := summarise([]eval.Scores{
		{Genuine: []float64{3, 4}, Impostor: []float64{1, 2}}, // tells its own apart
		{Genuine: []float64{1, 2}, Impostor: []float64{3, 4}}, // tells them the wrong way round
	}, false)
	if got.Cllr != 0 || got.PersonEER != 0.5 || got.GlobalEER != 0.5 || got.FNMRAt1 != 1 || got.FNMRAt01 != 1 {
		t.Errorf("%+v", got)
	}
	if ci := got.CI["global_eer"]; ci != (Interval{0, 1}) {
		t.Errorf("EER in %v, want 0 to 1: either of them may be drawn twice", ci)
	}
}

// TestRates holds the pool against package eval, which is held against numbers
// worked out by hand: people with weights are people who stand there so often.
func TestRates(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for round := range 60 {
		by := make([]eval.Scores, 5)
		for i := range by {
			for range rng.IntN(8) {
				// Few different numbers, so that there are ties.
				by[i].Genuine = append(by[i].Genuine, float64(rng.IntN(12)+2))
			}
			for range rng.IntN(30) {
				by[i].Impostor = append(by[i].Impostor, float64(rng.IntN(12)))
			}
		}
		p := newPool(by)
		weights := p.everybody()
		if round%2 == 1 {
			for i := range weights {
				weights[i] = rng.IntN(4)
			}
		}
		var all eval.Scores
		for i, w := range weights {
			for range w {
				all.Append(by[i])
			}
		}
		eer, fnmrs := p.rates(weights, 0.2, 0.05, 0)
		for k, want := range []float64{all.EER(), all.FNMRAt(0.2), all.FNMRAt(0.05), all.FNMRAt(0)} {
			got := append([]float64{eer}, fnmrs...)[k]
			if got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Fatalf("%v with weights %v: figure %d is %v, want %v", by, weights, k, got, want)
			}
		}
	}
	// What is not a number ranks below all, and ends nothing.
	p := newPool([]eval.Scores{{Genuine: []float64{math.NaN(), 1}, Impostor: []float64{math.NaN(), 0}}})
	if eer, _ := p.rates(p.everybody()); eer != 0.5 {
		t.Errorf("EER %v, want 0.5", eer)
	}
}

func TestBootstrap(t *testing.T) {
	// The mean of 100 people of whom half have 1: its error is 0.05.
	got := bootstrap(100, func(w []int) []float64 {
		sum, people := 0.0, 0
		for i, n := range w {
			people += n
			sum += float64(i%2*n) / 100
		}
		if people != 100 {
			t.Fatalf("%d people drawn of 100", people)
		}
		return []float64{sum, math.NaN(), 7}
	})
	if len(got) != 3 || math.Abs(got[0][0]-0.402) > 0.03 || math.Abs(got[0][1]-0.598) > 0.03 {
		t.Errorf("%v, want 0.5 ± 1.96·0.05", got)
	}
	if !math.IsNaN(got[1][0]) || got[2] != (Interval{7, 7}) {
		t.Errorf("%v", got)
	}
	if got := weightedMean([]float64{1, math.NaN(), 4}, []int{2, 5, 1}); got != 2 {
		t.Errorf("mean %v, want 2", got)
	}
}
