package model

import (
	"cmp"
	"context"
	"crypto/sha256"
	"math"
	"slices"
	"time"

	"ksd/internal/feature"
	"ksd/internal/model/eval"
	"ksd/internal/model/lstm"
	"ksd/internal/model/network"
	"ksd/internal/model/train"
)

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

// Retrain trains a network on people: one class for each, and one for the
// stranger, whose samples are drawn from the population's covariance in the
// very texts that people typed. Where somebody has two sittings or more, and
// the others hold enough to train on, the last is kept apart for validation and
// early stopping. old, which may be nil, is measured beside the new network on
// the same samples.
//
// It is deterministic for equal people and options, stops within 100 ms of ctx
// ending, and needs memory bounded by the number of samples. Errors: ErrTooFew,
// ctx.Err(), those of package train.
func Retrain(ctx context.Context, people []Person, old *File, now time.Time, opts Options, progress func(Progress)) (*File, error) {
	opts = opts.withDefaults()
	if progress == nil {
		progress = func(Progress) {}
	}
	progress(Progress{Stage: "samples"})
	set, err := gather(ctx, people, opts)
	if err != nil {
		return nil, err
	}
	f := &File{Trained: now, Kernel: lstm.Kernel, Options: opts, People: set.names}
	f.Spec = network.NewSpec(feature.Rate, feature.VocabularySize, len(set.names)+1)
	to := train.Defaults()
	to.Seed, to.Epochs, to.Patience = opts.Seed, opts.Epochs, opts.Patience
	if len(set.validation) == 0 {
		to.Epochs = min(to.Epochs, blindEpochs)
	}
	weights, report, err := train.Fit(ctx, f.Spec, nil, set.train, set.validation, to, func(p train.Progress) {
		progress(Progress{
			Stage: "training", Epoch: p.Epoch, Epochs: p.Epochs, Loss: p.Loss, ValidationLoss: p.ValidationLoss,
			Done: (float64(p.Epoch-1) + float64(p.Batch)/float64(p.Batches)) / float64(p.Epochs),
		})
	})
	if err != nil {
		return nil, err
	}
	progress(Progress{Stage: "validation", Done: 1})
	f.Weights = weights
	f.Report = Report{
		People: len(set.names), Samples: set.real, Validation: set.kept, Impostors: set.drawn,
		Epochs: report.Epochs, BestEpoch: report.BestEpoch, TrainLoss: report.TrainLoss,
	}
	if err := f.measure(ctx, set, old); err != nil {
		return nil, err
	}
	return f, nil
}

// measure fills in the report's figures and the checksum.
func (f *File) measure(ctx context.Context, set *dataset, old *File) error {
	var err error
	if f.Report.Figures, err = figures(ctx, f, set); err != nil {
		return err
	}
	if old != nil && set.knownTo(old) {
		before, err := figures(ctx, old, set)
		if err != nil {
			return err
		}
		f.Report.Before = &before
	}
	b, err := f.Encode()
	if err != nil {
		return err
	}
	f.SHA256 = [32]byte(b[len(b)-sha256.Size:])
	return nil
}

func (d *dataset) knownTo(f *File) bool {
	for _, name := range d.names {
		if !slices.Contains(f.People, name) {
			return false
		}
	}
	return true
}

// figures measures a file's network on the validation samples: every sample
// claims to be every person that has some, and is genuine or an impostor's. All
// are 0 where there are none.
func figures(ctx context.Context, f *File, d *dataset) (Figures, error) {
	n, err := network.New(f.Spec, f.Weights)
	if err != nil {
		return Figures{}, err
	}
	if len(d.validation) == 0 {
		return Figures{}, nil
	}
	claimed := map[string]bool{}
	for _, name := range d.owners {
		claimed[name] = true
	}
	var scores eval.Scores
	var loss, weight float64
	logits, scratch := make([]float32, f.Spec.Classes), network.NewScratch(f.Spec)
	for i, e := range d.validation {
		if err := ctx.Err(); err != nil {
			return Figures{}, err
		}
		if err := n.Logits(logits, e.Sequence, scratch); err != nil {
			return Figures{}, err
		}
		own := f.Spec.Classes - 1
		for k, name := range f.People {
			if name == d.owners[i] {
				own = k
				scores.Genuine = append(scores.Genuine, logOdds(logits, k))
			} else if claimed[name] {
				scores.Impostor = append(scores.Impostor, logOdds(logits, k))
			}
		}
		loss -= float64(e.Weight) * network.LogProbability(logits, own)
		weight += float64(e.Weight)
	}
	at := scores.At(0)
	return Figures{Loss: loss / weight, FMR: zero(at.FMR), FNMR: zero(at.FNMR), EER: zero(scores.EER())}, nil
}

// zero turns what could not be measured into 0, because JSON has no NaN.
func zero(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return x
}
