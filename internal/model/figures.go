package model

import (
	"context"
	"math"
	"slices"

	"ksd/internal/model/eval"
	"ksd/internal/model/head"
)

// validate measures heads that were trained on rest on what was kept apart: each
// of those who have some claims to be itself, and so do the others' typings of
// the phrase and strangers who had no part in the training. All figures are 0
// where there is nothing to measure on.
func (r *run) validate(ctx context.Context, rest, kept map[string]lines, who func(string) bool) error {
	var scores eval.Scores
	var h *host
	scenes := map[templateKey]*scene{}
	err := r.each(ctx, rest, who, func(trained *host, sc *scene, person string, fit head.Fit) error {
		probes := kept[person][sc.key]
		if len(probes) == 0 {
			return nil
		}
		if richest(kept[person], sc.key) {
			r.report.Validation += len(probes)
		}
		if h == nil {
			h = &host{kept, trained.rhythms, r.opts.Seed}
		}
		if scenes[sc.key] == nil {
			clear(scenes) // heads come phrase by phrase and channel by channel
			drawn, err := h.strangers(ctx, sc.key.phrase, "validation", minStrangers)
			if err != nil {
				return err
			}
			if scenes[sc.key], err = h.scene(ctx, sc.key, drawn); err != nil {
				return err
			}
		}
		own, others, err := scenes[sc.key].claims(ctx, person)
		if err != nil {
			return err
		}
		for _, t := range own {
			scores.Genuine = append(scores.Genuine, clamp(head.Score(fit.Weights, fit.Centre, t.Residuals, t.At), maxOdds))
		}
		for _, t := range others {
			scores.Impostor = append(scores.Impostor, clamp(head.Score(fit.Weights, fit.Centre, t.Residuals, t.At), maxOdds))
		}
		return nil
	})
	if err != nil || len(scores.Genuine) == 0 {
		return err
	}
	at := scores.At(0)
	r.report.Figures = Figures{Loss: math.Ln2 * scores.Cllr(), FMR: zero(at.FMR), FNMR: zero(at.FNMR), EER: zero(scores.EER())}
	return nil
}

// claims returns the owner's typings and those of everybody else who claims to be
// the owner.
func (sc *scene) claims(ctx context.Context, owner string) (own, others []head.Typing, err error) {
	if own, err = sc.own(ctx, owner); err != nil {
		return nil, nil, err
	}
	local, err := sc.local(ctx, owner)
	return own, slices.Concat(local, sc.strangers), err
}

// zero turns what could not be measured into 0, because JSON has no NaN.
func zero(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return x
}

// clamp bounds x to ±most.
func clamp(x, most float64) float64 { return math.Max(-most, math.Min(most, x)) }
