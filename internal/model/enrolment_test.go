package model

import (
	"slices"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

// TestEnrolment is what it was as long as its first typing is.
func TestEnrolment(t *testing.T) {
	ada := newTypist(1, 1)
	first := Person{Name: "ada", Sittings: []Sitting{{ID: 1}, ada.sitting(t, 3, phrase)}}
	grown := Person{Name: "ada b.", Sittings: append(slices.Clone(first.Sittings), ada.sitting(t, 1, phrase))}
	if e := first.enrolment(); e == (Enrolment{}) || e != grown.enrolment() {
		t.Errorf("%x, and with another sitting %x", e, grown.enrolment())
	}
	if e := (Person{Name: "ada", Sittings: []Sitting{{ID: 1}}}).enrolment(); e != (Enrolment{}) {
		t.Errorf("%x of nothing", e)
	}
	for name, change := range map[string]func(s *keystroke.Sample){
		"a press":   func(s *keystroke.Sample) { s.Events[2].Down++ },
		"a release": func(s *keystroke.Sample) { s.Events[2].Up-- },
		"a letter":  func(s *keystroke.Sample) { s.Events[2].Rune = 'x' },
		"a channel": func(s *keystroke.Sample) { s.Channel = keystroke.Press },
		"a phrase":  func(s *keystroke.Sample) { s.Phrase = "x" },
	} {
		s := first.Sittings[1].Samples[0]
		s.Events = slices.Clone(s.Events)
		change(&s)
		if e := (Person{Sittings: []Sitting{{Samples: []keystroke.Sample{s}}}}).enrolment(); e == first.enrolment() {
			t.Errorf("%s more or less, and it is the same enrolment", name)
		}
	}
}

// TestEnrolledAnew has nobody judged by the head of an enrolment that is gone.
func TestEnrolledAnew(t *testing.T) {
	people, ada, _ := enrolled(t)
	old := untrained(people[:2]...)
	anew := slices.Clone(people[:2])
	anew[0].Sittings = []Sitting{ada.sitting(t, 5, phrase)}
	v := verifier(t, anew, old)
	for person, want := range map[string]bool{"ada": false, "bob": true} {
		if got, err := v.Score(person, ada.Types(t, phrase)); err != nil || got.HasHead != want {
			t.Errorf("%s: head %v, want %v; %v", person, got.HasHead, want, err)
		}
	}
	f, err := Update(t.Context(), anew, nil, old, Options{}, nil)
	if err != nil || !slices.Equal(f.People(), []string{"bob"}) {
		t.Errorf("heads left of %v, %v; want bob's", f.People(), err)
	}
	if f, err = Update(t.Context(), anew, []string{"ada"}, old, quick, nil); err != nil {
		t.Fatal(err)
	}
	again, err := Retrain(t.Context(), anew, nil, time.Time{}, quick, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]*File{"update": f, "retrain": again} {
		if got, err := verifier(t, anew, file).Score("ada", ada.Types(t, phrase)); err != nil || !got.HasHead {
			t.Errorf("after %s: %+v, %v", name, got, err)
		}
	}
}
