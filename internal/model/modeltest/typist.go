// Package modeltest has the typist that tests of the scorers share. It knows no
// scorer, so that their own packages can use it.
package modeltest

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
)

// Typed is a typing of text with given press times and dwells, in ms; without
// dwells it is press only.
func Typed(text string, downs, dwells []float64) keystroke.Sample {
	s := keystroke.Sample{Phrase: text, Channel: keystroke.Full}
	if dwells == nil {
		s.Channel = keystroke.Press
	}
	at := 0.0
	for i, r := range []rune(text) {
		at += downs[i]
		e := keystroke.Event{Key: keystroke.KeyOf(r), Rune: r, Down: time.Duration(at * float64(time.Millisecond))}
		if dwells != nil {
			e.Up, e.Released = e.Down+time.Duration(dwells[i]*float64(time.Millisecond)), true
		}
		s.Events = append(s.Events, e)
	}
	return s
}

// Typist has a rhythm of its own, drawn once for each text from the population
// and moved by an offset of its own, and keeps to it within some 8 %.
type Typist struct {
	Rand  *rand.Rand // all that is chance about it
	tempo float64
	usual map[string]keystroke.Sample
}

// NewTypist returns a typist whose times are tempo times those of its rhythm.
func NewTypist(seed uint64, tempo float64) *Typist {
	return &Typist{rand.New(rand.NewPCG(seed, 77)), tempo, map[string]keystroke.Sample{}}
}

// Types is one typing of text.
func (y *Typist) Types(t testing.TB, text string) keystroke.Sample {
	t.Helper()
	base, known := y.usual[text]
	if !known {
		var err error
		if base, err = feature.NewRhythms(feature.Default(), nil).Draw(y.Rand, text); err != nil {
			t.Fatal(err)
		}
		y.usual[text] = base
	}
	downs, dwells := make([]float64, len(base.Events)), make([]float64, len(base.Events))
	for i, e := range base.Events {
		if i > 0 {
			downs[i] = y.tempo * feature.MS(e.Down-base.Events[i-1].Down) * math.Exp(0.08*y.Rand.NormFloat64())
		}
		dwells[i] = y.tempo * feature.MS(e.Up-e.Down) * math.Exp(0.08*y.Rand.NormFloat64())
	}
	return Typed(text, downs, dwells)
}

// Samples is n typings of each text, turn by turn.
func (y *Typist) Samples(t testing.TB, n int, texts ...string) []keystroke.Sample {
	t.Helper()
	var out []keystroke.Sample
	for range n {
		for _, text := range texts {
			out = append(out, y.Types(t, text))
		}
	}
	return out
}
