package train

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"ksd/internal/model/lstm"
)

// recurrence is one LSTM on the graph: three ops that share its working memory.
//
//	lastState         (embedding, weights) → last states, B × H
//	weightGradient    (embedding, weights, last states, gradient) → like weights
//	embeddingGradient (weights, weight gradient) → like embedding
//
// Each op takes the result of the one before as an input, so that the machine
// cannot run them in another order. The sequences are not nodes of the graph:
// the ops read the batch that the model has packed before the run.
//
// gorgonia takes ops with the same hash for the same op, so each recurrence has
// a name of its own. It runs ops on a goroutine of its own, where a panic would
// end the process: every op turns a panic into an error.
type recurrence struct {
	name  string
	layer *lstm.Layer
	batch *lstm.Batch

	// The results of the ops, used again at every step.
	states, dweights, dembedding *tensor.Dense
}

func newRecurrence(name string, s lstm.Shape, b *lstm.Batch, sequences, steps int) *recurrence {
	matrix := func(rows, columns int) *tensor.Dense {
		return tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(rows, columns))
	}
	return &recurrence{
		name: name, batch: b, layer: lstm.NewLayer(s, sequences, steps),
		states:     matrix(sequences, s.Hidden),
		dweights:   matrix(s.Len()/(4*s.Hidden), 4*s.Hidden),
		dembedding: matrix(s.Keys, s.Embedding),
	}
}

// op is what the three ops have in common: a name, matrices in, a matrix out.
type op struct {
	name   string
	arity  int
	result *tensor.Dense
	do     func(in [][]float32) // fills result
}

func (o *op) Arity() int { return o.arity }

func (o *op) Type() hm.Type {
	types := make([]hm.Type, o.arity+1)
	for i := range types {
		types[i] = gorgonia.TensorType{Dims: 2, Of: tensor.Float32}
	}
	return hm.NewFnType(types...)
}

func (o *op) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) { return o.result.Shape(), nil }

func (o *op) Do(values ...gorgonia.Value) (_ gorgonia.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: panic: %v", o.name, r)
		}
	}()
	if len(values) != o.arity {
		return nil, fmt.Errorf("%s: %d inputs, not %d", o.name, len(values), o.arity)
	}
	in := make([][]float32, o.arity)
	for i, v := range values {
		if in[i], err = floats(v); err != nil {
			return nil, fmt.Errorf("%s: input %d: %w", o.name, i, err)
		}
	}
	o.do(in)
	return o.result, nil
}

func (o *op) ReturnsPtr() bool      { return true }
func (o *op) CallsExtern() bool     { return false }
func (o *op) OverwritesInput() int  { return -1 }
func (o *op) WriteHash(h hash.Hash) { fmt.Fprintf(h, "ksd %s", o.name) }
func (o *op) String() string        { return o.name }

func (o *op) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

// floats are the numbers of a matrix, row by row. A slice of a wider matrix,
// such as the gradient of a concatenation, is copied.
func floats(v gorgonia.Value) ([]float32, error) {
	d, ok := v.(*tensor.Dense)
	if !ok || d.Dtype() != tensor.Float32 || d.Dims() != 2 {
		return nil, fmt.Errorf("%T of shape %v is not a float32 matrix", v, v.Shape())
	}
	if d.RequiresIterator() {
		d = d.Materialize().(*tensor.Dense)
	}
	return d.Float32s(), nil
}

// lastState is the op that goes forward, the only one of the three that is
// itself differentiated.
type lastState struct {
	op
	of *recurrence
}

func (r *recurrence) lastState() *lastState {
	return &lastState{op{r.name, 2, r.states, func(in [][]float32) {
		r.layer.Forward(r.states.Float32s(), r.batch, in[0], in[1])
	}}, r}
}

// DiffWRT says that it can be differentiated by both inputs.
func (o *lastState) DiffWRT(int) []bool { return []bool{true, true} }

// SymDiff adds the ops that compute the gradients to the graph.
func (o *lastState) SymDiff(in gorgonia.Nodes, output, gradient *gorgonia.Node) (gorgonia.Nodes, error) {
	r := o.of
	dweights, err := gorgonia.ApplyOp(&op{r.name + " weight gradient", 4, r.dweights, func(in [][]float32) {
		r.layer.Backward(r.dweights.Float32s(), r.batch, in[0], in[1], in[3])
	}}, in[0], in[1], output, gradient)
	if err != nil {
		return nil, err
	}
	dembedding, err := gorgonia.ApplyOp(&op{r.name + " embedding gradient", 2, r.dembedding, func(in [][]float32) {
		r.layer.EmbeddingGradient(r.dembedding.Float32s(), in[0])
	}}, in[1], dweights)
	if err != nil {
		return nil, err
	}
	return gorgonia.Nodes{dembedding, dweights}, nil
}
