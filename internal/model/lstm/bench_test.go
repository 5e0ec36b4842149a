package lstm

import (
	"math/rand/v2"
	"testing"
)

// eachKernel measures f with every kernel that there is.
func eachKernel(b *testing.B, f func()) {
	best := active
	defer func() { active = best }()
	for _, active = range []kernels{portable, best} {
		b.Run(active.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
		if active.name == best.name {
			return
		}
	}
}

// BenchmarkRun is what one verification of 32 keys asks of this package: the
// three layers of the network at its usual sizes, one after the other.
func BenchmarkRun(b *testing.B) {
	forward := Shape{Features: 6, Keys: 64, Embedding: 32, Hidden: 32}
	backward, key := forward, forward
	backward.Reverse, key.Features = true, 0
	rng := rand.New(rand.NewPCG(1, 1))
	in := Sequence{Features: make([]float32, 32*forward.Features), Keys: make([]uint16, 32)}
	for i := range in.Features {
		in.Features[i] = float32(rng.NormFloat64())
	}
	for i := range in.Keys {
		in.Keys[i] = uint16(rng.IntN(forward.Keys))
	}
	w, table := make([]float32, forward.Len()), make([]float32, forward.TableLen())
	forward.Initialise(w, rng)
	state, scratch := make([]float32, forward.Hidden), make([]float32, forward.ScratchLen())
	eachKernel(b, func() {
		for _, s := range []Shape{forward, backward, key} {
			s.Run(state, in, table, w[:s.Len()], scratch)
		}
	})
}

// BenchmarkForwardBackward is one layer's share of a training step: 32 typings
// of 16 to 32 keys.
func BenchmarkForwardBackward(b *testing.B) {
	s := Shape{Features: 6, Keys: 64, Embedding: 32, Hidden: 32}
	rng := rand.New(rand.NewPCG(1, 1))
	in := make([]Sequence, 32)
	for i := range in {
		n := 16 + rng.IntN(17)
		in[i] = Sequence{Features: make([]float32, n*s.Features), Keys: make([]uint16, n)}
		for j := range in[i].Keys {
			in[i].Keys[j] = uint16(rng.IntN(s.Keys))
		}
	}
	w, e := make([]float32, s.Len()), make([]float32, s.Keys*s.Embedding)
	s.Initialise(w, rng)
	final, dfinal := make([]float32, 32*s.Hidden), make([]float32, 32*s.Hidden)
	dw, de := make([]float32, len(w)), make([]float32, len(e))
	batch, l := NewBatch(32, 64, s.Features), NewLayer(s, 32, 64)
	eachKernel(b, func() {
		batch.Pack(in)
		l.Forward(final, batch, e, w)
		l.Backward(dw, batch, e, w, dfinal)
		l.EmbeddingGradient(de, w)
	})
}
