package feature

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"ksd/internal/keystroke"
)

// Rules of the estimate of covariances.
const (
	occurrences = 30  // of one key, that are compared with one another per person
	strangers   = 200 // pairs of places of different keys per person
	farLag      = 8   // keys apart: what hangs together there is the tempo
	leastNoise  = 0.02
)

// moment is a mean product of residuals: over the people, of the mean of each.
// Who types the same text over and over, by copying, counts once.
type moment struct {
	sum    float64 // of the person at hand
	n      int
	people float64 // how many had any
	means  float64 // sum over them
}

func (m *moment) add(a, b float64) {
	if x := a * b; !math.IsNaN(x) {
		m.sum += x
		m.n++
	}
}

func (m *moment) nextPerson() {
	if m.n > 0 {
		m.means += m.sum / float64(m.n)
		m.people++
	}
	m.sum, m.n = 0, 0
}

func (m *moment) mean() float64 { return m.means / math.Max(m.people, 1) }

// products gathers those of one kind of time. What is peculiar to one typing is
// what the products within a line are more than those of the same keys in
// different lines.
type products struct {
	whole                       moment
	neighbours, neighboursLines moment // of neighbouring keys, in one line and in two
	far                         moment // farLag apart in one line, different keys
	// Of places of two lines, by the keys in common; [0][0] are pairs of
	// different keys.
	shared [MaxBack + 1][MaxAhead + 1]moment
}

// residualLine is a line with its clipped residuals, NaN where unknown.
type residualLine struct {
	keys      []keystroke.Key
	dd, dwell []float64
}

// spot is a key of a line of the person at hand.
type spot struct{ line, at int }

// estimate gathers products of residuals over people.
type estimate struct {
	dd, dwell           products
	across, acrossLines moment // of the down-down before a key and its dwell, in one line and in two
	rng                 *rand.Rand
}

// covariances estimates how residuals hang together, within lines and from
// line to line. The draws are seeded: the same corpus gives the same table.
func (b *Builder) covariances(p *Population) {
	e := estimate{rng: rand.New(rand.NewPCG(1, 2))}
	for _, person := range b.order {
		var lines []residualLine
		for _, l := range b.people[person] {
			if r := p.residualLine(l); len(known(r.dd))+len(known(r.dwell)) > 0 {
				lines = append(lines, r)
			}
		}
		if len(lines) == 0 {
			continue
		}
		e.within(lines)
		e.strangers(lines)
		e.likes(lines)
		e.nextPerson()
	}
	e.fit(p)
}

func (p *Population) residualLine(l keystroke.Line) residualLine {
	r := residualLine{keys: make([]keystroke.Key, len(l.Strokes))}
	r.dd, r.dwell = p.rawResiduals(l)
	for i, st := range l.Strokes {
		r.keys[i] = st.Key
		r.dd[i], r.dwell[i] = clip(r.dd[i]), clip(r.dwell[i])
	}
	return r
}

// within adds the products of each line with itself.
func (e *estimate) within(lines []residualLine) {
	for _, l := range lines {
		for i, key := range l.keys {
			e.dd.whole.add(l.dd[i], l.dd[i])
			e.dwell.whole.add(l.dwell[i], l.dwell[i])
			e.across.add(l.dd[i], l.dwell[i])
			if j := i + 1; j < len(l.keys) && l.keys[j] != key {
				e.dd.neighbours.add(l.dd[i], l.dd[j])
				e.dwell.neighbours.add(l.dwell[i], l.dwell[j])
			}
			if j := i + farLag; j < len(l.keys) && l.keys[j] != key {
				e.dd.far.add(l.dd[i], l.dd[j])
				e.dwell.far.add(l.dwell[i], l.dwell[j])
			}
		}
	}
}

// strangers adds pairs of places of different lines and different keys.
func (e *estimate) strangers(lines []residualLine) {
	for range strangers {
		a, b := &lines[e.rng.IntN(len(lines))], &lines[e.rng.IntN(len(lines))]
		if a == b {
			continue
		}
		i, j := e.rng.IntN(len(a.keys)), e.rng.IntN(len(b.keys))
		if a.keys[i] != b.keys[j] {
			e.dd.shared[0][0].add(a.dd[i], b.dd[j])
			e.dwell.shared[0][0].add(a.dwell[i], b.dwell[j])
		}
	}
}

// likes adds pairs of places of different lines and the same key, by the keys
// in common around them. A line is cut from a longer text: places so near to an
// end that not all keys around them are known are left out.
func (e *estimate) likes(lines []residualLine) {
	byKey := map[keystroke.Key][]spot{}
	for n, l := range lines {
		for i := MaxBack - 1; i+MaxAhead < len(l.keys); i++ {
			if !math.IsNaN(l.dd[i]) || !math.IsNaN(l.dwell[i]) {
				byKey[l.keys[i]] = append(byKey[l.keys[i]], spot{n, i})
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		at := byKey[key]
		e.rng.Shuffle(len(at), func(i, j int) { at[i], at[j] = at[j], at[i] })
		at = at[:min(occurrences, len(at))]
		for n, p := range at {
			for _, q := range at[n+1:] {
				if p.line == q.line {
					continue
				}
				a, b := &lines[p.line], &lines[q.line]
				back, ahead := Common(a.keys, p.at, b.keys, q.at)
				e.dd.shared[back][ahead].add(a.dd[p.at], b.dd[q.at])
				e.dwell.shared[back][ahead].add(a.dwell[p.at], b.dwell[q.at])
				if back > 1 {
					e.acrossLines.add(a.dd[p.at], b.dwell[q.at])
				}
				if ahead > 0 && key != a.keys[p.at+1] {
					e.dd.neighboursLines.add(a.dd[p.at], b.dd[q.at+1])
					e.dwell.neighboursLines.add(a.dwell[p.at], b.dwell[q.at+1])
				}
			}
		}
	}
}

func (e *estimate) nextPerson() {
	e.across.nextPerson()
	e.acrossLines.nextPerson()
	for _, p := range []*products{&e.dd, &e.dwell} {
		for _, m := range []*moment{&p.whole, &p.neighbours, &p.neighboursLines, &p.far} {
			m.nextPerson()
		}
		for back := range p.shared {
			for ahead := range p.shared[back] {
				p.shared[back][ahead].nextPerson()
			}
		}
	}
}

func (e *estimate) fit(p *Population) {
	p.DDCovariance, p.DwellCovariance = e.dd.fit(), e.dwell.fit()
	least := math.Min(p.DDCovariance.Noise, p.DwellCovariance.Noise)
	p.Across = bounded(e.across.mean()-e.acrossLines.mean(), least/4)
}

// fit finds the covariance that comes nearest. The noise is what the rest
// leaves of the whole; bounds keep a poor corpus from giving what is none.
func (p *products) fit() Covariance {
	var rows [][]float64
	var y, people []float64
	for back := range p.shared {
		for ahead := range p.shared[back] {
			row := make([]float64, len(steps))
			for i, s := range steps {
				if back >= s.back && ahead >= s.ahead {
					row[i] = 1
				}
			}
			m := &p.shared[back][ahead]
			rows, y, people = append(rows, row), append(y, m.mean()), append(people, m.people)
		}
	}
	var c Covariance
	copy(c.Steps[:], nonNegative(rows, y, people))
	c.Tempo = math.Max(0, p.far.mean()-p.shared[0][0].mean())
	c.Noise = math.Max(leastNoise, p.whole.mean()-c.Between(MaxBack, MaxAhead)-c.Tempo)
	c.Neighbour = bounded(p.neighbours.mean()-p.neighboursLines.mean()-c.Tempo, c.Noise/3)
	return c
}

// bounded returns x, bounded to ±bound.
func bounded(x, bound float64) float64 { return math.Max(-bound, math.Min(bound, x)) }
