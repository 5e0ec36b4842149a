package plda

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"

	"ksd/internal/feature"
)

// ErrCovariance is the fact that a covariance came out singular, which takes
// residuals that are not numbers.
var ErrCovariance = errors.New("covariance is not positive definite")

// posterior is what a set of typed texts tells of one text, whoever typed them:
// the same for all people who typed the same.
type posterior struct {
	gain   []float64 // places of the text by known places: mean = gain · centres
	spread []float64 // square: what is still unknown of what the owner always does
	prior  []float64 // square: what is unknown of anybody
	typing []float64 // square: what is peculiar to one typing
	like   []like    // of a text that was not typed itself: where its places are known best
	rows   int
	known  int
}

// like is the place that was typed, of which text, in whose surroundings a
// movement is most like another one.
type like struct {
	text, place int
	found       bool
}

// LLR returns ln P(x | owner) - ln P(x | population) for x, the residuals of
// one typing of text by place, NaN where unknown. It is 0 if all are. It is not
// calibrated yet: places are not as independent as the model has them.
func (m *Model) LLR(o *Owner, text *Text, x []float64) (float64, error) {
	p, err := m.posterior(o, text)
	if err != nil {
		return 0, err
	}
	s := m.scratch.Get().(*scratch)
	defer m.scratch.Put(s)
	return p.llr(o, text, x, s)
}

// llr is LLR in the working memory s. It allocates nothing once s has the size.
func (p *posterior) llr(o *Owner, text *Text, x []float64, s *scratch) (float64, error) {
	s.size(p.rows, p.known)
	o.centres(s.centres)
	o.habits(s, text, p.like)
	s.seen = s.seen[:0]
	for i, v := range x {
		if !math.IsNaN(v) {
			s.seen = append(s.seen, i)
			s.anybody[i] = v - s.shift[i]
			s.owner[i] = s.anybody[i] - dot(p.gain[i*p.known:(i+1)*p.known], s.centres)
		}
	}
	owner, err := s.logDensity(p, p.spread, s.steady, s.owner)
	if err != nil {
		return 0, err
	}
	anybody, err := s.logDensity(p, p.prior, nil, s.anybody)
	return owner - anybody, err
}

func dot(a, b []float64) (sum float64) {
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}

// centres writes the centres of all known places, less what people here do
// otherwise than the population.
func (o *Owner) centres(dst []float64) {
	n := 0
	for k, t := range o.typed {
		for i, c := range t.centre {
			if !math.IsNaN(c) {
				dst[n] = c - o.background[k].at(i)
				n++
			}
		}
	}
}

// habits writes, by place of text, what people here do otherwise than the
// population, and the owner's own standard deviation over the usual one. For a
// text that the owner has not typed both are those of the place most like it.
func (o *Owner) habits(s *scratch, text *Text, likes []like) {
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

// maxKnown is how many structures are kept prepared. People who enrolled with
// the same phrases share one.
const maxKnown = 64

// structure is all that a posterior depends on.
type structure struct {
	typed string // see Owner.structure
	text  string
	full  bool
}

// posterior returns the prepared posterior of text, preparing it if need be.
func (m *Model) posterior(o *Owner, text *Text) (*posterior, error) {
	key := structure{o.structure, text.name, text.full}
	m.mu.Lock()
	p := m.known[key]
	m.mu.Unlock()
	if p != nil {
		return p, nil
	}
	p, err := newPosterior(o, text)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.known) >= maxKnown {
		clear(m.known)
	}
	m.known[key] = p
	return p, nil
}

// structureOf names the texts that were typed, how often, and the places of
// them that were never seen.
func structureOf(typed []Typed) string {
	var b strings.Builder
	for _, t := range typed {
		fmt.Fprintf(&b, "%q %v %d", t.text.name, t.text.full, t.typings)
		for i, c := range t.centre {
			if math.IsNaN(c) {
				fmt.Fprintf(&b, " -%d", i)
			}
		}
		b.WriteByte(';')
	}
	return b.String()
}

// source is a place that is known, and where.
type source struct {
	place
	like
}

// newPosterior conditions what the owner always does at the places of text on
// the centres of all that it typed.
func newPosterior(o *Owner, text *Text) (*posterior, error) {
	var known []source
	for k, t := range o.typed {
		for i, c := range t.centre {
			if !math.IsNaN(c) {
				known = append(known, source{t.text.places[i], like{k, i, true}})
			}
		}
	}
	n, rows := len(known), text.Len()
	p := &posterior{
		rows: rows, known: n,
		gain: make([]float64, rows*n), spread: make([]float64, rows*rows),
		prior: make([]float64, rows*rows), typing: make([]float64, rows*rows),
	}
	for i, a := range text.places {
		for j, b := range text.places {
			p.prior[i*rows+j], p.typing[i*rows+j] = between(a, b), within(a, b)
		}
	}
	copy(p.spread, p.prior)
	if _, typed := o.own[text.name]; !typed {
		p.like = likes(text, known)
	}
	if n == 0 {
		return p, nil
	}
	return p, p.condition(o, text, known)
}

// alike is how many keys around two places must agree before one tells of
// the other what people do there: those of the movement itself.
const alike = 2

// likes returns the known place most like each of text's.
func likes(text *Text, known []source) []like {
	out := make([]like, text.Len())
	for i, p := range text.places {
		best := 0
		for _, k := range known {
			if k.dwell != p.dwell {
				continue
			}
			back, ahead := feature.Common(p.keys, p.at, k.keys, k.at)
			if n := back + ahead; back >= alike && n > best {
				best, out[i] = n, k.like
			}
		}
	}
	return out
}

// condition fills in the gain, K(text, known) · K(known, known)⁻¹, and takes
// what is known from the spread.
func (p *posterior) condition(o *Owner, text *Text, known []source) error {
	n := p.known
	all := blas64.Symmetric{N: n, Stride: n, Uplo: blas.Upper, Data: make([]float64, n*n)}
	for i, a := range known {
		for j, b := range known[i:] {
			c := between(a.place, b.place)
			if a.like.text == b.like.text {
				c += within(a.place, b.place) / float64(o.typed[a.like.text].typings)
			}
			all.Data[i*n+i+j] = c
		}
	}
	factor, ok := lapack64.Potrf(all)
	if !ok {
		return ErrCovariance
	}
	cross := make([]float64, p.rows*n)
	for i, a := range text.places {
		for j, b := range known {
			cross[i*n+j] = between(a, b.place)
		}
	}
	copy(p.gain, cross)
	for i := range p.rows {
		row := blas64.Vector{N: n, Inc: 1, Data: p.gain[i*n : (i+1)*n]}
		blas64.Trsv(blas.Trans, factor, row)
		blas64.Trsv(blas.NoTrans, factor, row)
	}
	matrix := func(data []float64, columns int) blas64.General {
		return blas64.General{Rows: p.rows, Cols: columns, Stride: columns, Data: data}
	}
	blas64.Gemm(blas.NoTrans, blas.Trans, -1, matrix(p.gain, n), matrix(cross, n), 1, matrix(p.spread, p.rows))
	return nil
}

// scratch is the working memory of one caller.
type scratch struct {
	centres                []float64 // by known place
	shift                  []float64 // by place: what people here do otherwise
	owner, anybody, steady []float64 // by place: distances to both means, steadiness
	matrix, vector         []float64
	seen                   []int
}

func (s *scratch) size(rows, known int) {
	for _, v := range []struct {
		of *[]float64
		n  int
	}{
		{&s.centres, known},
		{&s.shift, rows},
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
func (s *scratch) logDensity(p *posterior, unknown, steady, distance []float64) (float64, error) {
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
