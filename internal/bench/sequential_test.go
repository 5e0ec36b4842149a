package bench

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"ksd/internal/model"
)

var shipped = Decision{FMR: 0.01, FNMR: 0.05, MaxPhrases: 2}

func TestSequentialRefused(t *testing.T) {
	all := people(t, 3, 6, one, other)
	good := PhraseOptions{Enrol: 4}
	for name, c := range map[string]struct {
		people  []*Typist
		options PhraseOptions
		rule    Decision
	}{
		"nobody":          {nil, good, shipped},
		"no impostors":    {all[:1], good, shipped},
		"no enrolment":    {all, PhraseOptions{}, shipped},
		"no rates":        {all, good, Decision{MaxPhrases: 2}},
		"rates too high":  {all, good, Decision{0.5, 0.5, 2}},
		"no phrases":      {all, good, Decision{0.01, 0.05, 0}},
		"phrases typed 3": {all, good, Decision{0.01, 0.05, 3}},
	} {
		if got, err := Sequential(t.Context(), c.people, c.options, c.rule); !errors.Is(err, ErrProtocol) || got.Tests != nil {
			t.Errorf("sequential, %s: %v, want ErrProtocol", name, err)
		}
		if got, err := Attacks(t.Context(), c.people, c.options, c.rule); !errors.Is(err, ErrProtocol) || got != nil {
			t.Errorf("attacks, %s: %v, want ErrProtocol", name, err)
		}
	}
}

func TestSequential(t *testing.T) {
	all := people(t, 4, 7, one, other)
	got, err := Sequential(t.Context(), all, PhraseOptions{Enrol: 5, Seed: 1}, shipped)
	if err != nil {
		t.Fatal(err)
	}
	if got.People != 4 || got.Decision != shipped || len(got.Tests) != 3 {
		t.Fatalf("%+v", got)
	}
	for i, r := range got.Tests {
		if r.Phrases != i || r.Keys < float64(len(other)) || r.Keys > float64(len(one)+len(other)) || r.Typed < 1 || r.Typed > 2 {
			t.Errorf("%+v", r)
		}
		for name, x := range map[string]float64{"keys": r.Keys, "typed": r.Typed, "fmr": r.FMR, "fnmr": r.FNMR} {
			if ci, ok := r.CI[name]; !ok || !(ci[0] <= x && x <= ci[1]) {
				t.Errorf("%d phrases: %s is %v in %v", r.Phrases, name, x, ci)
			}
		}
		if r.FMR != got.Tests[0].FMR {
			t.Errorf("%d phrases: FMR %v, want that of the sequential test", r.Phrases, r.FMR)
		}
	}
	// Every phrase comes first as often, so one phrase is both on average.
	if want := float64(len(one)+len(other)) / 2; got.Tests[1].Keys != want || got.Tests[2].Keys != 2*want {
		t.Errorf("keys %v and %v, want %v and %v", got.Tests[1].Keys, got.Tests[2].Keys, want, 2*want)
	}
}

func TestOrders(t *testing.T) {
	var owned []trial
	for n := range 2 {
		for _, text := range []string{"x", "y", "z"} {
			owned = append(owned, trial{owner: "a", typist: "a", text: text, number: n})
		}
	}
	owned = append(owned, trial{owner: "a", typist: "a", text: "x", number: 2}) // of no other phrase there is a third
	got := orders(owned, 3, rand.New(rand.NewPCG(1, 1)))
	if len(got) != 6 {
		t.Fatalf("%d attempts, want 6", len(got))
	}
	for i, attempt := range got {
		seen := map[string]bool{}
		for _, tr := range attempt {
			seen[tr.text] = true
			if tr.number != i/3 {
				t.Errorf("attempt %d mixes rows", i)
			}
		}
		if len(seen) != 3 || attempt[0].text != []string{"x", "y", "z"}[i%3] {
			t.Errorf("attempt %d: %+v", i, attempt)
		}
	}
	if !reflect.DeepEqual(got, orders(owned, 3, rand.New(rand.NewPCG(1, 1)))) {
		t.Error("the orders are not decided by the seed")
	}
}

// TestFixed works one comparison out by hand: the sequential test accepted one
// stranger of four; the score of one phrase that accepts one of four refuses one
// owner of two.
func TestFixed(t *testing.T) {
	at := func(typist string, llr float64) []trial {
		return []trial{{owner: "a", typist: typist, outcome: outcome{score: model.Score{LLR: llr}, keys: 7}}, {owner: "a", typist: typist}}
	}
	owned := [][][]trial{{at("a", 1.5), at("a", -0.5), at("b", 2), at("b", 0), at("b", -1), at("b", -2)}}
	got := fixed(owned, 1, []tally{{own: 2, others: 4, accepted: 1, keys: 100}})
	if got.FMR != 0.25 || got.FNMR != 0.5 || got.Keys != 7 || got.Typed != 1 || got.Phrases != 1 {
		t.Errorf("%+v", got)
	}
}

func TestTally(t *testing.T) {
	var a, b tally
	a.add(true, verdict{accepted: true, keys: 20, phrases: 1})
	a.add(true, verdict{keys: 60, phrases: 3})
	a.add(false, verdict{accepted: true, keys: 999})
	a.add(false, verdict{keys: 999})
	b.add(false, verdict{})
	if want := (tally{own: 2, refused: 1, others: 2, accepted: 1, keys: 80, phrases: 4}); a != want {
		t.Errorf("%+v, want %+v", a, want)
	}
	if got, want := total([]tally{a, b}, []int{2, 3}), (tally{own: 4, refused: 2, others: 7, accepted: 2, keys: 160, phrases: 8}); got != want || got.fnmr() != 0.5 || got.fmr() != 2.0/7 {
		t.Errorf("%+v, want %+v", got, want)
	}
}
