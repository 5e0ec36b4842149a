package model

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
)

const eight = "abcdefgh"

// even is a typing of eight with equal intervals but for the one before "b".
func even(interval, second float64, dwells []float64) keystroke.Sample {
	return typed(eight, []float64{0, second, interval, interval, interval, interval, interval, interval}, dwells)
}

func dwells(x float64) []float64 { return []float64{x, x, x, x, x, x, x, x} }

func close(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

// TestTemplateByHand holds medians, scales and distances against numbers worked
// out on paper. Three typings take 100, 110 and 130 ms from a to b: the median
// is 110, the absolute deviations of the logarithms are 0, ln 1.1 and ln 13/11,
// and their median is ln 1.1.
func TestTemplateByHand(t *testing.T) {
	pop := feature.Default()
	usual := func(prev, key keystroke.Key) float64 { return pop.DownDown(prev, key).Within }
	tmpl := newTemplate(pop, []keystroke.Line{
		even(200, 100, dwells(80)).Line(), even(200, 130, dwells(90)).Line(), even(200, 110, dwells(90)).Line(),
	})
	if !math.IsNaN(tmpl.median[0]) {
		t.Errorf("the first key has an interval of %v", tmpl.median[0])
	}
	ab := (3*math.Log(1.1) + 10*usual('a', 'b')) / 13
	if got := math.Exp(tmpl.median[1]); !close(got, 110) {
		t.Errorf("median of ab %v ms, want 110", got)
	}
	if !close(tmpl.scale[1], ab) {
		t.Errorf("scale of ab %v, want %v", tmpl.scale[1], ab)
	}
	if bc := 10 * usual('b', 'c') / 13; !close(tmpl.scale[2], bc) { // equal typings: the population's alone
		t.Errorf("scale of bc %v, want %v", tmpl.scale[2], bc)
	}
	if d := 10 * pop.Dwell('a').Within / 13; !close(math.Exp(tmpl.median[8]), 90) || !close(tmpl.scale[8], d) {
		t.Errorf("dwell of a %v ms ± %v, want 90 ± %v", math.Exp(tmpl.median[8]), tmpl.scale[8], d)
	}

	for _, c := range []struct {
		name   string
		sample keystroke.Sample
		want   float64
	}{
		{"the medians themselves", even(200, 110, dwells(90)), 0},
		{"one interval off by half a scale", even(200, 110*math.Exp(ab/2), dwells(90)), 0.5 / 15},
		{"faster counts like slower", even(200, 110*math.Exp(-ab/2), dwells(90)), 0.5 / 15},
		{"one far off counts 3", even(200, 1900, dwells(90)), 3.0 / 15},
		{"without releases only intervals count", even(200, 1900, nil), 3.0 / 7},
		{"nothing alike", even(1900, 1900, dwells(900)), 3},
	} {
		got, ok := tmpl.distance(pop.Extract(c.sample.Line()))
		if !ok || math.Abs(got-c.want) > 1e-6 { // times are whole ns
			t.Errorf("%s: distance %v, %v, want %v", c.name, got, ok, c.want)
		}
	}
}

// The distance never falls while one time moves away from its median.
func TestDistanceIsMonotone(t *testing.T) {
	pop := feature.Default()
	tmpl := newTemplate(pop, []keystroke.Line{even(200, 100, nil).Line(), even(180, 120, nil).Line()})
	for _, sign := range []float64{1, -1} {
		last := -1.0
		for off := 0.0; off < 2; off += 0.05 {
			second := math.Sqrt(100*120) * math.Exp(sign*off)
			d, ok := tmpl.distance(pop.Extract(even(190, second, nil).Line()))
			if !ok || d < last || d > capDistance {
				t.Fatalf("%.0f ms away: %v after %v", second, d, last)
			}
			last = d
		}
	}
}

func TestDistanceUnknown(t *testing.T) {
	pop := feature.Default()
	full := newTemplate(pop, []keystroke.Line{even(200, 100, dwells(90)).Line()})
	broken := even(200, 100, nil) // one of the seven intervals is no movement
	broken.Events[3].Rune = 0
	broken.Events[3].Key = keystroke.Unknown
	broken.Events = append(broken.Events[:4:4], append([]keystroke.Event{{Key: 'd', Rune: 'd', Down: broken.Events[3].Down + ms}}, broken.Events[4:]...)...)
	if d, ok := full.distance(pop.Extract(broken.Line())); !ok || d < 0 {
		t.Errorf("six times in common are enough: %v, %v", d, ok)
	}
	broken.Events = append(broken.Events, keystroke.Event{Key: keystroke.Backspace, Down: 2 * time.Second}, keystroke.Event{Key: 'h', Rune: 'h', Down: 3 * time.Second})
	if broken.Line().Text != eight {
		t.Fatal(broken.Line().Text)
	}
	if _, ok := full.distance(pop.Extract(broken.Line())); ok {
		t.Error("five times in common are judged")
	}
	for name, strokes := range map[string][]feature.Stroke{
		"none": nil, "one too few": pop.Extract(even(200, 100, nil).Line())[:7],
	} {
		if _, ok := full.distance(strokes); ok {
			t.Errorf("%s: strokes of another length are judged", name)
		}
	}
	// What the template does not know does not count.
	press := newTemplate(pop, []keystroke.Line{even(200, 100, nil).Line()})
	if d, ok := press.distance(pop.Extract(even(200, 100, dwells(1)).Line())); !ok || d != 0 {
		t.Errorf("dwells against a template without: %v, %v, want 0", d, ok)
	}
}

func TestBeats(t *testing.T) {
	tmpl := newTemplate(feature.Default(), []keystroke.Line{even(200, 100, nil).Line()})
	s := even(200, 150, nil)
	beats := tmpl.beats(s.Line())
	if len(beats) != 8 || beats[0] != (Beat{Rune: 'a'}) {
		t.Fatalf("%+v", beats)
	}
	b := beats[1]
	spread := 100 * math.Sinh(tmpl.scale[1])
	if b.Rune != 'b' || b.Typed != 150*ms || (b.Usual-100*ms).Abs() > time.Microsecond || math.Abs(feature.MS(b.Spread)-spread) > 0.001 {
		t.Errorf("%+v, want 150 ms beside 100 ± %.1f ms", b, spread)
	}
}

func TestUnlike(t *testing.T) {
	own := newTypist(1, 1)
	var earlier []keystroke.Sample
	for range 6 {
		earlier = append(earlier, own.Types(t, phrase))
	}
	like, unlike := own.Types(t, phrase), newTypist(2, 2).Types(t, phrase)
	slip := own.Types(t, phrase)
	for i := 8; i < len(slip.Events); i++ { // one long pause
		slip.Events[i].Down += time.Second
		slip.Events[i].Up += time.Second
	}
	other := typed(eight, dwells(100), nil)
	short := typed(phrase, make([]float64, len(phrase)), nil)
	short.Events = short.Events[:3]
	for _, c := range []struct {
		name    string
		s       keystroke.Sample
		earlier []keystroke.Sample
		want    bool
	}{
		{"a stranger", unlike, earlier, true},
		{"itself", like, earlier, false},
		{"one slip", slip, earlier, false},
		{"after two", unlike, earlier[:2], false},
		{"after three", unlike, earlier[:3], true},
		{"after two and others of another text", unlike, append([]keystroke.Sample{other, other, {}}, earlier[:2]...), false},
		{"after three, another text first", unlike, append([]keystroke.Sample{other, {}}, earlier[:3]...), true},
		{"another text", other, earlier, false},
		{"too short to tell", short, []keystroke.Sample{short, short, short}, false},
		{"nothing at all", keystroke.Sample{}, []keystroke.Sample{{}, {}, {}}, false},
	} {
		if got := Unlike(c.s, c.earlier); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	// Three equal typings have no spread; hands that are a little off are kept.
	same := []keystroke.Sample{like, like, like}
	near := like
	near.Events = append([]keystroke.Event(nil), like.Events...)
	for i := range near.Events {
		near.Events[i].Down += time.Duration(i) * 3 * ms
		near.Events[i].Up += time.Duration(i) * 3 * ms
	}
	if Unlike(near, same) {
		t.Error("a typing 3 ms slower at each key is too unlike three equal ones")
	}
}

// copied returns s with every press moved by up to ±by.
func copied(s keystroke.Sample, by time.Duration) keystroke.Sample {
	rng := rand.New(rand.NewPCG(1, 9))
	out := s.PressOnly()
	for i := range out.Events {
		if i > 0 {
			out.Events[i].Down += time.Duration((2*rng.Float64() - 1) * float64(by))
		}
	}
	return out
}

func TestNearCopy(t *testing.T) {
	own := newTypist(3, 1)
	s := own.Types(t, phrase)
	shifted := func(by time.Duration) keystroke.Sample { // every interval is longer by so much
		out := s.PressOnly()
		for i := range out.Events {
			out.Events[i].Down += time.Duration(i) * by
		}
		return out
	}
	for _, c := range []struct {
		name string
		a, b keystroke.Sample
		want bool
	}{
		{"itself", s, s, true},
		{"without its releases", s, s.PressOnly(), true},
		{"replayed with an error of 1 ms", s, copied(s, ms), true},
		{"all intervals 2.9 ms longer", s, shifted(2900 * time.Microsecond), true},
		{"all intervals 3 ms longer", s, shifted(3 * ms), false},
		{"all intervals shorter", shifted(10 * ms), s, false},
		{"another typing of the same hands", s, own.Types(t, phrase), false},
		{"another text", s, typed(eight, dwells(100), nil), false},
		{"five intervals are too few", typed("abcdef", dwells(100), nil), typed("abcdef", dwells(100), nil), false},
		{"six are enough", typed("abcdefg", dwells(100), nil), typed("abcdefg", dwells(100), nil), true},
		{"nothing", keystroke.Sample{}, keystroke.Sample{}, false},
	} {
		if got := NearCopy(c.a, c.b); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestTooSteady types like a script. median takes factor times as long for each
// key pair as most people do, and deviates from it by noise (log).
func TestTooSteady(t *testing.T) {
	pop := feature.Default()
	median := func(text string, factor, noise float64) keystroke.Sample {
		rng, keys := rand.New(rand.NewPCG(5, 6)), []rune(text)
		downs := make([]float64, len(keys))
		for i := range keys[1:] {
			usual := pop.DownDown(keystroke.KeyOf(keys[i]), keystroke.KeyOf(keys[i+1])).Center
			downs[i+1] = factor * math.Exp(usual+noise*rng.NormFloat64())
		}
		return typed(text, downs, nil)
	}
	for _, c := range []struct {
		name string
		s    keystroke.Sample
		want bool
	}{
		{"a metronome", even(100, 100, nil), true},
		{"a metronome with releases", even(100, 100, dwells(50)), true},
		{"within 4 %", typed(eight, []float64{0, 96, 104, 96, 104, 96, 104, 100}, nil), true},
		{"within 6 %", typed(eight, []float64{0, 94, 106, 94, 106, 94, 106, 94}, nil), false},
		{"hands", newTypist(4, 1).Types(t, phrase), false},
		{"five intervals are too few", typed("abcdef", dwells(100), nil), false},
		{"six are enough", typed("abcdefg", dwells(100), nil), true},
		{"all keys at once", even(0, 0, nil), true},
		{"what most people take", median(phrase, 1, 0), true},
		{"faster than most people by a quarter", median(phrase, 0.75, 0), true},
		{"with a little chance", median(phrase, 1, 0.1), true},
		{"with the chance of hands", median(phrase, 1, 0.25), false},
		{"very slow hands", median(phrase, 9, 0.25), false},
	} {
		if got := tooSteady(pop, c.s.Line()); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
