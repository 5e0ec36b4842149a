package bench

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"ksd/internal/corpus"
)

// TestCMUDetectorsByHand holds the distances against numbers worked out on
// paper: four rows around (1, 2), with variances 4/3 and 16/3 and no covariance.
func TestCMUDetectorsByHand(t *testing.T) {
	rows := [][]float64{{0, 0}, {2, 4}, {0, 4}, {2, 0}}
	x := []float64{4, 6}
	for _, d := range cmuDetectors {
		want, ok := map[string]float64{
			"euclidean":                       25,                 // 3² + 4²
			"manhattan":                       7,                  // 3 + 4
			"manhattan (scaled)":              5,                  // 3/1 + 4/2
			"mahalanobis":                     9.0/(4.0/3) + 3,    // 3²·3/4 + 4²·3/16
			"nearest neighbour (mahalanobis)": 4.0/(4.0/3) + 0.75, // to (2, 4)
		}[d.name]
		distance, err := d.train(rows)
		if !ok || err != nil {
			t.Fatalf("%s: %v", d.name, err)
		}
		if got := distance(x); math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %v, want %v", d.name, got, want)
		}
	}
	// A column that is twice another adds nothing to a pseudo-inverse, and what
	// breaks that rule is not seen: along (1, 0, 2) the variance is 20/3.
	for i, r := range rows {
		rows[i] = append(r, 2*r[0])
	}
	distance, err := mahalanobis(rows)
	if err != nil {
		t.Fatal(err)
	}
	for third, want := range map[float64]float64{8: 9.0/(4.0/3) + 3, 9: 17.0*17/5/(20.0/3) + 3} {
		if got := distance([]float64{4, 6, third}); math.Abs(got-want) > 1e-9 {
			t.Errorf("with a column twice: %v, want %v", got, want)
		}
	}
}

// repetitions are n typings of one subject around a mean of its own.
func repetitions(rng *rand.Rand, subject string, mean float64, n int) []corpus.Repetition {
	out := make([]corpus.Repetition, n)
	for i := range out {
		out[i] = corpus.Repetition{Subject: subject, Session: 1 + i/50, Rep: 1 + i%50}
		for j := range out[i].Features {
			out[i].Features[j] = mean + 0.02*rng.NormFloat64()
		}
	}
	return out
}

func TestCMUProtocol(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	a, b := repetitions(rng, "s1", 0.1, 206), repetitions(rng, "s2", 0.2, 203)
	got, err := CMU(append(append([]corpus.Repetition(nil), a...), b...))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range got {
		if r.People != 2 || r.EER != 0 || r.EERSD != 0 || r.PublishedEER == 0 || r.PublishedSD == 0 {
			t.Errorf("two that have nothing in common: %+v", r)
		}
	}
	for name, reps := range map[string][]corpus.Repetition{
		"nobody": nil, "no impostors": a, "one typed too little": append(append([]corpus.Repetition(nil), a...), b[:200]...),
	} {
		if got, err := CMU(reps); !errors.Is(err, ErrProtocol) || got != nil {
			t.Errorf("%s: %v, want ErrProtocol", name, err)
		}
	}
}

// Training sees the first 200 alone, genuine are the later ones, and impostors
// the first 5 of the others.
func TestCMUSplit(t *testing.T) {
	rows := map[string][][]float64{}
	for i := range 204 {
		rows["me"] = append(rows["me"], []float64{float64(i)})
		rows["you"] = append(rows["you"], []float64{1000 + float64(i)})
	}
	var seen []float64
	s := cmuScores(func(x []float64) float64 { seen = append(seen, x[0]); return x[0] }, "me", []string{"me", "you"}, rows)
	want := []float64{200, 201, 202, 203, 1000, 1001, 1002, 1003, 1004}
	if len(seen) != len(want) || len(s.Genuine) != 4 || len(s.Impostor) != 5 || s.Genuine[0] != -200 || s.Impostor[4] != -1004 {
		t.Fatalf("probes %v", seen)
	}
	for i := range want {
		if seen[i] != want[i] {
			t.Errorf("probes %v, want %v", seen, want)
			break
		}
	}
}
