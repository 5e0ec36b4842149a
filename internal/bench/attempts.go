package bench

import (
	"slices"

	"ksd/internal/model"
	"ksd/internal/model/eval"
	"ksd/internal/policy"
)

// byOwner cuts trials into those of each owner, which stand together.
func byOwner(trials []trial) [][]trial {
	var out [][]trial
	for i, t := range trials {
		if i == 0 || t.owner != trials[i-1].owner {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], t)
	}
	return out
}

// rows groups the trials of one owner into what one typist typed at the same
// time: the n-th probe of each phrase.
func rows(owned []trial) [][]trial {
	type key struct {
		typist string
		number int
	}
	var out [][]trial
	at := map[key]int{}
	for _, t := range owned {
		k := key{t.typist, t.number}
		i, ok := at[k]
		if !ok {
			i, at[k] = len(out), len(out)
			out = append(out, nil)
		}
		out[i] = append(out[i], t)
	}
	return out
}

// attempts adds up scores of so many phrases at a time, by owner: neighbouring
// phrases of a row make an attempt. What could not be judged is left out.
func attempts(trials []trial, phrases int, of func(model.Score) float64) []eval.Scores {
	var out []eval.Scores
	for _, owned := range byOwner(trials) {
		var s eval.Scores
		for _, row := range rows(owned) {
			judged := slices.DeleteFunc(row, func(t trial) bool { return t.unusable })
			for one := range slices.Chunk(judged, phrases) {
				if len(one) == phrases {
					add(&s, one[0].owner == one[0].typist, sum(one, of))
				}
			}
		}
		out = append(out, s)
	}
	return out
}

func sum(trials []trial, of func(model.Score) float64) (x float64) {
	for _, t := range trials {
		x += of(t.score)
	}
	return x
}

func add(to *eval.Scores, genuine bool, x float64) {
	if genuine {
		to.Genuine = append(to.Genuine, x)
	} else {
		to.Impostor = append(to.Impostor, x)
	}
}

// Decision is what policy decides a whole attempt by.
type Decision struct {
	FMR        float64 `json:"fmr"`         // share of strangers' attempts to accept
	FNMR       float64 `json:"fnmr"`        // share of owners' attempts to refuse
	MaxPhrases int     `json:"max_phrases"` // of one attempt
}

// verdict is what came of an attempt, and what was typed for it.
type verdict struct {
	accepted      bool
	keys, phrases int
}

// decide judges one attempt of typings in their order, as the daemon does. A
// typing that is no person's ends it, if checks are made at all.
func decide(typed []outcome, d Decision, checks bool) (v verdict) {
	bounds := policy.NewBounds(d.FMR, d.FNMR)
	llr, judged := 0.0, 0
	for _, t := range typed {
		v.keys, v.phrases = v.keys+t.keys, v.phrases+1
		if t.unusable {
			continue
		}
		if checks && t.suspect() {
			return v
		}
		llr, judged = llr+t.score.LLR, judged+1
		switch policy.Decide(llr, judged, d.MaxPhrases, bounds) {
		case policy.More:
			continue
		case policy.Accept:
			v.accepted = true
		}
		return v
	}
	return v
}

func (o outcome) suspect() bool { return o.copied || o.score.NearCopy || o.score.TooSteady }

func outcomes(trials []trial) []outcome {
	out := make([]outcome, len(trials))
	for i, t := range trials {
		out[i] = t.outcome
	}
	return out
}
