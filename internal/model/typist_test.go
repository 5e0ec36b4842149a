package model

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
)

const (
	ms     = time.Millisecond
	phrase = "green apples fall" // 17 keys
)

// typed is a typing of text with given press times and dwells, in ms; without
// dwells it is press only.
func typed(text string, downs, dwells []float64) keystroke.Sample {
	s := keystroke.Sample{Phrase: text, Channel: keystroke.Full}
	if dwells == nil {
		s.Channel = keystroke.Press
	}
	at := 0.0
	for i, r := range []rune(text) {
		at += downs[i]
		e := keystroke.Event{Key: keystroke.KeyOf(r), Rune: r, Down: time.Duration(at * float64(ms))}
		if dwells != nil {
			e.Up, e.Released = e.Down+time.Duration(dwells[i]*float64(ms)), true
		}
		s.Events = append(s.Events, e)
	}
	return s
}

// typist has a rhythm of its own, drawn once for each text from the population
// and moved by an offset of its own, and keeps to it within some 8 %.
type typist struct {
	rng   *rand.Rand
	tempo float64
	usual map[string]keystroke.Sample
}

func newTypist(seed uint64, tempo float64) *typist {
	return &typist{rand.New(rand.NewPCG(seed, 77)), tempo, map[string]keystroke.Sample{}}
}

func (y *typist) types(t testing.TB, text string) keystroke.Sample {
	t.Helper()
	base, known := y.usual[text]
	if !known {
		var err error
		if base, err = feature.NewRhythms(feature.Default(), nil).Draw(y.rng, text); err != nil {
			t.Fatal(err)
		}
		y.usual[text] = base
	}
	downs, dwells := make([]float64, len(base.Events)), make([]float64, len(base.Events))
	for i, e := range base.Events {
		if i > 0 {
			downs[i] = y.tempo * feature.MS(e.Down-base.Events[i-1].Down) * math.Exp(0.08*y.rng.NormFloat64())
		}
		dwells[i] = y.tempo * feature.MS(e.Up-e.Down) * math.Exp(0.08*y.rng.NormFloat64())
	}
	return typed(text, downs, dwells)
}

func (y *typist) sitting(t testing.TB, n int, texts ...string) Sitting {
	t.Helper()
	var s Sitting
	for range n {
		for _, text := range texts {
			s.Samples = append(s.Samples, y.types(t, text))
		}
	}
	return s
}

// pressOnly returns a person as a plain terminal would have shown it.
func pressOnly(p Person) Person {
	out := Person{Name: p.Name}
	for _, s := range p.Sittings {
		var to Sitting
		for _, sample := range s.Samples {
			to.Samples = append(to.Samples, sample.PressOnly())
		}
		out.Sittings = append(out.Sittings, to)
	}
	return out
}

// untrained is a file with heads for these people's phrases that were never
// trained: enough for everything but accuracy.
func untrained(people ...Person) *File {
	f := &File{Trained: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Kernel: "go/1"}
	for _, p := range people {
		for key := range p.typed(0, len(p.Sittings)) {
			n, ok := headSize(key.phrase, key.channel)
			if !ok {
				continue
			}
			h := Head{p.Name, p.enrolment(), key.phrase, key.channel, make([]float32, n)}
			for i := range h.Weights {
				h.Weights[i] = float32(math.Sin(float64(i)))
			}
			f.Heads = append(f.Heads, h)
		}
	}
	slices.SortFunc(f.Heads, compareHeads)
	return f
}
