package train

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"gorgonia.org/gorgonia"

	"ksd/internal/model/network"
)

// MetricOptions steer the training of an embedding. The zero value is invalid.
type MetricOptions struct {
	People int     // P, people in a shard, ≥ 2
	Crops  int     // M, typings of each, even, ≥ 2
	Steps  int     // keys of the longest typing, 1..network.MaxLen
	Shards int     // parts of a batch, each with people of its own, 1..MaxShards
	Spread float64 // weight of the penalty on the spread of radii, ≥ 0
	Clip   float64 // largest length of the gradient as a whole, > 0
	Seed   uint64  // of the dropout
}

// MaxShards bounds the parts of a batch. Each has a graph and a thread.
const MaxShards = 16

func (o MetricOptions) check() error {
	switch {
	case o.People < 2 || o.Crops < 2 || o.Crops%2 != 0:
		return fmt.Errorf("%w: %d people, %d typings of each", ErrOptions, o.People, o.Crops)
	case o.Steps < 1 || o.Steps > network.MaxLen:
		return fmt.Errorf("%w: typings of %d keys", ErrOptions, o.Steps)
	case o.Shards < 1 || o.Shards > MaxShards:
		return fmt.Errorf("%w: %d shards, not in 1..%d", ErrOptions, o.Shards, MaxShards)
	case !(o.Spread >= 0) || !(o.Clip > 0):
		return fmt.Errorf("%w: spread %v, gradient clipped to %v", ErrOptions, o.Spread, o.Clip)
	}
	return nil
}

// Metric trains a network whose outputs are an embedding: typings of one person
// come to lie together and those of different people apart (prototypes has the
// loss). A batch is some shards, each with its own people, its own graph and
// goroutine; their gradients are averaged in order, so that the number of
// processors changes nothing. It is for one caller at a time.
type Metric struct {
	options MetricOptions
	shards  []*model // all learn the weights of the first
	solver  gorgonia.Solver
}

// NewMetric returns a training that starts from a copy of initial. Close frees
// it. The error wraps ErrOptions, ErrGraph, network.ErrSpec or
// network.ErrWeights.
func NewMetric(spec network.Spec, initial []float32, o MetricOptions) (*Metric, error) {
	if err := errors.Join(spec.Check(), o.check()); err != nil {
		return nil, err
	}
	if err := spec.CheckWeights(initial); err != nil {
		return nil, err
	}
	t := &Metric{options: o, solver: gorgonia.NewAdamSolver()}
	weights := append([]float32(nil), initial...)
	for i := range o.Shards {
		m := newBareModel(spec, weights, o.People*o.Crops, o.Steps, rand.New(rand.NewPCG(o.Seed, streamShards+uint64(i))))
		m.clip = o.Clip
		loss := newPrototypeLoss(newPrototypes(o.People, o.Crops, spec.Classes, o.Spread))
		err := m.build(o.Steps, func(_ *graph, embeddings *gorgonia.Node) *gorgonia.Node {
			return gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.ApplyOp(loss, embeddings))))
		})
		if err != nil {
			t.Close()
			return nil, err
		}
		t.shards = append(t.shards, m)
	}
	return t, nil
}

// Close frees the training.
func (t *Metric) Close() {
	for _, m := range t.shards {
		m.close()
	}
}

// Weights are those learned so far. The next Step changes them.
func (t *Metric) Weights() []float32 { return t.shards[0].weights }

// Embeddings are those of the shard's typings at the last Step, one row each,
// with dropout. The next Step changes them.
func (t *Metric) Embeddings(shard int) ([]float32, error) {
	return floats(t.shards[shard].graph.logits)
}

// Step learns from one batch at a learning rate and returns the mean loss of its
// shards, in nats. draw fills in the P·M typings of a shard, person by person; it
// is called on a goroutine for each shard. The error is draw's or wraps
// ErrDiverged, ErrGraph or network.ErrInput.
func (t *Metric) Step(rate float64, draw func(shard int, into []network.Sequence) error) (float64, error) {
	losses, errs := make([]float64, len(t.shards)), make([]error, len(t.shards))
	var all sync.WaitGroup
	for i, m := range t.shards {
		all.Go(func() { losses[i], errs[i] = t.run(i, m, draw) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	loss := 0.0
	for _, x := range losses {
		loss += x / float64(len(losses))
	}
	return loss, t.learn(rate)
}

// run leaves the gradient of one shard in its graph and returns its loss.
func (t *Metric) run(i int, m *model, draw func(int, []network.Sequence) error) (float64, error) {
	clear(m.sequences)
	if err := draw(i, m.sequences); err != nil {
		return 0, err
	}
	for k, s := range m.sequences {
		err := m.spec.CheckInput(s)
		if err == nil && len(s.Keys) > t.options.Steps {
			err = fmt.Errorf("%w: %d keys, at most %d", network.ErrInput, len(s.Keys), t.options.Steps)
		}
		if err != nil {
			return 0, fmt.Errorf("shard %d, typing %d: %w", i, k, err)
		}
	}
	m.batch.Pack(m.sequences)
	m.drawMask()
	return m.gradients()
}

// learn averages the gradients of all shards and takes a step along them.
func (t *Metric) learn(rate float64) error {
	first := t.shards[0]
	mean, err := first.gradient()
	if err != nil {
		return err
	}
	for _, m := range t.shards[1:] {
		other, err := m.gradient()
		if err != nil {
			return err
		}
		for i, d := range other {
			for j, x := range d {
				mean[i][j] += x
			}
			clear(d) // the solver clears those of the first
		}
	}
	for _, d := range mean {
		for j := range d {
			d[j] /= float32(len(t.shards))
		}
	}
	if err := first.clipGradients(); err != nil {
		return err
	}
	gorgonia.WithLearnRate(rate)(t.solver)
	if err := t.solver.Step(gorgonia.NodesToValueGrads(first.graph.parameters)); err != nil {
		return fmt.Errorf("%w: %w", ErrGraph, err)
	}
	return nil
}
