package daemon

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"ksd/conf"
	"ksd/internal/keystroke"
	"ksd/internal/model"
	"ksd/internal/store"
)

func lengths(shortest, longest int) conf.Challenge {
	return conf.Challenge{Kind: conf.Words, Shortest: shortest, Longest: longest}
}

// numbered returns a phrase of n words of so many letters.
func numbered(n, letters int) string {
	var words []string
	for i := range n {
		words = append(words, fmt.Sprintf("%0*d", letters, i))
	}
	return strings.Join(words, " ")
}

// TestFewWords refuses a pool to words that make too few texts, and does not
// search for ever where they fit nowhere.
func TestFewWords(t *testing.T) {
	for _, c := range []struct {
		name              string
		phrases           []string
		shortest, longest int
		want              bool
	}{
		{"none", nil, 18, 26, false},
		{"one word", []string{"incomprehensibilities"}, 18, 26, false},
		{"two phrases", []string{"open the gate", "bring the rope"}, 18, 26, false},
		{"long words alone", []string{numbered(600, 19)}, 18, 26, false},
		{"words that do not fit", []string{numbered(600, 7)}, 12, 12, false},
		{"as many as few words make", []string{numbered(9, 4)}, 18, 26, false},  // 9·8·7·6 of 19
		{"as many as some words make", []string{numbered(12, 4)}, 18, 26, true}, // 12·11·10·9 of 19
		{"as shipped", conf.Default().Challenge.Phrases, 18, 26, true},
	} {
		if p := newPool(c.phrases, lengths(c.shortest, c.longest)); (p != nil) != c.want {
			t.Errorf("%s: a pool is made: %v, want %v", c.name, p != nil, c.want)
		}
	}
}

// TestCount counts what can be drawn, and no more of it than it is asked to.
func TestCount(t *testing.T) {
	p := &pool{words: []string{"a", "bb", "ccc", "dddddd"}, shortest: 5, longest: 6}
	want := map[string]bool{ // the shortest that are 5 or 6 long, of two words at least
		"a ccc": true, "ccc a": true, "bb ccc": true, "ccc bb": true, "a bb ccc": false, "dddddd": false,
	}
	drawn := map[string]int{}
	for range 2000 {
		drawn[p.draw()]++
	}
	delete(drawn, "")
	steps := 1000
	if n := p.count(100, nil, 0, &steps); n != 4 || len(drawn) != 4 {
		t.Errorf("%d counted, %d drawn, want 4: %v", n, len(drawn), drawn)
	}
	for text := range drawn {
		if !want[text] {
			t.Errorf("%q was drawn", text)
		}
	}
	if n := p.count(3, nil, 0, &steps); n != 3 {
		t.Errorf("%d counted, want 3", n)
	}
}

// TestNewText has no text twice, each person by itself, and no text at all when
// every one was had.
func TestNewText(t *testing.T) {
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	d := &Daemon{store: s}
	p := &pool{words: []string{"a", "bb", "ccc", "dddddd"}, shortest: 5, longest: 6}
	if _, err := d.newText(t.Context(), "ana", p); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("somebody who is not enrolled: %v", err)
	}
	for _, user := range []string{"ana", "ben"} {
		if _, err := s.OpenSitting(t.Context(), user, -1, keystroke.Press, time.Now()); err != nil {
			t.Fatal(err)
		}
		had := map[string]bool{}
		for range 4 {
			text, err := d.newText(t.Context(), user, p)
			if err != nil || had[text] {
				t.Errorf("%s: %q, %v", user, text, err)
			}
			had[text] = true
		}
		if text, err := d.newText(t.Context(), user, p); text != "" || !errors.Is(err, errNoText) {
			t.Errorf("%s: %q, %v after all there are", user, text, err)
		}
	}
	if text, err := d.newText(t.Context(), "ana", &pool{words: []string{"a"}, shortest: 5, longest: 6}); text != "" || !errors.Is(err, errNoText) {
		t.Errorf("no texts there are: %q, %v", text, err)
	}
}

// TestDraw holds texts to what is promised of them.
func TestDraw(t *testing.T) {
	phrases := slices.Concat(conf.Default().Challenge.Phrases, []string{"we count", "Ünter roads"})
	p := newPool(phrases, lengths(18, 26))
	first := map[string]int{}
	for range 5000 {
		text := p.draw()
		if text == "" {
			continue
		}
		words := strings.Split(text, " ")
		if n := utf8.RuneCountInString(text); n < 18 || n > 26 || len(words) < 2 {
			t.Errorf("%q has %d characters", text, n)
		}
		for i, w := range words {
			if !slices.Contains(p.words, w) || slices.Contains(words[i+1:], w) {
				t.Errorf("%q: the word %q", text, w)
			}
		}
		if strings.Contains(text, "we count") {
			t.Errorf("%q holds a phrase", text)
		}
		first[words[0]]++
	}
	if len(first) != len(p.words) {
		t.Errorf("%d of %d words begin a text", len(first), len(p.words))
	}
}

// TestRecordedLogins prints of how many new texts somebody has every word who
// recorded so many logins of two texts each; with phrases it is how many of them
// were heard.
func TestRecordedLogins(t *testing.T) {
	p := newPool(conf.Default().Challenge.Phrases, lengths(18, 26))
	const people = 500
	for _, logins := range []int{1, 2, 3, 5, 10} {
		words, phrases := 0, 0
		for range people {
			heard, heardPhrases := map[string]bool{}, map[string]bool{}
			for range logins {
				one := draw(len(p.phrases))
				other := (one + 1 + draw(len(p.phrases)-1)) % len(p.phrases)
				heardPhrases[p.phrases[one]], heardPhrases[p.phrases[other]] = true, true
				for _, w := range model.Words([]string{p.text(), p.text()}) {
					heard[w] = true
				}
			}
			if !slices.ContainsFunc(strings.Split(p.text(), " "), func(w string) bool { return !heard[w] }) {
				words++
			}
			if heardPhrases[p.phrases[draw(len(p.phrases))]] {
				phrases++
			}
		}
		t.Logf("%d logins recorded: every word of %.1f %% of new texts, %.1f %% of phrases", logins,
			100*float64(words)/people, 100*float64(phrases)/people)
		if logins == 1 && 2*words >= phrases {
			t.Errorf("one login tells all words of %d texts, and %d phrases", words, phrases)
		}
	}
}
