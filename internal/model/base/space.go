package base

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model/network"
)

// Space is the embedding of one channel. It is safe for concurrent use, each
// caller with a Scratch of its own.
type Space struct {
	network *network.Network
	backEnd
}

// backEnd takes the outputs of the network to the space in which typings of one
// person scatter with variance 1 in every direction, and people with variance
// between.
type backEnd struct {
	mean       []float32 // D: of all typings, taken away first
	projection []float32 // D × D, row-major: rows are the axes of the space
	between    []float32 // D, ≥ 0, falling
}

// Scratch is the working memory of one caller of Embed.
type Scratch struct {
	network  *network.Scratch
	sequence network.Sequence
	output   []float32
}

// NewScratch returns working memory for any Space of b.
func (b *Base) NewScratch() *Scratch {
	s := b.file.Spec
	return &Scratch{
		network: network.NewScratch(s),
		sequence: network.Sequence{
			Keys:     make([]uint16, 0, network.MaxLen),
			Features: make([]float32, 0, network.MaxLen*s.Features),
		},
		output: make([]float32, s.Classes),
	}
}

// Space returns the space of a channel, and false for what is no channel.
func (b *Base) Space(ch keystroke.Channel) (*Space, bool) {
	s, ok := b.spaces[ch]
	return s, ok
}

// Dim is the number of dimensions of the space.
func (s *Space) Dim() int { return len(s.mean) }

// Between are the variances between people by dimension, where the variance
// within a person is 1.
func (s *Space) Between() []float32 { return s.between }

// Embed writes the place of a typing to dst, Dim floats. The strokes are those
// of one typing on the space's channel; of more than network.MaxLen the first
// count. It allocates nothing where there is no error. The error wraps
// network.ErrInput or network.ErrOverflow.
func (s *Space) Embed(dst []float32, strokes []feature.Stroke, w *Scratch) error {
	if len(dst) != s.Dim() {
		return fmt.Errorf("%w: room for %d dimensions of %d", network.ErrInput, len(dst), s.Dim())
	}
	w.sequence.Keys, w.sequence.Features = w.sequence.Keys[:0], w.sequence.Features[:0]
	w.sequence = appendSequence(w.sequence, strokes, network.MaxLen)
	if err := s.network.Logits(w.output, w.sequence, w.network); err != nil {
		return err
	}
	s.project(dst, w.output)
	return nil
}

// project writes projection·(x - mean) to dst.
func (b *backEnd) project(dst, x []float32) {
	n := len(dst)
	for i := range dst {
		sum := float32(0)
		for j, p := range b.projection[i*n : (i+1)*n] {
			sum += p * (x[j] - b.mean[j])
		}
		dst[i] = sum
	}
}

// LLR returns the natural logarithm of how much more likely x is as another
// typing of the owner than as one of anybody. The owner is known by the mean of n
// typings, n ≥ 1.
//
// It is the two-covariance model of speaker verification (Brümmer and de Villiers
// 2010) in one dimension after the other, with variance 1 within a person and
// between[i] between people: given the mean, the next typing of the owner is
// Gaussian around mean·n·b/(n·b+1), with variance 1 + b/(n·b+1); that of anybody
// around 0, with variance 1 + b. Typings of one sitting are more alike than the
// model believes; a caller may pass a smaller n.
func (s *Space) LLR(mean []float64, n int, x []float32) float64 {
	sum := 0.0
	for i, between := range s.between {
		b, v := float64(between), float64(x[i])
		known := float64(n)*b + 1
		owner, anybody := 1+b/known, 1+b
		d := v - mean[i]*float64(n)*b/known
		sum += math.Log(anybody/owner) + v*v/anybody - d*d/owner
	}
	return sum / 2
}

// errBackEnd is the fact that there are too few typings for a back end.
var errBackEnd = errors.New("no back end")

// newBackEnd estimates a back end from the outputs of the network: rows of width
// floats, by person. Moments are those of a balanced analysis of variance;
// directions in which people do not differ more than their typings have between 0.
func newBackEnd(people [][][]float32, width int) (backEnd, error) {
	mean, within, between, err := covariances(people, width)
	if err != nil {
		return backEnd{}, err
	}
	// within = L·Lᵀ; the axes are the eigenvectors of L⁻¹·between·L⁻ᵀ.
	var chol mat.Cholesky
	if !chol.Factorize(within) {
		return backEnd{}, fmt.Errorf("%w: typings of a person do not differ in some direction", errBackEnd)
	}
	var l, inverse mat.TriDense
	chol.LTo(&l)
	if err := inverse.InverseTri(&l); err != nil {
		return backEnd{}, fmt.Errorf("%w: %w", errBackEnd, err)
	}
	var half, white mat.Dense
	half.Mul(&inverse, between)
	white.Mul(&half, inverse.T())
	symmetric := mat.NewSymDense(width, nil)
	for i := range width {
		for j := i; j < width; j++ {
			symmetric.SetSym(i, j, (white.At(i, j)+white.At(j, i))/2)
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(symmetric, true) {
		return backEnd{}, fmt.Errorf("%w: no eigenvectors", errBackEnd)
	}
	var vectors, axes mat.Dense
	eigen.VectorsTo(&vectors)
	axes.Mul(vectors.T(), &inverse)
	return folded(mean, eigen.Values(nil), &axes), nil
}

// folded writes a back end down in float32, the largest variance first.
func folded(mean, values []float64, axes *mat.Dense) backEnd {
	n := len(mean)
	b := backEnd{make([]float32, n), make([]float32, n*n), make([]float32, n)}
	for i := range n {
		row := n - 1 - i // the eigenvalues ascend
		b.mean[i] = float32(mean[i])
		b.between[i] = float32(max(values[row], 0))
		sign := 1.0
		if axes.At(row, 0) < 0 {
			sign = -1 // which of the two is returned would hang on the library
		}
		for j := range n {
			b.projection[i*n+j] = float32(sign * axes.At(row, j))
		}
	}
	return b
}

// covariances returns the mean of the people's means, the covariance within
// people and that between them.
func covariances(people [][][]float32, width int) (mean []float64, within, between *mat.SymDense, err error) {
	mean = make([]float64, width)
	within, between = mat.NewSymDense(width, nil), mat.NewSymDense(width, nil)
	var centres []*mat.VecDense
	typings, inverse := 0, 0.0
	for _, rows := range people {
		if len(rows) < 2 {
			continue
		}
		c := mat.NewVecDense(width, nil)
		for _, x := range rows {
			c.AddScaledVec(c, 1/float64(len(rows)), vector(x))
		}
		for _, x := range rows {
			v := vector(x)
			v.SubVec(v, c)
			within.SymRankOne(within, 1, v)
		}
		centres = append(centres, c)
		typings += len(rows)
		inverse += 1 / float64(len(rows))
	}
	if len(centres) < 2 || typings-len(centres) <= width {
		return nil, nil, nil, fmt.Errorf("%w: %d typings of %d people for %d dimensions", errBackEnd, typings, len(centres), width)
	}
	within.ScaleSym(1/float64(typings-len(centres)), within)
	n := float64(len(centres))
	m := mat.NewVecDense(width, mean)
	for _, c := range centres {
		m.AddScaledVec(m, 1/n, c)
	}
	for _, c := range centres {
		c.SubVec(c, m)
		between.SymRankOne(between, 1/(n-1), c)
	}
	// A person's mean of k typings is off by within/k.
	var noise mat.SymDense
	noise.ScaleSym(-inverse/n, within)
	between.AddSym(between, &noise)
	return mean, within, between, nil
}

func vector(x []float32) *mat.VecDense {
	v := mat.NewVecDense(len(x), nil)
	for i, y := range x {
		v.SetVec(i, float64(y))
	}
	return v
}
