package daemon

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"ksd/conf"
	"ksd/internal/keystroke"
	"ksd/internal/model"
	"ksd/internal/store"
)

// pool makes up texts of the words of one person's phrases.
type pool struct {
	phrases, words    []string
	shortest, longest int // characters of a text
}

const (
	// enoughTexts is how many texts must be possible: so many more than the store
	// remembers that a new one is found at once, and that whoever waits for one
	// text it has a recording of is locked out long before.
	enoughTexts = 5 * store.MaxTexts
	// patience bounds the search through words that do not fit the length.
	patience = 1_000_000
)

// newPool returns the pool of phrases, nil if their words make too few texts.
func newPool(phrases []string, c conf.Challenge) *pool {
	p := &pool{phrases: phrases, words: model.Words(phrases), shortest: c.Shortest, longest: c.Longest}
	steps := patience
	if p.count(enoughTexts, nil, 0, &steps) < enoughTexts {
		return nil
	}
	return p
}

// pools are those made already, by their phrases: most people enrol with the
// same.
type pools map[string]*pool

// of returns the pools of a person's phrases by channel, none where the words
// make too few texts.
func (ps pools) of(phrases map[keystroke.Channel][]string, c conf.Challenge) map[keystroke.Channel]*pool {
	out := map[keystroke.Channel]*pool{}
	for ch, all := range phrases {
		key := strings.Join(all, "\n")
		p, made := ps[key]
		if !made {
			p = newPool(all, c)
			ps[key] = p
		}
		if p != nil {
			out[ch] = p
		}
	}
	return out
}

// count counts the texts that go on from words of so many characters, up to
// most, in so many steps.
func (p *pool) count(most int, begun []string, length int, steps *int) (n int) {
	for _, w := range p.words {
		if *steps--; *steps < 0 || n >= most {
			break
		}
		longer := length + utf8.RuneCountInString(w)
		switch {
		case slices.Contains(begun, w) || longer > p.longest:
		case longer < p.shortest:
			n += p.count(most-n, append(begun, w), longer+1, steps)
		case len(begun) > 0:
			n++
		}
	}
	return n
}

// text makes up a text, "" if the words do not come off.
func (p *pool) text() string {
	for range patience {
		if text := p.draw(); text != "" {
			return text
		}
	}
	return ""
}

// draw puts words together in an order that nobody can foretell, none of them
// twice, until they are long enough. It returns "" if they came out too long, or
// hold a phrase.
func (p *pool) draw() string {
	left, text := slices.Clone(p.words), ""
	for len(left) > 0 && utf8.RuneCountInString(text) < p.shortest {
		i := draw(len(left))
		text = strings.TrimPrefix(text+" "+left[i], " ")
		left = slices.Delete(left, i, i+1)
	}
	n := utf8.RuneCountInString(text)
	if n < p.shortest || n > p.longest || !strings.Contains(text, " ") || p.replays(text) {
		return ""
	}
	return text
}

// replays reports whether a whole phrase stands in text, of which there may be
// a recording.
func (p *pool) replays(text string) bool {
	return slices.ContainsFunc(p.phrases, func(phrase string) bool {
		return strings.Contains(" "+text+" ", " "+phrase+" ")
	})
}

// errNoText is the fact that no text was found that is new.
var errNoText = errors.New("no new text was found")

// maxKnown is how many texts in a row may be known from earlier. At most one in
// five is.
const maxKnown = 100

// newText makes up a text that user was never asked for. It counts as asked for
// from now on, whatever comes of it.
func (d *Daemon) newText(ctx context.Context, user string, p *pool) (string, error) {
	for range maxKnown {
		text := p.text()
		if text == "" {
			break
		}
		if first, err := d.store.TakeText(ctx, user, text); first || err != nil {
			return text, err
		}
	}
	return "", errNoText
}
