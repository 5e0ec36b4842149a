package model

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

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

func retrained(t *testing.T, people []Person, old *File, opts Options) *File {
	t.Helper()
	f, err := Retrain(t.Context(), people, old, noon, opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestRetrainLearns is a check of sanity: the network tells two hands apart on
// typings it never saw. How well is for the benchmarks to say.
func TestRetrainLearns(t *testing.T) {
	people, ada, bob := two(t, 10, 4)
	f := retrained(t, people, nil, Options{Epochs: 20})
	v := verifier(t, people, f)
	for i := range 10 {
		a, b := ada.types(t, eight).PressOnly(), bob.types(t, eight).PressOnly()
		for name, c := range map[string]struct{ own, other Score }{
			"ada": {score(t, v, "ada", a), score(t, v, "ada", b)},
			"bob": {score(t, v, "bob", b), score(t, v, "bob", a)},
		} {
			if !c.own.HasNet || c.own.Network < c.other.Network+3 || c.other.Network >= 0 {
				t.Errorf("probe %d: %s has log-odds of %.2f, the other %.2f", i, name, c.own.Network, c.other.Network)
			}
		}
	}
	if r := f.Report; r.EER > 0.2 || r.Loss <= 0 || r.Loss > 0.8 || r.BestEpoch < 2 || r.Before != nil {
		t.Errorf("report %+v", r)
	}
}

func score(t *testing.T, v *Verifier, person string, s keystroke.Sample) Score {
	t.Helper()
	out, err := v.Score(person, s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRetrainIsDeterministic(t *testing.T) {
	people, _, _ := two(t, 8, 2)
	opts := Options{Epochs: 2}
	first := retrained(t, people, nil, opts)
	slices.Reverse(people)
	if again := retrained(t, people, nil, opts); again.SHA256 != first.SHA256 || !reflect.DeepEqual(again, first) {
		t.Errorf("one seed, two files: %x and %x", first.SHA256[:4], again.SHA256[:4])
	}
	other := retrained(t, people, nil, Options{Epochs: 2, Seed: 2})
	if slices.Equal(other.Weights, first.Weights) {
		t.Error("another seed gave the same weights")
	}
	if first.SHA256 == [32]byte{} || other.SHA256 == first.SHA256 {
		t.Error("the digests tell nothing")
	}
	b := encoded(t, first)
	if got, err := Decode(b); err != nil || !reflect.DeepEqual(got, first) {
		t.Errorf("written and read it is %+v, %v\nwas %+v", got, err, first)
	}
}

func TestRetrainReport(t *testing.T) {
	people, _, _ := two(t, 8, 2)
	var stages []string
	done := -1.0
	f, err := Retrain(t.Context(), people, nil, noon, Options{Epochs: 2, Impostors: 0.5}, func(p Progress) {
		if n := len(stages); n == 0 || stages[n-1] != p.Stage {
			stages = append(stages, p.Stage)
		}
		if p.Done < done || p.Done > 1 {
			t.Errorf("done %v after %v", p.Done, done)
		}
		done = p.Done
		if p.Stage == "training" && (p.Epochs != 2 || p.Epoch < 1 || p.Epoch > 2 || p.Loss <= 0) {
			t.Errorf("progress %+v", p)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"samples", "training", "validation"}; !slices.Equal(stages, want) || done != 1 {
		t.Errorf("stages %q up to %v, want %q up to 1", stages, done, want)
	}
	r := f.Report
	if r.People != 2 || r.Samples != 16 || r.Validation != 4 || r.Impostors != 8 || r.Epochs != 2 || r.TrainLoss <= 0 {
		t.Errorf("report %+v", r)
	}
	if want := (Options{Seed: 1, Impostors: 0.5, Epochs: 2, Patience: 8}); f.Options != want {
		t.Errorf("options %+v, want %+v", f.Options, want)
	}
	if !f.Trained.Equal(noon) || !slices.Equal(f.People, []string{"ada", "bob"}) || f.Spec.Classes != 3 {
		t.Errorf("%v, %q, %d classes", f.Trained, f.People, f.Spec.Classes)
	}
}

// Without a second sitting there is nothing to measure, and no more than
// blindEpochs are run.
func TestRetrainBlind(t *testing.T) {
	people, _, _ := two(t, 8, 0)
	f := retrained(t, people[:1], nil, Options{Epochs: 40})
	if r := f.Report; r.Figures != (Figures{}) || r.Validation != 0 || r.Epochs != blindEpochs || r.BestEpoch != blindEpochs {
		t.Errorf("report %+v, want no figures and %d epochs", r, blindEpochs)
	}
}

// TestRetrainMeasuresOld checks that the file before is measured on the same
// samples: trained again with the same seed, it has the same figures.
func TestRetrainMeasuresOld(t *testing.T) {
	people, _, _ := two(t, 8, 3)
	opts := Options{Epochs: 2}
	old := retrained(t, people, nil, opts)
	f := retrained(t, people, old, opts)
	if f.Report.Before == nil || *f.Report.Before != old.Report.Figures || f.Report.Figures != old.Report.Figures {
		t.Errorf("before %+v, now %+v, then %+v", f.Report.Before, f.Report.Figures, old.Report.Figures)
	}
	// One that knows more people can be measured; one that knows fewer cannot.
	if f := retrained(t, people[1:], old, Options{Epochs: 1}); f.Report.Before == nil || f.Report.Before.Loss == f.Report.Loss {
		t.Errorf("an old file that knows more: %+v", f.Report)
	}
	if f := retrained(t, people, untrained("ada"), Options{Epochs: 1}); f.Report.Before != nil {
		t.Errorf("an old file that does not know everybody was measured: %+v", f.Report.Before)
	}
}

// TestFigures measures an untrained network by hand: with all weights 0 every
// class has the same probability, 1/3.
func TestFiguresByHand(t *testing.T) {
	people, _, _ := two(t, 8, 2)
	people[1].Sittings = people[1].Sittings[:1] // bob keeps none
	d := gathered(t, people, Options{})
	f := untrained("ada", "bob")
	clear(f.Weights)
	got, err := figures(t.Context(), f, d)
	if err != nil {
		t.Fatal(err)
	}
	// ln 3 everywhere; log-odds of ln ½ everywhere: nobody is accepted at 0, and
	// all scores tie. Nobody claims to be bob.
	if got.FMR != 0 || got.FNMR != 1 || got.EER != 0.5 || got.Loss < 1.09861 || got.Loss > 1.09862 {
		t.Errorf("%+v", got)
	}
	// A bias towards ada accepts everybody.
	out := f.Spec.Split(f.Weights).Output
	out[len(out)-3] = 5
	if got, err = figures(t.Context(), f, d); err != nil || got.FMR != 1 || got.FNMR != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	// The same network under the other name refuses everybody.
	f.People = []string{"bob", "ada"}
	if got, err = figures(t.Context(), f, d); err != nil || got.FMR != 0 || got.FNMR != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRetrainTooFew(t *testing.T) {
	people, _, _ := two(t, minSamples-1, 0)
	called := 0
	if f, err := Retrain(t.Context(), people, nil, noon, Options{}, func(Progress) { called++ }); !errors.Is(err, ErrTooFew) || f != nil {
		t.Errorf("%v, want ErrTooFew", err)
	}
	if called != 1 {
		t.Errorf("%d words of progress", called)
	}
}

// TestRetrainStops ends the context at every look that is taken at it, up to
// some dozen epochs: it must be noticed at that very look, so that nothing but
// one step of training lies between the end and the return.
func TestRetrainStops(t *testing.T) {
	people, _, _ := two(t, 8, 2)
	opts := Options{Epochs: 2}
	whole := &counting{t.Context(), 1 << 30, 0}
	if _, err := Retrain(whole, people, nil, noon, opts, nil); err != nil {
		t.Fatal(err)
	}
	looks := 1<<30 - whole.left
	if looks < 40 { // strangers, steps, and each kept example once an epoch and once in the end
		t.Errorf("the context was looked at %d times", looks)
	}
	for n := 0; n < looks; n += 5 {
		ctx := &counting{t.Context(), n, 0}
		f, err := Retrain(ctx, people, nil, noon, opts, nil)
		if !errors.Is(err, context.Canceled) || f != nil || ctx.late != 1 {
			t.Errorf("ended at look %d of %d: %v, and looked %d times more", n, looks, err, ctx.late-1)
		}
	}
	ctx := &counting{t.Context(), looks - 1, 0}
	if _, err := Retrain(ctx, people, nil, noon, opts, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("ended at the last look: %v", err)
	}
}
