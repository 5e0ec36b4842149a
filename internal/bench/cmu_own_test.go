package bench

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"ksd/internal/corpus"
	"ksd/internal/keystroke"
)

// TestCMUTyping lays each column where it belongs.
func TestCMUTyping(t *testing.T) {
	var r corpus.Repetition
	for i := range r.Features {
		r.Features[i] = float64(i+1) / 1000 // column i is i+1 ms
	}
	s := cmuTyping(r)
	if err := s.Validate(); err != nil || s.Phrase != ".tie5Roanl\n" || len(s.Events) != 11 {
		t.Fatalf("%+v, %v", s, err)
	}
	l := s.Line()
	for i, st := range l.Strokes {
		// H.x is column 3i, DD.x.y the one after; strokes are 3 columns apart.
		if d, ok := st.Dwell(); !ok || d != time.Duration(3*i+1)*time.Millisecond {
			t.Errorf("%s: dwell %v, want %d ms (%s)", st.Key, d, 3*i+1, corpus.CMUColumns[3*i])
		}
		if i == 0 {
			continue
		}
		if dd, ok := l.DownDown(i); !ok || dd != time.Duration(3*i-1)*time.Millisecond {
			t.Errorf("%s: down-down %v, want %d ms (%s)", st.Key, dd, 3*i-1, corpus.CMUColumns[3*i-2])
		}
	}
	if s.Events[5].Key != 'r' || s.Events[5].Rune != 'R' || s.Events[10].Key != keystroke.Enter {
		t.Errorf("%+v", s.Events)
	}
}

func TestCMUOwn(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	a, b := repetitions(rng, "s1", 0.1, 206), repetitions(rng, "s2", 0.2, 203)
	a[0] = repetitions(rng, "s1", 0.4, 1)[0] // one of 200 says little
	got, err := CMUOwn(t.Context(), slices.Concat(a, b))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range got {
		names = append(names, r.Detector)
		if r.EER != 0 || r.EERSD != 0 || r.People != 2 || r.PublishedEER != 0 {
			t.Errorf("two that have nothing in common: %+v", r)
		}
	}
	for _, want := range []string{"ksd detector, all times", "ksd fusion, all times", "ksd detector, down-down", "ksd fusion, down-down"} {
		if !slices.Contains(names, want) {
			t.Errorf("no %q among %q", want, names)
		}
	}
	if slices.Contains(names, "ksd head, all times") {
		t.Error("a head that nobody trained was measured")
	}
	for name, reps := range map[string][]corpus.Repetition{"nobody": nil, "no impostors": a, "one typed too little": slices.Concat(a, b[:200])} {
		if got, err := CMUOwn(t.Context(), reps); !errors.Is(err, ErrProtocol) || got != nil {
			t.Errorf("%s: %v, want ErrProtocol", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := CMUOwn(ctx, slices.Concat(a, b)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
