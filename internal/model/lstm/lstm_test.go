package lstm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// reference is the layer written down once more, slowly, in float64: one
// sequence, one weight at a time, with the exact functions.
func reference(s Shape, in Sequence, embedding, weights []float64) []float64 {
	h := make([]float64, s.Hidden)
	c := make([]float64, s.Hidden)
	mean := make([]float64, s.Hidden)
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
			mean[u] += h[u] / float64(n)
		}
	}
	if s.Mean {
		return mean
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

// Odd sizes reach every remainder of the blocked product, and the last two the
// vectors of the simd build.
var shapes = []Shape{
	{Features: 5, Keys: 6, Embedding: 3, Hidden: 5},
	{Features: 5, Keys: 6, Embedding: 3, Hidden: 5, Reverse: true},
	{Features: 0, Keys: 4, Embedding: 4, Hidden: 4},
	{Features: 0, Keys: 4, Embedding: 4, Hidden: 4, Reverse: true},
	{Features: 1, Keys: 1, Embedding: 1, Hidden: 1},
	{Features: 5, Keys: 6, Embedding: 3, Hidden: 5, Mean: true},
	{Features: 5, Keys: 6, Embedding: 3, Hidden: 5, Mean: true, Reverse: true},
	{Features: 5, Keys: 6, Embedding: 16, Hidden: 8},
	{Features: 6, Keys: 6, Embedding: 16, Hidden: 8, Mean: true, Reverse: true},
}

func (s Shape) name() string {
	return fmt.Sprintf("F=%d,E=%d,H=%d,reverse=%t,mean=%t", s.Features, s.Embedding, s.Hidden, s.Reverse, s.Mean)
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

// TestActivations sees the curves through step: the first gate is a sigmoid, the
// third tanh.
func TestActivations(t *testing.T) {
	const h = 8
	curves := func(x float64) (float64, float64) {
		gates, rest := make([]float32, 4*h), make([]float32, 3*h)
		for i := range gates {
			gates[i] = float32(x)
		}
		step(gates, rest[:h], rest[:h], rest[h:2*h], rest[2*h:])
		return float64(gates[0]), float64(gates[2*h])
	}
	check := func(x float64) {
		s, h := curves(x)
		near(t, fmt.Sprintf("sigmoid(%v)", x), s, 1/(1+math.Exp(-x)), 2e-7)
		near(t, fmt.Sprintf("tanh(%v)", x), h, math.Tanh(x), 2e-7)
	}
	for x := -40.0; x <= 40; x += 1.0 / 64 {
		check(x)
	}
	for x := 40.0; x < 1e38; x *= 1.03 {
		check(x)
		check(-x)
	}
	if s, h := curves(math.Inf(1)); s != 1 || h != 1 {
		t.Errorf("at infinity: sigmoid %v, tanh %v", s, h)
	}
	if s, h := curves(math.Inf(-1)); !(s >= 0 && s < 1e-12) || h != -1 {
		t.Errorf("at minus infinity: sigmoid %v, tanh %v", s, h)
	}
	if s, h := curves(math.NaN()); s == s || h == h {
		t.Errorf("of NaN: sigmoid %v, tanh %v", s, h)
	}
}

// TestSquash holds the portable curves to the bound that squash promises, in
// steps that come upon every piece in many places and on the borders between.
func TestSquash(t *testing.T) {
	for _, test := range []struct {
		name  string
		curve *curve
		exact func(x float64) float64
	}{
		{"sigmoid", sigmoid, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }},
		{"tanh", tanh, math.Tanh},
	} {
		t.Run(test.name, func(t *testing.T) {
			worst, at := 0.0, float32(0)
			for i := -24 << 13; i <= 24<<13; i++ {
				border := float32(i) / (1 << 13)
				x := []float32{border, math.Nextafter32(border, 100), math.Nextafter32(border, -100)}
				y := make([]float32, len(x))
				squash(y, x, test.curve)
				for k := range x {
					if e := math.Abs(float64(y[k]) - test.exact(float64(x[k]))); !(e <= worst) {
						worst, at = e, x[k]
					}
					if !(y[k] >= test.curve.least && y[k] <= 1) {
						t.Fatalf("at %v it is %v", x[k], y[k])
					}
				}
			}
			if !(worst < 8e-8) {
				t.Errorf("at %v the error is %v", at, worst)
			}
		})
	}
}

// TestProduct takes every remainder of rows and depth, of a matrix and of one on
// its side.
func TestProduct(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	const n = 3
	for m := range 5 {
		for k := range 16 {
			for _, side := range []struct{ row, column int }{{k, 1}, {1, m}} {
				a, b, c := make([]float32, m*k), make([]float32, k*n), make([]float32, m*n)
				for _, v := range [][]float32{a, b, c} {
					for i := range v {
						v[i] = float32(rng.NormFloat64())
					}
				}
				got := slices.Clone(c)
				productPortable(got, a, b, m, k, n, side.row, side.column)
				for i := range c {
					want := float64(c[i])
					for l := range k {
						want += float64(a[i/n*side.row+l*side.column]) * float64(b[l*n+i%n])
					}
					near(t, fmt.Sprintf("%d×%d by %d, strides %v, [%d]", m, k, n, side, i), float64(got[i]), want, 2e-6)
				}
			}
		}
	}
}

func TestAffine(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for _, rows := range []int{0, 1, 6, 7, 144} {
		for _, columns := range []int{0, 1, 20, 32, 96} {
			x, w := make([]float32, rows), make([]float32, (rows+1)*columns)
			for _, v := range [][]float32{x, w} {
				for i := range v {
					v[i] = float32(rng.NormFloat64())
				}
			}
			got := make([]float32, columns)
			for range 2 { // what was there does not count
				Affine(got, x, w)
			}
			for j, y := range got {
				want, rounded := float64(w[rows*columns+j]), w[rows*columns+j]
				for i := range x {
					want += float64(x[i]) * float64(w[i*columns+j])
					rounded += float32(x[i] * w[i*columns+j])
				}
				near(t, fmt.Sprintf("%d by %d, [%d]", rows, columns, j), float64(y), want, 1e-5)
				if y != rounded {
					t.Errorf("%d by %d, [%d] = %v, with rows added one after the other %v", rows, columns, j, y, rounded)
				}
			}
		}
	}
}

func TestRunAllocatesNothing(t *testing.T) {
	for _, s := range shapes {
		p := newProblem(s)
		table := make([]float32, s.TableLen())
		s.Table(table, p.embedding, p.weights)
		state, scratch := make([]float32, s.Hidden), make([]float32, s.ScratchLen())
		if n := testing.AllocsPerRun(10, func() { s.Run(state, p.in[1], table, p.weights, scratch) }); n != 0 {
			t.Errorf("%s: %v allocations", s.name(), n)
		}
	}
}
