package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"ksd/internal/keystroke"
	"ksd/internal/model"
	"ksd/internal/model/eval"
	"ksd/internal/policy"
)

// SequentialResult is the outcome of whole attempts.
type SequentialResult struct {
	Channel  keystroke.Channel `json:"channel"`
	People   int               `json:"people"`
	Decision Decision          `json:"decision"`
	// Tests holds the sequential test first, then those of 1, 2, … phrases at
	// the threshold that gives them the sequential test's FMR.
	Tests []AttemptResult `json:"tests"`
}

// AttemptResult is how one test did. CI holds intervals under the names in JSON.
type AttemptResult struct {
	Phrases int                 `json:"phrases"` // of every attempt; 0: as many as it takes
	Keys    float64             `json:"keys"`    // that an owner types, mean
	Typed   float64             `json:"typed"`   // phrases that an owner types, mean
	FMR     float64             `json:"fmr"`     // strangers' attempts accepted
	FNMR    float64             `json:"fnmr"`    // owners' attempts refused
	CI      map[string]Interval `json:"ci"`
}

// Sequential judges whole attempts as the daemon does: a typing that is a copy or
// too steady ends one, else log-likelihood ratios add up until policy decides. A
// row of typings gives as many attempts as it has phrases: each comes first once,
// the others in a random order behind it. A typing that cannot be judged costs
// its keys and counts for nothing.
//
// The error is ErrProtocol where people, typings or rates do not do.
func Sequential(ctx context.Context, people []*Typist, o PhraseOptions, d Decision) (SequentialResult, error) {
	if policy.NewBounds(d.FMR, d.FNMR) == (policy.Bounds{}) {
		return SequentialResult{}, fmt.Errorf("%w: an FMR of %v and an FNMR of %v", ErrProtocol, d.FMR, d.FNMR)
	}
	if err := enoughTexts(people, d.MaxPhrases); err != nil {
		return SequentialResult{}, err
	}
	trials, err := run(ctx, people, o)
	if err != nil {
		return SequentialResult{}, err
	}
	var owned [][][]trial // by owner, attempt and phrase
	rng := rand.New(rand.NewPCG(o.Seed, 0x0d3))
	for _, ts := range byOwner(trials) {
		owned = append(owned, orders(ts, len(people[0].texts), rng))
	}
	counts := make([]tally, len(owned))
	for i, ordered := range owned {
		for _, one := range ordered {
			counts[i].add(one[0].owner == one[0].typist, decide(outcomes(one), d, true))
		}
	}
	r := SequentialResult{Channel: channelOf(people), People: len(owned), Decision: d}
	r.Tests = []AttemptResult{attemptResult(0, counts, func(w []int) (fmr, fnmr float64) {
		t := total(counts, w)
		return t.fmr(), t.fnmr()
	})}
	for n := 1; n <= len(people[0].texts); n++ {
		r.Tests = append(r.Tests, fixed(owned, n, counts))
	}
	return r, nil
}

// orders returns the attempts that an owner's trials make, of so many phrases
// each.
func orders(owned []trial, phrases int, rng *rand.Rand) [][]trial {
	var out [][]trial
	for _, row := range rows(owned) {
		if len(row) < phrases {
			continue // somebody typed one phrase more often than another
		}
		for first := range row {
			one := slices.Concat(row[first:first+1], row[:first], row[first+1:])
			rest := one[1:]
			rng.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
			out = append(out, one)
		}
	}
	return out
}

// fixed returns how the test of n phrases does whose FMR is that of counts: with
// the people's own weights, also in each draw of the bootstrap.
func fixed(owned [][][]trial, n int, sequential []tally) AttemptResult {
	by, counts := make([]eval.Scores, len(owned)), make([]tally, len(owned))
	for i, ordered := range owned {
		for _, one := range ordered {
			genuine := one[0].owner == one[0].typist
			add(&by[i], genuine, sum(one[:n], func(s model.Score) float64 { return s.LLR }))
			v := verdict{phrases: n}
			for _, t := range one[:n] {
				v.keys += t.keys
			}
			counts[i].add(genuine, v)
		}
	}
	p := newPool(by)
	return attemptResult(n, counts, func(w []int) (fmr, fnmr float64) {
		fmr = total(sequential, w).fmr()
		_, fnmrs := p.rates(w, fmr)
		return fmr, fnmrs[0]
	})
}

func attemptResult(phrases int, counts []tally, rates func(weights []int) (fmr, fnmr float64)) AttemptResult {
	figures := func(w []int) []float64 {
		t := total(counts, w)
		fmr, fnmr := rates(w)
		return []float64{float64(t.keys) / float64(t.own), float64(t.phrases) / float64(t.own), fmr, fnmr}
	}
	x, cis := figures(slices.Repeat([]int{1}, len(counts))), bootstrap(len(counts), figures)
	return AttemptResult{
		Phrases: phrases, Keys: x[0], Typed: x[1], FMR: x[2], FNMR: x[3],
		CI: map[string]Interval{"keys": cis[0], "typed": cis[1], "fmr": cis[2], "fnmr": cis[3]},
	}
}

// tally counts the attempts at one owner's name.
type tally struct {
	own, refused     int // the owner's, and those refused
	others, accepted int // strangers', and those accepted
	keys, phrases    int // typed by the owner in all of them
}

func (t *tally) add(genuine bool, v verdict) {
	if !genuine {
		t.others++
		if v.accepted {
			t.accepted++
		}
		return
	}
	t.own, t.keys, t.phrases = t.own+1, t.keys+v.keys, t.phrases+v.phrases
	if !v.accepted {
		t.refused++
	}
}

func (t tally) fmr() float64  { return float64(t.accepted) / float64(t.others) }
func (t tally) fnmr() float64 { return float64(t.refused) / float64(t.own) }

// total adds up tallies, each as often as its weight says.
func total(counts []tally, weights []int) (t tally) {
	for i, c := range counts {
		w := weights[i]
		t.own, t.refused = t.own+w*c.own, t.refused+w*c.refused
		t.others, t.accepted = t.others+w*c.others, t.accepted+w*c.accepted
		t.keys, t.phrases = t.keys+w*c.keys, t.phrases+w*c.phrases
	}
	return t
}
