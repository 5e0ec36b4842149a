package bench

import (
	"reflect"
	"testing"

	"ksd/internal/model"
	"ksd/internal/model/eval"
)

// TestAttempts adds up trials by hand: attempts are made of the n-th probes of
// one typist, phrases in their order, and what does not fill one is left out.
func TestAttempts(t *testing.T) {
	at := func(owner, typist string, number int, x float64) trial {
		return trial{owner, typist, "", number, outcome{score: model.Score{LLR: x}}}
	}
	trials := []trial{
		at("a", "a", 0, 1), at("a", "a", 1, 10), at("a", "a", 0, 2), at("a", "a", 1, 20), at("a", "a", 0, 4),
		at("a", "b", 0, -1), at("a", "b", 0, -2),
		at("b", "a", 0, -3), at("b", "a", 0, -4),
		at("b", "b", 0, 5), at("b", "b", 0, 6), at("b", "b", 0, 7), at("b", "b", 0, 8),
	}
	llr := func(s model.Score) float64 { return s.LLR }
	for phrases, want := range map[int][]eval.Scores{
		1: {{Genuine: []float64{1, 2, 4, 10, 20}, Impostor: []float64{-1, -2}}, {Genuine: []float64{5, 6, 7, 8}, Impostor: []float64{-3, -4}}},
		2: {{Genuine: []float64{3, 30}, Impostor: []float64{-3}}, {Genuine: []float64{11, 15}, Impostor: []float64{-7}}},
		3: {{Genuine: []float64{7}}, {Genuine: []float64{18}}},
	} {
		if got := attempts(trials, phrases, llr); !reflect.DeepEqual(got, want) {
			t.Errorf("%d phrases: %v, want %v", phrases, got, want)
		}
	}
}

// What could not be judged is left out, and its place is not filled from another
// row.
func TestAttemptsUnusable(t *testing.T) {
	lost := trial{owner: "a", typist: "a", outcome: outcome{unusable: true, score: model.Score{LLR: 100}}}
	good := trial{owner: "a", typist: "a", outcome: outcome{score: model.Score{LLR: 1}}}
	llr := func(s model.Score) float64 { return s.LLR }
	if got := attempts([]trial{good, lost, good, good}, 2, llr); !reflect.DeepEqual(got, []eval.Scores{{Genuine: []float64{2}}}) {
		t.Errorf("%v", got)
	}
}

func TestDecide(t *testing.T) {
	d := Decision{0.01, 0.05, 3} // accept from 4.55, refuse to -2.99, at last from 2.71
	at := func(llrs ...float64) (out []outcome) {
		for _, x := range llrs {
			out = append(out, outcome{score: model.Score{LLR: x}, keys: 10})
		}
		return out
	}
	with := func(os []outcome, i int, change func(*outcome)) []outcome { change(&os[i]); return os }
	lost := func(o *outcome) { o.unusable = true }
	for _, c := range []struct {
		name    string
		typed   []outcome
		want    verdict
		without bool // what it is without checks, where that differs
	}{
		{"nothing", nil, verdict{}, false},
		{"a clear stranger", at(-3, 6, 6), verdict{false, 10, 1}, false},
		{"unclear to the end", at(1, 1, 0.5, 6), verdict{false, 30, 3}, false},
		{"phrases ran out", at(1), verdict{false, 10, 1}, false},
		{"all unusable", with(at(6), 0, lost), verdict{false, 10, 1}, false},
		{"a copy", with(at(6), 0, func(o *outcome) { o.score.NearCopy = true }), verdict{false, 10, 1}, true},
		{"a copy of a login", with(at(6), 0, func(o *outcome) { o.copied = true }), verdict{false, 10, 1}, true},
		{"too steady, later", with(at(1, 6), 1, func(o *outcome) { o.score.TooSteady = true }), verdict{false, 20, 2}, true},
		{"a clear owner", at(5, -6), verdict{true, 10, 1}, true},
		{"the second makes it clear", at(2, 3), verdict{true, 20, 2}, true},
		{"just enough at last", at(1, 1, 1), verdict{true, 30, 3}, true},
		{"an unusable one costs its keys", with(at(9, 5), 0, lost), verdict{true, 20, 2}, true},
	} {
		if got := decide(c.typed, d, true); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		if got := decide(c.typed, d, false); got.accepted != c.without {
			t.Errorf("%s, without checks: %+v", c.name, got)
		}
	}
	if got := decide(at(6), Decision{MaxPhrases: 3}, true); got.accepted {
		t.Error("no rates, and it was accepted")
	}
}
