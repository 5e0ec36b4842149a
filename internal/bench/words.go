package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"ksd/internal/keystroke"
	"ksd/internal/model"
	"ksd/internal/policy"
)

// WordsResult lays the two kinds of challenge side by side.
type WordsResult struct {
	Words   []PhraseResult `json:"words"` // one for each scorer, as Phrases has them
	Phrases []PhraseResult `json:"phrases"`
	Replays []ReplayResult `json:"replays"`
}

// Words is the phrases protocol for texts made of words. Enrolled are phrases.
// The probes are put together from the later typings of them, and beside them
// stand the same typings as they were, so that both are as many keys.
//
// The words of all phrases are dealt to as many texts, each word once. What
// stands first in a phrase stands first again and what stands last, last,
// because a recording has no movement from or to a space there. A word comes
// with the interval into it and the space after it as they were typed, and so
// without the hesitation that a new text costs. Everybody gets the same texts.
//
// Replays measures attempts made of recordings, on both kinds.
//
// The error is ErrProtocol where Phrases or Attacks has it, and where there are
// no two phrases of two words at least.
func Words(ctx context.Context, people []*Typist, o PhraseOptions, d Decision) (WordsResult, error) {
	if policy.NewBounds(d.FMR, d.FNMR) == (policy.Bounds{}) {
		return WordsResult{}, fmt.Errorf("%w: an FMR of %v and an FNMR of %v", ErrProtocol, d.FMR, d.FNMR)
	}
	if err := enoughTexts(people, max(o.Phrases, d.MaxPhrases)); err != nil {
		return WordsResult{}, err
	}
	cards, err := newDealer(people, o.Seed)
	if err != nil {
		return WordsResult{}, err
	}
	var words, whole []trial
	var replays replays
	err = eachHost(ctx, people, o, func(v *model.Verifier, host []*Typist) error {
		for _, owner := range host {
			for _, p := range o.probers(people, host, owner) {
				if err := ctx.Err(); err != nil {
					return err
				}
				ts, err := probe(v, owner, p, o)
				if err != nil {
					return err
				}
				whole = append(whole, ts...)
				if ts, err = cards.probe(v, owner, p, o.Enrol); err != nil {
					return err
				}
				words = append(words, ts...)
			}
			if err := replays.strike(v, newVictim(owner, people, o.Enrol), cards, d); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return WordsResult{}, err
	}
	return WordsResult{results(people, o, words), results(people, o, whole), replays.results()}, nil
}

// card is a word of a phrase.
type card struct {
	text string // id of the phrase
	word int
}

// dealer deals the words of phrases to texts.
type dealer struct {
	texts []string         // ids
	words map[string][]int // by phrase: the keys of each word, with a space
	seed  uint64
}

func newDealer(people []*Typist, seed uint64) (*dealer, error) {
	d := &dealer{texts: people[0].texts, words: map[string][]int{}, seed: seed}
	if len(d.texts) < 2 {
		return nil, fmt.Errorf("%w: one phrase alone gives no other text", ErrProtocol)
	}
	for _, text := range d.texts {
		phrase := people[0].by[text][0].Phrase
		for w := range strings.SplitSeq(phrase, " ") {
			d.words[text] = append(d.words[text], len([]rune(w))+1)
		}
		if len(d.words[text]) < 2 {
			return nil, fmt.Errorf("%w: %s is a single word", ErrProtocol, text)
		}
		for _, p := range people {
			if len(p.by[text]) == 0 || p.by[text][0].Phrase != phrase {
				return nil, fmt.Errorf("%w: %s did not type the same %s", ErrProtocol, p.name, text)
			}
		}
	}
	return d, nil
}

// deal returns as many texts as there are phrases, none of them one of those.
// It hangs on the seed and the number alone.
func (d *dealer) deal(number int) [][]card {
	rng := rand.New(rand.NewPCG(d.seed, uint64(number)))
	for {
		texts := d.shuffle(rng)
		if !slices.ContainsFunc(texts, d.enrolled) {
			return texts
		}
	}
}

func (d *dealer) enrolled(text []card) bool {
	return !slices.ContainsFunc(text, func(c card) bool { return c.text != text[0].text })
}

// shuffle deals firsts and lasts, then the others, each to the shortest text.
func (d *dealer) shuffle(rng *rand.Rand) [][]card {
	out, keys := make([][]card, len(d.texts)), make([]int, len(d.texts))
	var others []card
	for i, last := range rng.Perm(len(d.texts)) {
		first, end := d.texts[i], d.texts[last]
		n := len(d.words[end])
		out[i] = []card{{first, 0}, {end, n - 1}}
		keys[i] = d.words[first][0] + d.words[end][n-1]
		for w := 1; w < n-1; w++ {
			others = append(others, card{end, w})
		}
	}
	rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	for _, c := range others {
		i := slices.Index(keys, slices.Min(keys))
		out[i] = slices.Insert(out[i], len(out[i])-1, c)
		keys[i] += d.words[c.text][c.word]
	}
	return out
}

// deals is how often each later typing is dealt.
const deals = 3

// probe scores what p typed after enrolment, dealt anew, as owner.
func (d *dealer) probe(v *model.Verifier, owner, p *Typist, enrol int) ([]trial, error) {
	var out []trial
	for n := range deals * p.later(enrol) {
		for _, cards := range d.deal(n) {
			s, whole := splice(cards, func(c card) keystroke.Sample { return p.by[c.text][enrol+n/deals] })
			t := trial{owner.name, p.name, s.Phrase, n, outcome{unusable: true}}
			if whole {
				var err error
				if t.outcome, err = judge(v, owner.name, s); err != nil {
					return nil, fmt.Errorf("%s as %s, words: %w", p.name, owner.name, err)
				}
			}
			out = append(out, t)
		}
	}
	return out, nil
}

// later returns how often p typed every text after enrolment.
func (p *Typist) later(enrol int) int {
	n := len(p.all)
	for _, text := range p.texts {
		n = min(n, len(p.by[text])-enrol)
	}
	return n
}
