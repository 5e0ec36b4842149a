package plda

import (
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"

	"ksd/internal/feature"
)

// What a person always does with intervals tells nothing of its dwells (see
// between), so the two kinds of places are conditioned apart. What one typing
// puts into both, the interval before a key and its dwell (Across), is a
// hundredth of its scatter and left out of the centres of several typings.
const kinds = 2

// knowledge is a set of typed texts, made ready to be asked of any text.
type knowledge [kinds]struct {
	sources []source
	factor  blas64.Triangular // Cholesky factor of the covariance of their centres
}

// source is a place that is known, and where.
type source struct {
	place
	like
}

// like is a place that was typed, of which text.
type like struct {
	text, place int
	found       bool
}

// posterior is what a set of typed texts tells of one text, whoever typed them:
// the same for all people who typed the same.
type posterior struct {
	cross  [kinds][]float64 // L⁻¹ · K(known, text), where L·Lᵀ is K(known, known)
	spread []float64        // square: what is still unknown of what the owner always does
	prior  []float64        // square: what is unknown of anybody
	typing []float64        // square: what is peculiar to one typing
	like   []like           // of a text that was not typed itself: where its places are known best
	split  int              // places below it are intervals
	rows   int
}

// Room, in bytes, for what is kept ready. On the full channel five phrases of 24
// keys take a quarter of a megabyte and each of them 0.1 as a text that is asked
// for; ten sentences of 49 keys take 4 and any other sentence 0.6.
const (
	knowledgeRoom = 12 << 20
	posteriorRoom = 6 << 20
	float         = 8
)

// structure is all that a posterior depends on.
type structure struct {
	typed string // see structureOf
	text  string
	full  bool
}

// structureOf names all that knowledge depends on: the texts that were typed, how
// often, and the places of them that were never seen.
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

// posterior returns what the owner's typings tell of text, worked out if need be.
func (m *Model) posterior(o *Owner, text *Text) (*posterior, error) {
	key := structure{o.structure, text.name, text.full}
	if p, ok := m.posteriors.get(key); ok {
		return p, nil
	}
	known, err := m.knowledge(o)
	if err != nil {
		return nil, err
	}
	p := newPosterior(known, text)
	if _, typed := o.own[text.name]; !typed {
		p.like = likes(text, known)
	}
	m.posteriors.put(key, p, float*(len(p.cross[0])+len(p.cross[1])+3*p.rows*p.rows))
	return p, nil
}

// knowledge returns what the owner typed, made ready if need be.
func (m *Model) knowledge(o *Owner) (*knowledge, error) {
	if k, ok := m.known.get(o.structure); ok {
		return k, nil
	}
	k, err := newKnowledge(o.typed)
	if err != nil {
		return nil, err
	}
	m.known.put(o.structure, k, float*(len(k[0].factor.Data)+len(k[1].factor.Data)))
	return k, nil
}

func newKnowledge(typed []Typed) (*knowledge, error) {
	var k knowledge
	for t, one := range typed {
		for i, c := range one.centre {
			if p := one.text.places[i]; !math.IsNaN(c) {
				k[p.kind()].sources = append(k[p.kind()].sources, source{p, like{t, i, true}})
			}
		}
	}
	for kind := range k {
		sources := k[kind].sources
		n := len(sources)
		all := blas64.Symmetric{N: n, Stride: max(n, 1), Uplo: blas.Lower, Data: make([]float64, n*n)}
		for i, a := range sources {
			for j, b := range sources[:i+1] {
				c := between(a.place, b.place)
				if a.like.text == b.like.text {
					c += within(a.place, b.place) / float64(typed[a.like.text].typings)
				}
				all.Data[i*n+j] = c
			}
		}
		var ok bool
		if k[kind].factor, ok = lapack64.Potrf(all); !ok {
			return nil, ErrCovariance
		}
	}
	return &k, nil
}

// newPosterior conditions what the owner always does at the places of text on
// the centres of all that it typed.
func newPosterior(k *knowledge, text *Text) *posterior {
	rows := text.Len()
	p := &posterior{rows: rows, split: text.intervals, typing: make([]float64, rows*rows), prior: make([]float64, rows*rows)}
	for i, a := range text.places {
		for j, b := range text.places {
			p.prior[i*rows+j], p.typing[i*rows+j] = between(a, b), within(a, b)
		}
	}
	p.spread = append(p.spread, p.prior...)
	for kind := range k {
		p.condition(k, kind, text)
	}
	return p
}

// condition fills in how one kind of places hang on what is known, and takes what
// is known from their spread: K(text, text) - K(text, known)·K(known, known)⁻¹·K(known, text).
func (p *posterior) condition(k *knowledge, kind int, text *Text) {
	from, to := p.places(kind)
	n, rows := len(k[kind].sources), to-from
	if n == 0 || rows == 0 {
		return
	}
	cross := general(make([]float64, n*rows), rows)
	for i, a := range k[kind].sources {
		for j, b := range text.places[from:to] {
			cross.Data[i*rows+j] = between(a.place, b)
		}
	}
	blas64.Trsm(blas.Left, blas.NoTrans, 1, k[kind].factor, cross)
	p.cross[kind] = cross.Data
	unknown := blas64.General{Rows: rows, Cols: rows, Stride: p.rows, Data: p.spread[from*p.rows+from:]}
	blas64.Gemm(blas.Trans, blas.NoTrans, -1, cross, cross, 1, unknown)
}

// whitened returns L⁻¹ · centres by kind: the centres of all that the owner typed,
// less what people here do otherwise than the population, free of what they tell of
// each other. It is worked out when it is first asked for.
func (o *Owner) whitened(m *Model) (*[kinds][]float64, error) {
	if w := o.white.Load(); w != nil {
		return w, nil
	}
	k, err := m.knowledge(o)
	if err != nil {
		return nil, err
	}
	var w [kinds][]float64
	for kind := range k {
		for _, s := range k[kind].sources {
			w[kind] = append(w[kind], o.typed[s.text].centre[s.like.place]-o.background[s.text].at(s.like.place))
		}
		if n := len(w[kind]); n > 0 {
			blas64.Trsv(blas.NoTrans, k[kind].factor, blas64.Vector{N: n, Inc: 1, Data: w[kind]})
		}
	}
	o.white.Store(&w)
	return &w, nil
}

// places returns the first place of a kind, and the one after its last.
func (p *posterior) places(kind int) (from, to int) {
	if kind == 0 {
		return 0, p.split
	}
	return p.split, p.rows
}

// general is the matrix of data row by row.
func general(data []float64, columns int) blas64.General {
	return blas64.General{Rows: len(data) / columns, Cols: columns, Stride: columns, Data: data}
}

// alike is how many keys around two places must agree before one tells of
// the other what people do there: those of the movement itself.
const alike = 2

// likes returns, for each of text's places, the known one in whose surroundings a
// movement is most like it.
func likes(text *Text, known *knowledge) []like {
	out := make([]like, text.Len())
	for i, p := range text.places {
		best := 0
		for _, k := range known[p.kind()].sources {
			back, ahead := feature.Common(p.keys, p.at, k.keys, k.at)
			if n := back + ahead; back >= alike && n > best {
				best, out[i] = n, k.like
			}
		}
	}
	return out
}
