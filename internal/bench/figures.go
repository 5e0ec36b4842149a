package bench

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"ksd/internal/model/eval"
)

// Interval is a 95 % confidence interval: its low and its high end.
type Interval [2]float64

// Figures are what an accuracy table shows of one scorer. Global figures have
// one threshold for all people. CI holds the intervals of all but Cllr, under
// their names in JSON, by a bootstrap over people.
type Figures struct {
	GlobalEER float64             `json:"global_eer"`
	PersonEER float64             `json:"person_eer"` // mean over people of each one's own
	FNMRAt1   float64             `json:"fnmr_at_1"`  // at FMR 1 %
	FNMRAt01  float64             `json:"fnmr_at_01"` // at FMR 0.1 %
	Cllr      float64             `json:"cllr,omitempty"`
	CI        map[string]Interval `json:"ci"`

	Scores eval.Scores `json:"-"` // all of them, for plots
}

// draws is how often the bootstrap draws people.
const draws = 1000

// summarise returns the figures of scores by owner. llr says whether they are
// log-likelihood ratios, without which they have no Cllr.
func summarise(byPerson []eval.Scores, llr bool) Figures {
	p := newPool(byPerson)
	own := make([]float64, len(byPerson))
	var f Figures
	for i, s := range byPerson {
		own[i] = s.EER()
		f.Scores.Append(s)
	}
	all := func(weights []int) []float64 {
		eer, at := p.rates(weights, 0.01, 0.001)
		return []float64{eer, weightedMean(own, weights), at[0], at[1]}
	}
	x := all(p.everybody())
	f.GlobalEER, f.PersonEER, f.FNMRAt1, f.FNMRAt01 = x[0], x[1], x[2], x[3]
	if llr {
		f.Cllr = f.Scores.Cllr()
	}
	f.CI = map[string]Interval{}
	for i, ci := range bootstrap(len(byPerson), all) {
		f.CI[[...]string{"global_eer", "person_eer", "fnmr_at_1", "fnmr_at_01"}[i]] = ci
	}
	return f
}

// pool is the comparisons of all people sorted by score, so that error rates of
// people drawn with weights take one pass each. What it says with equal weights
// is what package eval says.
type pool struct {
	sorted            []comparison
	genuine, impostor []int // how many, by person
}

type comparison struct {
	score   float64
	person  int32
	genuine bool
}

func newPool(byPerson []eval.Scores) *pool {
	p := &pool{genuine: make([]int, len(byPerson)), impostor: make([]int, len(byPerson))}
	for i, s := range byPerson {
		p.genuine[i], p.impostor[i] = len(s.Genuine), len(s.Impostor)
		for _, x := range s.Genuine {
			p.sorted = append(p.sorted, comparison{x, int32(i), true})
		}
		for _, x := range s.Impostor {
			p.sorted = append(p.sorted, comparison{x, int32(i), false})
		}
	}
	slices.SortFunc(p.sorted, func(a, b comparison) int { return cmp.Compare(a.score, b.score) })
	return p
}

func (p *pool) everybody() []int { return slices.Repeat([]int{1}, len(p.genuine)) }

// rates returns the equal error rate, interpolated on the ROC, and the smallest
// FNMR for each of the given FMRs, of people who count as often as their
// weights say; NaN where one kind of score is missing.
func (p *pool) rates(weights []int, fmrs ...float64) (eer float64, fnmrs []float64) {
	var genuine, impostor int
	for i, w := range weights {
		genuine += w * p.genuine[i]
		impostor += w * p.impostor[i]
	}
	fnmrs = slices.Repeat([]float64{math.NaN()}, len(fmrs))
	eer = math.NaN()
	if genuine == 0 || impostor == 0 {
		return eer, fnmrs
	}
	before := eval.Point{FMR: 1}
	rejected, accepted := 0, impostor
	for i := 0; i <= len(p.sorted); {
		at := eval.Point{FMR: float64(accepted) / float64(impostor), FNMR: float64(rejected) / float64(genuine)}
		if math.IsNaN(eer) && at.FNMR >= at.FMR {
			da, db := before.FMR-before.FNMR, at.FNMR-at.FMR
			eer = before.FMR + da/(da+db)*(at.FMR-before.FMR)
		}
		for k, f := range fmrs {
			if math.IsNaN(fnmrs[k]) && at.FMR <= f {
				fnmrs[k] = at.FNMR
			}
		}
		before = at
		if i == len(p.sorted) {
			break
		}
		for score := p.sorted[i].score; i < len(p.sorted) && cmp.Compare(p.sorted[i].score, score) == 0; i++ {
			if w := weights[p.sorted[i].person]; p.sorted[i].genuine {
				rejected += w
			} else {
				accepted -= w
			}
		}
	}
	return eer, fnmrs
}

// bootstrap returns the 95 % percentile interval of each of the figures. It
// draws people, not comparisons, because one person's scores hang together.
func bootstrap(people int, figures func(weights []int) []float64) []Interval {
	rng := rand.New(rand.NewPCG(1, 0))
	var xs [][]float64
	for range draws {
		weights := make([]int, people)
		for range people {
			weights[rng.IntN(people)]++
		}
		for i, x := range figures(weights) {
			if i == len(xs) {
				xs = append(xs, nil)
			}
			if !math.IsNaN(x) {
				xs[i] = append(xs[i], x)
			}
		}
	}
	out := make([]Interval, len(xs))
	for i, x := range xs {
		slices.Sort(x)
		out[i] = Interval{percentile(x, 0.025), percentile(x, 0.975)}
	}
	return out
}

// percentile returns the p-th part of sorted xs, NaN of none.
func percentile(xs []float64, p float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	return xs[int(p*float64(len(xs)-1)+0.5)]
}

// weightedMean returns the mean of those xs that are numbers, NaN of none.
func weightedMean(xs []float64, weights []int) float64 {
	var sum float64
	var n int
	for i, x := range xs {
		if !math.IsNaN(x) {
			sum += x * float64(weights[i])
			n += weights[i]
		}
	}
	return sum / float64(n)
}
