package model

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model/base"
	"ksd/internal/model/head"
	"ksd/internal/model/plda"
)

// maxLocal is how many typings of other people a head is trained against.
const maxLocal = 100

// scene is one phrase on one channel, with everybody who types it.
type scene struct {
	key       templateKey
	text      *plda.Text
	space     *base.Space
	work      *embedding
	lines     map[string][]keystroke.Line
	others    []other // in the order in which they are taken as local people
	strangers []head.Typing
}

// other is a typing of somebody, read when it is first needed.
type other struct {
	person string
	round  int // it is the person's typing of that number
	order  uint64
	line   keystroke.Line
	typing *head.Typing
}

// scene sets up a phrase on a channel. The strangers typed it as drawn.
func (h *host) scene(ctx context.Context, key templateKey, drawn []keystroke.Sample) (*scene, error) {
	space, _ := base.Default().Space(key.channel)
	sc := &scene{
		key: key, text: plda.NewText(key.phrase, key.channel == keystroke.Full), space: space,
		work: newEmbedding(), lines: map[string][]keystroke.Line{},
	}
	for person, of := range h.people {
		if len(of[key]) > 0 {
			sc.lines[person] = of[key]
		}
		for i, l := range of[key] {
			sc.others = append(sc.others, other{person: person, round: i, order: hash(h.seed, person, key.phrase), line: l})
		}
	}
	slices.SortFunc(sc.others, func(a, b other) int {
		return cmp.Or(cmp.Compare(a.round, b.round), cmp.Compare(a.order, b.order), cmp.Compare(a.person, b.person))
	})
	var err error
	sc.strangers, err = sc.seen(ctx, drawn)
	return sc, err
}

// seen reads drawn samples as the scene's channel shows them.
func (sc *scene) seen(ctx context.Context, drawn []keystroke.Sample) ([]head.Typing, error) {
	var out []head.Typing
	for n, s := range drawn {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for _, v := range views(s, n) {
			if v.Channel != sc.key.channel {
				continue
			}
			t, err := sc.read(v.Line())
			if err != nil {
				return nil, err
			}
			out = append(out, t)
		}
	}
	return out, nil
}

// read turns a line into what a head reads.
func (sc *scene) read(l keystroke.Line) (head.Typing, error) {
	strokes := feature.Default().Extract(l)
	t := head.Typing{
		Residuals: sc.text.Residuals(make([]float64, 0, sc.text.Len()), strokes),
		At:        make([]float32, sc.space.Dim()),
	}
	return t, sc.space.Embed(t.At, strokes, sc.work.scratch)
}

// local returns typings of others than the owner, of as many people as there
// are, maxLocal at most.
func (sc *scene) local(ctx context.Context, owner string) ([]head.Typing, error) {
	var out []head.Typing
	for i := range sc.others {
		o := &sc.others[i]
		if o.person == owner {
			continue
		}
		if len(out) == maxLocal {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if o.typing == nil {
			t, err := sc.read(o.line)
			if err != nil {
				return nil, err
			}
			o.typing = &t
		}
		out = append(out, *o.typing)
	}
	return out, nil
}

// own returns the owner's typings.
func (sc *scene) own(ctx context.Context, owner string) ([]head.Typing, error) {
	var out []head.Typing
	for _, l := range sc.lines[owner] {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t, err := sc.read(l)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// train fits the owner's head.
func (sc *scene) train(ctx context.Context, owner string, seed uint64) (head.Fit, error) {
	own, err := sc.own(ctx, owner)
	if err != nil {
		return head.Fit{}, err
	}
	local, err := sc.local(ctx, owner)
	if err != nil {
		return head.Fit{}, err
	}
	rng := rand.New(rand.NewPCG(seed, hash(seed, owner, sc.key.phrase)))
	played, err := sc.seen(ctx, medians(rng, sc.key.phrase, tempoOf(sc.lines[owner])))
	if err != nil {
		return head.Fit{}, err
	}
	return head.Train(ctx, head.Examples{Owner: own, Local: local, Strangers: slices.Concat(sc.strangers, played)})
}
