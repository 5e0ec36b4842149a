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
	"ksd/internal/model/network"
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
	typo := ada.types(t, phrase)
	typo.Events[3].Rune = 'x'
	people = append(people, Person{Name: "typo", Sittings: []Sitting{{Samples: []keystroke.Sample{typo}}}})
	v := verifier(t, people, nil)
	good := ada.types(t, phrase)
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
		{"another phrase", "ada", newTypist(1, 1).types(t, "never enrolled"), ErrPhrase},
		{"somebody else's phrase", "bob", ada.types(t, eight), ErrPhrase},
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
		own, other := ada.types(t, phrase), bob.types(t, phrase)
		for _, ch := range []string{"full", "press"} {
			a, err := v.Score("ada", own)
			if err != nil {
				t.Fatal(err)
			}
			b, err := v.Score("ada", other)
			if err != nil {
				t.Fatal(err)
			}
			if a.Detector >= b.Detector || a.LLR <= b.LLR || a.HasNet || a.NearCopy || a.TooSteady || len(a.Beats) != len(phrase) {
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
	s := ada.types(t, phrase).PressOnly()
	a, erra := v.Score("ada", s)
	b, errb := plain.Score("ada", s)
	if erra != nil || errb != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("%+v, %v\nand %+v, %v", a, erra, b, errb)
	}
	// What was typed at a plain terminal joins it.
	both := people[0]
	both.Sittings = append(slices.Clone(both.Sittings), pressOnly(Person{Sittings: []Sitting{ada.sitting(t, 2, phrase)}}).Sittings...)
	key := templateKey{phrase, keystroke.Press}
	if n := len(verifier(t, []Person{both}, nil).people["ada"][key].typings); n != 10 {
		t.Errorf("%d typings, want 8 derived and 2 as they came", n)
	}
}

func TestScoreWithNetwork(t *testing.T) {
	people, ada, _ := enrolled(t)
	long := strings.Repeat("many words ", 6) // 66 keys
	tooLong := typed(long, slices.Repeat([]float64{100, 140}, len(long)/2), nil)
	people[0].Sittings = append(people[0].Sittings, Sitting{Samples: []keystroke.Sample{tooLong}})
	f := untrained("ada", "zoe")
	v := verifier(t, people, f)
	s := ada.types(t, phrase)
	got, err := v.Score("ada", s)
	if err != nil || !got.HasNet {
		t.Fatalf("%+v, %v", got, err)
	}
	// The same by the network itself.
	n, err := network.New(f.Spec, f.Weights)
	if err != nil {
		t.Fatal(err)
	}
	logits := make([]float32, 3)
	if err := n.Logits(logits, sequence(feature.Default().Extract(s.Line())), network.NewScratch(f.Spec)); err != nil {
		t.Fatal(err)
	}
	if want := network.LogProbability(logits, 0) - math.Log(-math.Expm1(network.LogProbability(logits, 0))); math.Abs(got.Network-want) > 1e-5 {
		t.Errorf("log-odds %v, want %v", got.Network, want)
	}
	// Whom and what it does not know, it leaves to the detector.
	if got, err := v.Score("bob", s); err != nil || got.HasNet || got.Network != 0 {
		t.Errorf("bob: %+v, %v", got, err)
	}
	if got, err := v.Score("ada", tooLong); err != nil || got.HasNet {
		t.Errorf("a long phrase: %+v, %v", got, err)
	}
	// Who is in the file and not enrolled is not enrolled.
	if _, err := v.Score("zoe", s); !errors.Is(err, ErrUnenrolled) {
		t.Errorf("zoe: %v, want ErrUnenrolled", err)
	}
	f.Weights = f.Weights[1:]
	if _, err := NewVerifier(people, f); !errors.Is(err, ErrFile) {
		t.Errorf("a weight is missing: %v, want ErrFile", err)
	}
}

// A network that overflows makes a sample unusable; it never lets anybody in.
func TestScoreOverflow(t *testing.T) {
	people, ada, _ := enrolled(t)
	f := untrained("ada")
	for i := range f.Weights {
		f.Weights[i] = math.MaxFloat32 / 4
	}
	if got, err := verifier(t, people, f).Score("ada", ada.types(t, phrase)); !errors.Is(err, ErrUnusable) {
		t.Errorf("%+v, %v, want ErrUnusable", got, err)
	}
}

func TestVerifierIsConcurrent(t *testing.T) {
	people, ada, bob := enrolled(t)
	v := verifier(t, people, untrained("ada", "bob"))
	samples := []keystroke.Sample{ada.types(t, phrase), bob.types(t, phrase), ada.types(t, eight)}
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

func TestLogOdds(t *testing.T) {
	ln := func(x float64) float32 { return float32(math.Log(x)) }
	for _, c := range []struct {
		logits []float32
		k      int
		want   float64
	}{
		{[]float32{0, 0}, 0, 0},
		{[]float32{ln(1), ln(2), ln(5)}, 1, math.Log(2.0 / 6)},
		{[]float32{ln(1), ln(2), ln(5)}, 2, math.Log(5.0 / 3)},
		{[]float32{1e30, 0}, 0, maxOdds},
		{[]float32{1e30, 0}, 1, -maxOdds},
		{[]float32{5000, 4999, -5000}, 0, 1}, // exp would overflow
	} {
		if got := logOdds(c.logits, c.k); math.Abs(got-c.want) > 1e-5 {
			t.Errorf("class %d of %v: %v, want %v", c.k, c.logits, got, c.want)
		}
	}
}

// TestFuse checks what every choice of weights must keep: a clamp, the right
// direction, and that what is not a number is a stranger's.
func TestFuse(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, ch := range []keystroke.Channel{keystroke.Full, keystroke.Press, keystroke.SSHPress} {
		for _, net := range []bool{false, true} {
			last := -inf
			for x := -40.0; x <= 40; x++ {
				llr := fuse(ch, Score{Ratio: x, HasNet: net})
				if !(llr >= last) || llr > MaxLLR || llr < -MaxLLR {
					t.Fatalf("%s, network %v: a ratio of %v gives %v after %v", ch, net, x, llr, last)
				}
				last = llr
			}
			if own, far := fuse(ch, Score{Ratio: 10, HasNet: net}), fuse(ch, Score{Ratio: -10, HasNet: net}); own < 2 || far > -2 {
				t.Errorf("%s, network %v: a ratio of 10 gives %v, one of -10 %v", ch, net, own, far)
			}
			for _, s := range []Score{{Ratio: nan}, {Ratio: -inf}, {Base: nan}, {Ratio: inf, Base: -inf}} {
				s.HasNet = net
				if got := fuse(ch, s); got != -MaxLLR {
					t.Errorf("%s: %+v gives %v, want %v", ch, s, got, -MaxLLR)
				}
			}
		}
		for name, differ := range map[string]func(x float64) Score{
			"network": func(x float64) Score { return Score{HasNet: true, Network: x} },
			"base":    func(x float64) Score { return Score{Base: x} },
		} {
			if low, high := fuse(ch, differ(-maxOdds)), fuse(ch, differ(maxOdds)); !(low < high) {
				t.Errorf("%s, %s: ±%v give %v and %v", ch, name, maxOdds, low, high)
			}
		}
		if got := fuse(ch, Score{HasNet: true, Network: nan}); got != -MaxLLR {
			t.Errorf("%s: log-odds of NaN give %v, want %v", ch, got, -MaxLLR)
		}
		if a, b := fuse(ch, Score{}), fuse(ch, Score{Network: maxOdds}); a != b {
			t.Errorf("%s: a network that does not know the person moved %v to %v", ch, a, b)
		}
	}
	if got := fuse("", Score{}); got > 0 {
		t.Errorf("no channel has %v, want nothing in favour", got)
	}
}

// BenchmarkScore is one probe of 24 keys: features, detector and network.
func BenchmarkScore(b *testing.B) {
	const text = "the quick brown fox jump"
	ada := newTypist(1, 1)
	v := verifier(b, []Person{{Name: "ada", Sittings: []Sitting{ada.sitting(b, 5, text)}}}, untrained("ada", "bob", "cy"))
	for _, s := range []keystroke.Sample{ada.types(b, text), ada.types(b, text).PressOnly()} {
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
