package train

import (
	"fmt"
	"math"
	"math/rand/v2"

	// tensor relies on a garbage collector that does not move objects and asks
	// this package at start-up whether the Go release at hand has one. The version
	// that gorgonia asks for panics on current releases; importing it here keeps
	// our newer one in go.mod.
	_ "go4.org/unsafe/assume-no-moving-gc"
	"gorgonia.org/gorgonia"

	"ksd/internal/model/lstm"
	"ksd/internal/model/network"
)

// The streams of random numbers drawn from one seed. The initial weights have
// one of their own, in package network.
const (
	streamOrder = iota + 1
	streamDropout
	streamShards // and those that follow, one for each shard
)

// model is the network on a gorgonia graph, with the machine and the solver
// that train it. The batch size is part of the graph: a smaller batch is filled
// up with sequences of no steps, which count nothing.
type model struct {
	spec    network.Spec
	weights []float32 // the parameters of the graph are views of it
	clip    float64
	size    int // examples per batch

	batch     *lstm.Batch
	sequences []lstm.Sequence
	mask      []float32 // size × 3H: 0 or 1/(1-dropout)
	target    []float32 // size × K: an example's share of the loss at its class
	dropout   *rand.Rand

	graph  *graph
	vm     gorgonia.VM
	solver gorgonia.Solver
}

// newModel returns the model that learns classes.
func newModel(spec network.Spec, initial []float32, o Options, steps int) (*model, error) {
	m := newBareModel(spec, append([]float32(nil), initial...), o.Batch, steps, rand.New(rand.NewPCG(o.Seed, streamDropout)))
	m.clip, m.target = o.Clip, make([]float32, o.Batch*spec.Classes)
	m.solver = gorgonia.NewAdamSolver(gorgonia.WithLearnRate(o.LearningRate))
	return m, m.build(steps, m.crossEntropy)
}

// newBareModel returns a model without a loss. It learns weights in place.
func newBareModel(spec network.Spec, weights []float32, size, steps int, dropout *rand.Rand) *model {
	return &model{
		spec: spec, weights: weights, size: size,
		batch:     lstm.NewBatch(size, steps, spec.Features),
		sequences: make([]lstm.Sequence, size),
		mask:      make([]float32, size*3*spec.Hidden),
		dropout:   dropout,
	}
}

// build makes the graph with its loss and the machine that runs it.
func (m *model) build(steps int, loss func(g *graph, outputs *gorgonia.Node) *gorgonia.Node) error {
	var err error
	if m.graph, err = newGraph(m, steps, loss); err != nil {
		return fmt.Errorf("%w: %w", ErrGraph, err)
	}
	m.vm = gorgonia.NewTapeMachine(m.graph.nodes, gorgonia.BindDualValues(m.graph.parameters...))
	return nil
}

func (m *model) close() { m.vm.Close() }

// step learns from one batch of at most size examples and returns its loss, the
// sum of weight × cross-entropy over size.
func (m *model) step(examples []Example) (float64, error) {
	m.load(examples)
	m.drawMask()
	loss, err := m.gradients()
	if err != nil {
		return 0, err
	}
	if err := m.clipGradients(); err != nil {
		return 0, err
	}
	if err := m.solver.Step(gorgonia.NodesToValueGrads(m.graph.parameters)); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrGraph, err)
	}
	return loss, nil
}

// load makes the examples the input of the graph.
func (m *model) load(examples []Example) {
	clear(m.sequences)
	clear(m.target)
	for i, e := range examples {
		m.sequences[i] = e.Sequence
		m.target[i*m.spec.Classes+e.Class] = e.Weight / float32(m.size)
	}
	m.batch.Pack(m.sequences)
}

func (m *model) drawMask() {
	kept := 1 / (1 - m.spec.Dropout)
	for i := range m.mask {
		m.mask[i] = kept
		if m.dropout.Float32() < m.spec.Dropout {
			m.mask[i] = 0
		}
	}
}

// gradients runs the graph on what is loaded and returns the loss. The
// gradients add up until the solver takes and clears them.
func (m *model) gradients() (float64, error) {
	m.vm.Reset()
	if err := m.vm.RunAll(); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrGraph, err)
	}
	loss, ok := m.graph.loss.Data().(float32)
	if !ok {
		return 0, fmt.Errorf("%w: loss is %T", ErrGraph, m.graph.loss.Data())
	}
	if loss-loss != 0 {
		return 0, fmt.Errorf("%w: loss is %v", ErrDiverged, loss)
	}
	return float64(loss), nil
}

// clipGradients shortens the gradient, taken as one vector over all parameters,
// to at most clip (Pascanu et al. 2013).
func (m *model) clipGradients() error {
	all, err := m.gradient()
	if err != nil {
		return err
	}
	sum := 0.0
	for _, d := range all {
		for _, x := range d {
			sum += float64(x) * float64(x)
		}
	}
	length := math.Sqrt(sum)
	if length-length != 0 {
		return fmt.Errorf("%w: gradient has length %v", ErrDiverged, length)
	}
	if length <= m.clip {
		return nil
	}
	for _, d := range all {
		for i := range d {
			d[i] *= float32(m.clip / length)
		}
	}
	return nil
}

// gradient returns the gradient of each parameter after a run: the memory that
// the solver reads.
func (m *model) gradient() ([][]float32, error) {
	all := make([][]float32, len(m.graph.parameters))
	for i, p := range m.graph.parameters {
		d, err := p.Grad()
		if err != nil {
			return nil, fmt.Errorf("%w: gradient of %s: %w", ErrGraph, p.Name(), err)
		}
		all[i] = d.Data().([]float32)
	}
	return all, nil
}
