package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model/network"
)

func hosted(people []Person) *host {
	of := map[string]lines{}
	for _, p := range people {
		of[p.Name] = p.typed(0, len(p.Sittings))
	}
	return newHost(of, 1)
}

func TestLearnt(t *testing.T) {
	long := string(slices.Repeat([]rune("é"), network.MaxLen))
	for _, c := range []struct {
		phrase string
		n      int
		want   bool
	}{{"a", minTypings - 1, false}, {"a", minTypings, true}, {long, minTypings, true}, {long + "é", 100, false}} {
		if got := learnt(c.phrase, c.n); got != c.want {
			t.Errorf("%d keys, %d typings: %v", len([]rune(c.phrase)), c.n, got)
		}
	}
}

// TestTyped checks that what some sittings hold is seen as among all of them, so
// that a head is held against the very lines of the template.
func TestTyped(t *testing.T) {
	ada := newTypist(1, 1)
	p := Person{Name: "ada", Sittings: []Sitting{ada.sitting(t, 4, phrase), ada.sitting(t, 2, phrase, eight)}}
	all, first, last := p.typed(0, 2), p.typed(0, 1), p.typed(1, 2)
	for _, ch := range keystroke.Channels() {
		key := templateKey{phrase, ch}
		if len(all[key]) != 6 || fmt.Sprint(slices.Concat(first[key], last[key])) != fmt.Sprint(all[key]) {
			t.Errorf("%s: %d and %d lines of %d", ch, len(first[key]), len(last[key]), len(all[key]))
		}
		if key.phrase = eight; len(first[key]) != 0 || len(last[key]) != 2 {
			t.Errorf("%s: %d lines of a phrase that was typed later", ch, len(first[key]))
		}
	}
	p.Sittings[0] = ada.sitting(t, newest+5, phrase)
	key := templateKey{phrase, keystroke.Full}
	if got := p.typed(0, 2)[key]; len(got) != newest || fmt.Sprint(got[newest-2:]) != fmt.Sprint(last[key]) {
		t.Errorf("%d lines, want the newest %d", len(got), newest)
	}
}

// TestLocal checks that nobody is their own impostor, and that everybody has a
// turn before anybody has a second one.
func TestLocal(t *testing.T) {
	var people []Person
	for i := range 30 {
		people = append(people, Person{Name: fmt.Sprint(i), Sittings: []Sitting{newTypist(uint64(i+1), 1).sitting(t, 5, eight)}})
	}
	key := templateKey{eight, keystroke.Press}
	sc, err := hosted(people).scene(t.Context(), key, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := sc.local(t.Context(), "7")
	if err != nil || len(got) != maxLocal {
		t.Fatalf("%d typings, %v; want %d", len(got), err, maxLocal)
	}
	whose := map[string]string{}
	for _, p := range people {
		for _, l := range sc.lines[p.Name] {
			one, err := sc.read(l)
			if err != nil {
				t.Fatal(err)
			}
			whose[fmt.Sprint(one)] = p.Name
		}
	}
	seen := map[string]int{}
	for _, g := range got {
		seen[whose[fmt.Sprint(g)]]++
	}
	if len(seen) != 29 || seen["7"] != 0 {
		t.Errorf("typings of %d others and %d of the owner's", len(seen), seen["7"])
	}
	for name, n := range seen {
		if n < maxLocal/29 || n > maxLocal/29+1 {
			t.Errorf("%s has %d of %d", name, n, maxLocal)
		}
	}
	// Somebody who joins changes little of whom the others are held against.
	if more, _ := hosted(people[1:]).scene(t.Context(), key, nil); more.others[0].person != sc.others[0].person && sc.others[0].person != "0" {
		t.Errorf("first is %s, was %s", more.others[0].person, sc.others[0].person)
	}
}

// TestStrangers checks that strangers type the phrase, each in a way of their
// own, that the rhythms anybody can play are among them, and that those of
// validation had no part in training.
func TestStrangers(t *testing.T) {
	h := hosted([]Person{{Name: "ada", Sittings: []Sitting{newTypist(1, 1).sitting(t, 5, phrase)}}})
	train, err := h.strangers(t.Context(), phrase, "training", 60)
	if err != nil {
		t.Fatal(err)
	}
	check, err := h.strangers(t.Context(), phrase, "validation", 60)
	if err != nil {
		t.Fatal(err)
	}
	if len(train) != 60+medianCopies*len(medianTempos) {
		t.Errorf("%d strangers", len(train))
	}
	seen := map[string]bool{}
	for _, s := range slices.Concat(train, check) {
		if l := s.Line(); l.Text != phrase || s.Phrase != phrase || s.Channel != keystroke.Full {
			t.Fatalf("%+v", s)
		}
		if seen[fmt.Sprint(s.Events)] {
			t.Error("one rhythm twice")
		}
		seen[fmt.Sprint(s.Events)] = true
	}
	for i, tempo := range medianTempos {
		for j := range medianCopies {
			s := train[60+i*medianCopies+j]
			if got := tempoOf([]keystroke.Line{s.Line()}); math.Abs(math.Log(got/tempo)) > 0.05 {
				t.Errorf("tempo %v, want %v", got, tempo)
			}
			for _, st := range feature.Default().Extract(s.Line()) {
				if st.HasDD && math.Abs(st.ZDD-math.Log(tempo)/feature.Default().DownDown(0, 0).Scale) > 3 {
					t.Errorf("a residual of %v at tempo %v", st.ZDD, tempo)
				}
			}
		}
	}
	if got := tempoOf(nil); got != 1 {
		t.Errorf("nothing typed has a tempo of %v", got)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	if got := medians(rng, phrase, 2, 3); len(got) != 2*medianCopies {
		t.Errorf("%d rhythms at two tempos", len(got))
	}
}

// On each channel the strangers are as many, and show what it shows.
func TestSceneChannels(t *testing.T) {
	people, _, _ := enrolled(t)
	h := hosted(people)
	drawn, err := h.strangers(t.Context(), phrase, "training", 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, ch := range keystroke.Channels() {
		sc, err := h.scene(t.Context(), templateKey{phrase, ch}, drawn)
		if err != nil {
			t.Fatal(err)
		}
		places := len(phrase) - 1
		if ch == keystroke.Full {
			places += len(phrase)
		}
		if len(sc.strangers) != len(drawn) || len(sc.strangers[0].Residuals) != places {
			t.Errorf("%s: %d strangers of %d places", ch, len(sc.strangers), len(sc.strangers[0].Residuals))
		}
		if _, cy := sc.lines["cy"]; cy == (ch == keystroke.Full) { // cy types at a plain terminal
			t.Errorf("%s: cy is there: %v", ch, cy)
		}
	}
}
