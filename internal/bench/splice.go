package bench

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"ksd/internal/channel"
	"ksd/internal/keystroke"
	"ksd/internal/model"
)

// splice puts a typing together from words of others. It is not whole where one
// of those was broken off.
func splice(cards []card, from func(card) keystroke.Sample) (out keystroke.Sample, whole bool) {
	var at time.Duration
	for _, c := range cards {
		s := from(c)
		l := s.Line()
		start, end := span(l.Text, c.word)
		for i, st := range l.Strokes[start:end] {
			gap, joined := l.DownDown(start + i)
			if start+i > 0 && !joined {
				return out, false
			}
			if len(out.Events) > 0 {
				at += gap
			}
			e := st.Event
			if e.Released {
				e.Up += at - e.Down
			}
			e.Down = at
			out.Events = append(out.Events, e)
		}
		out.Channel = s.Channel
		out.Phrase += string([]rune(l.Text)[start:end])
	}
	return out, true
}

// span returns where a word of text lies, with the space after it, in strokes.
func span(text string, word int) (start, end int) {
	for i, w := range strings.SplitAfter(text, " ") {
		start, end = end, end+len([]rune(w))
		if i == word {
			break
		}
	}
	return start, end
}

// recording is what an attacker has, and what the noise is of playing it.
type recording struct {
	of    string // which typings
	times int    // of each phrase
	noise time.Duration
	from  func(v *victim, text string) []keystroke.Sample
	seen  func(v *victim, text string) []keystroke.Sample // that the daemon has from earlier logins
}

// recorded lists recordings of everything that can be asked for: from the enrolment, from
// logins that were accepted, and from elsewhere.
func recorded() (out []recording) {
	none := func(*victim, string) []keystroke.Sample { return nil }
	for _, r := range []recording{
		{of: "enrolment", from: (*victim).enrolled, seen: none},
		{of: "logins", from: (*victim).later, seen: (*victim).later},
		{of: "elsewhere", from: (*victim).later, seen: none},
	} {
		for _, r.times = range []int{1, 5} {
			for _, r.noise = range []time.Duration{0, 3 * time.Millisecond, 10 * time.Millisecond} {
				out = append(out, r)
			}
		}
	}
	return out
}

// ReplayResult is how often attempts made of recordings are accepted.
type ReplayResult struct {
	Recordings string       `json:"recordings"` // from where
	Times      int          `json:"times"`      // typings recorded of each word or phrase
	NoiseMS    float64      `json:"noise_ms"`
	Words      AttackResult `json:"words"`   // put together from the recordings, word by word
	Phrases    AttackResult `json:"phrases"` // played as they are
}

// replays counts, by recording and victim, first for words, then for phrases.
type replays [2]map[int][]caught

// strike makes attempts at who's name with every recording.
func (r *replays) strike(v *model.Verifier, who *victim, cards *dealer, d Decision) error {
	for k, rec := range recorded() {
		for kind := range r {
			rng := rand.New(rand.NewPCG(cards.seed, uint64(len(r[kind][k]))))
			c, err := rec.strike(v, who, cards, kind == 0, d, rng)
			if err != nil {
				return fmt.Errorf("recordings of %s, %s: %w", rec.of, who.name, err)
			}
			if r[kind] == nil {
				r[kind] = map[int][]caught{}
			}
			r[kind][k] = append(r[kind][k], c)
		}
	}
	return nil
}

func (rec recording) strike(v *model.Verifier, who *victim, cards *dealer, words bool, d Decision, rng *rand.Rand) (c caught, err error) {
	for n := range attackTimes {
		// One who has a single typing of each plays that one.
		take := func(text string) keystroke.Sample {
			from := rec.from(who, text)
			return from[(n+rng.IntN(rec.times))%len(from)]
		}
		texts := cards.deal(n)
		if !words {
			texts = cards.phrases(n)
		}
		var typed []outcome
		for _, text := range texts[:d.MaxPhrases] {
			s, whole := splice(text, func(c card) keystroke.Sample { return take(c.text) })
			if !words {
				s, whole = take(text[0].text), true
			}
			t := outcome{unusable: true}
			if whole {
				s = channel.Jitter(s, rec.noise, rng)
				if t, err = judge(v, who.name, s); err != nil {
					return c, err
				}
				t.copied = !t.unusable && rec.known(who, s, text, words)
			}
			typed = append(typed, t)
			c.count(t, Decision{d.FMR, d.FNMR, 1})
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

// known reports whether s repeats typings of earlier logins, as the daemon does.
func (rec recording) known(who *victim, s keystroke.Sample, text []card, words bool) bool {
	var earlier []keystroke.Sample
	for _, c := range text {
		earlier = append(earlier, rec.seen(who, c.text)...)
	}
	return slices.ContainsFunc(earlier, func(e keystroke.Sample) bool { return model.NearCopy(s, e) }) ||
		words && model.Spliced(s, earlier)
}

// phrases returns the phrases themselves, in another order each time.
func (d *dealer) phrases(number int) (out [][]card) {
	for i := range d.texts {
		out = append(out, []card{{d.texts[(number+i)%len(d.texts)], 0}})
	}
	return out
}

func (r replays) results() (out []ReplayResult) {
	for k, rec := range recorded() {
		name := func(kind string) string { return kind + " recorded at " + rec.of }
		out = append(out, ReplayResult{
			Recordings: rec.of, Times: rec.times, NoiseMS: float64(rec.noise) / float64(time.Millisecond),
			Words: attackResult(name("words"), r[0][k]), Phrases: attackResult(name("phrases"), r[1][k]),
		})
	}
	return out
}
