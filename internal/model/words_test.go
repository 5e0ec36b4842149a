package model

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ksd/internal/channel"
	"ksd/internal/feature"
	"ksd/internal/keystroke"
)

func TestWords(t *testing.T) {
	for _, c := range []struct {
		phrases, want []string
	}{
		{nil, nil},
		{[]string{"", " ", "  "}, nil},
		{[]string{"open the gate", "bring the rope"}, []string{"open", "the", "gate", "bring", "rope"}},
		{[]string{"Hello, you!", "hello you"}, []string{"Hello,", "you!", "hello", "you"}},
	} {
		if got := Words(c.phrases); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.phrases, got, c.want)
		}
	}
}

// TestPartsOf finds each word wherever it was typed, with the space after it
// where there was one.
func TestPartsOf(t *testing.T) {
	line := func(text string) keystroke.Line {
		return typed(text, make([]float64, len([]rune(text))), nil).Line()
	}
	lines := []keystroke.Line{line("thé hot the"), line("other hot"), line("the")}
	for _, c := range []struct {
		text, want string
	}{
		{"", "0:"},
		{"cold", "0:"},
		{"hot", "0:hot,hot"},               // before a space, and at the end
		{"hot the", "0:hot_ 4:the,the"},    // the one before a space alone
		{"the hot", "0:the,the 4:hot,hot"}, // "the" was never before one
		{"thé thé", "0:thé_ 4:thé"},
		{"hot  hot", "0:hot_ 4: 5:hot,hot"},
	} {
		var got []string
		for _, p := range partsOf(c.text, lines) {
			var seen []string
			for _, l := range p.typings {
				seen = append(seen, strings.ReplaceAll(string(runesOf(l)), " ", "_"))
			}
			got = append(got, string(rune('0'+p.at))+":"+strings.Join(seen, ","))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%q: %s, want %s", c.text, s, c.want)
		}
	}
}

func runesOf(l keystroke.Line) (out []rune) {
	for _, st := range l.Strokes {
		out = append(out, st.Rune)
	}
	return out
}

const (
	apples = "green apples fall"
	ships  = "seven ships sail"
	mixed  = "green ships fall apples" // of both
)

// typesWords types text in words that the typist types in other texts; into
// each it takes gap ms.
func (y *typist) typesWords(t testing.TB, text string, gap float64) keystroke.Sample {
	t.Helper()
	lines := []keystroke.Line{y.Types(t, apples).Line(), y.Types(t, ships).Line()}
	var downs, dwells []float64
	for _, p := range partsOf(text, lines) {
		n := len(downs)
		for i, st := range p.typings[0].Strokes {
			step := gap
			if dd, ok := p.typings[0].DownDown(i); ok {
				step = float64(dd) / float64(ms)
			}
			downs, dwells = append(downs, step), append(dwells, float64(st.Up-st.Down)/float64(ms))
		}
		if n == 0 {
			downs[0] = 0
		}
		if at := len(downs); at < len(text) && text[at] == ' ' { // typed without one
			downs, dwells = append(downs, gap), append(dwells, 90)
		}
	}
	return typed(text, downs, dwells)
}

// TestScoreWords knows its owner by new texts, on each channel.
func TestScoreWords(t *testing.T) {
	owner, stranger := newTypist(3, 1), newTypist(4, 1)
	v, err := NewVerifier([]Person{{Name: "ana", Sittings: []Sitting{owner.sitting(t, 6, apples, ships)}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, ch := range []keystroke.Channel{keystroke.Full, keystroke.Press} {
		score := func(s keystroke.Sample) Score {
			t.Helper()
			if ch == keystroke.Press {
				s = s.PressOnly()
			}
			out, err := v.Score("ana", s)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		var own, other float64
		for range 10 {
			a, b := score(owner.typesWords(t, mixed, 150)), score(stranger.typesWords(t, mixed, 150))
			if a.NearCopy || b.NearCopy || a.TooSteady || b.TooSteady {
				t.Errorf("%s: suspected: %+v, %+v", ch, a, b)
			}
			if a.Detector >= b.Detector || a.Ratio <= b.Ratio || a.LLR <= b.LLR {
				t.Errorf("%s: owner %+v, stranger %+v", ch, a, b)
			}
			own, other = own+a.LLR/10, other+b.LLR/10
		}
		if own < 2 || other > -1 {
			t.Errorf("%s: mean of the owner %.1f, of a stranger %.1f", ch, own, other)
		}
		// The way into a word is no part of the detector's distance.
		s := owner.typesWords(t, mixed, 150)
		late := s
		late.Events = slices.Clone(s.Events)
		for i := 6; i < len(late.Events); i++ {
			late.Events[i].Down += 700 * ms
			late.Events[i].Up += 700 * ms
		}
		a, b := score(s), score(late)
		if math.Abs(a.Detector-b.Detector) > 1e-9 || b.Ratio >= a.Ratio || b.Ratio < a.Ratio-4 {
			t.Errorf("%s: hesitating before a word: %+v, without it %+v", ch, b, a)
		}
		beats := v.Rhythm("ana", late)
		if beats[6].Typed < 700*ms || beats[6].Usual != 0 || beats[7].Usual == 0 || beats[5].Usual == 0 {
			t.Errorf("%s: beats %+v", ch, beats)
		}
	}
}

// TestCompose has the times of each word where it stands, and none of the way
// into it.
func TestCompose(t *testing.T) {
	owner := newTypist(3, 1)
	var lines []keystroke.Line
	for _, s := range owner.sitting(t, 4, apples).Samples {
		lines = append(lines, s.Line())
	}
	pop := feature.Default()
	whole := newTemplate(pop, lines)
	key := templateKey{"fall green", keystroke.Full}
	got := compose(pop, map[templateKey]*template{{apples, keystroke.Full}: whole}, key)
	from := []int{13, 14, 15, 16, -1, 0, 1, 2, 3, 4} // where each key stands in apples
	for i, k := range from {
		for _, half := range []struct{ to, from int }{{i, k}, {len(from) + i, len(apples) + k}} {
			if k < 0 || half.to == 0 || half.to == 5 {
				if !math.IsNaN(got.median[half.to]) {
					t.Errorf("the time at %d is known: %v", half.to, got.median[half.to])
				}
			} else if got.median[half.to] != whole.median[half.from] || got.scale[half.to] != whole.scale[half.from] {
				t.Errorf("time %d: %v ± %v, want %v ± %v", half.to, got.median[half.to], got.scale[half.to], whole.median[half.from], whole.scale[half.from])
			}
		}
	}
}

func TestScoreWordsRefused(t *testing.T) {
	owner := newTypist(3, 1)
	press := Sitting{}
	for _, s := range owner.sitting(t, 4, ships).Samples {
		press.Samples = append(press.Samples, s.PressOnly())
	}
	v, err := NewVerifier([]Person{{Name: "ana", Sittings: []Sitting{owner.sitting(t, 4, apples, "we do"), press}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sample := func(text string, ch keystroke.Channel) keystroke.Sample {
		s := typed(text, slices.Repeat([]float64{100}, len(text)), slices.Repeat([]float64{80}, len(text)))
		if ch != keystroke.Full {
			s = s.PressOnly()
			s.Channel = ch
		}
		return s
	}
	other := sample(mixed, keystroke.Press)
	other.Phrase = "ships green fall apples"
	for _, c := range []struct {
		name, person string
		s            keystroke.Sample
		want         error
	}{
		{"nobody", "bob", sample(mixed, keystroke.Press), ErrUnenrolled},
		{"a word never typed", "ana", sample("green grass fall", keystroke.Press), ErrPhrase},
		{"part of a word", "ana", sample("green apple fall", keystroke.Press), ErrPhrase},
		{"two spaces", "ana", sample("green  apples fall", keystroke.Press), ErrPhrase},
		{"a space at the end", "ana", sample("green apples ", keystroke.Press), ErrPhrase},
		{"upper case", "ana", sample("GREEN APPLES", keystroke.Press), ErrPhrase},
		{"words that read otherwise", "ana", other, ErrUnusable},
		{"too short to tell", "ana", sample("fall", keystroke.Press), ErrUnusable},
		{"hardly more than ways into words", "ana", sample("do we do", keystroke.Press), ErrUnusable},
		{"of both", "ana", sample(mixed, keystroke.Press), nil},
	} {
		if _, err := v.Score(c.person, c.s); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// keyHabits types any text with delays of its own for each key.
func keyHabits(seed uint64) func(text string) keystroke.Sample {
	rng := rand.New(rand.NewPCG(seed, 0))
	habit := map[keystroke.Key]float64{}
	late := func(key keystroke.Key) float64 {
		if _, ok := habit[key]; !ok {
			habit[key] = 0.4 * rng.NormFloat64()
		}
		return habit[key] + 0.1*rng.NormFloat64()
	}
	return func(text string) keystroke.Sample {
		return feature.Compose(text,
			func(_ int, prev, key keystroke.Key) float64 {
				return feature.Default().DownDown(prev, key).Center + late(key)
			},
			func(_ int, _, key keystroke.Key) float64 { return feature.Default().Dwell(key).Center + late(key) })
	}
}

// TestScoreAny knows its owner by texts of which no word was ever typed.
func TestScoreAny(t *testing.T) {
	owner, stranger := keyHabits(3), keyHabits(4)
	var typed Sitting
	for _, text := range []string{"green apples fall", "seven ships sail", "leaping gales", "a pale isle"} {
		typed.Samples = append(typed.Samples, owner(text))
	}
	people := []Person{
		{Name: "ana", Sittings: []Sitting{typed}},
		pressOnly(Person{Name: "pia", Sittings: []Sitting{{Samples: []keystroke.Sample{owner(ships)}}}}),
		{Name: "nobody"},
	}
	v := verifier(t, people, nil)
	const text = "ripe pears fell in a pile"
	for _, press := range []bool{false, true} {
		var own, other float64
		for range 10 {
			a, b := owner(text), stranger(text)
			if press {
				a, b = a.PressOnly(), b.PressOnly()
			}
			if _, err := v.Score("ana", a); !errors.Is(err, ErrPhrase) {
				t.Fatalf("%v, want ErrPhrase", err)
			}
			x, erra := v.ScoreAny("ana", a)
			y, errb := v.ScoreAny("ana", b)
			if erra != nil || errb != nil || x.HasHead || x.NearCopy || x.TooSteady || !math.IsNaN(x.Detector) {
				t.Fatalf("%+v, %v, %v", x, erra, errb)
			}
			if want := free[a.Channel].llr(x); x.LLR != want {
				t.Errorf("LLR %v, want %v", x.LLR, want)
			}
			own, other = own+x.LLR/10, other+y.LLR/10
		}
		if own < 1 || other > -1 {
			t.Errorf("press %v: mean of the owner %.1f, of a stranger %.1f", press, own, other)
		}
	}
	// What was typed before, whole or in words, is judged as ever.
	for _, s := range []keystroke.Sample{owner(apples), owner("fall ships apples")} {
		a, erra := v.Score("ana", s)
		b, errb := v.ScoreAny("ana", s)
		if erra != nil || errb != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%q: %+v, %v and %+v, %v", s.Phrase, a, erra, b, errb)
		}
	}
	if got, err := v.ScoreAny("ana", people[0].Sittings[0].Samples[0]); err != nil || !got.NearCopy {
		t.Errorf("a recording: %+v, %v", got, err)
	}
	s := owner(text)
	other, none := s, s
	other.Phrase, none.Channel = "ripe pears", ""
	for _, c := range []struct {
		name, person string
		s            keystroke.Sample
		want         error
	}{
		{"a stranger's name", "eve", s, ErrUnenrolled},
		{"nothing typed", "nobody", s, ErrUnenrolled},
		{"no channel", "ana", none, ErrPhrase},
		{"it reads otherwise", "ana", other, ErrUnusable},
		{"too short", "ana", owner("peril").PressOnly(), ErrUnusable},
		{"without the releases that the owner never showed", "pia", s, nil},
	} {
		if _, err := v.ScoreAny(c.person, c.s); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// TestSpliced tells recordings put together from hands, whichever recordings
// they are.
func TestSpliced(t *testing.T) {
	owner := newTypist(5, 2) // slow: these typists are steadier than people
	sitting := owner.sitting(t, 5, apples, ships)
	v, err := NewVerifier([]Person{{Name: "ana", Sittings: []Sitting{sitting}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	replay := func(n int, from []keystroke.Sample) keystroke.Sample {
		var lines []keystroke.Line
		for _, s := range from {
			lines = append(lines, s.Line())
		}
		downs, at := []float64{}, 0
		for k, p := range partsOf(mixed, lines) {
			seen := p.typings[(n*(k+1))%len(p.typings)] // of another sample for each word
			for i := range seen.Strokes {
				step := 150.0
				if dd, ok := seen.DownDown(i); ok {
					step = float64(dd) / float64(ms)
				}
				downs = append(downs, step)
			}
			if at = len(downs); at < len(mixed) && mixed[at] == ' ' {
				downs = append(downs, 150)
			}
		}
		downs[0] = 0
		return typed(mixed, downs, nil)
	}
	logins := []keystroke.Sample{owner.typesWords(t, mixed, 150).PressOnly(), owner.typesWords(t, "fall ships green apples", 130).PressOnly()}
	for n := range 5 {
		s := replay(n, sitting.Samples)
		if score, err := v.Score("ana", s); err != nil || !score.NearCopy {
			t.Errorf("recordings of the enrolment %d: %+v, %v", n, score, err)
		}
		if Spliced(s, logins) {
			t.Errorf("recordings of the enrolment %d are not those of logins", n)
		}
		s = replay(n, logins)
		if score, err := v.Score("ana", s); err != nil || score.NearCopy {
			t.Errorf("recordings of logins %d are not those of the enrolment: %+v, %v", n, score, err)
		}
		if !Spliced(s, logins) || Spliced(s, nil) {
			t.Errorf("recordings of logins %d", n)
		}
		if Spliced(channel.Jitter(s, 15*ms, owner.Rand), logins) {
			t.Errorf("with noise like that it could be hands")
		}
		if Spliced(owner.typesWords(t, mixed, 150).PressOnly(), logins) {
			t.Errorf("the owner, once more")
		}
	}
	// A single word is too little to tell by.
	if Spliced(typed("fall", []float64{0, 100, 100, 100}, nil), []keystroke.Sample{typed("fall", []float64{0, 100, 100, 100}, nil)}) {
		t.Error("three intervals are no recording")
	}
}

func TestAtLeast(t *testing.T) {
	for _, c := range []struct {
		k, n int
		p    float64
		want float64
	}{
		{0, 0, 0.15, 1},
		{0, 5, 0.15, 1},
		{2, 3, 0.5, 0.5},
		{1, 2, 0.15, 1 - 0.85*0.85},
		{4, 4, 0.15, 0.15 * 0.15 * 0.15 * 0.15},
	} {
		if got := atLeast(c.k, c.n, c.p); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%d of %d at %v: %v, want %v", c.k, c.n, c.p, got, c.want)
		}
	}
}

// BenchmarkScoreWords has a new text each time.
func BenchmarkScoreWords(b *testing.B) {
	owner := newTypist(3, 1)
	phrases := []string{apples, ships, "cold water on the stones", "another hand on the rope", "we count on quiet roads"}
	v, err := NewVerifier([]Person{{Name: "ana", Sittings: []Sitting{owner.sitting(b, 5, phrases...)}}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	words := Words(phrases)
	samples := make([]keystroke.Sample, 400) // more than are kept ready
	for i := range samples {
		owner.Rand.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
		samples[i] = owner.Types(b, strings.Join(words[:4], " "))
	}
	for _, ch := range []keystroke.Channel{keystroke.Full, keystroke.Press} {
		b.Run(string(ch), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				s := samples[i%len(samples)]
				if ch == keystroke.Press {
					s = s.PressOnly()
				}
				if _, err := v.Score("ana", s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
