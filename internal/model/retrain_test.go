package model

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

// quick draws as few strangers as a training ever has: enough for everything but
// accuracy.
var quick = Options{Impostors: 1}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// two is two people with clearly different rhythms and two sittings each.
func two(t testing.TB, learn, keep int) (people []Person, ada, bob *typist) {
	t.Helper()
	ada, bob = newTypist(1, 0.8), newTypist(2, 1.3)
	return []Person{
		pressOnly(Person{Name: "ada", Sittings: []Sitting{ada.sitting(t, learn, eight), ada.sitting(t, keep, eight)}}),
		pressOnly(Person{Name: "bob", Sittings: []Sitting{bob.sitting(t, learn, eight), bob.sitting(t, keep, eight)}}),
	}, ada, bob
}

func retrained(t testing.TB, people []Person, old *File, opts Options) *File {
	t.Helper()
	f, err := Retrain(t.Context(), people, old, noon, opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func updated(t testing.TB, people []Person, only []string, old *File, opts Options) *File {
	t.Helper()
	f, err := Update(t.Context(), people, only, old, opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func score(t *testing.T, v *Verifier, person string, s keystroke.Sample) Score {
	t.Helper()
	out, err := v.Score(person, s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRetrainLearns is a check of sanity: heads tell two hands apart on typings
// they never saw. How well is for the benchmarks to say.
func TestRetrainLearns(t *testing.T) {
	people, ada, bob := two(t, 5, 4)
	f := retrained(t, people, nil, Options{})
	v := verifier(t, people, f)
	for i := range 10 {
		a, b := ada.Types(t, eight).PressOnly(), bob.Types(t, eight).PressOnly()
		for name, c := range map[string]struct{ own, other Score }{
			"ada": {score(t, v, "ada", a), score(t, v, "ada", b)},
			"bob": {score(t, v, "bob", b), score(t, v, "bob", a)},
		} {
			if !c.own.HasHead || c.own.Head < c.other.Head+3 || c.other.Head >= 0 {
				t.Errorf("probe %d: %s has log-odds of %.2f, the other %.2f", i, name, c.own.Head, c.other.Head)
			}
		}
	}
	if r := f.Report; r.EER > 0.2 || r.Loss <= 0 || r.Loss > 0.8 || r.Before != nil {
		t.Errorf("report %+v", r)
	}
}

// Heads are trained on every channel that a typing can be shown on, for phrases
// of which there are enough typings and that are not too long.
func TestRetrainHeads(t *testing.T) {
	ada := newTypist(1, 1)
	long := typed(string(slices.Repeat([]rune("a"), 65)), slices.Repeat([]float64{100}, 65), nil)
	people := []Person{
		{Name: "zoe", Sittings: []Sitting{ada.sitting(t, minTypings, phrase), ada.sitting(t, minTypings-1, eight)}},
		pressOnly(Person{Name: "ada", Sittings: []Sitting{ada.sitting(t, minTypings, eight)}}),
		{Name: "few", Sittings: []Sitting{ada.sitting(t, minTypings-1, phrase)}},
		{Name: "long", Sittings: []Sitting{{Samples: slices.Repeat([]keystroke.Sample{long}, 5)}}},
	}
	f := retrained(t, people, nil, quick)
	var got []string
	for _, h := range f.Heads {
		got = append(got, fmt.Sprint(h.Person, " ", h.Phrase, " ", h.Channel))
		if n, _ := headSize(h.Phrase, h.Channel); len(h.Weights) != n {
			t.Errorf("%s: %d weights, want %d", got[len(got)-1], len(h.Weights), n)
		}
	}
	want := []string{
		"ada " + eight + " press", "ada " + eight + " ssh-press",
		"zoe " + phrase + " full", "zoe " + phrase + " press", "zoe " + phrase + " ssh-press",
	}
	if !slices.Equal(got, want) || !slices.Equal(f.People(), []string{"ada", "zoe"}) {
		t.Errorf("heads %q, want %q; people %q", got, want, f.People())
	}
	if people[0].Name != "zoe" {
		t.Error("the caller's people were put in another order")
	}
}

func TestRetrainIsDeterministic(t *testing.T) {
	people, _, _ := two(t, 3, 1)
	f := retrained(t, people, nil, Options{})
	turned := []Person{people[1], people[0]}
	if again := retrained(t, turned, nil, Options{Seed: 1, Impostors: 20}); !reflect.DeepEqual(f, again) {
		t.Errorf("the same people:\n%+v\n%+v", f.Report, again.Report)
	}
	if other := retrained(t, people, nil, Options{Seed: 2}); slices.Equal(other.Heads[0].Weights, f.Heads[0].Weights) {
		t.Error("another seed drew the same strangers")
	}
	b := encoded(t, f)
	if got, err := Decode(b); err != nil || !reflect.DeepEqual(got, f) {
		t.Errorf("written and read it is %+v, %v\nwas %+v", got, err, f)
	}
}

func TestRetrainReport(t *testing.T) {
	people, _, _ := two(t, 5, 1)
	var stages []string
	last := Progress{Done: -1}
	f, err := Retrain(t.Context(), people, nil, noon, Options{Impostors: 10}, func(p Progress) {
		if n := len(stages); n == 0 || stages[n-1] != p.Stage {
			stages = append(stages, p.Stage)
		}
		if p.Done < last.Done || p.Done > 1 || p.Head != last.Head+1 && p.Stage != "samples" {
			t.Errorf("%+v after %+v", p, last)
		}
		last = p
	})
	if err != nil {
		t.Fatal(err)
	}
	// Two channels of two people, once to validate and once to keep.
	if want := []string{"samples", "validation", "training"}; !slices.Equal(stages, want) || last.Done != 1 || last.Head != 8 || last.Heads != 8 {
		t.Errorf("stages %q up to %+v, want %q up to 8 heads", stages, last, want)
	}
	r := f.Report
	if r.People != 2 || r.Heads != 4 || r.Samples != 12 || r.Validation != 2 || r.Impostors != 60+medianCopies*len(medianTempos) || r.TrainLoss <= 0 {
		t.Errorf("report %+v", r)
	}
	if want := (Options{Seed: 1, Impostors: 10}); f.Options != want || !f.Trained.Equal(noon) {
		t.Errorf("%v, options %+v, want %+v", f.Trained, f.Options, want)
	}
	if again := retrained(t, people, f, quick); again.Report.Before == nil || *again.Report.Before != r.Figures {
		t.Errorf("before %+v, want %+v", again.Report.Before, r.Figures)
	}
	// Without a second sitting there is nothing to measure.
	alone := []Person{{Name: "ada", Sittings: people[0].Sittings[:1]}}
	if r := retrained(t, alone, nil, quick).Report; r.Figures != (Figures{}) || r.Validation != 0 || r.Samples != 5 {
		t.Errorf("one sitting: %+v", r)
	}
}

// TestValidation has a person's last sitting typed by somebody else. The heads
// that are measured have not learnt it, and refuse it; those that are kept have.
func TestValidation(t *testing.T) {
	people, _, bob := two(t, 5, 4)
	fair := retrained(t, people, nil, quick)
	people[0].Sittings[1] = pressOnly(Person{Sittings: []Sitting{bob.sitting(t, 4, eight)}}).Sittings[0]
	f := retrained(t, people, nil, quick)
	if fair.Report.FNMR > 0.1 || f.Report.FNMR < 0.45 {
		t.Errorf("FNMR %v, and %v with one of two people changed", fair.Report.FNMR, f.Report.FNMR)
	}
	v, before := verifier(t, people, f), verifier(t, people, fair)
	probe := bob.Types(t, eight).PressOnly()
	if is, was := score(t, v, "ada", probe).Head, score(t, before, "ada", probe).Head; is <= was {
		t.Errorf("what ada's last sitting taught took log-odds from %v to %v", was, is)
	}
}

func TestRetrainTooFew(t *testing.T) {
	people, _, _ := two(t, minTypings-1, 0)
	for name, ps := range map[string][]Person{"too few": people, "nobody": nil, "without samples": {{Name: "a"}}} {
		if f, err := Retrain(t.Context(), ps, nil, noon, Options{}, nil); !errors.Is(err, ErrTooFew) || f != nil {
			t.Errorf("%s: %v, want ErrTooFew", name, err)
		}
		if f, err := Update(t.Context(), ps, []string{"ada"}, untrained(people...), Options{}, nil); name != "too few" && (!errors.Is(err, ErrTooFew) || f != nil) {
			t.Errorf("%s, update: %v, want ErrTooFew", name, err)
		}
	}
}

// TestUpdate adds a person, changes one and takes one away: whoever is not named
// keeps the very weights.
func TestUpdate(t *testing.T) {
	people, _, bob := two(t, 3, 1)
	cy, dee := newTypist(3, 1), newTypist(4, 0.9)
	people = append(people, Person{Name: "cy", Sittings: []Sitting{cy.sitting(t, 4, eight)}})
	old := retrained(t, people, nil, quick)
	weights := func(f *File, person string) (out [][]float32) {
		for _, h := range f.Heads {
			if h.Person == person {
				out = append(out, h.Weights)
			}
		}
		return out
	}
	people[1].Sittings = append(people[1].Sittings, bob.sitting(t, 3, eight))
	now := []Person{people[0], people[1], {Name: "dee", Sittings: []Sitting{dee.sitting(t, 5, eight, phrase)}}}
	f := updated(t, now, []string{"bob", "dee"}, old, quick)
	if !slices.Equal(f.People(), []string{"ada", "bob", "dee"}) || !slices.IsSortedFunc(f.Heads, compareHeads) {
		t.Fatalf("people %q", f.People())
	}
	if !reflect.DeepEqual(weights(f, "ada"), weights(old, "ada")) {
		t.Error("a person who was not named has other weights")
	}
	if reflect.DeepEqual(weights(f, "bob"), weights(old, "bob")) || len(weights(f, "dee")) != 6 {
		t.Errorf("bob's weights stayed, or dee has %d heads", len(weights(f, "dee")))
	}
	if f.Report.People != 3 || f.Report.Heads != len(f.Heads) || f.Report.Figures != old.Report.Figures || !f.Trained.Equal(old.Trained) || f.SHA256 == old.SHA256 {
		t.Errorf("%v, report %+v, was %+v", f.Trained, f.Report, old.Report)
	}
	if got, err := Decode(encoded(t, f)); err != nil || !reflect.DeepEqual(got, f) {
		t.Errorf("written and read it is %+v, %v", got, err)
	}
	// A person with too few typings left has no head; the others stay.
	now[1].Sittings = nil
	if f = updated(t, now, []string{"bob"}, f, quick); !slices.Equal(f.People(), []string{"ada", "dee"}) {
		t.Errorf("people %q", f.People())
	}
	probe := dee.Types(t, phrase)
	if got := score(t, verifier(t, now, f), "dee", probe); !got.HasHead || got.Head < 0 {
		t.Errorf("who joined has %+v", got)
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

// TestRetrainStops ends the context at many of the looks that are taken at it: it
// must be noticed at that very look, so that nothing but one step lies between
// the end and the return.
func TestRetrainStops(t *testing.T) {
	people, _, _ := two(t, 3, 1)
	old := untrained(people...)
	for name, train := range map[string]func(context.Context) (*File, error){
		"retrain": func(ctx context.Context) (*File, error) { return Retrain(ctx, people, nil, noon, quick, nil) },
		"update": func(ctx context.Context) (*File, error) {
			return Update(ctx, people, []string{"ada"}, old, quick, nil)
		},
	} {
		whole := &counting{t.Context(), 1 << 30, 0}
		if _, err := train(whole); err != nil {
			t.Fatal(err)
		}
		looks := 1<<30 - whole.left
		if looks < 200 { // at every stranger drawn, every typing read and every step
			t.Errorf("%s: the context was looked at %d times", name, looks)
		}
		for n := 0; n < looks; n += 1 + looks/6 {
			ctx := &counting{t.Context(), n, 0}
			f, err := train(ctx)
			if !errors.Is(err, context.Canceled) || f != nil || ctx.late != 1 {
				t.Errorf("%s ended at look %d of %d: %v, and looked %d times more", name, n, looks, err, ctx.late-1)
			}
		}
	}
}

// crowd is n people who type five phrases five times each.
func crowd(t testing.TB, n int) []Person {
	var out []Person
	for i := range n {
		y := newTypist(uint64(i+1), 0.8+0.05*float64(i%9))
		out = append(out, Person{Name: fmt.Sprintf("p%04d", i), Sittings: []Sitting{y.sitting(t, 5, phrase,
			"the quick brown fox jump", "over the lazy dog slept", "she sells sea shells now", "how much wood would it")}})
	}
	return out
}

// BenchmarkUpdate is one person who joins: 15 heads.
func BenchmarkUpdate(b *testing.B) {
	for _, n := range []int{1, 40, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			people := crowd(b, n)
			old := untrained(people[0])
			for b.Loop() {
				updated(b, people, []string{people[n-1].Name}, old, Options{})
			}
		})
	}
}

func BenchmarkRetrain(b *testing.B) {
	people := crowd(b, 8)
	for b.Loop() {
		retrained(b, people, nil, Options{})
	}
}
