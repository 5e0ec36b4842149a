package train

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"ksd/internal/model/lstm"
)

// graph is the network as gorgonia sees it.
type graph struct {
	nodes      *gorgonia.ExprGraph
	parameters gorgonia.Nodes
	logits     gorgonia.Value // B × K, after a run
	loss       gorgonia.Value // a number, after a run
}

// newGraph builds the graph of m, for sequences of up to steps steps. loss puts
// the number to be made small on top of the K outputs of every sequence.
func newGraph(m *model, steps int, loss func(g *graph, outputs *gorgonia.Node) *gorgonia.Node) (_ *graph, err error) {
	defer func() { // must panics
		if r := recover(); r != nil {
			err = fmt.Errorf("building: %v", r)
		}
	}()
	g := &graph{nodes: gorgonia.NewGraph()}
	outputs := g.outputs(m, steps)
	cost := loss(g, outputs)
	// A node's own value may be another's by the end of a run: read copies.
	gorgonia.Read(outputs, &g.logits)
	gorgonia.Read(cost, &g.loss)
	_, err = gorgonia.Grad(cost, g.parameters...)
	return g, err
}

// outputs is the network, from the batch of m to its outputs, B × K.
func (g *graph) outputs(m *model, steps int) *gorgonia.Node {
	must := gorgonia.Must
	s, w := m.spec, m.spec.Split(m.weights)
	width := 3 * s.Hidden

	embedding := g.parameter("embedding", s.Keys, s.Embedding, w.Embedding)
	branch := func(name string, shape lstm.Shape, weights []float32) *gorgonia.Node {
		p := g.parameter(name+" weights", len(weights)/(4*s.Hidden), 4*s.Hidden, weights)
		r := newRecurrence(name, shape, m.batch, m.size, steps)
		return must(gorgonia.ApplyOp(r.lastState(), embedding, p))
	}
	states := must(gorgonia.Concat(1,
		branch("forward", s.Forward(), w.Forward),
		branch("backward", s.Backward(), w.Backward),
		branch("key", s.Key(), w.Key)))
	dropped := must(gorgonia.HadamardProd(states, g.matrix("mask", m.size, width, m.mask)))
	dense := must(gorgonia.Rectify(g.affine("dense", dropped, width, s.Dense, w.Dense)))
	return g.affine("output", dense, s.Dense, s.Classes, w.Output)
}

// crossEntropy is the loss of m where the outputs are logits.
func (m *model) crossEntropy(g *graph, logits *gorgonia.Node) *gorgonia.Node {
	must := gorgonia.Must
	// There may be no other softmax of the logits here: gorgonia would take the
	// two for one.
	target := g.matrix("target", m.size, m.spec.Classes, m.target)
	gain := must(gorgonia.Sum(must(gorgonia.HadamardProd(target, must(gorgonia.LogSoftMax(logits))))))
	return must(gorgonia.Neg(gain))
}

// matrix is an input whose values are those in data at the time of a run.
func (g *graph) matrix(name string, rows, columns int, data []float32) *gorgonia.Node {
	return gorgonia.NewMatrix(g.nodes, tensor.Float32, gorgonia.WithName(name), gorgonia.WithShape(rows, columns),
		gorgonia.WithValue(tensor.New(tensor.WithShape(rows, columns), tensor.WithBacking(data))))
}

// parameter is a matrix that is learned.
func (g *graph) parameter(name string, rows, columns int, data []float32) *gorgonia.Node {
	n := g.matrix(name, rows, columns, data)
	g.parameters = append(g.parameters, n)
	return n
}

// affine is x·W + b, with W and b one after the other in weights.
func (g *graph) affine(name string, x *gorgonia.Node, rows, columns int, weights []float32) *gorgonia.Node {
	n := rows * columns
	w := g.parameter(name+" weights", rows, columns, weights[:n])
	b := g.parameter(name+" biases", 1, columns, weights[n:])
	product := gorgonia.Must(gorgonia.Mul(x, w))
	return gorgonia.Must(gorgonia.BroadcastAdd(product, b, nil, []byte{0}))
}
