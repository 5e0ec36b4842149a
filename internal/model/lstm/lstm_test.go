package lstm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// reference is the layer written down once more, slowly, in float64: one
// sequence, one weight at a time, with the exact functions.
func reference(s Shape, in Sequence, embedding, weights []float64) []float64 {
	h := make([]float64, s.Hidden)
	c := make([]float64, s.Hidden)
	n := len(in.Keys)
	for i := range n {
		t := i
		if s.Reverse {
			t = n - 1 - i
		}
		var row []float64
		for f := range s.Features {
			row = append(row, float64(in.Features[t*s.Features+f]))
		}
		k := int(in.Keys[t])
		row = append(row, embedding[k*s.Embedding:(k+1)*s.Embedding]...)
		row = append(append(row, h...), 1)
		z := make([]float64, 4*s.Hidden)
		for j := range z {
			for l, x := range row {
				z[j] += x * weights[l*4*s.Hidden+j]
			}
		}
		for u := range s.Hidden {
			sig := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
			ig, fg, gg, og := sig(z[u]), sig(z[s.Hidden+u]), math.Tanh(z[2*s.Hidden+u]), sig(z[3*s.Hidden+u])
			c[u] = fg*c[u] + ig*gg
			h[u] = og * math.Tanh(c[u])
		}
	}
	return h
}

type problem struct {
	shape              Shape
	in                 []Sequence
	embedding, weights []float32
	dfinal             []float32
}

var lengths = []int{3, 7, 0, 1, 7, 5}

func newProblem(s Shape) problem {
	rng := rand.New(rand.NewPCG(7, 9))
	p := problem{shape: s, weights: make([]float32, s.Len()), embedding: make([]float32, s.Keys*s.Embedding)}
	s.Initialise(p.weights, rng)
	for i := range p.embedding {
		p.embedding[i] = float32(rng.NormFloat64())
	}
	for _, n := range lengths {
		q := Sequence{Keys: make([]uint16, n), Features: make([]float32, n*s.Features)}
		for i := range q.Keys {
			q.Keys[i] = uint16(rng.IntN(s.Keys))
		}
		for i := range q.Features {
			q.Features[i] = float32(rng.NormFloat64())
		}
		p.in = append(p.in, q)
	}
	p.dfinal = make([]float32, len(lengths)*s.Hidden)
	for i := range p.dfinal {
		p.dfinal[i] = float32(rng.NormFloat64())
	}
	return p
}

// other is a batch of other lengths, longer ones where p has short ones.
func (p problem) other() []Sequence {
	out := make([]Sequence, len(p.in))
	for i := range out {
		out[i] = p.in[1] // of 7 steps
	}
	return out
}

// loss is the number whose gradient by final is dfinal.
func (p problem) loss(embedding, weights []float64) float64 {
	sum := 0.0
	for i, q := range p.in {
		for u, x := range reference(p.shape, q, embedding, weights) {
			sum += x * float64(p.dfinal[i*p.shape.Hidden+u])
		}
	}
	return sum
}

func wide(x []float32) []float64 {
	w := make([]float64, len(x))
	for i := range x {
		w[i] = float64(x[i])
	}
	return w
}

// Odd sizes reach every remainder of the blocked product.
var shapes = []Shape{
	{Features: 5, Keys: 6, Embedding: 3, Hidden: 5},
	{Features: 5, Keys: 6, Embedding: 3, Hidden: 5, Reverse: true},
	{Features: 0, Keys: 4, Embedding: 4, Hidden: 4},
	{Features: 0, Keys: 4, Embedding: 4, Hidden: 4, Reverse: true},
	{Features: 1, Keys: 1, Embedding: 1, Hidden: 1},
}

func (s Shape) name() string {
	return fmt.Sprintf("F=%d,E=%d,H=%d,reverse=%t", s.Features, s.Embedding, s.Hidden, s.Reverse)
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*(1+math.Abs(want))) {
		t.Errorf("%s = %.9g, want %.9g", what, got, want)
	}
}

func TestForward(t *testing.T) {
	for _, s := range shapes {
		t.Run(s.name(), func(t *testing.T) {
			p := newProblem(s)
			b := NewBatch(len(p.in), 7, s.Features)
			l := NewLayer(s, len(p.in), 7)
			final := make([]float32, len(p.in)*s.Hidden)
			for _, in := range [][]Sequence{p.other(), p.in} { // the second meets used memory
				b.Pack(in)
				l.Forward(final, b, p.embedding, p.weights)
			}
			table := make([]float32, s.TableLen())
			s.Table(table, p.embedding, p.weights)
			state, scratch := make([]float32, s.Hidden), make([]float32, s.ScratchLen())
			for i, q := range p.in {
				s.Run(state, q, table, p.weights, scratch)
				for u, want := range reference(s, q, wide(p.embedding), wide(p.weights)) {
					near(t, fmt.Sprintf("final[%d][%d]", i, u), float64(final[i*s.Hidden+u]), want, 1e-6)
					near(t, fmt.Sprintf("Run of %d, [%d]", i, u), float64(state[u]), want, 1e-6)
				}
			}
		})
	}
}

// TestBackward holds every gradient against central differences of the
// reference.
func TestBackward(t *testing.T) {
	for _, s := range shapes {
		t.Run(s.name(), func(t *testing.T) {
			p := newProblem(s)
			b := NewBatch(len(p.in), 7, s.Features)
			l := NewLayer(s, len(p.in), 7)
			final := make([]float32, len(p.in)*s.Hidden)
			dw, de := make([]float32, s.Len()), make([]float32, len(p.embedding))
			for _, in := range [][]Sequence{p.other(), p.in} {
				b.Pack(in)
				l.Forward(final, b, p.embedding, p.weights)
				l.Backward(dw, b, p.embedding, p.weights, p.dfinal)
				l.EmbeddingGradient(de, p.weights)
			}
			e, w := wide(p.embedding), wide(p.weights)
			check := func(what string, x []float64, got []float32) {
				for i := range x {
					const h = 1e-5
					old := x[i]
					x[i] = old + h
					up := p.loss(e, w)
					x[i] = old - h
					want := (up - p.loss(e, w)) / (2 * h)
					x[i] = old
					near(t, fmt.Sprintf("%s[%d]", what, i), float64(got[i]), want, 2e-6)
				}
			}
			check("dweights", w, dw)
			check("dembedding", e, de)
		})
	}
}

func TestEmptyBatch(t *testing.T) {
	s := shapes[0]
	p := newProblem(s)
	b := NewBatch(2, 7, s.Features)
	l := NewLayer(s, 2, 7)
	final := []float32{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
	dw := make([]float32, s.Len())
	for _, in := range [][]Sequence{nil, {{}, {}}} {
		b.Pack(in)
		l.Forward(final, b, p.embedding, p.weights)
		dw[0] = 1
		l.Backward(dw, b, p.embedding, p.weights, make([]float32, len(final)))
		if final[0] != 0 || dw[0] != 0 {
			t.Errorf("%d empty sequences: final %v, gradient %v, want zeros", len(in), final[0], dw[0])
		}
	}
}

func TestInitialise(t *testing.T) {
	s := shapes[0]
	w := make([]float32, s.Len())
	for i := range w {
		w[i] = 9
	}
	s.Initialise(w, rand.New(rand.NewPCG(1, 2)))
	p := s.split(w)
	for i, b := range p.bias {
		want := float32(0)
		if i/s.Hidden == 1 {
			want = 1
		}
		if b != want {
			t.Errorf("bias[%d] = %v, want %v", i, b, want)
		}
	}
	for i, x := range w[:len(w)-len(p.bias)] {
		if x == 0 || x > 1 || x < -1 {
			t.Errorf("weight %d = %v", i, x)
		}
	}
}

func TestActivations(t *testing.T) {
	for x := -40.0; x <= 40; x += 1.0 / 64 {
		near(t, fmt.Sprintf("sigmoid(%v)", x), float64(sigmoid(float32(x))), 1/(1+math.Exp(-x)), 2e-7)
		near(t, fmt.Sprintf("tanh(%v)", x), float64(tanh(float32(x))), math.Tanh(x), 2e-7)
	}
	inf := float32(math.Inf(1))
	if tanh(inf) != 1 || tanh(-inf) != -1 || sigmoid(inf) != 1 || sigmoid(-inf) > 1e-12 {
		t.Errorf("at infinity: %v %v %v %v", tanh(inf), tanh(-inf), sigmoid(inf), sigmoid(-inf))
	}
}

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
	b.ReportAllocs()
	for b.Loop() {
		batch.Pack(in)
		l.Forward(final, batch, e, w)
		l.Backward(dw, batch, e, w, dfinal)
		l.EmbeddingGradient(de, w)
	}
}
