package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"ksd/internal/keystroke"
	"ksd/internal/model"
	"ksd/internal/policy"
)

// AttackResult is how one attack did against all victims, as shares of 0 to 1.
// "Checked" is with the checks for copies and for too steady typing, the others
// are without. CI holds intervals, by a bootstrap over victims, under the names
// in JSON.
type AttackResult struct {
	Attack         string              `json:"attack"`
	Typings        int                 `json:"typings"`
	Attempts       int                 `json:"attempts"`
	Phrase         float64             `json:"phrase"` // attempts of one phrase accepted
	PhraseChecked  float64             `json:"phrase_checked"`
	Attempt        float64             `json:"attempt"` // sequential attempts accepted
	AttemptChecked float64             `json:"attempt_checked"`
	Copied         float64             `json:"copied"` // typings caught as copies
	Steady         float64             `json:"steady"` // and as too steady
	Unusable       float64             `json:"unusable"`
	CI             map[string]Interval `json:"ci"`
}

// victim is one enrolled person and what an attacker can know.
type victim struct {
	*Typist
	enrol  int
	tempo  float64 // median residual of the enrolled intervals, log-ms
	others []*Typist
}

func (v *victim) enrolled(text string) []keystroke.Sample { return v.by[text][:v.enrol] }
func (v *victim) later(text string) []keystroke.Sample    { return v.by[text][v.enrol:] }

// Attacks measures how often each attack is accepted: an attempt of one phrase
// and an attempt by the sequential rule, both at the bounds of d. The first rows
// are no attacks but the owner and real strangers, for comparison. What an owner
// typed after enrolment counts as accepted at earlier logins, so that a copy of
// it can be told; every person is a victim once.
//
// The error is ErrProtocol where people, typings or rates do not do.
func Attacks(ctx context.Context, people []*Typist, o PhraseOptions, d Decision) ([]AttackResult, error) {
	if policy.NewBounds(d.FMR, d.FNMR) == (policy.Bounds{}) {
		return nil, fmt.Errorf("%w: an FMR of %v and an FNMR of %v", ErrProtocol, d.FMR, d.FNMR)
	}
	if err := enoughTexts(people, d.MaxPhrases); err != nil {
		return nil, err
	}
	kinds := attacks()
	counts := make([][]caught, len(kinds)) // by attack and victim
	err := eachHost(ctx, people, o, func(v *model.Verifier, host []*Typist) error {
		for _, owner := range host {
			who := newVictim(owner, people, o.Enrol)
			for k, a := range kinds {
				if err := ctx.Err(); err != nil {
					return err
				}
				c, err := strike(v, who, a, d, rand.New(rand.NewPCG(o.Seed, uint64(len(counts[k])))))
				if err != nil {
					return fmt.Errorf("%s, %s: %w", a.name, owner.name, err)
				}
				counts[k] = append(counts[k], c)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []AttackResult
	for k, a := range kinds {
		out = append(out, attackResult(a.name, counts[k]))
	}
	return out, nil
}

// caught counts what became of one attack on one victim.
type caught struct {
	typings, attempts, copied, steady, unusable int
	phrase, attempt                             [2]int // accepted: without and with the checks
}

// strike makes a's attempts on who.
func strike(v *model.Verifier, who *victim, a attack, d Decision, rng *rand.Rand) (c caught, err error) {
	one := Decision{d.FMR, d.FNMR, 1}
	for n := range a.attempts(who) {
		var typed []outcome
		for i := range d.MaxPhrases {
			text := who.texts[(n+i)%len(who.texts)]
			s, err := a.forge(who, text, n, rng)
			if err != nil {
				return c, err
			}
			s = show(s, who.by[text][0].Channel, rng)
			t, err := judge(v, who.name, s)
			if err != nil {
				return c, err
			}
			t.copied = !t.unusable && slices.ContainsFunc(a.seen(who, text, n), func(e keystroke.Sample) bool { return model.NearCopy(s, e) })
			typed = append(typed, t)
			c.count(t, one)
		}
		c.attempts++
		for i, checks := range []bool{false, true} {
			if decide(typed, d, checks).accepted {
				c.attempt[i]++
			}
		}
	}
	return c, nil
}

// count adds one typing, decided by itself.
func (c *caught) count(t outcome, one Decision) {
	c.typings++
	switch {
	case t.unusable:
		c.unusable++
	case t.copied || t.score.NearCopy:
		c.copied++
	case t.score.TooSteady:
		c.steady++
	}
	for i, checks := range []bool{false, true} {
		if decide([]outcome{t}, one, checks).accepted {
			c.phrase[i]++
		}
	}
}

func attackResult(name string, counts []caught) AttackResult {
	shares := func(weights []int) []float64 {
		var typings, attempts int
		var sums [7]int
		for i, c := range counts {
			w := weights[i]
			typings, attempts = typings+w*c.typings, attempts+w*c.attempts
			for k, n := range []int{c.phrase[0], c.phrase[1], c.attempt[0], c.attempt[1], c.copied, c.steady, c.unusable} {
				sums[k] += w * n
			}
		}
		out := make([]float64, len(sums))
		for k, n := range sums {
			of := typings
			if k == 2 || k == 3 {
				of = attempts
			}
			out[k] = float64(n) / float64(of)
		}
		return out
	}
	x := shares(slices.Repeat([]int{1}, len(counts)))
	r := AttackResult{
		Attack: name, Phrase: x[0], PhraseChecked: x[1], Attempt: x[2], AttemptChecked: x[3],
		Copied: x[4], Steady: x[5], Unusable: x[6], CI: map[string]Interval{},
	}
	for _, c := range counts {
		r.Typings, r.Attempts = r.Typings+c.typings, r.Attempts+c.attempts
	}
	for i, ci := range bootstrap(len(counts), shares)[:4] {
		r.CI[[...]string{"phrase", "phrase_checked", "attempt", "attempt_checked"}[i]] = ci
	}
	return r
}
