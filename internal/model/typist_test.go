package model

import (
	"math"
	"slices"
	"testing"
	"time"

	"ksd/internal/model/modeltest"
)

const (
	ms     = time.Millisecond
	phrase = "green apples fall" // 17 keys
)

var typed = modeltest.Typed

type typist struct{ *modeltest.Typist }

func newTypist(seed uint64, tempo float64) *typist {
	return &typist{modeltest.NewTypist(seed, tempo)}
}

func (y *typist) sitting(t testing.TB, n int, texts ...string) Sitting {
	t.Helper()
	return Sitting{Samples: y.Samples(t, n, texts...)}
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
