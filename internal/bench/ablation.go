package bench

import (
	"context"
	"slices"

	"ksd/internal/model"
	"ksd/internal/model/softmax"
)

// ablation measures the softmax network over the people of a host, which heads
// replaced. No fusion has weights for it.
func ablation(ctx context.Context, people []*Typist, o PhraseOptions) (PhraseResult, error) {
	var trials []trial
	for host := range slices.Chunk(people, o.Local) {
		net, err := softmax.Train(ctx, enrolled(host, o), softmax.Options{Seed: o.Seed})
		if err != nil {
			return PhraseResult{}, err
		}
		for _, owner := range host {
			for _, p := range o.probers(people, host, owner) {
				ts, err := soft(net, owner, p, o.Enrol)
				if err != nil {
					return PhraseResult{}, err
				}
				trials = append(trials, ts...)
			}
		}
	}
	by := attempts(trials, o.Phrases, func(s model.Score) float64 { return s.LLR })
	return PhraseResult{
		Scorer: "softmax", Channel: channelOf(people), Phrases: o.Phrases, People: len(by), Figures: summarise(by, false),
	}, nil
}

// soft scores what p typed after enrolment as owner's, by the network alone.
func soft(net *softmax.Model, owner, p *Typist, enrol int) ([]trial, error) {
	var out []trial
	for _, text := range p.texts {
		for n, s := range p.by[text][enrol:] {
			odds, ok, err := net.Score(owner.name, s)
			if err != nil {
				return nil, err
			}
			out = append(out, trial{owner.name, p.name, text, n, outcome{score: model.Score{LLR: odds}, unusable: !ok}})
		}
	}
	return out, nil
}
