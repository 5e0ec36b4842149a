package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"ksd/internal/channel"
	"ksd/internal/feature"
	"ksd/internal/keystroke"
)

// attack is one way to type as somebody else. forge types text for the n-th
// attempt; what it returns is shown on the victim's channel after that.
type attack struct {
	name  string
	times int  // attempts on each victim; 0: one for each later typing, which is of that number
	owner bool // it is the victim, whose later typings are new to the daemon
	forge func(v *victim, text string, n int, rng *rand.Rand) (keystroke.Sample, error)
}

const (
	attackTimes = 10 // attempts of an attack on one victim
	maxSnooped  = 10 // typings of a phrase that an attacker has seen
)

// attempts returns how many attempts a makes on v.
func (a attack) attempts(v *victim) int {
	if a.times > 0 {
		return a.times
	}
	n := math.MaxInt
	for _, text := range v.texts {
		n = min(n, len(v.later(text)))
	}
	return n
}

// seen returns the typings of text that the daemon keeps from earlier logins.
func (a attack) seen(v *victim, text string, n int) []keystroke.Sample {
	if a.owner {
		return v.later(text)[:n]
	}
	return v.later(text)
}

func newVictim(owner *Typist, people []*Typist, enrol int) *victim {
	v := &victim{Typist: owner, enrol: enrol}
	pop := feature.Default()
	var delays []float64
	for _, text := range owner.texts {
		for _, s := range v.enrolled(text) {
			delays = append(delays, pop.Delays(s.Line())...)
		}
	}
	v.tempo = feature.Median(delays)
	for _, p := range people {
		if p != owner {
			v.others = append(v.others, p)
		}
	}
	return v
}

// attacks lists them all, after the owner and real strangers.
func attacks() []attack {
	return slices.Concat(living(), recordings(), forgeries(), averages(), machines())
}

func living() []attack {
	return []attack{
		{"the owner", 0, true, func(v *victim, text string, n int, _ *rand.Rand) (keystroke.Sample, error) {
			return v.later(text)[n], nil
		}},
		{"strangers, no effort", 2 * attackTimes, false, func(v *victim, text string, _ int, rng *rand.Rand) (keystroke.Sample, error) {
			theirs := v.others[rng.IntN(len(v.others))].by[text]
			if len(theirs) == 0 {
				return keystroke.Sample{}, fmt.Errorf("%w: somebody never typed %s", ErrProtocol, text)
			}
			return theirs[rng.IntN(len(theirs))], nil
		}},
	}
}

// recordings replay typing of the very phrase with noise at every press and
// release.
func recordings() (out []attack) {
	replay := func(which string, of func(*victim, string) []keystroke.Sample, noise time.Duration) attack {
		return attack{
			fmt.Sprintf("replay, %s, noise %d ms", which, noise.Milliseconds()), attackTimes, false,
			func(v *victim, text string, n int, rng *rand.Rand) (keystroke.Sample, error) {
				from := of(v, text)
				return channel.Jitter(from[n%len(from)], noise, rng), nil
			},
		}
	}
	for _, noise := range []time.Duration{0, 3 * time.Millisecond, 10 * time.Millisecond} {
		out = append(out, replay("enrolled", (*victim).enrolled, noise), replay("later", (*victim).later, noise))
	}
	return out
}

// forgeries are made of what was seen of the victim.
func forgeries() []attack {
	histogram := func(name string, tempo float64, seen func(v *victim, text string, n int) []keystroke.Sample) attack {
		return attack{name, attackTimes, false, func(v *victim, text string, n int, rng *rand.Rand) (keystroke.Sample, error) {
			// One offset for the whole of a sample, in the NS variant.
			return newHistograms(seen(v, text, n)).draw(phraseOf(v, text), tempo*rng.NormFloat64(), rng), nil
		}}
	}
	one := func(v *victim, text string, n int) []keystroke.Sample {
		from := v.later(text)
		return from[n%len(from):][:1]
	}
	ten := func(v *victim, text string, _ int) []keystroke.Sample { return v.snooped(text) }
	return []attack{
		{"mean of 10 snooped", attackTimes, false, func(v *victim, text string, _ int, _ *rand.Rand) (keystroke.Sample, error) {
			return average(phraseOf(v, text), v.snooped(text)), nil
		}},
		histogram("histogram of 1 snooped", 0, one),
		histogram("histogram of 1 snooped, NS", offset, one),
		histogram("histogram of 10 snooped", 0, ten),
		histogram("histogram of 10 snooped, NS", offset, ten),
		histogram("histogram of other phrases", 0, func(v *victim, text string, _ int) (out []keystroke.Sample) {
			for _, t := range v.texts {
				if t != text {
					out = append(out, v.snooped(t)...)
				}
			}
			return out
		}),
	}
}

// offset is the standard deviation of the tempo that the NS histograms forge,
// in log-ms: people's own tempo from typing to typing.
const offset = 0.1

// snooped returns what an attacker may have seen of text, the latest first.
func (v *victim) snooped(text string) []keystroke.Sample {
	all := slices.Clone(v.by[text])
	slices.Reverse(all)
	return all[:min(maxSnooped, len(all))]
}

func phraseOf(v *victim, text string) string { return v.by[text][0].Phrase }

// averages type the population's medians, which are no secret.
func averages() []attack {
	at := func(name string, tempo func(*victim) float64, sd float64) attack {
		return attack{"medians, " + name, attackTimes, false, func(v *victim, text string, _ int, rng *rand.Rand) (keystroke.Sample, error) {
			return medians(feature.Default(), phraseOf(v, text), tempo(v), sd, rng), nil
		}}
	}
	theirs := func(v *victim) float64 { return v.tempo }
	out := []attack{at("as they are", func(*victim) float64 { return 0 }, 0), at("victim's tempo", theirs, 0)}
	for _, times := range []float64{0.6, 0.8, 1.25} {
		out = append(out, at(fmt.Sprintf("times x %.2f", times), func(*victim) float64 { return math.Log(times) }, 0))
	}
	for _, sd := range []float64{0.16, 0.3} {
		out = append(out, at(fmt.Sprintf("victim's tempo, noise %.0f %%", 100*sd), theirs, sd))
	}
	return out
}

// machines keep time too well, or not at all.
func machines() []attack {
	pop := feature.Default()
	out := []attack{{"constant interval", attackTimes, false, func(v *victim, text string, _ int, _ *rand.Rand) (keystroke.Sample, error) {
		return metronome(pop, phraseOf(v, text), math.Log(160)+v.tempo), nil
	}}}
	for _, noise := range []time.Duration{5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond} {
		out = append(out, attack{
			fmt.Sprintf("medians, victim's tempo, noise %d ms", noise.Milliseconds()), attackTimes, false,
			func(v *victim, text string, _ int, rng *rand.Rand) (keystroke.Sample, error) {
				return channel.Jitter(medians(pop, phraseOf(v, text), v.tempo, 0, rng), noise, rng), nil
			},
		})
	}
	rhythms := feature.NewRhythms(pop, nil)
	return append(out,
		attack{"population, each key by itself", attackTimes, false, func(v *victim, text string, _ int, rng *rand.Rand) (keystroke.Sample, error) {
			return independent(pop, phraseOf(v, text), rng), nil
		}},
		attack{"population, whole lines", attackTimes, false, func(v *victim, text string, _ int, rng *rand.Rand) (keystroke.Sample, error) {
			return rhythms.Draw(rng, phraseOf(v, text))
		}})
}
