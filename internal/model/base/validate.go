package base

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"

	"ksd/internal/keystroke"
	"ksd/internal/model/eval"
	"ksd/internal/model/network"
)

const (
	backEndCrop    = 25 // keys at most, on which back ends are estimated
	validationCrop = 30 // keys on which the base is validated
	enrolCrops     = 10
)

// Report is how well a base tells apart people who were held out: enrolled on
// ten crops of 30 keys, everybody else an impostor, by LLR.
type Report struct {
	People int                           `json:"people"`
	Errors map[keystroke.Channel]Figures `json:"errors"`
	// Text has the figures of channel press with every time at the population's
	// median: what the keys alone give away. An EER near 0.5 is no leak.
	Text Figures `json:"text_alone"`
}

// Figures are global error rates, 0 to 1, and the cost of the LLR, in bits.
type Figures struct {
	EER    float64 `json:"eer"`
	FNMR1  float64 `json:"fnmr_at_fmr_1"`   // at an FMR of 1 %
	FNMR01 float64 `json:"fnmr_at_fmr_0_1"` // at an FMR of 0.1 %
	Cllr   float64 `json:"cllr"`
}

func figures(s eval.Scores) Figures {
	return Figures{s.EER(), s.FNMRAt(0.01), s.FNMRAt(0.001), s.Cllr()}
}

// embedder embeds crops of clean typing.
type embedder struct {
	network     *network.Network
	channel     keystroke.Channel
	least, most int  // keys of a crop
	silent      bool // all times at the population's median
	seed        uint64
}

// all returns the network's outputs for one crop of every sample of every person,
// by person.
func (e embedder) all(ctx context.Context, people []Person) ([][][]float32, error) {
	out, errs := make([][][]float32, len(people)), make([]error, len(people))
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			s := network.NewScratch(e.network.Spec())
			for i := range next {
				out[i], errs[i] = e.person(people[i], rand.New(rand.NewPCG(e.seed, uint64(i))), s)
			}
		})
	}
	for i := range people {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	return out, errors.Join(append(errs, ctx.Err())...)
}

func (e embedder) person(p Person, rng *rand.Rand, s *network.Scratch) ([][]float32, error) {
	var out [][]float32
	for _, sample := range p.Samples {
		strokes := draw(sample, e.least, e.most, e.channel, false, rng)
		in := appendSequence(network.Sequence{}, strokes, network.MaxLen)
		if e.silent {
			f := e.network.Spec().Features
			for j := range in.Keys {
				clear(in.Features[j*f : j*f+4]) // residuals and overlap
			}
		}
		x := make([]float32, e.network.Spec().Classes)
		if err := e.network.Logits(x, in, s); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		out = append(out, x)
	}
	return out, nil
}

// validate measures a base on people whom it does not know.
func validate(ctx context.Context, f *File, people []Person, seed uint64) (Report, error) {
	b, err := New(f)
	if err != nil {
		return Report{}, err
	}
	r := Report{People: len(people), Errors: map[keystroke.Channel]Figures{}}
	for _, ch := range channels {
		if r.Errors[ch], err = b.measure(ctx, people, ch, false, seed); err != nil {
			return r, err
		}
	}
	r.Text, err = b.measure(ctx, people, keystroke.Press, true, seed)
	return r, err
}

func (b *Base) measure(ctx context.Context, people []Person, ch keystroke.Channel, silent bool, seed uint64) (Figures, error) {
	space := b.spaces[ch]
	e := embedder{space.network, ch, validationCrop, validationCrop, silent, seed ^ streamValidation}
	rows, err := e.all(ctx, people)
	if err != nil {
		return Figures{}, err
	}
	for _, typings := range rows {
		for i, x := range typings {
			typings[i] = make([]float32, len(x))
			space.project(typings[i], x)
		}
	}
	return figures(space.trials(rows)), nil
}

// trials enrols every person on the first places and probes everybody with the
// others of everybody.
func (s *Space) trials(rows [][][]float32) eval.Scores {
	scores := make([]eval.Scores, len(rows))
	var all sync.WaitGroup
	limit := make(chan struct{}, runtime.GOMAXPROCS(0))
	for owner, typings := range rows {
		if len(typings) <= enrolCrops {
			continue
		}
		limit <- struct{}{}
		all.Go(func() {
			mean := make([]float64, s.Dim())
			for _, x := range typings[:enrolCrops] {
				for i, v := range x {
					mean[i] += float64(v) / enrolCrops
				}
			}
			for who, probes := range rows {
				for _, x := range probes[min(enrolCrops, len(probes)):] {
					llr := s.LLR(mean, enrolCrops, x)
					if who == owner {
						scores[owner].Genuine = append(scores[owner].Genuine, llr)
					} else {
						scores[owner].Impostor = append(scores[owner].Impostor, llr)
					}
				}
			}
			<-limit
		})
	}
	all.Wait()
	var out eval.Scores
	for _, x := range scores {
		out.Append(x)
	}
	return out
}
