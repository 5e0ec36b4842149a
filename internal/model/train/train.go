// Package train finds the weights of package network: Adam (Kingma and Ba 2015)
// on the weighted cross-entropy, with dropout and early stopping.
//
// gorgonia owns the graph, the dense layers, the loss, the symbolic
// differentiation, the solver and the machine that runs it. The three LSTMs,
// with the look-up of the embedding inside them, are ops of our own on that
// graph, which run the kernels of package lstm. So the graph has some seventy
// nodes whatever the length of the input, where an unrolled one has thousands.
//
// The same examples, options and initial weights give the same bits, for one
// lstm.Kernel on one architecture: every random number is drawn here from the
// seed, and none by gorgonia, which seeds its own by the clock.
//
// The memory in use is set by the batch and the longest sequence, not by the
// number of examples or epochs.
package train

import (
	"context"
	"errors"
	"fmt"

	"ksd/internal/model/network"
)

var (
	// ErrOptions is the fact that an option is out of range.
	ErrOptions = errors.New("invalid training options")
	// ErrExamples is the fact that there is nothing to learn from, or that an
	// example cannot be used.
	ErrExamples = errors.New("invalid training examples")
	// ErrDiverged is the fact that the loss, a gradient or a weight is no longer
	// a finite number.
	ErrDiverged = errors.New("training diverged")
	// ErrGraph is the fact that the graph could not be built or run.
	ErrGraph = errors.New("training graph failed")
)

// Example is one typing, whose it is, and how much it counts. Weights balance
// the classes; only their ratios matter.
type Example struct {
	network.Sequence
	Class  int     // 0..K-1
	Weight float32 // ≥ 0, finite
}

// Options steer the training. The zero value is invalid: see Defaults.
type Options struct {
	Epochs       int     // at most; ≥ 1
	Batch        int     // examples per step, 1..MaxBatch
	LearningRate float64 // Adam's, > 0
	Clip         float64 // largest length of the gradient as a whole, > 0
	Patience     int     // epochs without a better validation loss before it stops; 0 never stops early
	Seed         uint64  // of the initial weights, the order of examples and the dropout
}

// MaxBatch is the largest batch: with it and the longest sequences, a step of
// the usual sizes still ends within 100 ms, and Fit cannot stop inside a step.
const MaxBatch = 64

// Defaults returns the options that ksd trains with.
func Defaults() Options {
	return Options{Epochs: 60, Batch: 32, LearningRate: 0.003, Clip: 5, Patience: 6}
}

func (o Options) check() error {
	switch {
	case o.Epochs < 1:
		return fmt.Errorf("%w: %d epochs", ErrOptions, o.Epochs)
	case o.Batch < 1 || o.Batch > MaxBatch:
		return fmt.Errorf("%w: batch of %d, not in 1..%d", ErrOptions, o.Batch, MaxBatch)
	case !(o.LearningRate > 0 && o.LearningRate <= 1):
		return fmt.Errorf("%w: learning rate %v, not in (0, 1]", ErrOptions, o.LearningRate)
	case !(o.Clip > 0):
		return fmt.Errorf("%w: gradient clipped to %v", ErrOptions, o.Clip)
	case o.Patience < 0:
		return fmt.Errorf("%w: patience of %d epochs", ErrOptions, o.Patience)
	}
	return nil
}

// Progress tells how far the training has come.
type Progress struct {
	Epoch, Epochs  int     // the epoch at work, from 1, and the most there can be
	Batch, Batches int     // steps done in it; at its end both are equal
	Loss           float64 // mean training loss of the epoch so far, in nats
	ValidationLoss float64 // mean validation loss of the last finished epoch, in nats; 0 before there is one
}

// Report tells how the training went. Losses are weighted means in nats.
type Report struct {
	Epochs         int     `json:"epochs"`          // run
	BestEpoch      int     `json:"best_epoch"`      // whose weights were returned, from 1
	TrainLoss      float64 `json:"train_loss"`      // over the best epoch, with dropout
	ValidationLoss float64 `json:"validation_loss"` // after the best epoch; 0 without validation examples
}

// Fit trains a network and returns its weights: those with the best validation
// loss, or the last ones where there are no validation examples. It starts from
// initial, or from the seed where initial is nil. progress, if not nil, is
// called on Fit's goroutine every few steps (a fraction of a second) and at the
// end of every epoch.
//
// Fit looks at ctx between steps (some 15 ms with a batch of 32) and returns its
// error, wrapped. Other errors
// wrap ErrOptions, ErrExamples, ErrDiverged, ErrGraph, network.ErrSpec,
// network.ErrWeights or network.ErrInput.
func Fit(ctx context.Context, spec network.Spec, initial []float32, train, validation []Example,
	o Options, progress func(Progress),
) ([]float32, Report, error) {
	if err := check(spec, initial, train, validation, o); err != nil {
		return nil, Report{}, err
	}
	if initial == nil {
		initial = spec.Initialise(o.Seed)
	}
	f, err := newFit(spec, initial, train, validation, o, progress)
	if err != nil {
		return nil, Report{}, err
	}
	defer f.model.close()
	if err := f.run(ctx); err != nil {
		return nil, Report{}, err
	}
	return f.best, f.report, nil
}

func check(spec network.Spec, initial []float32, train, validation []Example, o Options) error {
	if err := errors.Join(spec.Check(), o.check()); err != nil {
		return err
	}
	if initial != nil {
		if err := spec.CheckWeights(initial); err != nil {
			return err
		}
	}
	if err := checkExamples(spec, train); err != nil {
		return fmt.Errorf("training set: %w", err)
	}
	if len(validation) == 0 {
		return nil
	}
	if err := checkExamples(spec, validation); err != nil {
		return fmt.Errorf("validation set: %w", err)
	}
	return nil
}

// checkExamples refuses what would make an op panic or a loss meaningless: a
// panic inside gorgonia's machine cannot be recovered by its caller.
func checkExamples(spec network.Spec, examples []Example) error {
	if len(examples) == 0 {
		return fmt.Errorf("%w: there are none", ErrExamples)
	}
	for i, e := range examples {
		if err := spec.CheckInput(e.Sequence); err != nil {
			return fmt.Errorf("example %d: %w", i, err)
		}
		if e.Class < 0 || e.Class >= spec.Classes {
			return fmt.Errorf("%w: example %d is of class %d of %d", ErrExamples, i, e.Class, spec.Classes)
		}
		if !(e.Weight >= 0) || e.Weight-e.Weight != 0 {
			return fmt.Errorf("%w: example %d has weight %v", ErrExamples, i, e.Weight)
		}
	}
	if !(totalWeight(examples) > 0) {
		return fmt.Errorf("%w: no example has a weight above 0", ErrExamples)
	}
	return nil
}

func totalWeight(examples []Example) float64 {
	sum := 0.0
	for _, e := range examples {
		sum += float64(e.Weight)
	}
	return sum
}
