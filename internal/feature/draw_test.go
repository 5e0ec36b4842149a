package feature

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"ksd/internal/keystroke"
)

const drawnText = "the quick Brown fox!"

func draw(t testing.TB, r *Rhythms, rng *rand.Rand, text string) keystroke.Sample {
	t.Helper()
	s, err := r.Draw(rng, text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDraw(t *testing.T) {
	r := NewRhythms(Default(), nil)
	rng := rand.New(rand.NewPCG(1, 1))
	for _, text := range []string{"a", "É x", drawnText, "€€€€", strings.Repeat("ab ", 21) + "c"} {
		for range 20 {
			s := draw(t, r, rng, text)
			l := s.Line()
			if err := s.Validate(); err != nil || l.Text != text || s.Phrase != text || l.Corrections != 0 || s.Channel != keystroke.Full {
				t.Fatalf("%q came out as %+v (%v)", text, s, err)
			}
			for i, st := range l.Strokes {
				dwell, released := st.Dwell()
				if dd, ok := l.DownDown(i); ok != (i > 0) || ok && dd <= 0 || !released || dwell <= 0 {
					t.Fatalf("%q, stroke %d: %+v", text, i, st)
				}
				if st.Key != keystroke.KeyOf(st.Rune) {
					t.Fatalf("%q typed by %v", st.Rune, st.Key)
				}
			}
		}
	}
	for name, text := range map[string]string{"empty": "", "too long": strings.Repeat("a", maxDrawn+1)} {
		if _, err := r.Draw(rng, text); !errors.Is(err, ErrText) {
			t.Errorf("%s: %v, want ErrText", name, err)
		}
	}
	if _, err := r.Draw(rng, strings.Repeat("é", maxDrawn)); err != nil {
		t.Errorf("%d characters of two bytes: %v", maxDrawn, err)
	}
}

func TestDrawIsDeterministic(t *testing.T) {
	lines := [][]keystroke.Line{{typing("abc abc abc", 100, 80).Line()}, {typing("abc abc abc", 130, 60).Line()}}
	all := func(seed uint64) (out []keystroke.Sample) {
		r, rng := NewRhythms(Default(), lines), rand.New(rand.NewPCG(seed, 0))
		for _, text := range []string{"abc abc abc", drawnText, "abc abc abc"} {
			out = append(out, draw(t, r, rng, text))
		}
		return out
	}
	first := all(1)
	if !reflect.DeepEqual(first, all(1)) {
		t.Error("one seed, two rhythms")
	}
	if reflect.DeepEqual(first, all(2)) || reflect.DeepEqual(first[0], first[2]) {
		t.Error("two strangers with one rhythm")
	}
}

// TestDrawKeepsMarginals draws many strangers and finds at every place the
// median and the spread that the table has for it.
func TestDrawKeepsMarginals(t *testing.T) {
	p := Default()
	r, rng := NewRhythms(p, nil), rand.New(rand.NewPCG(2, 2))
	const n = 1500
	var dd, dwell, within []float64 // residuals at all places
	for range n {
		d, h := p.rawResiduals(draw(t, r, rng, "another thing").Line())
		dd, dwell = append(dd, d[1:]...), append(dwell, h...)
		_, sd := meanSD(known(h))
		within = append(within, sd)
	}
	if want := medianOf(p.Tempers, func(t Temper) float64 { return t.DwellSD }); !near(Median(within), want, 0.15*want) {
		t.Errorf("dwells of one line vary by %.2f, want %.2f as people's do", Median(within), want)
	}
	for name, xs := range map[string][]float64{"down-down": known(dd), "dwell": known(dwell)} {
		slices.Sort(xs)
		center, scale := quantile(xs, 0.5), (quantile(xs, 0.84)-quantile(xs, 0.16))/2
		if !near(center, 0, 0.12) || !near(scale, 1, 0.12) {
			t.Errorf("residuals of %s lie around %.3f with a spread of %.3f, want 0 and 1", name, center, scale)
		}
	}
	// And of what was built from typists whose medians are known.
	k := knownPopulation(t)
	r = NewRhythms(k, nil)
	var ab, xx []float64
	for range n {
		l := draw(t, r, rng, "xxxabxx").Line()
		d, _ := l.DownDown(2)
		xx = append(xx, LogMS(d))
		d, _ = l.DownDown(4)
		ab = append(ab, LogMS(d))
	}
	if !near(math.Exp(Median(ab)), 300, 24) || !near(math.Exp(Median(xx)), 150, 12) {
		t.Errorf("ab takes %.0f ms, xx %.0f; want 300 and 150", math.Exp(Median(ab)), math.Exp(Median(xx)))
	}
	if _, sd := meanSD(xx); !near(sd, math.Hypot(0.2, 0.1), 0.05) {
		t.Errorf("xx varies by %.3f, want 0.22", sd)
	}
}

// TestDrawKeepsCovariance checks that what neighbours have in common reaches
// the drawn: keys drawn one by one would show 0 everywhere.
func TestDrawKeepsCovariance(t *testing.T) {
	p := *Default()
	p.DDLags = []float64{1, 0.4, 0.1, 0, 0}
	p.DwellLags = []float64{1, -0.3, 0.2, 0, 0}
	p.CrossLags = []float64{0, 0, 0, -0.2, 0.3, 0.25, 0, 0, 0} // lags -4 to 4
	r, rng := NewRhythms(&p, nil), rand.New(rand.NewPCG(3, 3))
	const n, draws = 8, 20000
	dwell, dd := make([][]float64, draws), make([][]float64, draws)
	for i := range draws {
		s := r.scores(rng, n)
		dwell[i], dd[i] = s[:n], s[n:]
	}
	for lag := range MaxLag + 1 {
		if got := covariance(dd, dd, lag); !near(got, p.DDLags[lag], 0.02) {
			t.Errorf("down-down at lag %d: %.3f, want %.3f", lag, got, p.DDLags[lag])
		}
		if got := covariance(dwell, dwell, lag); !near(got, p.DwellLags[lag], 0.02) {
			t.Errorf("dwell at lag %d: %.3f, want %.3f", lag, got, p.DwellLags[lag])
		}
	}
	for lag := -MaxLag; lag <= MaxLag; lag++ {
		if got := covariance(dwell, dd, lag); !near(got, p.CrossLags[lag+MaxLag], 0.02) {
			t.Errorf("dwell and down-down at lag %d: %.3f, want %.3f", lag, got, p.CrossLags[lag+MaxLag])
		}
	}
	// A shift by one place would show here: dwell 3 goes with down-down 4.
	var at [2]float64
	for i := range draws {
		at[0] += dwell[i][3] * dd[i][4] / draws
		at[1] += dwell[i][4] * dd[i][3] / draws
	}
	if !near(at[0], 0.25, 0.03) || !near(at[1], -0.2, 0.03) {
		t.Errorf("dwell with the next down-down %.3f, with the one before %.3f; want 0.25 and -0.2", at[0], at[1])
	}
}

// TestFactor checks that covariances that cannot be true together are mended by
// a ridge, and that those that can are left alone.
func TestFactor(t *testing.T) {
	p := *Default()
	for name, c := range map[string]struct {
		dd   []float64
		diag [2]float64
	}{
		"true":    {[]float64{1, 0.5, 0.25, 0.125, 0.0625}, [2]float64{1, 1}},
		"not so":  {[]float64{1, 0.9, -0.9, 0.9, -0.9}, [2]float64{1.5, 8}},
		"no more": {[]float64{0, 0, 0, 0, 0}, [2]float64{1e-5, 1}},
	} {
		p.DDLags, p.DwellLags, p.CrossLags = c.dd, []float64{1, 0, 0, 0, 0}, make([]float64, 2*MaxLag+1)
		var m mat.Dense
		level := p.factor(10)
		m.Mul(level, level.T())
		if d := m.At(15, 15); d < c.diag[0]-1e-9 || d > c.diag[1]+1e-9 {
			t.Errorf("%s: a variance of %v, want %v to %v", name, d, c.diag[0], c.diag[1])
		}
		if got := m.At(13, 15); !near(got, c.dd[2], 1e-9) {
			t.Errorf("%s: a covariance of %v, want %v", name, got, c.dd[2])
		}
	}
}

// place3 returns the median interval before the fourth character of what is drawn.
func place3(t *testing.T, r *Rhythms, text string) float64 {
	t.Helper()
	rng := rand.New(rand.NewPCG(4, 4))
	var xs []float64
	for range 400 {
		d, _ := draw(t, r, rng, text).Line().DownDown(3)
		xs = append(xs, LogMS(d))
	}
	return math.Exp(Median(xs))
}

// halting types text evenly but for a long wait before the fourth character.
func halting(rng *rand.Rand, text string) keystroke.Line {
	s := hands(rng, text, 1)
	for i := 3; i < len(s.Events); i++ {
		s.Events[i].Down += 900 * ms
		s.Events[i].Up += 900 * ms
	}
	return s.Line()
}

func TestLocalBending(t *testing.T) {
	const text, other = "xaxxaxxxxaxx", "dzdzdzdzdzdz"
	rng := rand.New(rand.NewPCG(9, 9))
	person := func() []keystroke.Line {
		return []keystroke.Line{halting(rng, text), halting(rng, text), halting(rng, text)}
	}
	p := Default()
	none, one := NewRhythms(p, nil), NewRhythms(p, [][]keystroke.Line{person()})
	two := NewRhythms(p, [][]keystroke.Line{person(), person()})
	six := NewRhythms(p, [][]keystroke.Line{person(), person(), person(), person(), person(), person()})
	if a, b := place3(t, none, text), place3(t, one, text); a != b {
		t.Errorf("one person moved the strangers' halt from %.0f to %.0f ms: it is that person's own", a, b)
	}
	if len(one.local) != 0 || len(two.local) != 1 || len(two.local[text]) != len(text) {
		t.Errorf("%d and %d texts are bent, want 0 and 1", len(one.local), len(two.local))
	}
	base, some, more := place3(t, none, text), place3(t, two, text), place3(t, six, text)
	if !(base < 300 && base*1.5 < some && some*1.2 < more && more < 1150) {
		t.Errorf("the halt of 1,050 ms is %.0f ms for strangers, %.0f with two people here, %.0f with six", base, some, more)
	}
	// Another text has no halt, whoever is here.
	if got := place3(t, six, other); got > 400 {
		t.Errorf("the halt came to another text: %.0f ms", got)
	}
}

// TestLocalTemper checks that people here lend strangers their tempo, in
// proportion to how many they are.
func TestLocalTemper(t *testing.T) {
	p := &Population{Tempers: []Temper{{0, 1, 0, 0.8}, {0.2, 1, 0.4, 0.8}, {0.1, 1, 0.2, 0.8}}}
	here := []Temper{{1.1, 0.5, -0.2, 0.4}, {1.1, 0.5, -0.2, 0.4}}
	for _, n := range []float64{0, 1} {
		if got := p.localTemper(here, n); got != (Temper{DDSD: 1, DwellSD: 1}) {
			t.Errorf("%v people: %+v, want no change", n, got)
		}
	}
	if got := p.localTemper(nil, 5); got != (Temper{DDSD: 1, DwellSD: 1}) {
		t.Errorf("people without a temper: %+v, want no change", got)
	}
	// With as many as localWeight people half of the way.
	got := p.localTemper(here, 2)
	if !near(got.DDMean, 0.5, 1e-12) || !near(got.DDSD, 0.75, 1e-12) || !near(got.DwellMean, -0.2, 1e-12) || !near(got.DwellSD, 0.75, 1e-12) {
		t.Errorf("%+v", got)
	}
}

// TestRhythmsOfOddLines checks that no line that the store may hold stops a
// training run.
func TestRhythmsOfOddLines(t *testing.T) {
	long := typing(strings.Repeat("a", maxDrawn+1), 100, 50).Line()
	press := typing("abcdefghij", 100, 50).PressOnly().Line()
	steady := typing("aaaaaaaaaa", 100, 50).Line()
	odd := []keystroke.Line{{}, {}, long, press, steady, typing("a", 0, 0).Line()}
	r := NewRhythms(Default(), [][]keystroke.Line{odd, odd, nil, odd})
	rng := rand.New(rand.NewPCG(1, 1))
	for _, text := range []string{"abcdefghij", "aaaaaaaaaa", "a", "b"} {
		if s := draw(t, r, rng, text); s.Validate() != nil || s.Line().Text != text {
			t.Errorf("%q: %+v", text, s)
		}
	}
}

func BenchmarkDraw(b *testing.B) {
	r, rng := NewRhythms(Default(), nil), rand.New(rand.NewPCG(1, 1))
	draw(b, r, rng, "the quick brown fox jump") // factors the covariance
	b.ReportAllocs()
	for b.Loop() {
		draw(b, r, rng, "the quick brown fox jump")
	}
}
