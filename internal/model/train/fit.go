package train

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"ksd/internal/model/network"
)

// progressEvery is the number of steps between two reports of progress; a step
// takes some 10 ms.
const progressEvery = 8

// fit is one training at work.
type fit struct {
	spec              network.Spec
	train, validation []Example
	options           Options
	progress          func(Progress)

	model *model
	order *rand.Rand // shuffles
	scale float64    // makes the mean weight of a training example 1

	best           []float32
	report         Report
	validationLoss float64 // of the last finished epoch
}

func newFit(spec network.Spec, initial []float32, train, validation []Example,
	o Options, progress func(Progress),
) (*fit, error) {
	steps := 0
	for _, e := range train {
		steps = max(steps, len(e.Keys))
	}
	o.Batch = min(o.Batch, len(train))
	m, err := newModel(spec, initial, o, steps)
	if err != nil {
		return nil, err
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	return &fit{
		spec: spec, train: train, validation: validation, options: o, progress: progress,
		model: m,
		order: rand.New(rand.NewPCG(o.Seed, streamOrder)),
		scale: float64(len(train)) / totalWeight(train),
	}, nil
}

// run trains epoch by epoch until there are enough or none has been better for
// as long as the patience lasts.
func (f *fit) run(ctx context.Context) error {
	for epoch := 1; epoch <= f.options.Epochs; epoch++ {
		loss, err := f.epoch(ctx, epoch)
		if err != nil {
			return fmt.Errorf("epoch %d: %w", epoch, err)
		}
		if f.validationLoss, err = f.validate(ctx); err != nil {
			return fmt.Errorf("validation after epoch %d: %w", epoch, err)
		}
		f.report.Epochs = epoch
		if f.best == nil || len(f.validation) == 0 || f.validationLoss < f.report.ValidationLoss {
			f.best = append(f.best[:0], f.model.weights...)
			f.report.BestEpoch, f.report.TrainLoss, f.report.ValidationLoss = epoch, loss, f.validationLoss
		}
		f.tell(epoch, f.batches(), loss)
		if f.options.Patience > 0 && epoch-f.report.BestEpoch >= f.options.Patience {
			break
		}
	}
	return nil
}

// batches is the number of steps in an epoch.
func (f *fit) batches() int {
	return (len(f.train) + f.options.Batch - 1) / f.options.Batch
}

func (f *fit) tell(epoch, batch int, loss float64) {
	f.progress(Progress{
		Epoch: epoch, Epochs: f.options.Epochs,
		Batch: batch, Batches: f.batches(),
		Loss: loss, ValidationLoss: f.validationLoss,
	})
}

// epoch takes every training example once and returns the mean loss.
func (f *fit) epoch(ctx context.Context, epoch int) (float64, error) {
	size, batches := f.options.Batch, f.batches()
	order := f.order.Perm(len(f.train))
	batch := make([]Example, 0, size)
	sum, weight := 0.0, 0.0
	for i := range batches {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		batch = batch[:0]
		for _, j := range order[i*size : min((i+1)*size, len(order))] {
			e := f.train[j]
			e.Weight = float32(float64(e.Weight) * f.scale)
			weight += float64(e.Weight)
			batch = append(batch, e)
		}
		loss, err := f.model.step(batch)
		if err != nil {
			return 0, fmt.Errorf("step %d: %w", i+1, err)
		}
		sum += loss * float64(size)
		if (i+1)%progressEvery == 0 && i+1 < batches {
			f.tell(epoch, i+1, sum/max(weight, math.SmallestNonzeroFloat32))
		}
	}
	return sum / weight, nil
}

// validate returns the mean loss over the validation examples by the pass that
// serves, without dropout; 0 without examples.
func (f *fit) validate(ctx context.Context) (float64, error) {
	net, err := network.New(f.spec, f.model.weights)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrDiverged, err)
	}
	if len(f.validation) == 0 {
		return 0, nil
	}
	logits, scratch := make([]float32, f.spec.Classes), network.NewScratch(f.spec)
	sum := 0.0
	for _, e := range f.validation {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if err := net.Logits(logits, e.Sequence, scratch); err != nil {
			return 0, fmt.Errorf("%w: %w", ErrDiverged, err)
		}
		sum -= float64(e.Weight) * network.LogProbability(logits, e.Class)
	}
	return sum / totalWeight(f.validation), nil
}
