package feature

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

// hands is a typist of known medians: down-down 150 ms and dwell 90 ms for all
// keys but two, 300 ms into b after a, and 40 ms of dwell for b. People differ by a
// factor of tempo (log sd 0.2), their keys by another (log sd 0.1).
func hands(rng *rand.Rand, text string, tempo float64) keystroke.Sample {
	s := keystroke.Sample{Phrase: text, Channel: keystroke.Full}
	var down float64
	runes := []rune(text)
	for i, r := range runes {
		dd, dwell := 150.0, 90.0
		if i > 0 && runes[i-1] == 'a' && r == 'b' {
			dd = 300
		}
		if r == 'b' {
			dwell = 40
		}
		if i > 0 {
			down += dd * tempo * math.Exp(0.1*rng.NormFloat64())
		}
		up := down + dwell*tempo*math.Exp(0.1*rng.NormFloat64())
		s.Events = append(s.Events, keystroke.Event{
			Key: keystroke.KeyOf(r), Rune: r, Released: true,
			Down: time.Duration(down * float64(ms)), Up: time.Duration(up * float64(ms)),
		})
	}
	return s
}

// known builds the population of 60 such typists.
func knownPopulation(t testing.TB) *Population {
	t.Helper()
	var b Builder
	rng := rand.New(rand.NewPCG(5, 5))
	for person := range 60 {
		tempo := math.Exp(0.2 * rng.NormFloat64())
		for range 8 {
			b.Add(string(rune('A'+person)), hands(rng, "xabxxcabxxxxdxx", tempo).Line())
		}
	}
	p, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestBuild(t *testing.T) {
	p := knownPopulation(t)
	both := math.Hypot(0.2, 0.1) // people and keys together
	for _, c := range []struct {
		name string
		got  Spread
		want float64 // ms
	}{
		{"ab", p.DownDown('a', 'b'), 300},
		{"xx", p.DownDown('x', 'x'), 150},
		{"xa", p.DownDown('x', 'a'), 150},
		{"dwell of b", p.Dwell('b'), 40},
		{"dwell of x", p.Dwell('x'), 90},
		{"dwell of a key nobody typed", p.Dwell('z'), 90},
	} {
		if !near(math.Exp(c.got.Center), c.want, 0.08*c.want) {
			t.Errorf("%s: centre %.1f ms, want %v", c.name, math.Exp(c.got.Center), c.want)
		}
	}
	xx := p.DownDown('x', 'x')
	if !near(xx.Scale, both, 0.04) {
		t.Errorf("scale of xx %.3f, want %.3f", xx.Scale, both)
	}
	if !near(xx.Within, 0.6745*0.1, 0.01) { // the MAD of a normal
		t.Errorf("own spread at xx %.3f, want 0.067", xx.Within)
	}
	if fl := p.Flight('x', 'x'); !near(fl.Center, 60, 6) {
		t.Errorf("flight xx %.1f ms, want 60", fl.Center)
	}
	// A pair typed once a line, 480 times, has a line of its own; one that nobody
	// typed backs off to the key.
	if _, own := p.dd[pair{'x', 'd'}]; !own || p.DownDown('q', 'b') != p.ddKey['b'] || p.DownDown('q', 'q') != p.ddAll {
		t.Error("the back-off from pair to key to all is not as it should be")
	}
	if !near(medianOf(p.Tempers, func(t Temper) float64 { return t.DDMean }), 0, 0.3) || len(p.Tempers) != 60 {
		t.Errorf("%d tempers around %.2f, want 60 around 0", len(p.Tempers), medianOf(p.Tempers, func(t Temper) float64 { return t.DDMean }))
	}
	for name, qs := range map[string][]float64{"down-down": p.DDQuantiles, "dwell": p.DwellQuantiles} {
		if len(qs) != quantiles || !near(qs[quantiles/2], 0, 0.15) || !near((normalQuantile(qs, 0.84)-normalQuantile(qs, 0.16))/2, 1, 0.15) {
			t.Errorf("%s: the rest is not around 0 with a spread of 1: %v", name, qs)
		}
	}
	if !near(p.DDLags[0], 1, 0.05) || !near(p.DwellLags[0], 1, 0.05) {
		t.Errorf("variances of normal scores are %.2f and %.2f, want 1", p.DDLags[0], p.DwellLags[0])
	}
	for lag := 1; lag <= MaxLag; lag++ { // keys were independent; the line's mean takes 1/15 away
		if !near(p.DDLags[lag], -1.0/14, 0.1) {
			t.Errorf("covariance at lag %d is %.2f, want about none", lag, p.DDLags[lag])
		}
	}
}

func normalQuantile(qs []float64, p float64) float64 { return atProbability(qs, p) }

// TestBuildIgnores checks that lost releases and pauses do not reach the table.
func TestBuildIgnores(t *testing.T) {
	var clean, dirty Builder
	rng := rand.New(rand.NewPCG(6, 6))
	for person := range 30 {
		for range 8 {
			s := hands(rng, "xabxxcabxxxxdxx", 1)
			name := string(rune('A' + person))
			clean.Add(name, s.Line())
			dirty.Add(name, s.Line())
			dirty.Add(name, typing("xabxxcabxxxxdxx", 2000, 10).Line()) // pauses, and releases that browsers made up
		}
	}
	a, err := clean.Build()
	if err != nil {
		t.Fatal(err)
	}
	b, err := dirty.Build()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(table(t, a), table(t, b)) {
		t.Error("typings without one believable time changed the table")
	}
}

// TestBuildIgnoresRepeats: what a keyboard makes of a key held down is no typing.
func TestBuildIgnoresRepeats(t *testing.T) {
	var clean, dirty Builder
	rng := rand.New(rand.NewPCG(6, 6))
	for person := range 30 {
		for range 8 {
			l := hands(rng, "xabxxcabxxxxdxx", 1).Line()
			name := string(rune('A' + person))
			clean.Add(name, l)
			dirty.Add(name, l)
			dirty.Add(name, typing("jjjjjjjjjjjj", 33, 33).Line())
		}
	}
	a, err := clean.Build()
	if err != nil {
		t.Fatal(err)
	}
	b, err := dirty.Build()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(table(t, a), table(t, b)) {
		t.Error("keys held down changed the table")
	}
}

// TestWithoutRepeats marks the times that cannot be believed, and no other.
func TestWithoutRepeats(t *testing.T) {
	for _, c := range []struct {
		text       string
		gaps, hold []int  // ms
		known      string // by stroke: d interval, h dwell, b both, - neither
	}{
		{"hello", []int{0, 150, 150, 150, 150}, []int{80, 80, 80, 80, 80}, "hbbbb"}, // a finger lifts between l and l
		{"hello", []int{0, 150, 150, 85, 150}, []int{80, 80, 80, 80, 80}, "hbbbb"},  // if fast
		{"hello", []int{0, 150, 150, 84, 150}, []int{80, 80, 80, 80, 80}, "hbd-h"},  // but not so fast
		{"ajjjb", []int{0, 150, 500, 33, 150}, []int{80, 500, 33, 20, 80}, "hd--h"},
		{"abab", []int{0, 50, 50, 50}, []int{80, 80, 80, 80}, "hbbb"}, // keys overlap
		{"jj", []int{0, 100}, []int{-1, -1}, "-d"},                    // no release is seen
	} {
		s := typing(c.text, 100, 80)
		var down time.Duration
		for i := range s.Events {
			down += time.Duration(c.gaps[i]) * ms
			e := &s.Events[i]
			e.Down, e.Up, e.Released = down, down+time.Duration(c.hold[i])*ms, c.hold[i] >= 0
		}
		line := s.Line()
		before := line.Strokes[0]
		l := withoutRepeats(line)
		var got []byte
		for i, st := range l.Strokes {
			_, dd := l.DownDown(i)
			got = append(got, map[[2]bool]byte{{true, true}: 'b', {true, false}: 'd', {false, true}: 'h', {false, false}: '-'}[[2]bool{dd, st.Released}])
		}
		if string(got) != c.known {
			t.Errorf("%s %v %v: %s, want %s", c.text, c.gaps, c.hold, got, c.known)
		}
		if line.Strokes[0] != before || l.Text != c.text {
			t.Errorf("%s: the line that was handed in has changed", c.text)
		}
	}
}

// A flight needs a release that can be believed; the interval does not.
func TestBuildFlights(t *testing.T) {
	build := func(lost bool) *Population {
		var b Builder
		rng := rand.New(rand.NewPCG(6, 6))
		for person := range 30 {
			for range 8 {
				s := hands(rng, "xabxxcabxxxxdxx", 1)
				b.Add(string(rune('A'+person)), s.Line())
				if lost {
					b.Add(string(rune('A'+person)), typing("xabxxcabxxxxdxx", 150, 10).Line())
				}
			}
		}
		p, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	a, b := build(false), build(true)
	if a.flightAll != b.flightAll || a.dwellAll != b.dwellAll {
		t.Errorf("flight %+v and dwell %+v; with lost releases %+v and %+v", a.flightAll, a.dwellAll, b.flightAll, b.dwellAll)
	}
	if a.ddAll == b.ddAll {
		t.Error("the intervals of lines with lost releases did not count")
	}
}

func TestBuildTooLittle(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for name, lines := range map[string]func(b *Builder){
		"nothing": func(*Builder) {},
		"999 intervals": func(b *Builder) {
			for range 111 {
				b.Add("a", hands(rng, "abcdefghij", 1).Line())
			}
		},
		"lines too short to show a temper": func(b *Builder) {
			for range 1000 {
				b.Add("a", hands(rng, "abcd", 1).Line())
			}
		},
		"no flights": func(b *Builder) {
			for range 200 {
				b.Add("a", hands(rng, "abcdefghij", 1).PressOnly().Line())
			}
			for range 1000 {
				b.Add("a", hands(rng, "a", 1).Line())
			}
		},
		"a machine": func(b *Builder) {
			for range 200 {
				b.Add("a", typing("aaaaaaaaaa", 100, 80).Line())
			}
		},
	} {
		var b Builder
		lines(&b)
		if p, err := b.Build(); !errors.Is(err, ErrTooLittle) || p != nil {
			t.Errorf("%s: %v, want ErrTooLittle", name, err)
		}
	}
}

// A person whose first line is too short still lends its temper.
func TestBuildTempers(t *testing.T) {
	var b Builder
	rng := rand.New(rand.NewPCG(8, 8))
	for person := range 20 {
		name := string(rune('A' + person))
		b.Add(name, hands(rng, "ab", 1).Line())
		for range 10 {
			b.Add(name, hands(rng, "abcdefghij", 1).Line())
		}
	}
	p, err := b.Build()
	if err != nil || len(p.Tempers) != 20 {
		t.Fatalf("%v with %d tempers, want 20", err, len(p.Tempers))
	}
}
