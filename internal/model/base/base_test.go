package base

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model/network"
)

// typists are people whose tempo and touch are their own.
func typists(n, samples int) []Person {
	people := make([]Person, n)
	for i := range people {
		rng := rand.New(rand.NewPCG(9, uint64(i)))
		people[i].Name = fmt.Sprint("p", i)
		dd, dwell := 90+200*rng.Float64(), 40+110*rng.Float64()
		for range samples {
			people[i].Samples = append(people[i].Samples, typing(50, dd, dwell, rng))
		}
	}
	return people
}

func typing(keys int, dd, dwell float64, rng *rand.Rand) keystroke.Sample {
	s := keystroke.Sample{Channel: keystroke.Full}
	ms := func(mean float64) time.Duration {
		return time.Duration(mean * math.Exp(0.25*rng.NormFloat64()) * float64(time.Millisecond))
	}
	var at time.Duration
	for range keys {
		r := rune(feature.Vocabulary[rng.IntN(27)])
		s.Events = append(s.Events, keystroke.Event{Key: keystroke.KeyOf(r), Rune: r, Down: at, Up: at + ms(dwell), Released: true})
		at += ms(dd)
	}
	return s
}

func tiny() Options {
	return Options{
		Seed: 3, Steps: 40, HeldOut: 12, Embedding: 3, Hidden: 4, Dense: 6, Out: 3, Mean: true,
		Dropout: 0.1, People: 4, Crops: 4, Rate: 0.01, Spread: 0.05, Transplant: 0.3, SSH: 0.3, Near: 0.2,
	}
}

func trained(t testing.TB, o Options) *File {
	t.Helper()
	f, err := Train(t.Context(), typists(24, 12), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestTrain learns to tell made-up people apart by their times, and cannot by
// their text, which is random.
func TestTrain(t *testing.T) {
	reports, last := 0, 0
	f, err := Train(t.Context(), typists(24, 12), tiny(), func(p Progress) {
		if p.Report != nil {
			reports++
		}
		if p.Step < last || p.Steps != 40 {
			t.Errorf("step %d of %d after %d", p.Step, p.Steps, last)
		}
		last = p.Step
	})
	if err != nil {
		t.Fatal(err)
	}
	if reports != validations || last != 40 {
		t.Errorf("%d validations, the last progress at step %d", reports, last)
	}
	r := f.Report
	if r.People != 12 || !(r.Errors[keystroke.Full].EER < 0.25) || !(r.Errors[keystroke.Press].EER < 0.35) {
		t.Errorf("validation: %+v", r)
	}
	if !(r.Text.EER > 0.4) {
		t.Errorf("random text tells people apart: EER %v", r.Text.EER)
	}
}

func TestTrainSameBits(t *testing.T) {
	encoded := func(o Options) []byte {
		b, err := trained(t, o).Encode()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	o := tiny()
	o.Steps = 6
	one := encoded(o)
	if !slices.Equal(one, encoded(o)) {
		t.Error("the same seed gives other bits")
	}
	o.Seed++
	if slices.Equal(one, encoded(o)) {
		t.Error("another seed gives the same bits")
	}
}

func TestTrainRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(o *Options, people []Person) []Person
		want  error
	}{
		"zero options":    {func(o *Options, p []Person) []Person { *o = Options{}; return p }, ErrOptions},
		"no people":       {func(_ *Options, p []Person) []Person { return nil }, ErrCorpus},
		"nobody held out": {func(o *Options, p []Person) []Person { o.HeldOut = 0; return p }, ErrCorpus},
		"too few left":    {func(o *Options, p []Person) []Person { o.HeldOut = 21; return p }, ErrCorpus},
		"a share of 2":    {func(o *Options, p []Person) []Person { o.Transplant = 2; return p }, ErrOptions},
		"NaN":             {func(o *Options, p []Person) []Person { o.Near = math.NaN(); return p }, ErrOptions},
		"rate of 0":       {func(o *Options, p []Person) []Person { o.Rate = 0; return p }, ErrOptions},
		"few typings":     {func(o *Options, p []Person) []Person { o.Crops = 8; return p }, ErrCorpus},
		"no releases": {func(_ *Options, p []Person) []Person {
			p[3].Samples[1] = p[3].Samples[1].PressOnly()
			return p
		}, ErrCorpus},
		"invalid typing": {func(_ *Options, p []Person) []Person { p[3].Samples[1].Events[0].Down = 1; return p }, ErrCorpus},
		"nothing but backspace": {func(_ *Options, p []Person) []Person {
			for i := range p {
				for _, s := range p[i].Samples {
					for j := range s.Events {
						s.Events[j].Key, s.Events[j].Rune = keystroke.Backspace, 0
					}
				}
			}
			return p
		}, ErrCorpus},
		"sizes": {func(o *Options, p []Person) []Person { o.Hidden = 0; return p }, network.ErrSpec},
	} {
		o := tiny()
		o.Steps = 2
		people := c.spoil(&o, typists(24, 6))
		if _, err := Train(t.Context(), people, o, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestTrainStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := tiny()
	o.Steps = 1000
	_, err := Train(ctx, typists(24, 12), o, func(p Progress) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
}

// TestShipped reads the base that is built into the program.
func TestShipped(t *testing.T) {
	b := Default()
	f := b.File()
	if f.Options != func() Options { o := Defaults(); o.Seed, o.Steps = f.Options.Seed, f.Options.Steps; return o }() {
		t.Errorf("it was trained with other options than those of this program: %+v", f.Options)
	}
	if f.Spec.Len() > 200_000 {
		t.Errorf("%d parameters", f.Spec.Len())
	}
	if f.Command == "" || len(f.DataSHA256) != 64 || f.Kernel == "" || f.Took <= 0 || f.Report.People < 100 {
		t.Errorf("it does not say where it comes from: %+v", f.Header)
	}
	p := typists(1, 2)[0]
	w := b.NewScratch()
	for _, ch := range channels {
		s, ok := b.Space(ch)
		if !ok {
			t.Fatalf("no space for %s", ch)
		}
		strokes := feature.Default().Extract(show(p.Samples[0], ch, rand.New(rand.NewPCG(1, 1))).Line())
		x := make([]float32, s.Dim())
		if err := s.Embed(x, strokes, w); err != nil {
			t.Error(err)
		}
	}
	if _, ok := b.Space("telepathy"); ok {
		t.Error("there is a space for what is no channel")
	}
}

// TestEmbed compares what serves with what validates, of a typing longer than
// the network reads, and is for the race detector's eyes too.
func TestEmbed(t *testing.T) {
	b, err := New(trained(t, func() Options { o := tiny(); o.Steps = 3; return o }()))
	if err != nil {
		t.Fatal(err)
	}
	s, _ := b.Space(keystroke.Full)
	strokes := feature.Default().Extract(typing(network.MaxLen+9, 150, 90, rand.New(rand.NewPCG(1, 1))).Line())
	got, w := make([]float32, 3), b.NewScratch()
	if err := s.Embed(got, strokes, w); err != nil {
		t.Fatal(err)
	}
	raw, want := make([]float32, 3), make([]float32, 3)
	in := appendSequence(network.Sequence{}, strokes[:network.MaxLen], network.MaxLen)
	if err := s.network.Logits(raw, in, network.NewScratch(b.file.Spec)); err != nil {
		t.Fatal(err)
	}
	s.project(want, raw)
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if n := testing.AllocsPerRun(20, func() { err = s.Embed(got, strokes, w) }); n != 0 || err != nil {
		t.Errorf("%v allocations, %v", n, err)
	}
	if err := s.Embed(got[:2], strokes, w); !errors.Is(err, network.ErrInput) {
		t.Errorf("room for two: %v", err)
	}
	if err := s.Embed(got, nil, w); !errors.Is(err, network.ErrInput) {
		t.Errorf("nothing typed: %v", err)
	}
}

func BenchmarkEmbed(b *testing.B) {
	base := Default()
	s, _ := base.Space(keystroke.Press)
	strokes := feature.Default().Extract(typing(24, 150, 90, rand.New(rand.NewPCG(1, 1))).PressOnly().Line())
	x, w := make([]float32, s.Dim()), base.NewScratch()
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Embed(x, strokes, w); err != nil {
			b.Fatal(err)
		}
	}
}
