// Package network is the dual-branch network that tells people apart by how
// they type: its sizes, its weights and the pass forward that serves it.
// Package train finds the weights.
//
//	timing branch  per key: features ⊕ embedding of the key
//	               → LSTM left to right, LSTM right to left: last states   2H
//	key branch     per key: embedding → LSTM: last state                    H
//	               concatenate (3H) → dense D, ReLU → K logits
//
// With Spec.Mean it is the mean of the states over all keys instead of the last
// one. The K outputs may also be the dimensions of a space in which typings of
// one person lie together (package base).
//
// The embedding table is one for all three LSTMs. The timing branch knows which
// key a time belongs to, so that it can see a slow "th"; the key branch sees
// the text alone. In training a share of the LSTM outputs is dropped and the
// others are scaled up (inverted dropout), so that serving needs nothing.
//
// # Weights
//
// The weights are one vector of float32: the blocks of Blocks, one after the
// other, without gaps. That vector and the Spec are all that a file has to hold.
package network

import (
	"fmt"
	"math"

	"ksd/internal/model/lstm"
)

// Sequence is one typing as the network reads it: a key id and a row of F
// timing features per key, 1..MaxLen keys.
type Sequence = lstm.Sequence

// Network serves one set of weights. It is safe for concurrent use, each caller
// with a Scratch of its own.
type Network struct {
	spec    Spec
	weights Blocks
	tables  [3][]float32 // what each key adds to the gates of each LSTM
}

// New returns a network that serves a copy of weights. The error wraps ErrSpec
// or ErrWeights.
func New(spec Spec, weights []float32) (*Network, error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	if err := spec.CheckWeights(weights); err != nil {
		return nil, err
	}
	n := &Network{spec: spec, weights: spec.Split(append([]float32(nil), weights...))}
	for i, l := range n.layers() {
		n.tables[i] = make([]float32, l.shape.TableLen())
		l.shape.Table(n.tables[i], n.weights.Embedding, l.weights)
	}
	return n, nil
}

// Spec is the sizes of the network.
func (n *Network) Spec() Spec { return n.spec }

type layer struct {
	shape   lstm.Shape
	weights []float32
}

// layers are the three LSTMs in the order in which their states are
// concatenated.
func (n *Network) layers() [3]layer {
	return [3]layer{
		{n.spec.Forward(), n.weights.Forward},
		{n.spec.Backward(), n.weights.Backward},
		{n.spec.Key(), n.weights.Key},
	}
}

// Scratch is the working memory of one caller of Logits.
type Scratch struct{ lstm, states, dense []float32 }

// NewScratch returns working memory for networks of these sizes.
func NewScratch(s Spec) *Scratch {
	return &Scratch{
		lstm:   make([]float32, s.Forward().ScratchLen()),
		states: make([]float32, 3*s.Hidden),
		dense:  make([]float32, s.Dense),
	}
}

// Logits writes the K logits of one sequence to dst: the natural logarithms of
// the classes' probabilities, but for a constant. It allocates nothing where
// there is no error. The error wraps ErrInput or ErrOverflow.
func (n *Network) Logits(dst []float32, in Sequence, s *Scratch) error {
	if err := n.spec.CheckInput(in); err != nil {
		return err
	}
	if len(dst) != n.spec.Classes {
		return fmt.Errorf("%w: room for %d logits of %d", ErrInput, len(dst), n.spec.Classes)
	}
	h := n.spec.Hidden
	for i, l := range n.layers() {
		l.shape.Run(s.states[i*h:(i+1)*h], in, n.tables[i], l.weights, s.lstm)
	}
	lstm.Affine(s.dense, s.states, n.weights.Dense)
	for i, x := range s.dense {
		s.dense[i] = max(x, 0)
	}
	lstm.Affine(dst, s.dense, n.weights.Output)
	if i := notFinite(dst); i >= 0 {
		return fmt.Errorf("%w: logit %d is %v", ErrOverflow, i, dst[i])
	}
	return nil
}

// LogProbability is the natural logarithm of the softmax of one class.
func LogProbability(logits []float32, class int) float64 {
	top := logits[0]
	for _, x := range logits {
		top = max(top, x)
	}
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x - top))
	}
	return float64(logits[class]-top) - math.Log(sum)
}
