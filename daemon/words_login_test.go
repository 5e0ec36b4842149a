package daemon_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ksd/conf"
	"ksd/internal/keystroke"
	"ksd/internal/ksdtest"
	"ksd/internal/model"
	"ksd/internal/wire"
)

func askForWords(c *conf.Config) { c.Challenge.Kind = conf.Words }

// TestWords asks for a new text each time, also after a restart; its owner gets
// in and nobody else.
func TestWords(t *testing.T) {
	d := ksdtest.Start(t, askForWords)
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	c := d.Client()
	phrases := d.Config.Challenge.Phrases
	words := model.Words(phrases)
	asked := map[string]bool{}
	login := func(hands *ksdtest.Typist, want wire.Code) {
		t.Helper()
		ch := ask(t, c, "ana")
		for {
			if asked[ch.Phrase] || slices.Contains(phrases, ch.Phrase) || !strings.Contains(ch.Phrase, " ") {
				t.Errorf("%q is asked for", ch.Phrase)
			}
			for w := range strings.SplitSeq(ch.Phrase, " ") {
				if !slices.Contains(words, w) {
					t.Errorf("%q is no word of the phrases", w)
				}
			}
			asked[ch.Phrase] = true
			a := answer(t, c, ch, hands.Sample(ch.Phrase))
			if a.Next == nil {
				if a.Code != want {
					t.Fatalf("%q: %+v, want %s", ch.Phrase, a, want)
				}
				return
			}
			ch = *a.Next
		}
	}
	for range 10 {
		login(ana, wire.Accept)
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	d.Start()
	c = d.Client()
	for range 10 {
		login(ana, wire.Accept)
	}
	login(ana.At(2*tempo), wire.Refuse)
	p := must(c.User(t.Context(), "ana"))(t)
	s := must(c.Status(t.Context()))(t)
	if !p.Words || p.FewWords || s.Kind != "words" || s.FewWords != 0 {
		t.Errorf("%+v\n%+v", p, s)
	}
}

// TestWordsOnce answers a text twice, one that reads otherwise, and a phrase
// that was enrolled.
func TestWordsOnce(t *testing.T) {
	d := ksdtest.Start(t, askForWords)
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	c := d.Client()
	ch := ask(t, c, "ana")
	text := ch.Phrase
	for _, other := range []string{d.Config.Challenge.Phrases[0], strings.ToUpper(text)} {
		a := answer(t, c, ch, ana.Sample(other))
		if a.Reason != wire.ReasonText || a.Next == nil || a.Next.Phrase != text {
			t.Fatalf("%q for %q: %+v", other, text, a)
		}
		ch = *a.Next
	}
	if a := answer(t, c, ch, ana.Sample(text)); a.Code != wire.Accept {
		t.Fatalf("%+v", a)
	}
	_, err := c.Answer(t.Context(), ch.ID, wire.Typing{Sample: ana.Sample(text)})
	wantCode(t, "a second time", err, wire.CodeNotFound)
}

// TestSplicedWords puts a text together from recordings of earlier logins, once
// there is one of every word.
func TestSplicedWords(t *testing.T) {
	d := ksdtest.Start(t, askForWords)
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	c := d.Client()
	intervals := map[string][]time.Duration{} // into each key but the first, by word
	for range 100 {
		ch := ask(t, c, "ana")
		spliced, known := splice(ch.Phrase, intervals)
		if known {
			if a := answer(t, c, ch, spliced); a.Code != "" || a.Next == nil {
				t.Errorf("a text of recordings: %+v", a)
			}
			got := outcomes(t, d, "ana")
			if got[len(got)-1] != "refuse: copy" {
				t.Errorf("audit log %q", got)
			}
			return
		}
		s := ana.Sample(ch.Phrase)
		if a := answer(t, c, ch, s); a.Code != wire.Accept {
			t.Fatalf("%+v", a)
		}
		at := 0
		for w := range strings.SplitAfterSeq(ch.Phrase, " ") {
			var steps []time.Duration
			for i := 1; i < len(w); i++ {
				steps = append(steps, s.Events[at+i].Down-s.Events[at+i-1].Down)
			}
			if len(steps) > len(intervals[strings.TrimSuffix(w, " ")]) {
				intervals[strings.TrimSuffix(w, " ")] = steps
			}
			at += len(w)
		}
	}
	t.Fatal("no text had words that were all recorded")
}

// splice types text with recorded intervals, and those between words made up.
func splice(text string, intervals map[string][]time.Duration) (keystroke.Sample, bool) {
	downs := []time.Duration{0}
	for w := range strings.SplitSeq(text, " ") {
		steps := intervals[w]
		if steps == nil {
			return keystroke.Sample{}, false
		}
		if len(steps) < len(w) { // recorded at an end, without a space after it
			steps = append(slices.Clone(steps), tempo)
		}
		for _, step := range append(slices.Clone(steps), tempo) { // tempo: into the next word
			downs = append(downs, downs[len(downs)-1]+step)
		}
	}
	return ksdtest.Sample(text, downs), true
}

// TestFewWords asks for phrases where their words make too few texts, and says
// so.
func TestFewWords(t *testing.T) {
	d := ksdtest.Start(t, askForWords, func(c *conf.Config) {
		c.Challenge.Phrases = []string{"bring the rope", "open the gate"}
	})
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	c := d.Client()
	for range 3 {
		ch := ask(t, c, "ana")
		if !slices.Contains(d.Config.Challenge.Phrases, ch.Phrase) {
			t.Errorf("%q is asked for", ch.Phrase)
		}
	}
	p := must(c.User(t.Context(), "ana"))(t)
	s := must(c.Status(t.Context()))(t)
	if p.Words || !p.FewWords || s.Kind != "words" || s.FewWords != 1 {
		t.Errorf("%+v\n%+v", p, s)
	}
}
