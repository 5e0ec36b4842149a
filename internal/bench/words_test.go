package bench

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

const (
	two   = "cold rivers"
	three = "bring the bread"
	four  = "some lantern on quiet" // so many words each
)

func TestWords(t *testing.T) {
	all := people(t, 2, 6, two, three, four)
	o, d := PhraseOptions{Enrol: 4, Phrases: 1}, Decision{0.01, 0.05, 2}
	got, err := Words(t.Context(), all, o, d)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := Phrases(t.Context(), all, o)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Phrases, whole) {
		t.Errorf("beside the words stand\n%+v, want\n%+v", got.Phrases, whole)
	}
	for i, w := range got.Words {
		if w.Scorer != whole[i].Scorer || w.People != 2 || w.Unusable != 0 {
			t.Errorf("%+v", w)
		}
		// 2 later typings, dealt 3 times, 3 texts each.
		if g, im := len(w.Scores.Genuine), len(w.Scores.Impostor); g != 2*18 || im != 2*18 {
			t.Errorf("%s: %d genuine, %d impostors' texts", w.Scorer, g, im)
		}
	}
	if fused := got.Words[len(got.Words)-1]; fused.GlobalEER > 0.25 {
		t.Errorf("steady typists are told apart with an EER of %v", fused.GlobalEER)
	}
	if len(got.Replays) != 3*2*3 {
		t.Fatalf("%d replays", len(got.Replays))
	}
	for _, r := range got.Replays {
		for kind, a := range map[string]AttackResult{"words": r.Words, "phrases": r.Phrases} {
			// A copy is caught where the daemon has what was recorded, and passes
			// where it has not.
			known := r.Recordings != "elsewhere"
			if r.NoiseMS == 0 && (known != (a.Copied == 1) || known != (a.AttemptChecked == 0)) {
				t.Errorf("%s recorded at %s: %+v", kind, r.Recordings, a)
			}
			if a.Attempts != 2*attackTimes || a.Typings != 2*a.Attempts || a.Unusable > 0 {
				t.Errorf("%s recorded at %s: %+v", kind, r.Recordings, a)
			}
		}
	}
	if _, err := json.Marshal(got); err != nil {
		t.Error(err)
	}
}

// The seed decides what is dealt and played, and nothing else does.
func TestWordsAgain(t *testing.T) {
	all := people(t, 2, 5, "oak is", "tea for two")
	measure := func(seed uint64) WordsResult {
		r, err := Words(t.Context(), all, PhraseOptions{Enrol: 4, Phrases: 1, Seed: seed}, Decision{0.01, 0.05, 1})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	one := measure(1)
	if again := measure(1); !reflect.DeepEqual(one, again) {
		t.Errorf("another time it is otherwise: %+v\n%+v", one, again)
	}
	if other := measure(2); reflect.DeepEqual(one, other) {
		t.Error("another seed plays the same")
	}
}

func TestWordsRefused(t *testing.T) {
	d := Decision{0.01, 0.05, 1}
	other := people(t, 2, 6, two, three)
	other[1].by[three] = other[1].by[two]
	for name, c := range map[string]struct {
		people  []*Typist
		phrases int
		d       Decision
	}{
		"one phrase":            {people(t, 2, 6, two), 1, d},
		"a single word":         {people(t, 2, 6, two, "lanterns"), 1, d},
		"another text":          {other, 1, d},
		"more texts than dealt": {people(t, 2, 6, two, three), 3, d},
		"longer attempts":       {people(t, 2, 6, two, three), 1, Decision{0.01, 0.05, 3}},
		"no rates":              {people(t, 2, 6, two, three), 1, Decision{MaxPhrases: 1}},
		"nobody else":           {people(t, 1, 6, two, three), 1, d},
	} {
		if _, err := Words(t.Context(), c.people, PhraseOptions{Enrol: 4, Phrases: c.phrases}, c.d); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v, want ErrProtocol", name, err)
		}
	}
}

// TestDeal uses each word once, what begins and ends phrases where it was, and
// brings no phrase back.
func TestDeal(t *testing.T) {
	d, err := newDealer(people(t, 2, 6, two, three, four), 1)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for n := range 200 {
		texts := d.deal(n)
		if !reflect.DeepEqual(texts, d.deal(n)) {
			t.Fatal("a deal hangs on more than its number")
		}
		had := map[card]bool{}
		for _, text := range texts {
			var words []string
			for i, c := range text {
				n := len(d.words[c.text])
				if had[c] || (c.word == 0) != (i == 0) || (c.word == n-1) != (i == len(text)-1) {
					t.Fatalf("%v", texts)
				}
				had[c] = true
				words = append(words, strings.Split(c.text, " ")[c.word])
			}
			one := strings.Join(words, " ")
			if slices.Contains(d.texts, one) {
				t.Errorf("%q is a phrase", one)
			}
			seen[one] = true
		}
		if len(had) != 2+3+4 {
			t.Errorf("%d words dealt", len(had))
		}
	}
	if len(seen) < 20 {
		t.Errorf("%d different texts", len(seen))
	}
}

// TestSplice keeps every time of a word, with the interval into it.
func TestSplice(t *testing.T) {
	sample := func(text string, gaps ...int) keystroke.Sample {
		s := keystroke.Sample{Phrase: text, Channel: keystroke.Full}
		var at time.Duration
		for i, r := range text {
			at += time.Duration(gaps[i])
			s.Events = append(s.Events, keystroke.Event{Key: keystroke.KeyOf(r), Rune: r, Down: at, Up: at + time.Duration(100+i), Released: true})
		}
		return s
	}
	from := map[string]keystroke.Sample{
		"x": sample("ab cd e", 0, 1, 2, 3, 4, 5, 6), "y": sample("f ghi", 0, 10, 20, 30, 40),
	}
	take := func(c card) keystroke.Sample { return from[c.text] }
	s, whole := splice([]card{{"y", 0}, {"x", 1}, {"y", 1}}, take)
	if err := s.Validate(); err != nil || !whole || s.Phrase != "f cd ghi" || s.Line().Text != s.Phrase || s.Channel != keystroke.Full {
		t.Fatalf("%+v, %v, %v", s, whole, err)
	}
	downs, dwells := []int{0, 10, 13, 17, 22, 42, 72, 112}, []int{100, 101, 103, 104, 105, 102, 103, 104}
	for i, e := range s.Events {
		if hold, _ := e.Dwell(); int(e.Down) != downs[i] || int(hold) != dwells[i] {
			t.Errorf("key %d is pressed at %d for %d, want %d for %d", i, e.Down, hold, downs[i], dwells[i])
		}
	}
	broken := from["x"]
	broken.Events = slices.Insert(slices.Clone(broken.Events), 4, keystroke.Event{Key: keystroke.ArrowLeft, Down: 9, Up: 9, Released: true})
	from["x"] = broken
	if _, whole := splice([]card{{"y", 0}, {"x", 1}}, take); whole {
		t.Error("a word that was broken off is whole")
	}
	if _, whole := splice([]card{{"x", 0}, {"y", 1}}, take); !whole {
		t.Error("words before are broken with it")
	}
}
