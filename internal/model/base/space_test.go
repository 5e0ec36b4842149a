package base

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// gaussian is ln N(x; 0, covariance) but for the constant, by Gauss elimination.
func gaussian(x []float64, covariance [][]float64) float64 {
	n := len(x)
	a := make([][]float64, n)
	for i := range a {
		a[i] = append(append([]float64(nil), covariance[i]...), x[i])
	}
	logDet, square := 0.0, 0.0
	for i := range n {
		logDet += math.Log(a[i][i])
		square += a[i][n] * a[i][n] / a[i][i]
		for r := i + 1; r < n; r++ {
			f := a[r][i] / a[i][i]
			for c := i; c <= n; c++ {
				a[r][c] -= f * a[i][c]
			}
		}
	}
	return -(logDet + square) / 2
}

// TestLLR compares the closed form with the joint densities of all typings: those
// of the owner and x by one person, against x by another.
func TestLLR(t *testing.T) {
	s := &Space{backEnd: backEnd{mean: make([]float32, 3), between: []float32{4, 0.5, 0}}}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 5, 10} {
		x := make([]float32, 3)
		mean := make([]float64, 3)
		want := 0.0
		for d, b := range s.between {
			owner := make([]float64, n+1) // and x, at last
			for i := range owner {
				owner[i] = 3 * rng.NormFloat64()
				if i < n {
					mean[d] += owner[i] / float64(n)
				}
			}
			x[d] = float32(owner[n])
			owner[n] = float64(x[d])
			together := func(size int) [][]float64 {
				c := make([][]float64, size)
				for i := range c {
					c[i] = make([]float64, size)
					for j := range c[i] {
						c[i][j] = float64(b)
					}
					c[i][i]++
				}
				return c
			}
			want += gaussian(owner, together(n+1)) - gaussian(owner[:n], together(n)) - gaussian(owner[n:], together(1))
		}
		if got := s.LLR(mean, n, x); math.Abs(got-want) > 1e-9 {
			t.Errorf("%d typings: %v, want %v", n, got, want)
		}
	}
}

// people draws typings from a two-covariance model that is known.
func modelled(people, typings int) [][][]float32 {
	rng := rand.New(rand.NewPCG(4, 5))
	out := make([][][]float32, people)
	for p := range out {
		a, b := 3*rng.NormFloat64(), 0.5*rng.NormFloat64()
		for range typings {
			u, v := 2*rng.NormFloat64(), rng.NormFloat64()
			out[p] = append(out[p], []float32{float32(7 + a + u), float32(-2 + a/2 + b + v + u/4)})
		}
	}
	return out
}

// TestBackEnd finds the model that typings were drawn from: in the space the
// variance within people is 1 and no two directions hang together.
func TestBackEnd(t *testing.T) {
	rows := modelled(4000, 5)
	b, err := newBackEnd(rows, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.check(2); err != nil {
		t.Error(err)
	}
	if math.Abs(float64(b.mean[0])-7) > 0.2 || math.Abs(float64(b.mean[1])+2) > 0.2 {
		t.Errorf("mean %v", b.mean)
	}
	for _, typings := range rows {
		for i, x := range typings {
			typings[i] = make([]float32, 2)
			b.project(typings[i], x)
		}
	}
	_, within, between, err := covariances(rows, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		for j := range 2 {
			one := map[bool]float64{true: 1}[i == j]
			if math.Abs(within.At(i, j)-one) > 1e-3 {
				t.Errorf("within[%d][%d] = %v", i, j, within.At(i, j))
			}
			if want := one * float64(b.between[i]); math.Abs(between.At(i, j)-want) > 1e-3 {
				t.Errorf("between[%d][%d] = %v, want %v", i, j, between.At(i, j), want)
			}
		}
	}
	// Of the model: within {4, 1; 1, 1.25}, between {9, 4.5; 4.5, 2.5}. The sum of
	// the eigenvalues of within⁻¹·between is its trace.
	const want = (1.25*9 - 4.5 - 4.5 + 4*2.5) / (4*1.25 - 1)
	if got := float64(b.between[0] + b.between[1]); math.Abs(got-want) > 0.15 {
		t.Errorf("variances between people add up to %v, want %v", got, want)
	}
	if b.between[0] < b.between[1] {
		t.Errorf("variances ascend: %v", b.between)
	}
}

func TestBackEndRefuses(t *testing.T) {
	for name, rows := range map[string][][][]float32{
		"nobody":             nil,
		"one person":         modelled(1, 50),
		"one typing of each": modelled(50, 1),
		"too few":            modelled(2, 2),
		"all typings alike":  {{{1, 2}, {1, 2}, {1, 2}}, {{3, 4}, {3, 4}, {3, 4}}, {{5, 1}, {5, 1}}},
	} {
		if _, err := newBackEnd(rows, 2); !errors.Is(err, errBackEnd) {
			t.Errorf("%s: %v, want %v", name, err, errBackEnd)
		}
	}
}

// TestNothingBetween has people who do not differ: no direction says anything.
func TestNothingBetween(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	rows := make([][][]float32, 300)
	for p := range rows {
		for range 6 {
			rows[p] = append(rows[p], []float32{float32(rng.NormFloat64()), float32(rng.NormFloat64())})
		}
	}
	b, err := newBackEnd(rows, 2)
	if err != nil {
		t.Fatal(err)
	}
	s := &Space{backEnd: b}
	if got := s.LLR([]float64{0.3, -0.2}, 5, []float32{0.4, 0.1}); math.Abs(got) > 0.1 {
		t.Errorf("LLR %v of people who do not differ", got)
	}
}
