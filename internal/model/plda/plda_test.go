package plda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"ksd/internal/feature"
)

// person always does the same at each place of a text, and strays from it.
func person(rng *rand.Rand, text *Text, typings int, at, sd float64) [][]float64 {
	always := make([]float64, text.Len())
	for i := range always {
		always[i] = at + 0.8*rng.NormFloat64()
	}
	rows := make([][]float64, typings)
	for k := range rows {
		rows[k] = make([]float64, text.Len())
		for i := range rows[k] {
			rows[k][i] = always[i] + sd*rng.NormFloat64()
		}
	}
	return rows
}

func score(t *testing.T, m *Model, o *Owner, text *Text, x []float64) float64 {
	t.Helper()
	llr, err := m.LLR(o, text, x, new(Scratch))
	if err != nil {
		t.Fatal(err)
	}
	return llr
}

func TestLLR(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	text, words, other := NewText("the quick brown fox", true), NewText("brown the fox quick", true), NewText("zzzz", true)
	mine := person(rng, text, 12, 0.5, 0.3)
	o := NewOwner([]Typed{NewTyped(text, mine[:6])}, nil)
	m := NewModel()
	var own, foreign, median, again float64
	for _, x := range mine[6:] {
		own += score(t, m, o, text, x) / 6
	}
	for range 20 {
		foreign += score(t, m, o, text, person(rng, text, 1, -0.5, 0.3)[0]) / 20
	}
	median = score(t, m, o, text, make([]float64, text.Len()))
	again = score(t, m, o, text, mine[6])
	if !(own > 5 && foreign < -5 && median < -2) {
		t.Errorf("own %.1f, foreign %.1f, the population's median %.1f", own, foreign, median)
	}
	if again != score(t, NewModel(), o, text, mine[6]) {
		t.Error("a prepared score differs from a fresh one")
	}
	if x := score(t, m, o, words, make([]float64, words.Len())); x >= 0 {
		t.Errorf("the median rhythm of other words: %.2f", x)
	}
	unseen := NewOwner(nil, nil)
	for _, text := range []*Text{text, other} {
		if x := score(t, m, unseen, text, person(rng, text, 1, 0, 1)[0]); math.Abs(x) > 1e-9 {
			t.Errorf("nothing is known of the owner, and the ratio is %v", x)
		}
	}
}

// TestLLROfHoles leaves out what is not known, and only that.
func TestLLROfHoles(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	text := NewText("password", false)
	rows := person(rng, text, 6, 0, 0.5)
	rows[0][3], rows[1][3] = math.NaN(), math.NaN()
	for _, r := range rows[:5] {
		r[5] = math.NaN() // never seen
	}
	o := NewOwner([]Typed{NewTyped(text, rows[:5])}, nil)
	m := NewModel()
	nothing := make([]float64, text.Len())
	for i := range nothing {
		nothing[i] = math.NaN()
	}
	if x := score(t, m, o, text, nothing); x != 0 {
		t.Errorf("nothing is known of the typing, and the ratio is %v", x)
	}
	whole := score(t, m, o, text, rows[5])
	rows[5][2] = math.NaN()
	if x := score(t, m, o, text, rows[5]); x == whole || math.IsNaN(x) {
		t.Errorf("with a hole %v, without it %v", x, whole)
	}
}

// TestAgainstJoint holds the posterior against conditioning the joint
// covariance of everything by an inverse.
func TestAgainstJoint(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	text := NewText("you hello", true)
	first, second := NewText("hello you", true), NewText("quick", true) // of which no movement is in text
	typed := []Typed{NewTyped(first, person(rng, first, 4, 0.3, 0.4)), NewTyped(second, person(rng, second, 2, 0.3, 0.4))}
	o := NewOwner(typed, nil)
	x := person(rng, text, 1, 0, 1)[0]

	type source struct {
		place
		typed int
	}
	var known []source
	var centres []float64
	for i, one := range typed {
		for k, p := range one.text.places {
			known, centres = append(known, source{p, i}), append(centres, one.centre[k])
		}
	}
	n, k := text.Len(), len(known)
	kk, xk, prior, typing := mat.NewDense(k, k, nil), mat.NewDense(n, k, nil), mat.NewDense(n, n, nil), mat.NewDense(n, n, nil)
	kk.Apply(func(i, j int, _ float64) float64 {
		a, b := known[i], known[j]
		c := between(a.place, b.place)
		if a.typed == b.typed && a.dwell == b.dwell { // what both kinds share is left out
			c += within(a.place, b.place) / float64(typed[a.typed].typings)
		}
		return c
	}, kk)
	xk.Apply(func(i, j int, _ float64) float64 { return between(text.places[i], known[j].place) }, xk)
	prior.Apply(func(i, j int, _ float64) float64 { return between(text.places[i], text.places[j]) }, prior)
	typing.Apply(func(i, j int, _ float64) float64 { return within(text.places[i], text.places[j]) }, typing)
	var inverse, gain, mean, taken, own, anybody mat.Dense
	if err := inverse.Inverse(kk); err != nil {
		t.Fatal(err)
	}
	gain.Mul(xk, &inverse)
	mean.Mul(&gain, mat.NewVecDense(k, centres))
	taken.Mul(&gain, xk.T())
	own.Sub(prior, &taken)
	// A movement is as steady as where it was typed, others as all are.
	typedAt := []int{-1, 7, 8, -1, -1, 1, 2, 3, 4}
	steady := func(i int) float64 {
		for k, q := range typed[0].text.places {
			if p := text.places[i]; q.dwell == p.dwell && q.at == typedAt[p.at] {
				return math.Sqrt(o.noise[0][k] / usualNoise(q))
			}
		}
		return o.steady
	}
	own.Apply(func(i, j int, v float64) float64 { return v + steady(i)*steady(j)*typing.At(i, j) }, &own)
	anybody.Add(prior, typing)
	zero := mat.NewDense(n, 1, nil)
	want := logT(t, &own, x, &mean) - logT(t, &anybody, x, zero)
	if got := score(t, NewModel(), o, text, x); math.Abs(got-want) > 1e-3 { // the ridge
		t.Errorf("%v, want %v", got, want)
	}
}

// TestStructures: who typed the same, but for holes or how often, is told apart.
func TestStructures(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	text := NewText("one and the same", true)
	rows := person(rng, text, 6, 0, 0.5)
	holes := [][]float64{slices.Clone(rows[0]), slices.Clone(rows[1])}
	holes[0][3], holes[1][3] = math.NaN(), math.NaN()
	m := NewModel()
	for i, typings := range [][][]float64{rows[:5], rows[:2], holes, rows[:5]} {
		o := NewOwner([]Typed{NewTyped(text, typings)}, nil)
		if got, want := score(t, m, o, text, rows[5]), score(t, NewModel(), o, text, rows[5]); got != want {
			t.Errorf("owner %d: %v after the others, %v alone", i, got, want)
		}
	}
}

// logT is the density of the package comment, written down once more.
func logT(t *testing.T, covariance *mat.Dense, x []float64, mean mat.Matrix) (sum float64) {
	n := len(x)
	symmetric := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			symmetric.SetSym(i, j, covariance.At(i, j))
		}
	}
	var c mat.Cholesky
	if !c.Factorize(symmetric) {
		t.Fatal("not positive definite")
	}
	var lower mat.TriDense
	c.LTo(&lower)
	z := make([]float64, n)
	for i := range z {
		z[i] = x[i] - mean.At(i, 0)
		for j := range i {
			z[i] -= lower.At(i, j) * z[j]
		}
		z[i] /= lower.At(i, i)
		sum += math.Log(math.Pow(1+z[i]*z[i]/4, -2.5) / lower.At(i, i))
	}
	return sum
}

// TestBackground takes what all people here do otherwise for what it is.
func TestBackground(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	text := NewText("united states", false)
	const shared = 1.5 // all are that slow here, at every place
	here := Backgrounds{}
	var typed []Typed
	for range 20 {
		typed = append(typed, NewTyped(text, person(rng, text, 5, shared, 0.5)))
		here.Add(typed[len(typed)-1:])
	}
	knows, knowsNot := NewOwner(typed[:1], here), NewOwner(typed[:1], nil)
	m := NewModel()
	var with, without float64
	for range 50 {
		x := person(rng, text, 1, shared, 0.5)[0]
		with += score(t, m, knows, text, x)
		without += score(t, m, knowsNot, text, x)
	}
	if with >= without {
		t.Errorf("strangers who share the slowness of all: %.1f with the background, %.1f without", with/50, without/50)
	}
	// Where the movements are the same it does not matter what text they are of.
	shift := knows.background[0].shift
	less := NewTyped(text, [][]float64{slices.Clone(typed[0].centre)})
	less.typings, less.scatter = typed[0].typings, typed[0].scatter
	for i := range less.centre {
		less.centre[i] -= shift[i]
	}
	plain := NewOwner([]Typed{less}, nil)
	moved := NewText("states united", false)
	for _, one := range []struct {
		text *Text
		from []int // places of text
	}{{text, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}, {moved, []int{7, 8, 9, 10, 11, -1, -1, 0, 1, 2, 3, 4}}} {
		x := person(rng, one.text, 1, shared, 0.5)[0]
		rest := slices.Clone(x)
		for i, k := range one.from {
			if k >= 0 {
				rest[i] -= shift[k]
			}
		}
		if a, b := score(t, m, knows, one.text, x), score(t, m, plain, one.text, rest); math.Abs(a-b) > 1e-9 {
			t.Errorf("%s: %v with the background, %v without it and what it says", one.text.name, a, b)
		}
	}
	alone := Backgrounds{}
	alone.Add(typed[:1])
	if b := NewOwner(typed[:1], alone).background[0]; b != nil {
		t.Error("a person alone is its own background")
	}
	if NewOwner(typed[:1], alone).noise[0][0] != knowsNot.noise[0][0] {
		t.Error("the background changes how steady a person is")
	}
}

// TestSteadiness credits a steady person with less scatter, and a wild one
// with more, but never with none.
func TestSteadiness(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	text := NewText("correct horse", true)
	for _, c := range []struct {
		sd     float64
		steady bool
	}{{0, true}, {0.2, true}, {1.5, false}} {
		o := NewOwner([]Typed{NewTyped(text, person(rng, text, 8, 0, c.sd))}, nil)
		var mean float64
		for i, v := range o.noise[0] {
			mean += v / usualNoise(text.places[i]) / float64(text.Len())
			if v < leastNoise {
				t.Errorf("sd %v: variance %v at place %d", c.sd, v, i)
			}
		}
		if (mean < 1) != c.steady {
			t.Errorf("sd %v: %.2f of the usual variance", c.sd, mean)
		}
	}
}

// TestCovariances are covariances: no text gives a matrix that is none.
func TestCovariances(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for range 20 {
		letters := make([]rune, 2+rng.IntN(62))
		for i := range letters {
			letters[i] = rune("aabc e"[rng.IntN(6)])
		}
		text := NewText(string(letters), true)
		for name, of := range map[string]func(a, b place) float64{"between": between, "within": within} {
			c := mat.NewSymDense(text.Len(), nil)
			for i, a := range text.places {
				for j, b := range text.places {
					if j >= i {
						c.SetSym(i, j, of(a, b))
					}
				}
				c.SetSym(i, i, c.At(i, i)+1e-9)
			}
			var e mat.EigenSym
			if !e.Factorize(c, false) || e.Values(nil)[0] < 0 {
				t.Errorf("%s of %q is no covariance: least eigenvalue %v", name, string(letters), e.Values(nil)[0])
			}
		}
	}
}

// TestCovarianceOfPlaces takes each number of the table for what it is.
func TestCovarianceOfPlaces(t *testing.T) {
	table := feature.Default()
	places := NewText("abcab", true).places // down-downs of b to b, dwells of a to b
	dd, dwell := places[:4], places[4:]
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"interval with itself", within(dd[1], dd[1]), table.DDCovariance.Tempo + table.DDCovariance.Noise},
		{"interval with the next", within(dd[1], dd[2]), table.DDCovariance.Tempo + table.DDCovariance.Neighbour},
		{"interval with one before", within(dd[3], dd[1]), table.DDCovariance.Tempo},
		{"dwell with itself", within(dwell[1], dwell[1]), table.DwellCovariance.Tempo + table.DwellCovariance.Noise},
		{"dwell with the one before", within(dwell[2], dwell[1]), table.DwellCovariance.Tempo + table.DwellCovariance.Neighbour},
		{"dwell with another", within(dwell[0], dwell[4]), table.DwellCovariance.Tempo},
		{"interval with the key's dwell", within(dd[0], dwell[1]), table.Across},
		{"dwell with another interval", within(dwell[0], dd[0]), 0},
		{"the same pair", between(dd[0], dd[3]), table.DDCovariance.Between(2, 0)},
		{"dwells of the same key", between(dwell[0], dwell[3]), table.DwellCovariance.Between(1, 1)},
		{"interval and dwell", between(dd[0], dwell[1]), 0},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestResiduals(t *testing.T) {
	strokes := []feature.Stroke{{HasDwell: true, ZDwell: 0.1}, {HasDD: true, ZDD: -1, HasDwell: true, ZDwell: 0.2}, {ZDD: 9, ZDwell: 9}}
	want := []float64{-1, math.NaN(), 0.1, 0.2, math.NaN()}
	got := NewText("abc", true).Residuals(nil, strokes)
	if len(got) != len(want) {
		t.Fatalf("%v", got)
	}
	for i := range want {
		if got[i] != want[i] && !(math.IsNaN(got[i]) && math.IsNaN(want[i])) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	if n := len(NewText("abc", false).Residuals(nil, strokes)); n != 2 {
		t.Errorf("%d places without releases, want 2", n)
	}
}

func TestLLRAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	text := NewText("united states of america", true)
	rows := person(rng, text, 6, 0, 0.5)
	o, m := NewOwner([]Typed{NewTyped(text, rows[:5])}, nil), NewModel()
	var s Scratch
	score := func() {
		if _, err := m.LLR(o, text, rows[5], &s); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, score); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLLR(b *testing.B) {
	rng := rand.New(rand.NewPCG(15, 16))
	phrases := []string{"united states of america", "red hot chilli peppers", "michael schumacher", "the rolling stones", "leonardo dicaprio"}
	var typed []Typed
	for _, p := range phrases {
		text := NewText(p, true)
		typed = append(typed, NewTyped(text, person(rng, text, 5, 0, 0.5)))
	}
	o, text := NewOwner(typed, nil), NewText(phrases[0], true)
	x := person(rng, text, 1, 0, 0.5)[0]
	var s Scratch
	b.Run("prepared", func(b *testing.B) {
		m := NewModel()
		for b.Loop() {
			_, _ = m.LLR(o, text, x, &s)
		}
	})
	b.Run("fresh", func(b *testing.B) {
		for b.Loop() {
			_, _ = NewModel().LLR(o, text, x, &s)
		}
	})
}

// BenchmarkFreeText asks of somebody who typed ten sentences once each for one
// more.
func BenchmarkFreeText(b *testing.B) {
	for _, full := range []bool{false, true} {
		rng := rand.New(rand.NewPCG(17, 18))
		sentence := func() *Text {
			letters := make([]rune, 48)
			for i := range letters {
				letters[i] = []rune("etaoinshrdlu etaon et ")[rng.IntN(22)]
			}
			return NewText(string(letters), full)
		}
		var typed []Typed
		for range 10 {
			text := sentence()
			typed = append(typed, NewTyped(text, person(rng, text, 1, 0, 0.5)))
		}
		o, text := NewOwner(typed, nil), sentence()
		x := person(rng, text, 1, 0, 0.5)[0]
		m, s := NewModel(), Scratch{}
		b.Run(fmt.Sprintf("full %v/fresh", full), func(b *testing.B) {
			for b.Loop() {
				_, _ = NewModel().LLR(o, text, x, &s)
			}
		})
		b.Run(fmt.Sprintf("full %v/new text", full), func(b *testing.B) {
			for b.Loop() {
				m.posteriors = newRecent[structure, *posterior](0)
				_, _ = m.LLR(o, text, x, &s)
			}
		})
		b.Run(fmt.Sprintf("full %v/same text", full), func(b *testing.B) {
			m.posteriors = newRecent[structure, *posterior](posteriorRoom)
			for b.Loop() {
				_, _ = m.LLR(o, text, x, &s)
			}
		})
	}
}
