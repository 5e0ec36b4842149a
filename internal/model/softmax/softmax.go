// Package softmax is the scorer that heads replaced, kept for comparison: one
// network for all people of a host, with a class for each and one for the
// stranger, whose samples are drawn from the population's covariance in the very
// texts that people typed, one to one.
//
// It is an ablation that the benchmarks print. Nobody is let in or refused by it:
// it takes a minute for 40 people and longer than that for twice as many, has to
// be trained again for whoever joins, and knows strangers by their drawings alone.
package softmax

import (
	"cmp"
	"context"
	"math"
	"slices"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model"
	"ksd/internal/model/network"
	"ksd/internal/model/train"
)

// Options steer a training. The zero value of a field means its default.
type Options struct {
	Seed      uint64  // of weights, impostors, order and dropout; default 1
	Impostors float64 // synthetic impostor samples per real one; default 1
	Epochs    int     // at most; default 60
	Patience  int     // epochs without a better validation loss; default 8
}

// Defaults of Options.
const (
	defaultSeed      = 1
	defaultImpostors = 1.0
	defaultEpochs    = 60
	defaultPatience  = 8
	// blindEpochs is where training stops when nobody has a second sitting to
	// validate on: later the network only learns its samples by heart.
	blindEpochs = 25
)

func (o Options) withDefaults() Options {
	return Options{
		Seed: cmp.Or(o.Seed, defaultSeed), Impostors: cmp.Or(o.Impostors, defaultImpostors),
		Epochs: cmp.Or(o.Epochs, defaultEpochs), Patience: cmp.Or(o.Patience, defaultPatience),
	}
}

// Model is a trained network. It is not safe for concurrent use.
type Model struct {
	people  []string // class k is people[k]; the last class is the stranger
	network *network.Network
	scratch *network.Scratch
	logits  []float32
}

// Train trains a network on people. Where somebody has two sittings or more, and
// the others hold enough to train on, the last is kept apart for early stopping.
// It is deterministic for equal people and options. Errors: model.ErrTooFew,
// ctx.Err(), those of package train.
func Train(ctx context.Context, people []model.Person, opts Options) (*Model, error) {
	opts = opts.withDefaults()
	set, err := gather(ctx, people, opts)
	if err != nil {
		return nil, err
	}
	spec := network.NewSpec(feature.Rate, feature.VocabularySize, len(set.names)+1)
	to := train.Defaults()
	to.Seed, to.Epochs, to.Patience = opts.Seed, opts.Epochs, opts.Patience
	if len(set.validation) == 0 {
		to.Epochs = min(to.Epochs, blindEpochs)
	}
	weights, _, err := train.Fit(ctx, spec, nil, set.train, set.validation, to, nil)
	if err != nil {
		return nil, err
	}
	n, err := network.New(spec, weights)
	if err != nil {
		return nil, err
	}
	return &Model{set.names, n, network.NewScratch(spec), make([]float32, spec.Classes)}, nil
}

// maxOdds clamps log-odds.
const maxOdds = 8.0

// Score returns the log-odds, clamped to ±8, that a sample is person's, and false
// if the network does not know the person or the sample is too long for it.
func (m *Model) Score(person string, s keystroke.Sample) (float64, bool, error) {
	k := slices.Index(m.people, person)
	strokes := feature.Default().Extract(s.Line())
	if k < 0 || len(strokes) == 0 || len(strokes) > network.MaxLen {
		return 0, false, nil
	}
	if err := m.network.Logits(m.logits, sequence(strokes), m.scratch); err != nil {
		return 0, false, err
	}
	return logOdds(m.logits, k), true, nil
}

// logOdds returns ln(P(k) / (1 - P(k))) of a softmax, clamped to ±maxOdds.
func logOdds(logits []float32, k int) float64 {
	top := math.Inf(-1)
	for j, x := range logits {
		if j != k {
			top = math.Max(top, float64(x))
		}
	}
	var sum float64
	for j, x := range logits {
		if j != k {
			sum += math.Exp(float64(x) - top)
		}
	}
	return math.Max(-maxOdds, math.Min(maxOdds, float64(logits[k])-top-math.Log(sum)))
}
