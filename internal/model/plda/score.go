package plda

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
)

// ErrCovariance is the fact that a covariance came out singular, which takes
// residuals that are not numbers.
var ErrCovariance = errors.New("covariance is not positive definite")

// LLR returns ln P(x | owner) - ln P(x | population) for x, the residuals of
// one typing of text by place, NaN where unknown. It is 0 if all are. It is not
// calibrated yet: places are not as independent as the model has them. It works in
// s, and allocates nothing once s has the size and what it needs was asked for
// before.
func (m *Model) LLR(o *Owner, text *Text, x []float64, s *Scratch) (float64, error) {
	white, err := o.whitened(m)
	if err != nil {
		return 0, err
	}
	p, err := m.posterior(o, text)
	if err != nil {
		return 0, err
	}
	s.size(p.rows)
	p.expect(s.mean, white)
	o.habits(s, text, p.like)
	s.seen = s.seen[:0]
	for i, v := range x {
		if !math.IsNaN(v) {
			s.seen = append(s.seen, i)
			s.anybody[i] = v - s.shift[i]
			s.owner[i] = s.anybody[i] - s.mean[i]
		}
	}
	owner, err := s.logDensity(p, p.spread, s.steady, s.owner)
	if err != nil {
		return 0, err
	}
	anybody, err := s.logDensity(p, p.prior, nil, s.anybody)
	return owner - anybody, err
}

// expect writes to mean what the owner always does at the places of the text.
func (p *posterior) expect(mean []float64, white *[kinds][]float64) {
	clear(mean)
	for kind, cross := range p.cross {
		if from, to := p.places(kind); len(cross) > 0 {
			known := blas64.Vector{N: len(white[kind]), Inc: 1, Data: white[kind]}
			blas64.Gemv(blas.Trans, 1, general(cross, to-from), known, 0, blas64.Vector{N: to - from, Inc: 1, Data: mean[from:to]})
		}
	}
}

// habits writes, by place of text, what people here do otherwise than the
// population, and the owner's own standard deviation over the usual one. For a
// text that the owner has not typed both are those of the place most like it.
func (o *Owner) habits(s *Scratch, text *Text, likes []like) {
	own, typed := o.own[text.name]
	for i, p := range text.places {
		at := like{own, i, typed}
		if !typed {
			at = likes[i]
		}
		s.shift[i], s.steady[i] = 0, o.steady
		if at.found {
			s.shift[i] = o.background[at.text].at(at.place)
			s.steady[i] = math.Sqrt(o.noise[at.text][at.place] / usualNoise(p))
		}
	}
}

// Scratch is the working memory of one caller of LLR. The zero value is ready.
type Scratch struct {
	shift                        []float64 // by place: what people here do otherwise
	mean, owner, anybody, steady []float64 // by place: what to expect, distances to both means, steadiness
	matrix, vector               []float64
	seen                         []int
}

func (s *Scratch) size(rows int) {
	for _, v := range []struct {
		of *[]float64
		n  int
	}{
		{&s.shift, rows},
		{&s.mean, rows},
		{&s.owner, rows},
		{&s.anybody, rows},
		{&s.steady, rows},
		{&s.matrix, rows * rows},
		{&s.vector, rows},
	} {
		if cap(*v.of) < v.n {
			*v.of = make([]float64, v.n)
		}
		*v.of = (*v.of)[:v.n]
	}
}

// logDensity is that of a typing whose seen places lie at these distances from
// the mean, but for a constant: Student's t over the whitened distances. The
// covariance is what is unknown, plus what is peculiar to a typing; steady, if
// not nil, scales the latter.
func (s *Scratch) logDensity(p *posterior, unknown, steady, distance []float64) (float64, error) {
	n := len(s.seen)
	if n == 0 {
		return 0, nil
	}
	a := blas64.Symmetric{N: n, Stride: n, Uplo: blas.Lower, Data: s.matrix[:n*n]}
	for r, i := range s.seen {
		for c, j := range s.seen[:r+1] {
			typing := p.typing[i*p.rows+j]
			if steady != nil {
				typing *= steady[i] * steady[j]
			}
			a.Data[r*n+c] = unknown[i*p.rows+j] + typing
		}
		a.Data[r*n+r] += ridge
		s.vector[r] = distance[i]
	}
	factor, ok := lapack64.Potrf(a)
	if !ok {
		return 0, ErrCovariance
	}
	blas64.Trsv(blas.NoTrans, factor, blas64.Vector{N: n, Inc: 1, Data: s.vector[:n]})
	var sum float64
	for i, z := range s.vector[:n] {
		sum -= (freedom+1)/2*math.Log1p(z*z/freedom) + math.Log(a.Data[i*n+i])
	}
	return sum, nil
}

// ridge keeps rounding from making a covariance singular.
const ridge = 1e-6
