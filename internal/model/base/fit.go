package base

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model/lstm"
	"ksd/internal/model/network"
	"ksd/internal/model/train"
)

// Options steer the training. The zero value is invalid: see Defaults.
type Options struct {
	Seed    uint64 `json:"seed"`     // of all that is drawn
	Steps   int    `json:"steps"`    // batches learned
	HeldOut int    `json:"held_out"` // people kept for validation, ≥ 2

	Embedding int  `json:"embedding"` // of a key
	Hidden    int  `json:"hidden"`    // of each LSTM
	Dense     int  `json:"dense"`
	Out       int  `json:"out"`  // dimensions of the space
	Mean      bool `json:"mean"` // of the states, not the last

	Dropout    float64 `json:"dropout"`    // share of LSTM outputs
	People     int     `json:"people"`     // in a shard; a batch is two, one of channel full
	Crops      int     `json:"crops"`      // of each of them
	Rate       float64 `json:"rate"`       // the learning rate's peak
	Spread     float64 `json:"spread"`     // weight of the penalty on the spread of radii
	Transplant float64 `json:"transplant"` // share of batches in which the text speaks for somebody else
	SSH        float64 `json:"ssh"`        // share of batches without releases that have the ssh tick
	Near       float64 `json:"near"`       // share of the steps after which batches hold people who type alike
}

// Defaults returns the options of the shipped base.
func Defaults() Options {
	return Options{
		Seed: 1, Steps: 9000, HeldOut: 200,
		Embedding: 24, Hidden: 48, Dense: 96, Out: 64, Mean: true,
		Dropout: 0.1, People: 32, Crops: 4, Rate: 3e-3, Spread: 0.05, Transplant: 0.1, SSH: 0.3, Near: 0.2,
	}
}

// A batch is one shard of full typings and one without releases.
const (
	shards      = 2
	clip        = 2.0 // length of the gradient
	warmUp      = 100 // steps until the learning rate is at its peak
	validations = 5   // in a training
)

// The streams of random numbers drawn from the seed; package train and the
// initial weights have others.
const (
	streamSplit = 0x62617365 + iota // "base"
	streamValidation
	streamBackEnd
	streamSources // and one more for each shard
)

func (o Options) spec() network.Spec {
	return network.Spec{
		Features: feature.Rate, Keys: feature.VocabularySize, Embedding: o.Embedding, Hidden: o.Hidden,
		Dense: o.Dense, Classes: o.Out, Dropout: float32(o.Dropout), Mean: o.Mean,
	}
}

func (o Options) check(people int) error {
	switch {
	case o.Steps < 1:
		return fmt.Errorf("%w: %d steps", ErrOptions, o.Steps)
	case o.HeldOut < 2 || people-o.HeldOut < o.People:
		return fmt.Errorf("%w: %d of %d people held out, %d in a batch", ErrCorpus, o.HeldOut, people, o.People)
	case !(o.Rate > 0 && o.Rate <= 1):
		return fmt.Errorf("%w: learning rate %v, not in (0, 1]", ErrOptions, o.Rate)
	case !fraction(o.Transplant) || !fraction(o.SSH) || !fraction(o.Near):
		return fmt.Errorf("%w: a share is not in [0, 1]", ErrOptions)
	}
	return nil
}

// checkPeople refuses typings that are none, and those without releases.
func checkPeople(people []Person) error {
	for _, p := range people {
		for _, s := range p.Samples {
			if err := s.Validate(); err != nil {
				return fmt.Errorf("%w: %s: %w", ErrCorpus, p.Name, err)
			}
			if s.Channel != keystroke.Full {
				return fmt.Errorf("%w: %s: a typing without releases", ErrCorpus, p.Name)
			}
		}
	}
	return nil
}

func fraction(x float64) bool { return x >= 0 && x <= 1 }

// Progress tells how far the training has come.
type Progress struct {
	Step, Steps int
	Loss        float64 // mean of the steps since the last report, nats
	Report      *Report // of a validation just done, else nil
}

// Train trains a base on people, all but some who are held out and those with
// next to nothing typed, and returns it without the parts of its header that only the caller knows: Command,
// DataSHA256 and Took. The same people and options give the same bits, for one
// lstm.Kernel on one architecture. progress, if not nil, is called every few
// steps on Train's goroutine.
//
// Train looks at ctx between steps and returns its error, wrapped. Other errors
// wrap ErrOptions, ErrCorpus, or those of package train.
func Train(ctx context.Context, people []Person, o Options, progress func(Progress)) (*File, error) {
	if err := checkPeople(people); err != nil {
		return nil, err
	}
	people = usable(people, max(o.Crops, 2))
	if err := o.check(len(people)); err != nil {
		return nil, err
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	order := rand.New(rand.NewPCG(o.Seed, streamSplit)).Perm(len(people))
	var known, heldOut []Person
	for i, j := range order {
		if i < o.HeldOut {
			heldOut = append(heldOut, people[j])
		} else {
			known = append(known, people[j])
		}
	}
	weights, err := fit(ctx, known, heldOut, o, progress)
	if err != nil {
		return nil, err
	}
	f, err := finish(ctx, known, weights, o)
	if err != nil {
		return nil, err
	}
	if f.Report, err = validate(ctx, f, heldOut, o.Seed); err != nil {
		return nil, err
	}
	progress(Progress{Step: o.Steps, Steps: o.Steps, Report: &f.Report})
	return f, nil
}

// fit returns the weights of the network.
func fit(ctx context.Context, known, heldOut []Person, o Options, progress func(Progress)) ([]float32, error) {
	spec := o.spec()
	if err := spec.Check(); err != nil {
		return nil, err
	}
	m, err := train.NewMetric(spec, spec.Initialise(o.Seed), train.MetricOptions{
		People: o.People, Crops: o.Crops, Steps: maxCrop, Shards: shards, Spread: o.Spread, Clip: clip, Seed: o.Seed,
	})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	sources := make([]*source, shards)
	for i := range sources {
		sources[i] = &source{
			people: known, o: o, full: i%2 == 0,
			rng: rand.New(rand.NewPCG(o.Seed, streamSources+uint64(i))), bank: make([][]float32, len(known)),
		}
	}
	sum, told := 0.0, 0
	for step := range o.Steps {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("step %d: %w", step+1, err)
		}
		near := float64(step) >= o.Near*float64(o.Steps)
		loss, err := m.Step(o.rate(step), func(i int, into []network.Sequence) error {
			sources[i].draw(into, near)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("step %d: %w", step+1, err)
		}
		for i, s := range sources {
			e, err := m.Embeddings(i)
			if err != nil {
				return nil, err
			}
			s.remember(e)
		}
		sum += loss
		check := (step+1)%max(o.Steps/validations, 1) == 0 && step+1 < o.Steps
		if (step+1)%100 != 0 && !check {
			continue
		}
		p := Progress{Step: step + 1, Steps: o.Steps, Loss: sum / float64(step+1-told)}
		sum, told = 0, step+1
		if check {
			f, err := finish(ctx, known[:min(len(known), 2*len(heldOut))], m.Weights(), o)
			if err == nil {
				p.Report = new(Report)
				*p.Report, err = validate(ctx, f, heldOut, o.Seed)
			}
			if err != nil {
				return nil, err
			}
		}
		progress(p)
	}
	return append([]float32(nil), m.Weights()...), nil
}

// rate is the learning rate at a step, from 0: a linear rise, then half a cosine
// down to nothing (Loshchilov and Hutter 2017).
func (o Options) rate(step int) float64 {
	rise := min(1, float64(step+1)/warmUp)
	return o.Rate * rise * (1 + math.Cos(math.Pi*float64(step)/float64(o.Steps))) / 2
}

// finish puts back ends, estimated on people, on top of a network.
func finish(ctx context.Context, people []Person, weights []float32, o Options) (*File, error) {
	f := &File{
		Header: Header{
			Kernel: lstm.Kernel, Options: o, Spec: o.spec(),
			Vocabulary: feature.Vocabulary, Population: feature.TableSHA256(), MaxZ: feature.MaxZ,
		},
		Weights: append([]float32(nil), weights...),
	}
	net, err := network.New(f.Spec, f.Weights)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", train.ErrDiverged, err)
	}
	for i, ch := range channels {
		e := embedder{network: net, channel: ch, least: minCrop, most: backEndCrop, seed: o.Seed ^ streamBackEnd}
		rows, err := e.all(ctx, people)
		if err != nil {
			return nil, err
		}
		if f.backEnds[i], err = newBackEnd(rows, f.Spec.Classes); err != nil {
			return nil, fmt.Errorf("%s: %w", ch, errors.Join(ErrCorpus, err))
		}
	}
	return f, nil
}
