package network

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

func random(s Spec, n int, rng *rand.Rand) Sequence {
	in := Sequence{Features: make([]float32, n*s.Features), Keys: make([]uint16, n)}
	for i := range in.Keys {
		in.Keys[i] = uint16(rng.IntN(s.Keys))
	}
	for i := range in.Features {
		in.Features[i] = float32(rng.NormFloat64())
	}
	return in
}

func newNetwork(t testing.TB, s Spec) *Network {
	t.Helper()
	n, err := New(s, s.Initialise(1))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSpecRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Spec){
		"zero value":        func(s *Spec) { *s = Spec{} },
		"no features":       func(s *Spec) { s.Features = 0 },
		"negative features": func(s *Spec) { s.Features = -1 },
		"too many features": func(s *Spec) { s.Features = MaxWidth + 1 },
		"no keys":           func(s *Spec) { s.Keys = 0 },
		"too many keys":     func(s *Spec) { s.Keys = MaxKeys + 1 },
		"no embedding":      func(s *Spec) { s.Embedding = 0 },
		"hidden too wide":   func(s *Spec) { s.Hidden = MaxWidth + 1 },
		"no dense":          func(s *Spec) { s.Dense = 0 },
		"one class":         func(s *Spec) { s.Classes = 1 },
		"too many classes":  func(s *Spec) { s.Classes = MaxClasses + 1 },
		"dropout of all":    func(s *Spec) { s.Dropout = 1 },
		"negative dropout":  func(s *Spec) { s.Dropout = -0.1 },
		"dropout of NaN":    func(s *Spec) { s.Dropout = float32(math.NaN()) },
	} {
		s := NewSpec(6, 64, 20)
		spoil(&s)
		if err := s.Check(); !errors.Is(err, ErrSpec) {
			t.Errorf("%s: Check: %v, want %v", name, err, ErrSpec)
		}
		if _, err := New(s, nil); !errors.Is(err, ErrSpec) {
			t.Errorf("%s: New: %v, want %v", name, err, ErrSpec)
		}
	}
	if err := NewSpec(6, 64, 20).Check(); err != nil {
		t.Errorf("the usual sizes: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	s := NewSpec(6, 64, 20)
	for name, spoil := range map[string]func([]float32) []float32{
		"none":        func([]float32) []float32 { return nil },
		"one too few": func(w []float32) []float32 { return w[1:] },
		"one more":    func(w []float32) []float32 { return append(w, 0) },
		"NaN":         func(w []float32) []float32 { w[9] = float32(math.NaN()); return w },
		"Inf at last": func(w []float32) []float32 { w[len(w)-1] = float32(math.Inf(-1)); return w },
	} {
		if _, err := New(s, spoil(s.Initialise(1))); !errors.Is(err, ErrWeights) {
			t.Errorf("%s: %v, want %v", name, err, ErrWeights)
		}
	}
}

func TestLogitsRefuses(t *testing.T) {
	s := NewSpec(2, 8, 3)
	n := newNetwork(t, s)
	scratch := NewScratch(s)
	for name, spoil := range map[string]func(*Sequence){
		"zero value":      func(in *Sequence) { *in = Sequence{} },
		"65 keys":         func(in *Sequence) { *in = random(s, MaxLen+1, rand.New(rand.NewPCG(1, 1))) },
		"feature missing": func(in *Sequence) { in.Features = in.Features[1:] },
		"feature more":    func(in *Sequence) { in.Features = append(in.Features, 0) },
		"unknown key":     func(in *Sequence) { in.Keys[3] = 8 },
		"NaN":             func(in *Sequence) { in.Features[5] = float32(math.NaN()) },
		"Inf":             func(in *Sequence) { in.Features[5] = float32(math.Inf(1)) },
	} {
		in := random(s, 4, rand.New(rand.NewPCG(1, 1)))
		spoil(&in)
		if err := n.Logits(make([]float32, 3), in, scratch); !errors.Is(err, ErrInput) {
			t.Errorf("%s: %v, want %v", name, err, ErrInput)
		}
	}
	in := random(s, 4, rand.New(rand.NewPCG(1, 1)))
	if err := n.Logits(make([]float32, 2), in, scratch); !errors.Is(err, ErrInput) {
		t.Errorf("room for 2 of 3: %v, want %v", err, ErrInput)
	}
}

func TestLogitsOverflow(t *testing.T) {
	s := NewSpec(2, 8, 3)
	w := s.Initialise(1)
	for i := range w {
		w[i] *= 1e37
	}
	n, err := New(s, w)
	if err != nil {
		t.Fatal(err)
	}
	in := random(s, 4, rand.New(rand.NewPCG(1, 1)))
	if err := n.Logits(make([]float32, 3), in, NewScratch(s)); !errors.Is(err, ErrOverflow) {
		t.Errorf("%v, want %v", err, ErrOverflow)
	}
}

// TestSplit writes each block's number into it and reads the vector: all of it,
// in order, nothing twice.
func TestSplit(t *testing.T) {
	s := Spec{Features: 3, Keys: 7, Embedding: 5, Hidden: 6, Dense: 4, Classes: 9}
	w := make([]float32, s.Len())
	b := s.Split(w)
	var want []float32
	for i, c := range []struct {
		block []float32
		n     int
	}{
		{b.Embedding, 7 * 5},
		{b.Forward, (3 + 5 + 6 + 1) * 24},
		{b.Backward, (3 + 5 + 6 + 1) * 24},
		{b.Key, (5 + 6 + 1) * 24},
		{b.Dense, 18*4 + 4},
		{b.Output, 4*9 + 9},
	} {
		for j := range c.block {
			c.block[j] = float32(i)
		}
		want = append(want, slices.Repeat([]float32{float32(i)}, c.n)...)
	}
	if !slices.Equal(w, want) {
		t.Errorf("blocks %v", w)
	}
}

func TestInitialise(t *testing.T) {
	s := NewSpec(6, 64, 20)
	w := s.Initialise(1)
	if err := s.CheckWeights(w); err != nil {
		t.Error(err)
	}
	if !slices.Equal(w, s.Initialise(1)) {
		t.Error("the same seed gives other weights")
	}
	if slices.Equal(w, s.Initialise(2)) {
		t.Error("another seed gives the same weights")
	}
	b := s.Split(w)
	for name, x := range map[string][]float32{"forward": b.Forward, "backward": b.Backward, "key": b.Key} {
		if bias := x[len(x)-4*s.Hidden:]; bias[0] != 0 || bias[s.Hidden] != 1 || bias[2*s.Hidden] != 0 {
			t.Errorf("%s: biases %v %v %v, want 0 1 0", name, bias[0], bias[s.Hidden], bias[2*s.Hidden])
		}
	}
	if b.Dense[len(b.Dense)-1] != 0 || b.Output[len(b.Output)-1] != 0 {
		t.Error("a dense bias is not 0")
	}
}

// TestNewCopies changes the weights after New.
func TestNewCopies(t *testing.T) {
	s := NewSpec(2, 8, 3)
	w := s.Initialise(1)
	n, err := New(s, w)
	if err != nil {
		t.Fatal(err)
	}
	in, scratch := random(s, 9, rand.New(rand.NewPCG(1, 1))), NewScratch(s)
	before, after := make([]float32, 3), make([]float32, 3)
	if err := n.Logits(before, in, scratch); err != nil {
		t.Fatal(err)
	}
	clear(w)
	if err := n.Logits(after, in, scratch); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before, after) {
		t.Errorf("logits %v became %v", before, after)
	}
}

// TestBranches changes one thing at a time in a network with a single branch
// left: the timing must not reach the key branch.
func TestBranches(t *testing.T) {
	s := NewSpec(2, 8, 3)
	in := random(s, 6, rand.New(rand.NewPCG(1, 1)))
	otherTiming := Sequence{Features: random(s, 6, rand.New(rand.NewPCG(2, 2))).Features, Keys: in.Keys}
	otherText := Sequence{Features: in.Features, Keys: []uint16{7, 6, 5, 4, 3, 2}}
	for _, c := range []struct {
		name         string
		from, to     int // units kept, of 3H
		timing, text bool
	}{
		{"forward", 0, s.Hidden, true, true},
		{"backward", s.Hidden, 2 * s.Hidden, true, true},
		{"key", 2 * s.Hidden, 3 * s.Hidden, false, true},
	} {
		w := s.Initialise(1)
		b := s.Split(w)
		clear(b.Dense[:c.from*s.Dense])
		clear(b.Dense[c.to*s.Dense : 3*s.Hidden*s.Dense])
		n, err := New(s, w)
		if err != nil {
			t.Fatal(err)
		}
		logits := func(in Sequence) []float32 {
			out := make([]float32, 3)
			if err := n.Logits(out, in, NewScratch(s)); err != nil {
				t.Fatal(err)
			}
			return out
		}
		base := logits(in)
		if got := !slices.Equal(base, logits(otherTiming)); got != c.timing {
			t.Errorf("%s: timing matters: %t, want %t", c.name, got, c.timing)
		}
		if got := !slices.Equal(base, logits(otherText)); got != c.text {
			t.Errorf("%s: text matters: %t, want %t", c.name, got, c.text)
		}
	}
}

func TestLogitsAllocatesNothing(t *testing.T) {
	s := NewSpec(6, 64, 20)
	n, scratch, dst := newNetwork(t, s), NewScratch(s), make([]float32, 20)
	in := random(s, 24, rand.New(rand.NewPCG(1, 1)))
	if got := testing.AllocsPerRun(20, func() {
		if err := n.Logits(dst, in, scratch); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
}

// TestConcurrentUse is for the race detector, and compares the results.
func TestConcurrentUse(t *testing.T) {
	s := NewSpec(6, 64, 20)
	n := newNetwork(t, s)
	in := random(s, MaxLen, rand.New(rand.NewPCG(1, 1)))
	var out [4][]float32
	var wg sync.WaitGroup
	for i := range out {
		out[i] = make([]float32, s.Classes)
		wg.Go(func() {
			scratch := NewScratch(s)
			for range 20 {
				if err := n.Logits(out[i], in, scratch); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i := range out {
		if !slices.Equal(out[i], out[0]) {
			t.Errorf("caller %d got other logits", i)
		}
	}
}

func TestLogProbability(t *testing.T) {
	for _, c := range []struct {
		logits []float32
		class  int
		want   float64
	}{
		{[]float32{0, 0, 0, 0}, 2, -math.Log(4)},
		{[]float32{1, 2}, 0, -math.Log(1 + math.E)},
		{[]float32{1000, 0}, 0, 0},
		{[]float32{1000, 0}, 1, -1000},
		{[]float32{-1000, -1000}, 1, -math.Log(2)},
	} {
		if got := LogProbability(c.logits, c.class); !(math.Abs(got-c.want) < 1e-9) {
			t.Errorf("LogProbability(%v, %d) = %v, want %v", c.logits, c.class, got, c.want)
		}
	}
}

func BenchmarkLogits(b *testing.B) {
	s := NewSpec(6, 64, 20)
	n, scratch, dst := newNetwork(b, s), NewScratch(s), make([]float32, 20)
	in := random(s, 24, rand.New(rand.NewPCG(1, 1)))
	took := make([]time.Duration, 0, 1<<16)
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		if err := n.Logits(dst, in, scratch); err != nil {
			b.Fatal(err)
		}
		if len(took) < cap(took) {
			took = append(took, time.Since(start))
		}
	}
	slices.Sort(took)
	us := func(share float64) float64 {
		return float64(took[int(share*float64(len(took)-1))]) / float64(time.Microsecond)
	}
	b.ReportMetric(us(0.5), "p50-us")
	b.ReportMetric(us(0.99), "p99-us")
}
