package softmax

import (
	"testing"
	"time"

	"ksd/internal/model"
	"ksd/internal/model/modeltest"
)

const (
	ms     = time.Millisecond
	phrase = "green apples fall" // 17 keys
	eight  = "eight is"
)

var typed = modeltest.Typed

type typist struct{ *modeltest.Typist }

func newTypist(seed uint64, tempo float64) *typist {
	return &typist{modeltest.NewTypist(seed, tempo)}
}

func (y *typist) sitting(t testing.TB, n int, texts ...string) model.Sitting {
	t.Helper()
	return model.Sitting{Samples: y.Samples(t, n, texts...)}
}

// pressOnly returns a person as a plain terminal would have shown it.
func pressOnly(p model.Person) model.Person {
	out := model.Person{Name: p.Name}
	for _, s := range p.Sittings {
		var to model.Sitting
		for _, sample := range s.Samples {
			to.Samples = append(to.Samples, sample.PressOnly())
		}
		out.Sittings = append(out.Sittings, to)
	}
	return out
}
