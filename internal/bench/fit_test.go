package bench

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"ksd/internal/model"
)

// normalTrials draws trials of two scores that are normal and independent,
// whose log-likelihood ratio is known: a ratio's with means -0.8 and -1.4 and sd
// 0.3 and, if wanted, a head's with means 2 and -1 and sd 2. One in ten is
// genuine.
func normalTrials(n int, head bool) []trial {
	rng := rand.New(rand.NewPCG(1, 1))
	out := make([]trial, n)
	for i := range out {
		out[i] = trial{owner: "a", typist: "b", outcome: outcome{score: model.Score{Ratio: -1.4 + 0.3*rng.NormFloat64(), Head: -1 + 2*rng.NormFloat64()}}}
		if i%10 == 0 {
			out[i] = trial{owner: "a", typist: "a", outcome: outcome{score: model.Score{Ratio: -0.8 + 0.3*rng.NormFloat64(), Head: 2 + 2*rng.NormFloat64()}}}
		}
	}
	for i := range out {
		if !head {
			out[i].score.Head = 0
		}
	}
	return out
}

// TestLogistic finds the weights that theory gives: for one normal score,
// ln p(x|g)/p(x|i) = (mg-mi)/s²·x + (mi²-mg²)/(2s²).
func TestLogistic(t *testing.T) {
	slope, offset := (1.4-0.8)/0.09, (1.4*1.4-0.8*0.8)/0.18
	odds, more := 3.0/4, (1.0-4.0)/8
	for head, want := range map[bool]model.Weights{false: {offset, slope}, true: {offset + more, slope, 0, odds}} {
		got, err := logistic(normalTrials(20000, head))
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if math.Abs(got[i]-want[i]) > 0.08*math.Abs(want[i]) {
				t.Errorf("head %v: weights %.3f, want %.3f", head, got, want)
			}
		}
	}
}

// Trials without error have no finite best weights; the ridge gives some.
func TestLogisticSeparable(t *testing.T) {
	trials := []trial{
		{owner: "a", typist: "a", outcome: outcome{score: model.Score{Ratio: -0.5}}},
		{owner: "a", typist: "a", outcome: outcome{score: model.Score{Ratio: -0.7}}},
		{owner: "a", typist: "b", outcome: outcome{score: model.Score{Ratio: -2}}},
		{owner: "a", typist: "b", outcome: outcome{score: model.Score{Ratio: -2.5}}},
	}
	got, err := logistic(trials)
	if err != nil || !(got[1] > 1 && got[1] < 100) || !(got[0]-0.7*got[1] > 0 && got[0]-2*got[1] < 0) {
		t.Errorf("%v, %v", got, err)
	}
	for name, some := range map[string][]trial{"none": nil, "no impostors": trials[:2], "no genuine": trials[2:]} {
		if _, err := logistic(some); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v, want ErrProtocol", name, err)
		}
	}
}

func TestFit(t *testing.T) {
	got, err := Fit(t.Context(), people(t, 6, 7, one, other), PhraseOptions{Enrol: 5})
	w := got.Weights
	if err != nil || got.People != 6 || w[3] != 0 || w[1] <= 0 || got.Crossed.GlobalEER > 0.2 {
		t.Errorf("without heads: %+v, %v", got, err)
	}
}
