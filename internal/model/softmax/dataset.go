package softmax

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model"
	"ksd/internal/model/network"
	"ksd/internal/model/train"
)

const (
	// minSamples is how many samples to train on a person needs to be a class.
	minSamples = 8
	// strangerWeight is how much the stranger counts, in people: a claim is
	// held against everybody else, known or not.
	strangerWeight = 1.0
)

// dataset is the examples of a training run.
type dataset struct {
	names             []string // of the classes, sorted; the stranger comes after them
	train, validation []train.Example
	owners            []string // of the validation examples, "" for the stranger
	real, kept, drawn int
}

// gather turns people into examples. Each real sample of the channel full also
// counts without its releases, because terminals differ; each is matched by
// opts.Impostors drawn strangers who type the same text.
func gather(ctx context.Context, people []model.Person, opts Options) (*dataset, error) {
	pop := feature.Default()
	people = slices.SortedFunc(slices.Values(people), func(a, b model.Person) int { return cmp.Compare(a.Name, b.Name) })
	d := &dataset{}
	var learn, kept [][]keystroke.Sample // by class
	var lines [][]keystroke.Line
	for _, p := range people {
		l, k := split(p)
		if len(l) < minSamples {
			continue
		}
		d.names, lines = append(d.names, p.Name), append(lines, linesOf(l))
		learn, kept = append(learn, l), append(kept, k)
	}
	if len(d.names) == 0 {
		return nil, fmt.Errorf("%w: nobody has %d", model.ErrTooFew, minSamples)
	}
	b := builder{pop: pop, rhythms: feature.NewRhythms(pop, lines), rng: rand.New(rand.NewPCG(opts.Seed, 0x5eed)), opts: opts, set: d}
	for class := range d.names {
		if err := b.add(ctx, class, learn[class], false); err != nil {
			return nil, err
		}
		if err := b.add(ctx, class, kept[class], true); err != nil {
			return nil, err
		}
	}
	balance(d.train, len(d.names))
	balance(d.validation, len(d.names))
	return d, nil
}

// split returns the samples to train on and those of the last sitting, kept
// apart for validation unless the others are too few without them.
func split(p model.Person) (learn, kept []keystroke.Sample) {
	for i, s := range p.Sittings {
		for _, sample := range s.Samples {
			l := sample.Line()
			switch {
			case l.Text != sample.Phrase || len(l.Strokes) == 0 || len(l.Strokes) > network.MaxLen:
			case i == len(p.Sittings)-1:
				kept = append(kept, sample)
			default:
				learn = append(learn, sample)
			}
		}
	}
	if len(learn) < minSamples {
		return append(learn, kept...), nil
	}
	return learn, kept
}

func linesOf(samples []keystroke.Sample) []keystroke.Line {
	out := make([]keystroke.Line, len(samples))
	for i, s := range samples {
		out[i] = s.Line()
	}
	return out
}

type builder struct {
	pop     *feature.Population
	rhythms *feature.Rhythms
	rng     *rand.Rand
	opts    Options
	owed    float64 // impostors, by the ratio, not yet drawn
	set     *dataset
}

// add puts a person's samples and their impostors on one side of the split.
func (b *builder) add(ctx context.Context, class int, samples []keystroke.Sample, keep bool) error {
	for _, s := range samples {
		b.put(class, b.set.names[class], s, keep)
		if keep {
			b.set.kept++
		} else {
			b.set.real++
		}
		for b.owed += b.opts.Impostors; b.owed >= 1; b.owed-- {
			if err := ctx.Err(); err != nil {
				return err
			}
			drawn, err := b.rhythms.Draw(b.rng, s.Phrase)
			if err != nil {
				return err
			}
			if s.Channel != keystroke.Full {
				drawn = drawn.PressOnly()
			}
			b.put(len(b.set.names), "", drawn, keep)
			if !keep {
				b.set.drawn++
			}
		}
	}
	return ctx.Err()
}

// put appends a sample to one side of the split, on every channel it can show.
func (b *builder) put(class int, owner string, s keystroke.Sample, keep bool) {
	views := []keystroke.Sample{s}
	if s.Channel == keystroke.Full {
		views = append(views, s.PressOnly())
	}
	for _, v := range views {
		e := train.Example{Sequence: sequence(b.pop.Extract(v.Line())), Class: class}
		if keep {
			b.set.validation, b.set.owners = append(b.set.validation, e), append(b.set.owners, owner)
		} else {
			b.set.train = append(b.set.train, e)
		}
	}
}

func sequence(strokes []feature.Stroke) network.Sequence {
	var s network.Sequence
	for _, st := range strokes {
		s.Features, s.Keys = st.Append(s.Features), append(s.Keys, st.Key)
	}
	return s
}

// balance gives each person the same weight in all, and the stranger that of
// strangerWeight people for every one there is.
func balance(examples []train.Example, people int) {
	counts := make([]int, people+1)
	for _, e := range examples {
		counts[e.Class]++
	}
	for i, e := range examples {
		share := 1.0
		if e.Class == people {
			share = strangerWeight * float64(people)
		}
		examples[i].Weight = float32(share / float64(counts[e.Class]))
	}
}
