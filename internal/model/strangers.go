package model

import (
	"context"
	"math"
	"math/rand/v2"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
)

const (
	// The strangers drawn for a phrase, at least and at most.
	minStrangers, maxStrangers = 50, 400
	// The rhythms that anybody can play are those most people have, at these
	// tempos and at the owner's own, so often each, with a little noise.
	medianCopies = 2
	medianNoise  = 0.03 // log-ms
)

var medianTempos = []float64{0.6, 0.8, 1, 1.25, 1.6}

// strangers draws n typings of a phrase, and the rhythms that anybody can play.
// Purpose keeps those of training and of validation apart.
func (h *host) strangers(ctx context.Context, phrase, purpose string, n int) ([]keystroke.Sample, error) {
	rng := rand.New(rand.NewPCG(h.seed, hash(h.seed, phrase, purpose)))
	out := make([]keystroke.Sample, 0, n+medianCopies*len(medianTempos))
	for range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s, err := h.rhythms.Draw(rng, phrase)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return append(out, medians(rng, phrase, medianTempos...)...), nil
}

// medians are the rhythm that most people have, at each of the tempos.
func medians(rng *rand.Rand, phrase string, tempos ...float64) []keystroke.Sample {
	var out []keystroke.Sample
	for _, tempo := range tempos {
		for range medianCopies {
			out = append(out, medianRhythm(rng, phrase, tempo))
		}
	}
	return out
}

func medianRhythm(rng *rand.Rand, phrase string, tempo float64) keystroke.Sample {
	pop := feature.Default()
	around := func(s feature.Spread) float64 { return s.Center + medianNoise*rng.NormFloat64() + math.Log(tempo) }
	return feature.Compose(phrase,
		func(_ int, prev, key keystroke.Key) float64 { return around(pop.DownDown(prev, key)) },
		func(_ int, _, key keystroke.Key) float64 { return around(pop.Dwell(key)) })
}

// tempoOf is how slow lines are beside most people's: the median ratio of their
// intervals, 1 where there are none.
func tempoOf(lines []keystroke.Line) float64 {
	pop := feature.Default()
	var delays []float64
	for _, l := range lines {
		delays = append(delays, pop.Delays(l)...)
	}
	return math.Exp(feature.Median(delays))
}
