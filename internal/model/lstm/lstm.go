// Package lstm computes long short-term memory layers (Hochreiter and
// Schmidhuber 1997, with the forget gate of Gers et al. 2000) in float32: the
// pass forward and the gradients backward over a batch of ragged sequences, and
// the pass forward of one sequence for serving. It knows nothing of what the
// numbers mean.
//
// A step reads F features x and one key k, an index into an embedding table E
// shared by all layers, and goes from the state (h, c) to the next:
//
//	z = x·Wx + E[k]·We + h·U + b       four blocks of H: i, f, g, o
//	c = σ(f)⊙c + σ(i)⊙tanh(g)
//	h = σ(o)⊙tanh(c)
//
// A layer begins with h = c = 0 and its output is the last h, or the mean of h
// over all steps. A layer in reverse begins at a sequence's last step and ends
// at its first; the steps that a shorter sequence does not have are never
// computed.
//
// # Weights
//
// The weights of a layer are one row-major matrix of F+E+H+1 rows by 4H
// columns: Wx, We, U and b, one above the other. A column is a gate's unit, the
// gates in the order i, f, g, o.
//
// # Speed
//
// E·We + b is one product over the vocabulary, not over every step (Table);
// sequences are packed by step, longest first, so that a step is one block of
// rows (Batch); and one blocked routine does every matrix product.
//
// The routines that do the arithmetic are in portable Go. Built with
// GOEXPERIMENT=simd for amd64 there is a second set in vector instructions,
// which is used where the CPU has AVX2 and FMA (Kernel). It is quick where H is
// a multiple of 8 and E of 16; other sizes are left to the portable routines.
package lstm

import (
	"math"
	"math/rand/v2"
)

// Shape is the sizes of a layer and the direction it reads in.
type Shape struct {
	Features  int  // F, numbers per step; may be 0
	Keys      int  // V, rows of the embedding table
	Embedding int  // E, columns of the embedding table
	Hidden    int  // H
	Reverse   bool // reads from the last step to the first
	Mean      bool // puts out the mean of h over all steps, not the last h
}

// Sequence is one input: a key, and a row of features, per step.
type Sequence struct {
	Features []float32 // row-major, one row of F per key
	Keys     []uint16  // each below V
}

// Len is the number of weights of the layer, (F+E+H+1)·4H.
func (s Shape) Len() int { return (s.Features + s.Embedding + s.Hidden + 1) * s.gates() }

// gates is the width of a row of the weights, 4H.
func (s Shape) gates() int { return 4 * s.Hidden }

// parts are the four blocks of a layer's weights, or of their gradient.
type parts struct{ features, embedding, recurrent, bias []float32 }

func (s Shape) split(w []float32) parts {
	g := s.gates()
	a := s.Features * g
	b := a + s.Embedding*g
	c := b + s.Hidden*g
	return parts{w[:a], w[a:b], w[b:c], w[c : c+g]}
}

// Initialise draws weights: each matrix uniform within ±sqrt(6/(rows+columns))
// (Glorot and Bengio 2010, a gate being H columns), the biases 0 but for the
// forget gate's, which are 1 (Jozefowicz et al. 2015).
func (s Shape) Initialise(w []float32, rng *rand.Rand) {
	p := s.split(w)
	inputs := s.Features + s.Embedding
	uniform(p.features, inputs, s.Hidden, rng)
	uniform(p.embedding, inputs, s.Hidden, rng)
	uniform(p.recurrent, s.Hidden, s.Hidden, rng)
	clear(p.bias)
	for i := s.Hidden; i < 2*s.Hidden; i++ {
		p.bias[i] = 1
	}
}

func uniform(w []float32, rows, columns int, rng *rand.Rand) {
	limit := float32(math.Sqrt(6 / float64(rows+columns)))
	for i := range w {
		w[i] = limit * (2*rng.Float32() - 1)
	}
}

// Table writes E·We + b to dst (V × 4H): what each key adds to the gates.
// embedding is V × E.
func (s Shape) Table(dst, embedding, weights []float32) {
	p := s.split(weights)
	for k := range s.Keys {
		copy(dst[k*s.gates():(k+1)*s.gates()], p.bias)
	}
	addProduct(dst, embedding, p.embedding, s.Keys, s.Embedding, s.gates())
}

// TableLen is the number of floats in a table, V·4H.
func (s Shape) TableLen() int { return s.Keys * s.gates() }

// ScratchLen is the number of floats that Run works in.
func (s Shape) ScratchLen() int { return s.gates() + 3*s.Hidden }

// Run takes one sequence through the layer and leaves its output in state (H
// floats). table is what Table wrote; scratch is ScratchLen floats. It
// allocates nothing and panics where the sequence does not fit the shape.
func (s Shape) Run(state []float32, in Sequence, table, weights, scratch []float32) {
	p, g, h := s.split(weights), s.gates(), s.Hidden
	gates, cell, squashed, sum := scratch[:g], scratch[g:g+h], scratch[g+h:g+2*h], scratch[g+2*h:g+3*h]
	clear(state)
	clear(cell)
	clear(sum)
	n := len(in.Keys)
	for i := range n {
		t := i
		if s.Reverse {
			t = n - 1 - i
		}
		k := int(in.Keys[t])
		copy(gates, table[k*g:(k+1)*g])
		addProduct(gates, in.Features[t*s.Features:(t+1)*s.Features], p.features, 1, s.Features, g)
		if i > 0 { // at the first step the state is 0
			addProduct(gates, state, p.recurrent, 1, h, g)
		}
		step(gates, cell, cell, squashed, state)
		if s.Mean {
			addRow(sum, state)
		}
	}
	if s.Mean && n > 0 {
		scale(state, sum, 1/float32(n))
	}
}

// scale writes p·x to dst.
func scale(dst, x []float32, p float32) {
	for i, v := range x {
		dst[i] = p * v
	}
}
