package model

import (
	"errors"
	"math"
	"slices"
	"strings"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
)

// A text that was never typed before can be judged where its words were: what
// hands do within a word, and on the way to the space after it, they do in
// another text as well. The detector compares each word with the owner's
// typings of it and leaves out the way into a word, where somebody who reads a
// new text hesitates. Package plda expects that interval too, from the tempo
// and the key pairs, and bears a slip.

// ScoreAny judges a sample of whatever text: as Score does where the person
// knows it, and otherwise by what the person does at the same keys in other
// texts. The detector is NaN then where hardly a word was ever typed. It is
// ErrPhrase where the person has nothing to compare with on the sample's channel.
// The other errors are Score's.
func (v *Verifier) ScoreAny(person string, s keystroke.Sample) (Score, error) {
	out, err := v.Score(person, s)
	if !errors.Is(err, ErrPhrase) {
		return out, err
	}
	own, err := v.standard(person)
	if err != nil {
		return Score{}, err
	}
	s, ok := seenOn(s, func(ch keystroke.Channel) bool { return own.owners[ch] != nil })
	if !ok {
		return Score{}, ErrPhrase
	}
	w := v.work.Get().(*work)
	defer v.work.Put(w)
	if out, err = v.judge(own, s, w); err != nil {
		return Score{}, err
	}
	out.LLR = free[s.Channel].llr(out)
	return out, nil
}

// Words returns the words of phrases, each once, in the order first seen, as
// the phrases have them. Whoever enrolled all the phrases on a channel can be
// asked there for any text made of these words with single spaces between.
func Words(phrases []string) []string {
	var out []string
	for _, p := range phrases {
		for w := range strings.SplitSeq(p, " ") {
			if w != "" && !slices.Contains(out, w) {
				out = append(out, w)
			}
		}
	}
	return out
}

// part is a word of a text, and how it was typed before in any text: the
// strokes of the word, with the space after it where one follows in both.
type part struct {
	at      int // of its first stroke in the text
	typings []keystroke.Line
}

// partsOf cuts text into its words and finds each of them in lines.
func partsOf(text string, lines []keystroke.Line) []part {
	var out []part
	at := 0
	for word := range strings.SplitAfterSeq(text, " ") {
		p := part{at: at}
		for _, as := range []string{word, strings.TrimSuffix(word, " ")} {
			for _, l := range lines {
				p.typings = append(p.typings, cut(l, as)...)
			}
			if len(p.typings) > 0 {
				break
			}
		}
		out = append(out, p)
		at += len([]rune(word))
	}
	return out
}

// cut returns the strokes of word wherever it stands in l. With a space at its
// end it is found before a space alone.
func cut(l keystroke.Line, word string) (out []keystroke.Line) {
	at, n := 0, len([]rune(word))
	for w := range strings.SplitAfterSeq(l.Text, " ") {
		if w == word || w == word+" " {
			out = append(out, keystroke.Line{Text: word, Strokes: l.Strokes[at : at+n]})
		}
		at += len([]rune(w))
	}
	return out
}

// knows says whether a person can be judged by typing text on a channel: it is
// one of the templates' phrases, or made of their words.
func knows(templates map[templateKey]*template, key templateKey) bool {
	if templates[key] != nil {
		return true
	}
	var phrases []string
	for k := range templates {
		if k.channel == key.channel {
			phrases = append(phrases, k.phrase)
		}
	}
	known := Words(phrases)
	for w := range strings.SplitSeq(key.phrase, " ") {
		if !slices.Contains(known, w) {
			return false
		}
	}
	return true
}

// compose returns the template of a text that is known from the templates of
// other texts on its channel.
func compose(pop *feature.Population, templates map[templateKey]*template, key templateKey) *template {
	var typings []keystroke.Line
	for k, t := range templates {
		if k.channel == key.channel {
			typings = append(typings, t.typings...)
		}
	}
	n := len([]rune(key.phrase))
	t := &template{
		median: slices.Repeat([]float64{math.NaN()}, 2*n), scale: make([]float64, 2*n),
		parts: partsOf(key.phrase, typings),
	}
	for _, p := range t.parts {
		if len(p.typings) == 0 {
			continue // of any text: nobody typed that word
		}
		word := newTemplate(pop, p.typings)
		m := len(p.typings[0].Strokes)
		for _, half := range []struct{ to, from int }{{p.at, 0}, {n + p.at, m}} {
			copy(t.median[half.to:], word.median[half.from:half.from+m])
			copy(t.scale[half.to:], word.scale[half.from:half.from+m])
		}
	}
	return t
}

// Spliced says whether s is put together from recordings of its words: it
// repeats their intervals in earlier typings, of whatever text, more often than
// hands do by chance.
func Spliced(s keystroke.Sample, earlier []keystroke.Sample) bool {
	lines := make([]keystroke.Line, len(earlier))
	for i, e := range earlier {
		lines[i] = e.Line()
	}
	l := s.Line()
	return spliced(l, partsOf(l.Text, lines))
}

const (
	// coincidence is how often two typings of one person have an interval within
	// copyDistance in common: 2 to 10 % of CMU's, more where a clock is coarse.
	coincidence = 0.15
	// leastChance is how unlikely, all words taken together, what hands repeat
	// may be. None of 3,000 texts of GREYC came near it.
	leastChance = 1e-4
)

// spliced multiplies the chances of what each word repeats of the typing that
// is closest to it. The more typings there are, the closer is the closest.
func spliced(l keystroke.Line, parts []part) bool {
	all := 1.0
	for _, p := range parts {
		one := 1.0
		for _, earlier := range p.typings {
			near, known := agree(l.Strokes[p.at:p.at+len(earlier.Strokes)], earlier.Strokes)
			one = math.Min(one, atLeast(near, known, coincidence))
		}
		if n := float64(len(p.typings)); n > 0 {
			all *= 1 - math.Pow(1-one, n)
		}
	}
	return all < leastChance
}

// agree counts the intervals known of two typings of a word, and those that are
// near each other.
func agree(a, b []keystroke.Stroke) (near, known int) {
	one, other := keystroke.Line{Strokes: a}, keystroke.Line{Strokes: b}
	for i := range a {
		da, oka := one.DownDown(i)
		db, okb := other.DownDown(i)
		if oka && okb {
			known++
			if (da - db).Abs() < copyDistance {
				near++
			}
		}
	}
	return near, known
}

// atLeast is the probability of k or more successes in n trials.
func atLeast(k, n int, p float64) (sum float64) {
	one := math.Pow(1-p, float64(n)) // the probability of i
	for i := range n + 1 {
		if i >= k {
			sum += one
		}
		one *= float64(n-i) / float64(i+1) * p / (1 - p)
	}
	return math.Min(sum, 1)
}
