package feature

import (
	"math"
	"math/rand/v2"
	"testing"

	"ksd/internal/keystroke"
)

func keysOf(text string) (keys []keystroke.Key) {
	for _, r := range text {
		keys = append(keys, keystroke.KeyOf(r))
	}
	return keys
}

func TestCommon(t *testing.T) {
	for _, c := range []struct {
		a           string
		i           int
		b           string
		j           int
		back, ahead int
	}{
		{"abc", 1, "xyz", 1, 0, 0},
		{"abc", 1, "xyc", 1, 0, 0}, // what follows another key does not count
		{"abc", 1, "xbz", 1, 1, 0},
		{"abc", 1, "xbc", 1, 1, 3},                   // c, and then nothing
		{"abd", 1, "abc", 1, MaxBack, 0},             // both begin there
		{"abc", 2, "abc", 2, MaxBack, MaxAhead},      // to the end
		{"xthe", 3, "ythe", 3, 3, MaxAhead},          // not to the beginning
		{"abc", 0, "xxabc", 2, 1, MaxAhead},          // a beginning is not an x
		{"abab", 1, "abab", 3, 2, 0},                 // of one text
		{"Then", 3, "then", 3, MaxBack, MaxAhead},    // a key is a key
		{"0123456789", 7, "x123456789", 7, 6, 2 + 1}, // no further than that
	} {
		back, ahead := Common(keysOf(c.a), c.i, keysOf(c.b), c.j)
		if back != c.back || ahead != c.ahead {
			t.Errorf("%q at %d and %q at %d: %d %d, want %d %d", c.a, c.i, c.b, c.j, back, ahead, c.back, c.ahead)
		}
		if b, a := Common(keysOf(c.b), c.j, keysOf(c.a), c.i); b != back || a != ahead {
			t.Errorf("%q and %q: the order counts", c.a, c.b)
		}
	}
}

func TestBetween(t *testing.T) {
	var c Covariance
	for i := range c.Steps {
		c.Steps[i] = math.Pow(2, float64(i))
	}
	for _, w := range []struct{ back, ahead, want int }{
		{0, 0, 1},
		{1, 0, 1 + 2},
		{5, 0, 1 + 2 + 4 + 8 + 16},
		{6, 0, 1 + 2 + 4 + 8 + 16 + 32},
		{1, 2, 1 + 2 + 64},
		{4, 2, 1 + 2 + 4 + 8 + 16 + 64 + 128 + 256},
		{MaxBack, MaxAhead, 1<<len(steps) - 1},
	} {
		if got := c.Between(w.back, w.ahead); got != float64(w.want) {
			t.Errorf("%d+%d: %v, want %v", w.back, w.ahead, got, w.want)
		}
	}
}

// TestEstimate draws people whose residuals hang together as is known, and
// wants just that back.
func TestEstimate(t *testing.T) {
	// A person has a tempo, and a way with each key and each key pair; a typing
	// has a tempo, neighbours and noise. All are variances. Its dwells have the
	// way with the key pair, and the noise in part.
	const tempo, key, keyPair = 0.3, 0.2, 0.15
	const typing, neighbour, noise, across = 0.6, 0.08, 0.4, -0.08
	rng := rand.New(rand.NewPCG(3, 4))
	normal := func(variance float64) float64 { return math.Sqrt(variance) * rng.NormFloat64() }
	e := estimate{rng: rng}
	for range 600 {
		always := map[pair]float64{}
		way := func(at pair, variance float64) float64 {
			if _, ok := always[at]; !ok {
				always[at] = normal(variance)
			}
			return always[at]
		}
		lines := make([]residualLine, 8)
		of := normal(tempo)
		for n := range lines {
			l, now, before := &lines[n], normal(typing), normal(neighbour)
			for i := range 50 {
				k, prev := keystroke.Key('a'+rng.IntN(8)), keystroke.Key('-')
				if i > 0 {
					prev = l.keys[i-1]
				}
				after := normal(neighbour)
				dd := of + way(pair{0, k}, key) + way(pair{prev, k}, keyPair) + now + before + after
				own := normal(noise - 2*neighbour)
				l.keys, l.dd = append(l.keys, k), append(l.dd, dd+own)
				l.dwell = append(l.dwell, across/(noise-2*neighbour)*own+way(pair{prev, k}, keyPair)+normal(0.4))
				before = after
			}
		}
		e.within(lines)
		e.strangers(lines)
		e.likes(lines)
		e.nextPerson()
	}
	var p Population
	e.fit(&p)
	c, dwell := p.DDCovariance, p.DwellCovariance
	in := func(name string, got, want float64) {
		if math.Abs(got-want) > 0.05 {
			t.Errorf("%s: %.3f, want %.3f", name, got, want)
		}
	}
	in("tempo", c.Between(0, 0), tempo)
	in("key", c.Between(1, 0), tempo+key)
	in("pair", c.Between(2, 0), tempo+key+keyPair)
	in("all in common", c.Between(MaxBack, MaxAhead), tempo+key+keyPair)
	in("tempo of a typing", c.Tempo, typing)
	in("neighbours", c.Neighbour, neighbour)
	in("noise", c.Noise, noise)
	in("across", p.Across, across)
	in("dwells of a key", dwell.Between(1, 0), 0)
	in("dwells of a key pair", dwell.Between(2, 0), keyPair)
}

// TestEstimateEnds leaves out places whose surroundings are not known.
func TestEstimateEnds(t *testing.T) {
	for text, want := range map[string]float64{"abcdefgh": 0, "abcdefghi": 1} {
		l := residualLine{keys: keysOf(text)}
		for range l.keys {
			l.dd, l.dwell = append(l.dd, 1), append(l.dwell, 1)
		}
		e := estimate{rng: rand.New(rand.NewPCG(1, 2))}
		e.likes([]residualLine{l, l})
		e.nextPerson()
		var got float64
		for _, row := range e.dd.shared {
			for _, m := range row {
				got += m.people
			}
		}
		if got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// TestMomentByPerson counts each person once, however much it typed.
func TestMomentByPerson(t *testing.T) {
	var m moment
	m.nextPerson()
	for range 1000 {
		m.add(3, 3)
	}
	m.nextPerson()
	m.add(1, 1)
	m.add(math.NaN(), 5)
	m.nextPerson()
	if m.mean() != 5 || m.people != 2 {
		t.Errorf("mean %v of %v people, want 5 of 2", m.mean(), m.people)
	}
}

// TestFitOfLittle gives a covariance whatever there is.
func TestFitOfLittle(t *testing.T) {
	wild := func(m *moment, x float64) { m.means, m.people = x, 1 }
	for name, p := range map[string]func(p *products){
		"nothing":            func(*products) {},
		"neighbours alone":   func(p *products) { wild(&p.neighbours, 9) },
		"neighbours apart":   func(p *products) { wild(&p.neighbours, -9) },
		"more far than near": func(p *products) { wild(&p.far, 5); wild(&p.whole, 1) },
		"less than none":     func(p *products) { wild(&p.shared[0][0], -5) },
		"more shared than all": func(p *products) {
			wild(&p.shared[6][3], 5)
			wild(&p.whole, 1)
		},
	} {
		var of products
		p(&of)
		c := of.fit()
		var again Covariance
		fields := make([]string, 0, 3+len(steps))
		for _, x := range c.row() {
			fields = append(fields, format(x))
		}
		if err := again.readRow(fields); err != nil {
			t.Errorf("%s: %+v: %v", name, c, err)
		}
	}
}
