package softmax

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model"
	"ksd/internal/model/train"
)

func gathered(t *testing.T, people []model.Person, opts Options) *dataset {
	t.Helper()
	d, err := gather(t.Context(), people, opts.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// prints are the examples of one class, each as a text that tells it apart.
func prints(examples []train.Example, class int) []string {
	var out []string
	for _, e := range examples {
		if e.Class == class {
			out = append(out, fmt.Sprint(e.Sequence))
		}
	}
	return out
}

// printsOf is what prints gives for the channels that a sitting's samples show.
func printsOf(s model.Sitting) []string {
	var out []string
	for _, sample := range s.Samples {
		out = append(out, fmt.Sprint(sequence(feature.Default().Extract(sample.Line()))))
		if sample.Channel == keystroke.Full {
			out = append(out, fmt.Sprint(sequence(feature.Default().Extract(sample.PressOnly().Line()))))
		}
	}
	return out
}

// TestSplitKeepsSittingsApart checks where every single sample goes: the last
// of several sittings to validation, all others to training.
func TestSplitKeepsSittingsApart(t *testing.T) {
	ada, bob, cy := newTypist(1, 1), newTypist(2, 1.2), newTypist(3, 0.9)
	people := []model.Person{
		{Name: "one sitting", Sittings: []model.Sitting{ada.sitting(t, 8, phrase)}},
		{Name: "three", Sittings: []model.Sitting{bob.sitting(t, 6, phrase), bob.sitting(t, 3, eight), bob.sitting(t, 4, phrase)}},
		pressOnly(model.Person{Name: "two", Sittings: []model.Sitting{cy.sitting(t, 8, phrase), cy.sitting(t, 2, phrase)}}),
	}
	d := gathered(t, people, Options{})
	if want := []string{"one sitting", "three", "two"}; !slices.Equal(d.names, want) {
		t.Fatalf("classes %q, want %q", d.names, want)
	}
	for class, want := range []struct{ train, validation []string }{
		{printsOf(people[0].Sittings[0]), nil},
		{slices.Concat(printsOf(people[1].Sittings[0]), printsOf(people[1].Sittings[1])), printsOf(people[1].Sittings[2])},
		{printsOf(people[2].Sittings[0]), printsOf(people[2].Sittings[1])},
	} {
		if got := prints(d.train, class); !slices.Equal(got, want.train) {
			t.Errorf("%s: %d examples to train on, want the %d of the earlier sittings", d.names[class], len(got), len(want.train))
		}
		if got := prints(d.validation, class); !slices.Equal(got, want.validation) {
			t.Errorf("%s: %d examples kept, want the %d of the last sitting", d.names[class], len(got), len(want.validation))
		}
	}
	if d.real != 8+9+8 || d.kept != 4+2 || d.drawn != d.real {
		t.Errorf("%d real, %d kept, %d drawn; want 25, 6, 25", d.real, d.kept, d.drawn)
	}
	if len(d.owners) != len(d.validation) {
		t.Fatalf("%d owners for %d examples", len(d.owners), len(d.validation))
	}
	for i, e := range d.validation {
		want := ""
		if e.Class < len(d.names) {
			want = d.names[e.Class]
		}
		if d.owners[i] != want {
			t.Errorf("example %d of class %d belongs to %q", i, e.Class, d.owners[i])
		}
	}
}

// TestKeptIsNotLearnt checks that what is kept apart leaves no trace in what is
// trained on: strangers bend to what people type, but not to those sittings.
func TestKeptIsNotLearnt(t *testing.T) {
	ada, bob := newTypist(1, 1), newTypist(2, 1.2)
	a, b := ada.sitting(t, 8, phrase), bob.sitting(t, 8, phrase)
	with := func(tempo float64) *dataset {
		return gathered(t, []model.Person{
			{Name: "ada", Sittings: []model.Sitting{a, newTypist(3, tempo).sitting(t, 6, phrase)}},
			{Name: "bob", Sittings: []model.Sitting{b, newTypist(4, tempo).sitting(t, 6, phrase)}},
		}, Options{})
	}
	first, other := with(1), with(3)
	if !reflect.DeepEqual(first.train, other.train) {
		t.Error("other last sittings changed the examples to train on")
	}
	if reflect.DeepEqual(first.validation, other.validation) {
		t.Error("other last sittings did not change the examples kept")
	}
}

// A last sitting is not kept apart where too little would be left to learn.
func TestSplitOfLittle(t *testing.T) {
	ada := newTypist(1, 1)
	d := gathered(t, []model.Person{{Name: "ada", Sittings: []model.Sitting{ada.sitting(t, minSamples-1, phrase), ada.sitting(t, 5, phrase)}}}, Options{})
	if d.real != minSamples+4 || d.kept != 0 || len(d.validation) != 0 {
		t.Errorf("%d real and %d kept, want all of %d to train on", d.real, d.kept, minSamples+4)
	}
	d = gathered(t, []model.Person{{Name: "ada", Sittings: []model.Sitting{ada.sitting(t, minSamples, phrase), ada.sitting(t, 1, phrase)}}}, Options{})
	if d.real != minSamples || d.kept != 1 {
		t.Errorf("%d real and %d kept, want %d and 1", d.real, d.kept, minSamples)
	}
}

// TestGatherTooFew checks who is left out, and that with nobody left it says so.
func TestGatherTooFew(t *testing.T) {
	ada := newTypist(1, 1)
	few := model.Person{Name: "few", Sittings: []model.Sitting{ada.sitting(t, minSamples-1, phrase)}}
	useless := model.Person{Name: "useless", Sittings: []model.Sitting{few.Sittings[0]}} // and typings of other texts, of none, and too long
	wrong, empty := ada.Types(t, phrase), ada.Types(t, phrase)
	wrong.Phrase, empty.Phrase, empty.Events = "another text", "", nil
	long := typed(strings.Repeat("a", 65), make([]float64, 65), nil)
	useless.Sittings = append(useless.Sittings, model.Sitting{Samples: []keystroke.Sample{wrong, empty, long, wrong}})
	for name, people := range map[string][]model.Person{
		"nobody": nil, "nobody with samples": {{Name: "a"}, {Name: "b"}}, "too few": {few}, "too few of use": {useless, few},
	} {
		if d, err := gather(t.Context(), people, Options{}.withDefaults()); !errors.Is(err, model.ErrTooFew) || d != nil {
			t.Errorf("%s: %v, want ErrTooFew", name, err)
		}
	}
	enough := model.Person{Name: "enough", Sittings: []model.Sitting{ada.sitting(t, minSamples, phrase), {Samples: []keystroke.Sample{wrong, empty, long}}}}
	before := []model.Person{useless, enough, few}
	d := gathered(t, before, Options{})
	if !slices.Equal(d.names, []string{"enough"}) || d.real != minSamples || d.kept != 0 {
		t.Errorf("%q with %d and %d samples", d.names, d.real, d.kept)
	}
	if before[0].Name != "useless" {
		t.Error("the caller's people were put in another order")
	}
}

// TestImpostors checks how many strangers are drawn, that each types what a real
// sample typed, and that it does so in a way nobody did.
func TestImpostors(t *testing.T) {
	ada, bob := newTypist(1, 1), newTypist(2, 1.2)
	people := []model.Person{
		{Name: "ada", Sittings: []model.Sitting{ada.sitting(t, 5, phrase, eight), ada.sitting(t, 4, eight)}},
		pressOnly(model.Person{Name: "bob", Sittings: []model.Sitting{bob.sitting(t, 10, "only bob's")}}),
	}
	for ratio, want := range map[float64]struct{ train, validation int }{0.5: {10, 2}, 1: {20, 4}, 3: {60, 12}} {
		d := gathered(t, people, Options{Impostors: ratio})
		if d.drawn != want.train {
			t.Errorf("ratio %v: %d strangers for 20 samples, want %d", ratio, d.drawn, want.train)
		}
		for side, s := range map[string]struct {
			examples []train.Example
			press    int // strangers without releases alone
			all      int
		}{"training": {d.train, want.train / 2, want.train}, "validation": {d.validation, 0, want.validation}} {
			texts, strangers, seen := map[string]int{}, map[string]int{}, map[string]bool{}
			for _, e := range s.examples {
				if seen[fmt.Sprint(e.Sequence)] {
					t.Errorf("ratio %v, %s: one rhythm twice", ratio, side)
				}
				seen[fmt.Sprint(e.Sequence)] = true
				if e.Class < len(d.names) {
					texts[fmt.Sprint(e.Keys)]++
				} else {
					strangers[fmt.Sprint(e.Keys)]++
				}
			}
			total := 0
			for keys, n := range strangers {
				total += n
				if texts[keys] == 0 {
					t.Errorf("ratio %v, %s: a stranger types what nobody does: %s", ratio, side, keys)
				}
				if ratio >= 1 && n != int(ratio)*texts[keys] {
					t.Errorf("ratio %v, %s: %d strangers for %d samples of %s", ratio, side, n, texts[keys], keys)
				}
			}
			if ratio >= 1 && total != s.press+2*(s.all-s.press) {
				t.Errorf("ratio %v, %s: %d examples of strangers", ratio, side, total)
			}
		}
	}
}

// Strangers show what the sample they stand beside shows: with releases both
// ways, without them one.
func TestImpostorChannels(t *testing.T) {
	ada := newTypist(1, 1)
	person := model.Person{Name: "ada", Sittings: []model.Sitting{ada.sitting(t, 8, phrase)}}
	withRelease := func(d *dataset, class int) (with, without int) {
		for _, e := range d.train {
			if e.Class != class {
				continue
			}
			if e.Features[4] == 1 { // HasDwell of the first key
				with++
			} else {
				without++
			}
		}
		return with, without
	}
	full, press := gathered(t, []model.Person{person}, Options{}), gathered(t, []model.Person{pressOnly(person)}, Options{})
	for class := range 2 {
		if a, b := withRelease(full, class); a != 8 || b != 8 {
			t.Errorf("class %d of full: %d with releases and %d without, want 8 of each", class, a, b)
		}
		if a, b := withRelease(press, class); a != 0 || b != 8 {
			t.Errorf("class %d of press: %d with releases and %d without, want 0 and 8", class, a, b)
		}
	}
}

// TestBalance checks that all people weigh the same, and the stranger as much
// as they do together, however many samples each has.
func TestBalance(t *testing.T) {
	ada, bob := newTypist(1, 1), newTypist(2, 1.2)
	d := gathered(t, []model.Person{
		{Name: "ada", Sittings: []model.Sitting{ada.sitting(t, 8, phrase), ada.sitting(t, 1, phrase)}},
		{Name: "bob", Sittings: []model.Sitting{bob.sitting(t, 20, phrase)}},
	}, Options{Impostors: 3})
	sums := make([]float64, 3)
	for _, e := range d.train {
		sums[e.Class] += float64(e.Weight)
	}
	for class, want := range []float64{1, 1, 2 * strangerWeight} {
		if math.Abs(sums[class]-want) > 1e-5 {
			t.Errorf("class %d weighs %v, want %v", class, sums[class], want)
		}
	}
	for _, e := range d.validation {
		if !(e.Weight > 0) || math.IsInf(float64(e.Weight), 0) {
			t.Errorf("a kept example of class %d weighs %v", e.Class, e.Weight)
		}
	}
}

func TestGatherIsDeterministic(t *testing.T) {
	ada, bob := newTypist(1, 1), newTypist(2, 1.2)
	a := model.Person{Name: "ada", Sittings: []model.Sitting{ada.sitting(t, 8, phrase)}}
	b := model.Person{Name: "bob", Sittings: []model.Sitting{bob.sitting(t, 8, phrase)}}
	first := gathered(t, []model.Person{a, b}, Options{})
	if !reflect.DeepEqual(first, gathered(t, []model.Person{b, a}, Options{})) {
		t.Error("the order of the people changed the examples")
	}
	other := gathered(t, []model.Person{a, b}, Options{Seed: 2})
	if slices.Equal(prints(first.train, 2), prints(other.train, 2)) {
		t.Error("another seed drew the same strangers")
	}
}

// counting is a context that ends after so many looks at it, and counts those
// that come after its end.
type counting struct {
	context.Context
	left, late int
}

func (c *counting) Err() error {
	if c.left > 0 {
		c.left--
		return nil
	}
	c.late++
	return context.Canceled
}

func TestGatherStops(t *testing.T) {
	people := []model.Person{{Name: "ada", Sittings: []model.Sitting{newTypist(1, 1).sitting(t, 8, phrase)}}}
	for n := range 9 { // eight strangers, and a look at the end
		ctx := &counting{t.Context(), n, 0}
		if d, err := gather(ctx, people, Options{}.withDefaults()); !errors.Is(err, context.Canceled) || d != nil || ctx.late != 1 {
			t.Errorf("ended at look %d: %v, looked %d times more", n, err, ctx.late-1)
		}
	}
}
