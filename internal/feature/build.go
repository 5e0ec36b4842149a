package feature

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"time"

	"ksd/internal/keystroke"
)

// Rules of the table: what is rarer than MinPair or MinKey observations backs
// off; an interval of MaxPause or more is thought, not movement.
const (
	MinPair  = 150
	MinKey   = 60
	MaxPause = 2 * time.Second
	MinDwell = 15 * time.Millisecond // what is shorter is a browser that lost a release

	minTimes   = 1000 // of each kind, that a table takes
	minRepeats = 4    // typings of a pair by one person before its own spread counts
	quantiles  = 65   // points of each residual distribution
	tempers    = 256  // people whose temper is kept
	minTemper  = 8    // known times a line must have to show one
)

// ErrTooLittle is the fact that a corpus is too small for a table.
var ErrTooLittle = errors.New("too little typing for a population table")

// Builder gathers the lines of a corpus for a Population.
type Builder struct {
	people map[string][]keystroke.Line
	order  []string
}

// Add adds one line that person typed. What a keyboard repeats while a key is
// held down is no typing and does not count.
func (b *Builder) Add(person string, l keystroke.Line) {
	if b.people == nil {
		b.people = map[string][]keystroke.Line{}
	}
	if _, known := b.people[person]; !known {
		b.order = append(b.order, person)
	}
	b.people[person] = append(b.people[person], withoutRepeats(l))
}

// withoutRepeats returns the line without the times that a held key made up: a
// repeat is logged as a press of a key that is down, which releases it that
// moment. No finger lifts and strikes again so fast.
func withoutRepeats(l keystroke.Line) keystroke.Line {
	strokes := slices.Clone(l.Strokes)
	for i := 1; i < len(strokes); i++ {
		up, ok := l.Flight(i)
		if !ok || strokes[i].Key != strokes[i-1].Key || MS(up) >= minMS {
			continue
		}
		strokes[i-1].Released, strokes[i].Released, strokes[i].Joined = false, false, false
		if i+1 < len(strokes) {
			strokes[i+1].Joined = false
		}
	}
	l.Strokes = strokes
	return l
}

// Build makes the table of all that was added. The error is ErrTooLittle.
func (b *Builder) Build() (*Population, error) {
	var dd, flights, dwell tally
	for _, person := range b.order {
		for _, l := range b.people[person] {
			for i, st := range l.Strokes {
				if d, ok := hold(st); ok {
					dwell.add(pair{key: st.Key}, LogMS(d))
				}
				move, ok := l.DownDown(i)
				if !ok || move >= MaxPause {
					continue
				}
				at := pair{l.Strokes[i-1].Key, st.Key}
				dd.add(at, LogMS(move))
				if fl, ok := flight(l, i); ok {
					flights.add(at, MS(fl))
				}
			}
		}
		dd.nextPerson()
		flights.nextPerson()
		dwell.nextPerson()
	}
	if min(len(dd.all), len(flights.all), len(dwell.all)) < minTimes {
		return nil, ErrTooLittle
	}
	p := &Population{}
	p.dd, p.ddKey, p.ddAll = dd.spreads()
	p.flight, p.flightKey, p.flightAll = flights.spreads()
	_, p.dwell, p.dwellAll = dwell.spreads()
	if err := b.residuals(p); err != nil {
		return nil, err
	}
	b.covariances(p)
	return p, nil
}

// tally gathers the values of one kind of time.
type tally struct {
	pairs  map[pair][]float64
	keys   map[keystroke.Key][]float64
	all    []float64
	own    map[pair][]float64 // of the person at hand
	within map[pair][]float64 // MADs of the people before
}

func (t *tally) add(at pair, x float64) {
	if t.pairs == nil {
		t.pairs, t.keys = map[pair][]float64{}, map[keystroke.Key][]float64{}
		t.own, t.within = map[pair][]float64{}, map[pair][]float64{}
	}
	t.pairs[at] = append(t.pairs[at], x)
	t.keys[at.key] = append(t.keys[at.key], x)
	t.all = append(t.all, x)
	t.own[at] = append(t.own[at], x)
}

func (t *tally) nextPerson() {
	for at, xs := range t.own {
		if len(xs) >= minRepeats {
			t.within[at] = append(t.within[at], MAD(xs))
		}
	}
	clear(t.own)
}

func (t *tally) spreads() (map[pair]Spread, map[keystroke.Key]Spread, Spread) {
	var every []float64
	byKey := map[keystroke.Key][]float64{}
	for _, at := range sortedPairs(t.within) {
		every = append(every, t.within[at]...)
		byKey[at.key] = append(byKey[at.key], t.within[at]...)
	}
	all := spread(t.all, every, Spread{Scale: 1, Within: 1})
	keys := map[keystroke.Key]Spread{}
	for k, xs := range t.keys {
		if len(xs) >= MinKey {
			keys[k] = spread(xs, byKey[k], all)
		}
	}
	pairs := map[pair]Spread{}
	for at, xs := range t.pairs {
		if len(xs) >= MinPair {
			back, ok := keys[at.key]
			if !ok {
				back = all
			}
			pairs[at] = spread(xs, t.within[at], back)
		}
	}
	return pairs, keys, all
}

// spread sums up values and the spreads people have of their own; where fewer
// than 20 people typed it often enough, their spread is backed off.
func spread(xs, within []float64, back Spread) Spread {
	xs = slices.Clone(xs)
	slices.Sort(xs)
	s := Spread{Center: quantile(xs, 0.5), Scale: (quantile(xs, 0.84) - quantile(xs, 0.16)) / 2, Within: back.Within}
	if len(within) >= 20 {
		var sum float64
		for _, w := range within {
			sum += w
		}
		s.Within = sum / float64(len(within))
	}
	// Clocks tick in ms: no spread can be known to be narrower than 2 %.
	s.Scale, s.Within = math.Max(s.Scale, 0.02), math.Max(s.Within, 0.02)
	return s
}

// residuals measures how residuals are distributed and hang together.
func (b *Builder) residuals(p *Population) error {
	var dd, dwell [][]float64 // per line, temper taken out; NaN where unknown
	var all []Temper
	for _, person := range b.order {
		first := true
		for _, l := range b.people[person] {
			d, h := p.rawResiduals(l)
			t, ok := takeTemper(d, h)
			if !ok {
				continue
			}
			dd, dwell = append(dd, d), append(dwell, h)
			if first {
				all, first = append(all, t), false
			}
		}
	}
	if len(all) == 0 {
		return ErrTooLittle
	}
	for i := range min(tempers, len(all)) {
		p.Tempers = append(p.Tempers, all[i*len(all)/min(tempers, len(all))])
	}
	p.DDQuantiles, p.DwellQuantiles = points(dd), points(dwell)
	for i := range dd {
		normalScores(dd[i], p.DDQuantiles)
		normalScores(dwell[i], p.DwellQuantiles)
	}
	for lag := range MaxLag + 1 {
		p.DDLags = append(p.DDLags, covariance(dd, dd, lag))
		p.DwellLags = append(p.DwellLags, covariance(dwell, dwell, lag))
	}
	for lag := -MaxLag; lag <= MaxLag; lag++ {
		p.CrossLags = append(p.CrossLags, covariance(dwell, dd, lag))
	}
	return nil
}

// takeTemper takes the temper out of residuals, in place, and returns it. It
// reports false for a line too short to have one, or with no spread at all.
func takeTemper(dd, dwell []float64) (Temper, bool) {
	d, h := known(dd), known(dwell)
	if len(d) < minTemper || len(h) < minTemper {
		return Temper{}, false
	}
	var t Temper
	t.DDMean, t.DDSD = meanSD(d)
	t.DwellMean, t.DwellSD = meanSD(h)
	if t.DDSD == 0 || t.DwellSD == 0 {
		return Temper{}, false
	}
	for i := range dd {
		dd[i] = (dd[i] - t.DDMean) / t.DDSD
		dwell[i] = (dwell[i] - t.DwellMean) / t.DwellSD
	}
	return t, true
}

func known(xs []float64) []float64 {
	out := make([]float64, 0, len(xs))
	for _, x := range xs {
		if !math.IsNaN(x) {
			out = append(out, x)
		}
	}
	return out
}

// rawResiduals returns the unclipped residuals of down-down and dwell.
func (p *Population) rawResiduals(l keystroke.Line) (dd, dwell []float64) {
	dd, dwell = make([]float64, len(l.Strokes)), make([]float64, len(l.Strokes))
	for i, st := range l.Strokes {
		dd[i], dwell[i] = math.NaN(), math.NaN()
		if move, ok := l.DownDown(i); ok && move < MaxPause {
			s := p.DownDown(l.Strokes[i-1].Key, st.Key)
			dd[i] = (LogMS(move) - s.Center) / s.Scale
		}
		if h, ok := hold(st); ok {
			s := p.Dwell(st.Key)
			dwell[i] = (LogMS(h) - s.Center) / s.Scale
		}
	}
	return dd, dwell
}

func points(lines [][]float64) []float64 {
	var xs []float64
	for _, l := range lines {
		for _, x := range l {
			if !math.IsNaN(x) {
				xs = append(xs, x)
			}
		}
	}
	slices.Sort(xs)
	out := make([]float64, quantiles)
	for i := range out {
		out[i] = quantile(xs, (float64(i)+0.5)/quantiles)
	}
	return out
}

func normalScores(zs, qs []float64) {
	for i, z := range zs {
		if !math.IsNaN(z) {
			zs[i] = probit(probability(qs, z))
		}
	}
}

// covariance returns the mean of a(i)·b(i+lag) over all lines.
func covariance(a, b [][]float64, lag int) float64 {
	var sum float64
	var n int
	for l := range a {
		for i := range a[l] {
			if j := i + lag; j >= 0 && j < len(b[l]) {
				if x := a[l][i] * b[l][j]; !math.IsNaN(x) {
					sum += x
					n++
				}
			}
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

func sortedPairs[T any](m map[pair]T) []pair {
	out := make([]pair, 0, len(m))
	for at := range m {
		out = append(out, at)
	}
	slices.SortFunc(out, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.prev, b.prev), cmp.Compare(a.key, b.key))
	})
	return out
}
