package feature

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"

	"ksd/internal/keystroke"
)

// Rhythms draws how strangers of this population would type a text. A stranger
// takes the temper of a real person (tempo, touch and how steady both are) and
// adds the small movements of a line, drawn at once from the population's
// covariance (a Gaussian copula over its residuals), so that neighbouring
// times belong together. Keys drawn one by one would not: a network told such
// from people by that alone, and accepted 110 of 110 real strangers.
//
// It is not safe for concurrent use.
type Rhythms struct {
	p      *Population
	temper Temper                // how tempers here lie to the corpus's: differences and ratios
	local  map[string][]place    // texts that people here type, place by place
	levels map[int]*mat.TriDense // Cholesky factors by length of the line
}

// place bends one place of a text to what local people do there, by quantiles:
// a residual that would lie at a quantile of from is put at that of to.
type place struct{ dd, dwell bend }

type bend struct{ from, to []float64 }

func (b bend) of(z float64) float64 {
	if b.from == nil {
		return z
	}
	return atProbability(b.to, probability(b.from, z))
}

const (
	// localWeight is how many local people count as much as the corpus.
	localWeight = 2
	// rehearsals is how many draws measure what the corpus alone would give.
	rehearsals = 512
)

// NewRhythms returns a source of strangers who type like the population and,
// in texts that two or more of the given people type, more like those: their
// keyboards, schools and phrases are also those of their likely impostors.
// people holds each one's lines.
func NewRhythms(p *Population, people [][]keystroke.Line) *Rhythms {
	r := &Rhythms{p: p, local: map[string][]place{}, levels: map[int]*mat.TriDense{}}
	var tempers []Temper
	here := map[string]*gathered{}
	for who, lines := range people {
		for _, l := range lines {
			if l.Text == "" {
				continue
			}
			if here[l.Text] == nil {
				here[l.Text] = &gathered{people: map[int]bool{}}
			}
			dd, dwell := p.rawResiduals(l)
			here[l.Text].people[who] = true
			here[l.Text].add(dd, dwell)
			if t, ok := takeTemper(dd, dwell); ok {
				tempers = append(tempers, t)
			}
		}
	}
	r.temper = p.localTemper(tempers, float64(len(people)))
	rng := rand.New(rand.NewPCG(rehearsals, localWeight)) // the same for all runs
	for _, text := range sortedTexts(here) {
		if g := here[text]; len(g.people) >= 2 && len(g.dd) <= maxDrawn {
			r.local[text] = r.bends(rng, []rune(text), g)
		}
	}
	return r
}

// localTemper compares tempers of n people here with the corpus's: the
// difference of the means and the ratio of the typical deviations.
func (p *Population) localTemper(here []Temper, n float64) Temper {
	if n < 2 || len(here) == 0 {
		return Temper{DDSD: 1, DwellSD: 1}
	}
	differ := func(of func(Temper) float64) float64 {
		return n * (medianOf(here, of) - medianOf(p.Tempers, of)) / (n + localWeight)
	}
	ratio := func(of func(Temper) float64) float64 {
		return (n*medianOf(here, of)/medianOf(p.Tempers, of) + localWeight) / (n + localWeight)
	}
	return Temper{
		DDMean:    differ(func(t Temper) float64 { return t.DDMean }),
		DDSD:      ratio(func(t Temper) float64 { return t.DDSD }),
		DwellMean: differ(func(t Temper) float64 { return t.DwellMean }),
		DwellSD:   ratio(func(t Temper) float64 { return t.DwellSD }),
	}
}

func medianOf(ts []Temper, of func(Temper) float64) float64 {
	xs := make([]float64, len(ts))
	for i, t := range ts {
		xs[i] = of(t)
	}
	return Median(xs)
}

// gathered holds residuals by place.
type gathered struct {
	dd, dwell [][]float64
	people    map[int]bool
}

func (g *gathered) add(dd, dwell []float64) {
	for i := range dd {
		if i == len(g.dd) {
			g.dd, g.dwell = append(g.dd, nil), append(g.dwell, nil)
		}
		g.dd[i] = appendKnown(g.dd[i], dd[i])
		g.dwell[i] = appendKnown(g.dwell[i], dwell[i])
	}
}

func appendKnown(xs []float64, x float64) []float64 {
	if math.IsNaN(x) {
		return xs
	}
	return append(xs, x)
}

func sortedTexts(m map[string]*gathered) []string {
	out := make([]string, 0, len(m))
	for t := range m {
		out = append(out, t)
	}
	slices.Sort(out)
	return out
}

func (r *Rhythms) bends(rng *rand.Rand, text []rune, g *gathered) []place {
	var drawn gathered
	for range rehearsals {
		drawn.add(r.residuals(rng, len(text)))
	}
	out := make([]place, len(text))
	for i := range out {
		n := float64(len(g.people))
		out[i] = place{bendTo(drawn.dd[i], g.dd[i], n), bendTo(drawn.dwell[i], g.dwell[i], n)}
	}
	return out
}

// bendTo averages the quantiles of n local people with those of the corpus.
func bendTo(corpus, here []float64, n float64) bend {
	if len(here) == 0 {
		return bend{}
	}
	from, local := points([][]float64{corpus}), points([][]float64{here})
	to := make([]float64, len(from))
	for i := range to {
		to[i] = (n*local[i] + localWeight*from[i]) / (n + localWeight)
	}
	return bend{from, to}
}

// ErrText is the fact that a text cannot be drawn: empty or too long.
var ErrText = errors.New("text cannot be drawn")

// maxDrawn is the longest text, in characters, that is drawn.
const maxDrawn = 64

// Draw returns one stranger's typing of text, with releases and without
// corrections. The error is ErrText.
func (r *Rhythms) Draw(rng *rand.Rand, text string) (keystroke.Sample, error) {
	runes := []rune(text)
	if len(runes) == 0 || len(runes) > maxDrawn {
		return keystroke.Sample{}, ErrText
	}
	dd, dwell := r.residuals(rng, len(runes))
	places := r.local[text]
	at := func(i int) place {
		if places == nil {
			return place{}
		}
		return places[i]
	}
	return Compose(text,
		func(i int, prev, key keystroke.Key) float64 { return r.p.DownDown(prev, key).At(at(i).dd.of(dd[i])) },
		func(i int, _, key keystroke.Key) float64 { return r.p.Dwell(key).At(at(i).dwell.of(dwell[i])) }), nil
}

// residuals draws the residuals of a line of n keys from the corpus alone.
func (r *Rhythms) residuals(rng *rand.Rand, n int) (dd, dwell []float64) {
	t := r.p.Tempers[rng.IntN(len(r.p.Tempers))]
	t.DDMean, t.DDSD = t.DDMean+r.temper.DDMean, t.DDSD*r.temper.DDSD
	t.DwellMean, t.DwellSD = t.DwellMean+r.temper.DwellMean, t.DwellSD*r.temper.DwellSD
	scores := r.scores(rng, n)
	dd, dwell = make([]float64, n), make([]float64, n)
	for i := range n {
		dwell[i] = t.DwellMean + t.DwellSD*atProbability(r.p.DwellQuantiles, normalCDF(scores[i]))
		dd[i] = t.DDMean + t.DDSD*atProbability(r.p.DDQuantiles, normalCDF(scores[n+i]))
	}
	dd[0] = math.NaN()
	return dd, dwell
}

// scores draws normal scores: of dwell at 0..n-1, of down-down at n..2n-1.
func (r *Rhythms) scores(rng *rand.Rand, n int) []float64 {
	level, ok := r.levels[n]
	if !ok {
		level = r.p.factor(n)
		r.levels[n] = level
	}
	free := mat.NewVecDense(2*n, nil)
	for i := range 2 * n {
		free.SetVec(i, rng.NormFloat64())
	}
	out := mat.NewVecDense(2*n, nil)
	out.MulVec(level, free)
	return out.RawVector().Data
}

// factor returns the Cholesky factor of the covariance of a line of n keys.
// Covariances that were estimated lag by lag need not be positive definite
// together; the smallest ridge that makes them so is added.
func (p *Population) factor(n int) *mat.TriDense {
	for ridge := 0.0; ; ridge = math.Max(2*ridge, 1e-4) {
		c := mat.NewSymDense(2*n, nil)
		for i := range n {
			for lag := -MaxLag; lag <= MaxLag; lag++ {
				j := i + lag
				if j < 0 || j >= n {
					continue
				}
				c.SetSym(i, n+j, p.CrossLags[lag+MaxLag])
				if lag >= 0 {
					c.SetSym(i, j, p.DwellLags[lag])
					c.SetSym(n+i, n+j, p.DDLags[lag])
				}
			}
		}
		for i := range 2 * n {
			c.SetSym(i, i, c.At(i, i)+ridge)
		}
		var ch mat.Cholesky
		if ch.Factorize(c) {
			var level mat.TriDense
			ch.LTo(&level)
			return &level
		}
	}
}
