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

// FreeScorer judges typing of any text. It must be safe for concurrent use; the
// errors are model.ErrUnenrolled and model.ErrUnusable.
type FreeScorer interface {
	Score(person string, s keystroke.Sample) (model.Score, error)
}

// anyText is the product's own scorer, of owners who are each alone on a host:
// nothing is known of others, least of all of those who try.
type anyText map[string]*model.Verifier

func newAnyText(people []model.Person) (FreeScorer, error) {
	out := anyText{}
	for _, p := range people {
		v, err := model.NewVerifier([]model.Person{p}, nil)
		if err != nil {
			return nil, err
		}
		out[p.Name] = v
	}
	return out, nil
}

// Score implements FreeScorer.
func (a anyText) Score(person string, s keystroke.Sample) (model.Score, error) {
	if a[person] == nil {
		return model.Score{}, model.ErrUnenrolled
	}
	return a[person].ScoreAny(person, s)
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

// freeScorers are those there are, and what is measured of what they say; the
// product's own comes last, and of that the fused score.
var freeScorers = []struct {
	enrol    func(people []model.Person) (FreeScorer, error)
	measures []measure
}{
	{
		func(people []model.Person) (FreeScorer, error) { return newDigraphs(people), nil },
		[]measure{{"digraphs", false, func(s model.Score) float64 { return s.LLR }}},
	},
	{newAnyText, measuresOf("plda", "base", "fusion")},
}

// measure is one of scorers.
type measure struct {
	name string
	llr  bool
	of   func(model.Score) float64
}

func measuresOf(names ...string) (out []measure) {
	for _, sc := range scorers {
		if slices.Contains(names, sc.name) {
			out = append(out, sc)
		}
	}
	return out
}

// FreeText runs the protocol on free text: enrol on each person's first
// sentences; genuine are the later ones, impostors' the later ones of others.
// The second figures have the same genuine trials, and as impostors' every
// typing of one of the owner's sentences by anybody else who is in people,
// enrolled or not: who tells people apart by what they type fails there.
//
// The error is ErrProtocol where the people or their sentences are too few.
func FreeText(ctx context.Context, people []*Typist, o FreeOptions) ([]FreeResult, error) {
	owners, enrolled, err := enrolFree(people, o)
	if err != nil {
		return nil, err
	}
	texts := newAuthors(people)
	var out []FreeResult
	for _, sc := range freeScorers {
		scorer, err := sc.enrol(enrolled)
		if err != nil {
			return nil, err
		}
		trials, err := freeTrials(ctx, scorer, owners, texts, o)
		if err != nil {
			return nil, err
		}
		for _, m := range sc.measures {
			r := FreeResult{Scorer: m.name, Channel: channelOf(people), People: len(owners), Enrol: o.Enrol, Unusable: unusable(trials)}
			r.Everyone, r.Same = summarise(freeScores(trials, false, m.of), m.llr), summarise(freeScores(trials, true, m.of), m.llr)
			if len(r.Same.Scores.Impostor) == 0 {
				return nil, fmt.Errorf("%w: no two people typed the same sentence", ErrProtocol)
			}
			out = append(out, r)
		}
	}
	return out, nil
}

// FitFree runs the protocol on free text, without impostors who typed the same
// sentence, and fits the fusion of the product's own scorer to it, as Fit does.
func FitFree(ctx context.Context, people []*Typist, o FreeOptions) (FusionFit, error) {
	owners, enrolled, err := enrolFree(people, o)
	if err != nil {
		return FusionFit{}, err
	}
	scorer, err := newAnyText(enrolled)
	if err != nil {
		return FusionFit{}, err
	}
	byOwner, err := freeTrials(ctx, scorer, owners, nil, o)
	if err != nil {
		return FusionFit{}, err
	}
	var trials []trial
	for _, t := range slices.Concat(byOwner...) {
		if !t.unusable {
			trials = append(trials, t.trial)
		}
	}
	return fitTo(owners, trials)
}

// enrolFree returns the owners, and what they enrol on.
func enrolFree(people []*Typist, o FreeOptions) (owners []*Typist, enrolled []model.Person, err error) {
	if o.Enrol < 1 || o.People < 2 || o.Impostors < 0 || len(people) < 2 {
		return nil, nil, fmt.Errorf("%w: %d sentences to enrol on, %d of %d people", ErrProtocol, o.Enrol, o.People, len(people))
	}
	for _, p := range people {
		if len(p.all) <= o.Enrol {
			return nil, nil, fmt.Errorf("%w: %s typed %d sentences", ErrProtocol, p.name, len(p.all))
		}
	}
	owners = people[:min(o.People, len(people))]
	for i, p := range owners {
		m := model.Person{Name: p.name, Sittings: []model.Sitting{{ID: int64(i)}}}
		for _, t := range p.all[:o.Enrol] {
			m.Sittings[0].Samples = append(m.Sittings[0].Samples, t.sample)
		}
		enrolled = append(enrolled, m)
	}
	return owners, enrolled, nil
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

// freeTrial is one trial at an owner's name. same says that it is an impostor's
// because it is of one of the owner's sentences; genuine ones count there too.
type freeTrial struct {
	trial
	same bool
}

func (t trial) genuine() bool { return t.owner == t.typist }

// freeScores returns what trials say, by owner: of impostors who typed the same
// sentence, or of the others.
func freeScores(byOwner [][]freeTrial, same bool, of func(model.Score) float64) []eval.Scores {
	out := make([]eval.Scores, len(byOwner))
	for i, trials := range byOwner {
		for _, t := range trials {
			if !t.unusable && (t.genuine() || t.same == same) {
				add(&out[i], t.genuine(), of(t.score))
			}
		}
	}
	return out
}

func unusable(byOwner [][]freeTrial) (n int) {
	for _, t := range slices.Concat(byOwner...) {
		if t.unusable {
			n++
		}
	}
	return n
}

// freeTrials runs all trials, owners on all processors.
func freeTrials(ctx context.Context, scorer FreeScorer, owners []*Typist, texts authors, o FreeOptions) ([][]freeTrial, error) {
	out, errs := make([][]freeTrial, len(owners)), make([]error, len(owners))
	next := make(chan int)
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := range next {
				rng := rand.New(rand.NewPCG(o.Seed, uint64(i)))
				out[i], errs[i] = tryAll(ctx, scorer, owners[i], tries(owners[i], owners, texts, o, rng))
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
	return out, errors.Join(append(errs, ctx.Err())...)
}

// try is a typing that is to be tried at an owner's name.
type try struct {
	authored
	same bool
}

// tries returns the owner's own, those of drawn others, and those of the owner's
// sentences by anybody else.
func tries(owner *Typist, owners []*Typist, texts authors, o FreeOptions, rng *rand.Rand) (out []try) {
	others := slices.DeleteFunc(slices.Clone(owners), func(p *Typist) bool { return p == owner })
	if o.Impostors > 0 && o.Impostors < len(others) {
		rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		others = others[:o.Impostors]
	}
	for _, p := range append([]*Typist{owner}, others...) {
		for _, t := range p.all[o.Enrol:] {
			out = append(out, try{authored{p, t.sample}, false})
		}
	}
	for _, text := range owner.texts {
		for _, theirs := range texts[text] {
			if theirs.by != owner {
				out = append(out, try{theirs, true})
			}
		}
	}
	return out
}

// tryAll scores tries at an owner's name.
func tryAll(ctx context.Context, scorer FreeScorer, owner *Typist, tries []try) ([]freeTrial, error) {
	out := make([]freeTrial, 0, len(tries))
	for _, t := range tries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		score, err := scorer.Score(owner.name, t.sample)
		if err != nil && !errors.Is(err, model.ErrUnusable) {
			return nil, fmt.Errorf("as %s: %w", owner.name, err)
		}
		out = append(out, freeTrial{trial{owner: owner.name, typist: t.by.name, outcome: outcome{score: score, unusable: err != nil}}, t.same})
	}
	return out, nil
}
