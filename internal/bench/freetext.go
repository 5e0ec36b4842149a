package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"ksd/internal/keystroke"
	"ksd/internal/model"
	"ksd/internal/model/eval"
)

// FreeScorer judges typing of any text. model.Verifier has this method too, but
// for enrolled phrases alone. It must be safe for concurrent use; the errors are
// model.ErrUnenrolled and model.ErrUnusable.
type FreeScorer interface {
	Score(person string, s keystroke.Sample) (model.Score, error)
}

// FreeOptions steer the protocol on free text.
type FreeOptions struct {
	Enrol     int // sentences to enrol on; the others are probes
	People    int // who are enrolled: the first; the others are impostors with the same sentences
	Impostors int // other people that try each owner, drawn; 0: all who are enrolled
	Seed      uint64
}

// FreeResult is the outcome of the protocol for one scorer.
type FreeResult struct {
	Scorer   string            `json:"scorer"`
	Channel  keystroke.Channel `json:"channel"`
	People   int               `json:"people"`
	Enrol    int               `json:"enrol"`
	Everyone Figures           `json:"everyone"`      // every other person is an impostor
	Same     Figures           `json:"same_sentence"` // impostors typed one of the owner's sentences
	Unusable int               `json:"unusable,omitempty"`
}

// freeScorers are those there are, the product's own last.
var freeScorers = []struct {
	name  string
	llr   bool
	enrol func(people []model.Person) (FreeScorer, error)
}{
	{"digraphs", false, func(people []model.Person) (FreeScorer, error) { return newDigraphs(people), nil }},
}

// FreeText runs the protocol on free text: enrol on each person's first
// sentences; genuine are the later ones, impostors' the later ones of others.
// The second figures have the same genuine trials, and as impostors' every
// typing of one of the owner's sentences by anybody else who is in people,
// enrolled or not: who tells people apart by what they type fails there.
//
// The error is ErrProtocol where the people or their sentences are too few.
func FreeText(ctx context.Context, people []*Typist, o FreeOptions) ([]FreeResult, error) {
	if o.Enrol < 1 || o.People < 2 || o.Impostors < 0 || len(people) < 2 {
		return nil, fmt.Errorf("%w: %d sentences to enrol on, %d of %d people", ErrProtocol, o.Enrol, o.People, len(people))
	}
	for _, p := range people {
		if len(p.all) <= o.Enrol {
			return nil, fmt.Errorf("%w: %s typed %d sentences", ErrProtocol, p.name, len(p.all))
		}
	}
	owners := people[:min(o.People, len(people))]
	var enrolled []model.Person
	for i, p := range owners {
		m := model.Person{Name: p.name, Sittings: []model.Sitting{{ID: int64(i)}}}
		for _, t := range p.all[:o.Enrol] {
			m.Sittings[0].Samples = append(m.Sittings[0].Samples, t.sample)
		}
		enrolled = append(enrolled, m)
	}
	var out []FreeResult
	for _, sc := range freeScorers {
		scorer, err := sc.enrol(enrolled)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", sc.name, err)
		}
		everyone, same, unusable, err := freeScores(ctx, scorer, owners, newAuthors(people), o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", sc.name, err)
		}
		r := FreeResult{Scorer: sc.name, Channel: channelOf(people), People: len(owners), Enrol: o.Enrol, Unusable: unusable}
		r.Everyone, r.Same = summarise(everyone, sc.llr), summarise(same, sc.llr)
		if len(r.Same.Scores.Impostor) == 0 {
			return nil, fmt.Errorf("%w: no two people typed the same sentence", ErrProtocol)
		}
		out = append(out, r)
	}
	return out, nil
}

// authors are the typings of each sentence and whose they are.
type authors map[string][]authored

type authored struct {
	by     *Typist
	sample keystroke.Sample
}

func newAuthors(people []*Typist) authors {
	out := authors{}
	for _, p := range people {
		for _, t := range p.all {
			out[t.text] = append(out[t.text], authored{p, t.sample})
		}
	}
	return out
}

// freeScores scores all trials, owners on all processors.
func freeScores(ctx context.Context, scorer FreeScorer, owners []*Typist, texts authors, o FreeOptions) (everyone, same []eval.Scores, unusable int, err error) {
	everyone, same = make([]eval.Scores, len(owners)), make([]eval.Scores, len(owners))
	lost, errs := make([]int, len(owners)), make([]error, len(owners))
	next := make(chan int)
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := range next {
				t := freeTrials{scorer: scorer, owner: owners[i]}
				errs[i] = t.run(owners, texts, o, rand.New(rand.NewPCG(o.Seed, uint64(i))))
				everyone[i], same[i], lost[i] = t.everyone, t.same, t.unusable
			}
		})
	}
	for i := range owners {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	all.Wait()
	for _, n := range lost {
		unusable += n
	}
	return everyone, same, unusable, errors.Join(append(errs, ctx.Err())...)
}

// freeTrials are the trials at one owner's name.
type freeTrials struct {
	scorer         FreeScorer
	owner          *Typist
	everyone, same eval.Scores
	unusable       int
}

func (t *freeTrials) run(owners []*Typist, texts authors, o FreeOptions, rng *rand.Rand) error {
	for _, own := range t.owner.all[o.Enrol:] {
		if err := t.score(own.sample, true, &t.everyone, &t.same); err != nil {
			return err
		}
	}
	others := slices.DeleteFunc(slices.Clone(owners), func(p *Typist) bool { return p == t.owner })
	if o.Impostors > 0 && o.Impostors < len(others) {
		rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		others = others[:o.Impostors]
	}
	for _, p := range others {
		for _, theirs := range p.all[o.Enrol:] {
			if err := t.score(theirs.sample, false, &t.everyone); err != nil {
				return err
			}
		}
	}
	for _, text := range t.owner.texts {
		for _, theirs := range texts[text] {
			if theirs.by == t.owner {
				continue
			}
			if err := t.score(theirs.sample, false, &t.same); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *freeTrials) score(s keystroke.Sample, genuine bool, to ...*eval.Scores) error {
	score, err := t.scorer.Score(t.owner.name, s)
	if errors.Is(err, model.ErrUnusable) {
		t.unusable++
		return nil
	}
	if err != nil {
		return fmt.Errorf("as %s: %w", t.owner.name, err)
	}
	for _, scores := range to {
		add(scores, genuine, score.LLR)
	}
	return nil
}
