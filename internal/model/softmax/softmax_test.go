package softmax

import (
	"context"
	"errors"
	"math"
	"testing"

	"ksd/internal/keystroke"
	"ksd/internal/model"
)

// two is two people with clearly different rhythms and two sittings each.
func two(t *testing.T, learn, keep int) (people []model.Person, ada, bob *typist) {
	t.Helper()
	ada, bob = newTypist(1, 0.8), newTypist(2, 1.3)
	return []model.Person{
		pressOnly(model.Person{Name: "ada", Sittings: []model.Sitting{ada.sitting(t, learn, eight), ada.sitting(t, keep, eight)}}),
		pressOnly(model.Person{Name: "bob", Sittings: []model.Sitting{bob.sitting(t, learn, eight), bob.sitting(t, keep, eight)}}),
	}, ada, bob
}

// TestTrain is a check of sanity: the network tells two hands apart on typings it
// never saw.
func TestTrain(t *testing.T) {
	people, ada, bob := two(t, 10, 4)
	m, err := Train(t.Context(), people, Options{Epochs: 12})
	if err != nil {
		t.Fatal(err)
	}
	odds := func(m *Model, person string, s keystroke.Sample) float64 {
		x, ok, err := m.Score(person, s)
		if !ok || err != nil {
			t.Fatalf("%s: %v, %v", person, ok, err)
		}
		return x
	}
	for range 10 {
		a, b := ada.Types(t, eight).PressOnly(), bob.Types(t, eight).PressOnly()
		if own, other := odds(m, "ada", a), odds(m, "ada", b); own < other+3 || other >= 0 {
			t.Errorf("ada has log-odds of %.2f, the other %.2f", own, other)
		}
		if own, other := odds(m, "bob", b), odds(m, "bob", a); own < other+3 || other >= 0 {
			t.Errorf("bob has log-odds of %.2f, the other %.2f", own, other)
		}
	}
	long := typed(string(make([]byte, 65)), make([]float64, 65), nil)
	for name, s := range map[string]keystroke.Sample{"eve": ada.Types(t, eight), "ada": long} {
		if x, ok, err := m.Score(name, s); x != 0 || ok || err != nil {
			t.Errorf("%s: %v, %v, %v", name, x, ok, err)
		}
	}
}

// The order in which the people come changes nothing.
func TestTrainOrder(t *testing.T) {
	people, ada, _ := two(t, 8, 0)
	probe := ada.Types(t, eight).PressOnly()
	odds := func(opts Options, people ...model.Person) float64 {
		m, err := Train(t.Context(), people, opts)
		if err != nil {
			t.Fatal(err)
		}
		x, _, err := m.Score("ada", probe)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	one := odds(Options{Epochs: 1}, people[0], people[1])
	if turned := odds(Options{Epochs: 1}, people[1], people[0]); turned != one {
		t.Errorf("log-odds of %v, and of %v the other way round", one, turned)
	}
	if other := odds(Options{Epochs: 1, Seed: 2}, people...); other == one {
		t.Error("another seed trains the same network")
	}
}

func TestTrainRefuses(t *testing.T) {
	people, _, _ := two(t, minSamples-1, 0)
	if m, err := Train(t.Context(), people, Options{}); !errors.Is(err, model.ErrTooFew) || m != nil {
		t.Errorf("%v, want ErrTooFew", err)
	}
	people, _, _ = two(t, minSamples, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if m, err := Train(ctx, people, Options{}); !errors.Is(err, context.Canceled) || m != nil {
		t.Errorf("cancelled: %v", err)
	}
}

func TestLogOdds(t *testing.T) {
	ln := func(x float64) float32 { return float32(math.Log(x)) }
	for _, c := range []struct {
		logits []float32
		k      int
		want   float64
	}{
		{[]float32{0, 0}, 0, 0},
		{[]float32{ln(1), ln(2), ln(5)}, 1, math.Log(2.0 / 6)},
		{[]float32{ln(1), ln(2), ln(5)}, 2, math.Log(5.0 / 3)},
		{[]float32{1e30, 0}, 0, maxOdds},
		{[]float32{1e30, 0}, 1, -maxOdds},
		{[]float32{5000, 4999, -5000}, 0, 1}, // exp would overflow
	} {
		if got := logOdds(c.logits, c.k); math.Abs(got-c.want) > 1e-5 {
			t.Errorf("class %d of %v: %v, want %v", c.k, c.logits, got, c.want)
		}
	}
}
