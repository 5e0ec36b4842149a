package model

import (
	"fmt"
	"reflect"
	"testing"

	"ksd/internal/keystroke"
)

func TestPack(t *testing.T) {
	s := func(phrase string, ch keystroke.Channel, events ...keystroke.Event) keystroke.Sample {
		return keystroke.Sample{Phrase: phrase, Channel: ch, Events: events}
	}
	press := keystroke.Event{Key: keystroke.KeyOf('é'), Rune: 'é', Down: 0}
	held := keystroke.Event{Key: keystroke.KeyOf('a'), Rune: 'a', Mods: keystroke.Shift | keystroke.Super, Down: 0, Up: 93_000_001, Released: true}
	late := keystroke.Event{Key: keystroke.KeyOf('b'), Down: keystroke.MaxDuration - 1, Up: keystroke.MaxDuration, Released: true}
	for name, samples := range map[string][]keystroke.Sample{
		"nothing":          nil,
		"no events":        {s("x", keystroke.Full, []keystroke.Event{}...)},
		"one phrase":       {s("xé", keystroke.Press, press), s("xé", keystroke.SSHPress, press)},
		"two phrases":      {s("xé", keystroke.Full, held, late), s("y", keystroke.Full, held), s("xé", keystroke.Full, held)},
		"no phrase at all": {s("", keystroke.Press, press)},
	} {
		p := Person{Name: "ada"}
		for _, sample := range samples {
			p.Sittings = append(p.Sittings, Sitting{Samples: []keystroke.Sample{sample}})
		}
		if got := unpack(pack(p)); !reflect.DeepEqual(got, samples) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestMoreThanReady judges more people than are kept ready, twice each.
func TestMoreThanReady(t *testing.T) {
	const text = "the fox"
	var people []Person
	for i := range maxReady + 3 {
		people = append(people, Person{Name: fmt.Sprint(i), Sittings: []Sitting{newTypist(uint64(i), 1).sitting(t, 1, text)}})
	}
	v := verifier(t, people, nil)
	var first []Score
	for round := range 2 {
		for i, p := range people {
			s, err := v.Score(p.Name, people[0].Sittings[0].Samples[0])
			if err != nil {
				t.Fatal(err)
			}
			if round == 0 {
				first = append(first, s)
			} else if !reflect.DeepEqual(s, first[i]) {
				t.Errorf("%s: %+v, before %+v", p.Name, s, first[i])
			}
			if n := len(v.ready.kept); n > maxReady {
				t.Fatalf("%d people are kept ready", n)
			}
		}
	}
}
