package model

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model/base"
	"ksd/internal/model/plda"
)

// enrolled is two people with releases, and one who typed at a plain terminal.
func enrolled(t testing.TB) (people []Person, ada, bob *typist) {
	t.Helper()
	ada, bob = newTypist(1, 1), newTypist(2, 1.3)
	people = []Person{
		{Name: "ada", Sittings: []Sitting{ada.sitting(t, 5, phrase), ada.sitting(t, 3, phrase, eight)}},
		{Name: "bob", Sittings: []Sitting{bob.sitting(t, 5, phrase)}},
		pressOnly(Person{Name: "cy", Sittings: []Sitting{newTypist(3, 0.9).sitting(t, 5, phrase)}}),
		{Name: "nobody"},
	}
	return people, ada, bob
}

func verifier(t testing.TB, people []Person, f *File) *Verifier {
	t.Helper()
	v, err := NewVerifier(people, f)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestScoreRefuses(t *testing.T) {
	people, ada, _ := enrolled(t)
	typo := ada.Types(t, phrase)
	typo.Events[3].Rune = 'x'
	people = append(people, Person{Name: "typo", Sittings: []Sitting{{Samples: []keystroke.Sample{typo}}}})
	v := verifier(t, people, nil)
	good := ada.Types(t, phrase)
	with := func(change func(*keystroke.Sample)) keystroke.Sample {
		s := good
		s.Events = slices.Clone(good.Events)
		change(&s)
		return s
	}
	stuck := with(func(s *keystroke.Sample) { // a correction at every other key: no six movements
		s.Events = nil
		for i, e := range good.PressOnly().Events {
			s.Events = append(s.Events, e)
			if i%2 == 0 || i > 4 {
				s.Events = append(s.Events, keystroke.Event{Key: 'x', Rune: 'x', Down: e.Down}, keystroke.Event{Key: keystroke.Backspace, Down: e.Down})
			}
		}
		s.Channel = keystroke.Press
	})
	for _, c := range []struct {
		name, person string
		s            keystroke.Sample
		want         error
	}{
		{"no name", "", good, ErrUnenrolled},
		{"a stranger's name", "eve", good, ErrUnenrolled},
		{"no samples", "nobody", good, ErrUnenrolled},
		{"only a typing of another text", "typo", typo, ErrUnenrolled},
		{"another phrase", "ada", newTypist(1, 1).Types(t, "never enrolled"), ErrPhrase},
		{"somebody else's phrase", "bob", ada.Types(t, eight), ErrPhrase},
		{"no channel", "ada", with(func(s *keystroke.Sample) { s.Channel = "" }), ErrPhrase},
		{"another text under the phrase", "ada", with(func(s *keystroke.Sample) { s.Events = s.Events[:10] }), ErrUnusable},
		{"one letter is another", "ada", with(func(s *keystroke.Sample) { s.Events[3].Rune = 'x' }), ErrUnusable},
		{"no text", "ada", with(func(s *keystroke.Sample) { s.Events = nil }), ErrUnusable},
		{"too few movements", "ada", stuck, ErrUnusable},
	} {
		score, err := v.Score(c.person, c.s)
		if !errors.Is(err, c.want) || !reflect.DeepEqual(score, Score{}) {
			t.Errorf("%s: %v with %+v, want %v", c.name, err, score, c.want)
		}
	}
}

func TestScore(t *testing.T) {
	people, ada, bob := enrolled(t)
	v := verifier(t, people, nil)
	for range 5 {
		own, other := ada.Types(t, phrase), bob.Types(t, phrase)
		for _, ch := range []string{"full", "press"} {
			a, err := v.Score("ada", own)
			if err != nil {
				t.Fatal(err)
			}
			b, err := v.Score("ada", other)
			if err != nil {
				t.Fatal(err)
			}
			if a.Detector >= b.Detector || a.LLR <= b.LLR || a.HasHead || a.NearCopy || a.TooSteady || len(v.Rhythm("ada", own)) != len(phrase) {
				t.Errorf("%s: the owner %+v, a stranger %+v", ch, a, b)
			}
			own, other = own.PressOnly(), other.PressOnly()
		}
	}
	// A recording is known as one, with and without its releases.
	for _, s := range []keystroke.Sample{people[0].Sittings[1].Samples[0], people[0].Sittings[1].Samples[0].PressOnly()} {
		if got, err := v.Score("ada", s); err != nil || !got.NearCopy {
			t.Errorf("a sample of the template's own: %+v, %v", got, err)
		}
	}
	if got, err := v.Score("ada", typed(phrase, slices.Repeat([]float64{150}, len(phrase)), nil)); err != nil || !got.TooSteady {
		t.Errorf("a metronome: %+v, %v", got, err)
	}
}

// TestPressFromFull checks that whoever enrolled with releases has the very
// template that enrolling without them would have given.
func TestPressFromFull(t *testing.T) {
	people, ada, _ := enrolled(t)
	var without []Person
	for _, p := range people {
		without = append(without, pressOnly(p))
	}
	v, plain := verifier(t, people, nil), verifier(t, without, nil)
	s := ada.Types(t, phrase).PressOnly()
	a, erra := v.Score("ada", s)
	b, errb := plain.Score("ada", s)
	if erra != nil || errb != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("%+v, %v\nand %+v, %v", a, erra, b, errb)
	}
	// What was typed at a plain terminal joins it.
	both := people[0]
	both.Sittings = append(slices.Clone(both.Sittings), pressOnly(Person{Sittings: []Sitting{ada.sitting(t, 2, phrase)}}).Sittings...)
	key := templateKey{phrase, keystroke.Press}
	own, err := verifier(t, []Person{both}, nil).standard("ada")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(own.templates[key].typings); n != 10 {
		t.Errorf("%d typings, want 8 derived and 2 as they came", n)
	}
}

func TestScoreWithHead(t *testing.T) {
	people, ada, _ := enrolled(t)
	long := strings.Repeat("many words ", 6) // 66 keys
	tooLong := typed(long, slices.Repeat([]float64{100, 140}, len(long)/2), nil)
	people[0].Sittings = append(people[0].Sittings, Sitting{Samples: []keystroke.Sample{tooLong}})
	f := untrained(people[0], Person{Name: "zoe", Sittings: people[0].Sittings})
	v := verifier(t, people, f)
	s := ada.Types(t, phrase)
	got, err := v.Score("ada", s)
	if err != nil || !got.HasHead {
		t.Fatalf("%+v, %v", got, err)
	}
	// The same by hand: z, |z - m| cut at 2, half the place, in this order.
	text := plda.NewText(phrase, true)
	residuals := func(s keystroke.Sample) []float64 {
		return text.Residuals(nil, feature.Default().Extract(s.Line()))
	}
	var all [][]float64
	for _, s := range people[0].samples() {
		if s.Phrase == phrase {
			all = append(all, residuals(s))
		}
	}
	space, _ := base.Default().Space(keystroke.Full)
	at := make([]float32, space.Dim())
	if err := space.Embed(at, feature.Default().Extract(s.Line()), base.Default().NewScratch()); err != nil {
		t.Fatal(err)
	}
	read := []float64{1}
	read = append(read, residuals(s)...)
	for i, z := range residuals(s) {
		var column []float64
		for _, row := range all {
			column = append(column, row[i])
		}
		read = append(read, math.Min(2, math.Abs(z-feature.Median(column))))
	}
	for _, e := range at {
		read = append(read, float64(e)/2)
	}
	want := 0.0
	for i, x := range read {
		want += float64(float32(math.Sin(float64(i)))) * x
	}
	if want = math.Max(-maxOdds, math.Min(maxOdds, want)); math.Abs(got.Head-want) > 1e-5 {
		t.Errorf("log-odds %v, want %v", got.Head, want)
	}
	if want := fuse(keystroke.Full, got); got.LLR != want {
		t.Errorf("LLR %v, want %v", got.LLR, want)
	}
	// Whom and what it does not know, it leaves to the others.
	words := "apples green fall"
	for person, s := range map[string]keystroke.Sample{"bob": s, "ada": tooLong, "cy": s.PressOnly()} {
		if got, err := v.Score(person, s); err != nil || got.HasHead || got.Head != 0 {
			t.Errorf("%s, %q: %+v, %v", person, s.Phrase, got, err)
		}
	}
	if got, err := v.Score("ada", ada.Types(t, words)); err != nil || got.HasHead {
		t.Errorf("a text made of words: %+v, %v", got, err)
	}
	// Who is in the file and not enrolled is not enrolled.
	if _, err := v.Score("zoe", s); !errors.Is(err, ErrUnenrolled) {
		t.Errorf("zoe: %v, want ErrUnenrolled", err)
	}
	f.Heads[0].Weights = f.Heads[0].Weights[1:]
	if _, err := NewVerifier(people, f); !errors.Is(err, ErrFile) {
		t.Errorf("a weight is missing: %v, want ErrFile", err)
	}
}

// Whatever the weights, a head never lets anybody in by what is not a number.
func TestScoreOverflow(t *testing.T) {
	people, ada, _ := enrolled(t)
	f := untrained(people[0])
	for _, x := range []float64{math.MaxFloat32, math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, h := range f.Heads {
			for i := range h.Weights {
				h.Weights[i] = float32(x)
			}
		}
		got, err := verifier(t, people, f).Score("ada", ada.Types(t, phrase))
		if err != nil || math.IsNaN(got.LLR) || got.Head > maxOdds || got.Head < -maxOdds {
			t.Errorf("weights %v: %+v, %v", x, got, err)
		}
		if math.IsNaN(got.Head) && got.LLR != -MaxLLR {
			t.Errorf("weights %v: not a number has an LLR of %v", x, got.LLR)
		}
	}
}

func TestVerifierIsConcurrent(t *testing.T) {
	people, ada, bob := enrolled(t)
	v := verifier(t, people, untrained(people[:2]...))
	samples := []keystroke.Sample{ada.Types(t, phrase), bob.Types(t, phrase), ada.Types(t, eight)}
	want := make([]Score, len(samples))
	for i, s := range samples {
		want[i], _ = v.Score("ada", s)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 60 {
				k := i % len(samples)
				if got, err := v.Score("ada", samples[k]); err != nil || !reflect.DeepEqual(got, want[k]) {
					t.Errorf("%+v, %v, alone it was %+v", got, err, want[k])
					return
				}
			}
		})
	}
	all.Wait()
}

// TestFuse checks what every choice of weights must keep: a clamp, the right
// direction, and that what is not a number is a stranger's.
func TestFuse(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, ch := range []keystroke.Channel{keystroke.Full, keystroke.Press, keystroke.SSHPress} {
		for _, net := range []bool{false, true} {
			last := -inf
			for x := -40.0; x <= 40; x++ {
				llr := fuse(ch, Score{Ratio: x, HasHead: net})
				if !(llr >= last) || llr > MaxLLR || llr < -MaxLLR {
					t.Fatalf("%s, head %v: a ratio of %v gives %v after %v", ch, net, x, llr, last)
				}
				last = llr
			}
			if own, far := fuse(ch, Score{Ratio: 10, HasHead: net}), fuse(ch, Score{Ratio: -10, HasHead: net}); own < 2 || far > -2 {
				t.Errorf("%s, head %v: a ratio of 10 gives %v, one of -10 %v", ch, net, own, far)
			}
			for _, s := range []Score{{Ratio: nan}, {Ratio: -inf}, {Base: nan}, {Ratio: inf, Base: -inf}} {
				s.HasHead = net
				if got := fuse(ch, s); got != -MaxLLR {
					t.Errorf("%s: %+v gives %v, want %v", ch, s, got, -MaxLLR)
				}
			}
		}
		for name, differ := range map[string]func(x float64) Score{
			"head": func(x float64) Score { return Score{HasHead: true, Head: x} },
			"base": func(x float64) Score { return Score{Base: x} },
		} {
			if low, high := fuse(ch, differ(-maxOdds)), fuse(ch, differ(maxOdds)); !(low < high) {
				t.Errorf("%s, %s: ±%v give %v and %v", ch, name, maxOdds, low, high)
			}
		}
		if got := fuse(ch, Score{HasHead: true, Head: nan}); got != -MaxLLR {
			t.Errorf("%s: log-odds of NaN give %v, want %v", ch, got, -MaxLLR)
		}
		if a, b := fuse(ch, Score{}), fuse(ch, Score{Head: maxOdds}); a != b {
			t.Errorf("%s: a head that the person does not have moved %v to %v", ch, a, b)
		}
	}
	if got := fuse("", Score{}); got > 0 {
		t.Errorf("no channel has %v, want nothing in favour", got)
	}
}

// TestScoreAllocates nothing, on any channel.
func TestScoreAllocates(t *testing.T) {
	people, ada, _ := enrolled(t)
	v, w := verifier(t, people, untrained(people...)), &work{embedding: newEmbedding()} // a pool loses some of its own under the race detector
	own, err := v.standard("ada")
	if err != nil {
		t.Fatal(err)
	}
	full := ada.Types(t, phrase)
	for _, s := range []keystroke.Sample{full, full.PressOnly()} {
		judge := func() {
			seen, ok := seenOn(s, func(ch keystroke.Channel) bool { return knows(own.templates, templateKey{s.Phrase, ch}) })
			if got, err := v.judge(own, seen, w); err != nil || !ok || !got.HasHead {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		if n := testing.AllocsPerRun(50, judge); n != 0 {
			t.Errorf("%s: %v allocations", s.Channel, n)
		}
	}
}

// BenchmarkScore is one probe of 24 keys: all scorers.
func BenchmarkScore(b *testing.B) {
	const text = "the quick brown fox jump"
	ada := newTypist(1, 1)
	people := []Person{{Name: "ada", Sittings: []Sitting{ada.sitting(b, 5, text)}}}
	v := verifier(b, people, untrained(people...))
	for _, s := range []keystroke.Sample{ada.Types(b, text), ada.Types(b, text).PressOnly()} {
		b.Run(string(s.Channel), func(b *testing.B) {
			took := make([]time.Duration, 0, 1<<16)
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				if _, err := v.Score("ada", s); err != nil {
					b.Fatal(err)
				}
				if len(took) < cap(took) {
					took = append(took, time.Since(start))
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
