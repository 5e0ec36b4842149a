package plda

import (
	"math"
	"slices"
	"sync/atomic"

	"ksd/internal/feature"
)

// Typed is how one person types one text.
type Typed struct {
	text    *Text
	typings int
	centre  []float64 // median by place, NaN where never seen
	scatter []float64 // variance around it by place, as the samples show it
}

// slip bounds what one typing says of a person's scatter.
const slip = 1.5

// NewTyped sums up typings of text, each a row of residuals by place. There
// must be one at least.
func NewTyped(text *Text, typings [][]float64) Typed {
	n := text.Len()
	t := Typed{text: text, typings: len(typings), centre: make([]float64, n), scatter: make([]float64, n)}
	var known []float64
	for i := range n {
		known = known[:0]
		for _, row := range typings {
			if !math.IsNaN(row[i]) {
				known = append(known, row[i])
			}
		}
		t.centre[i], t.scatter[i] = math.NaN(), math.NaN()
		if k := float64(len(known)); k > 0 {
			t.centre[i] = feature.Median(known)
			if k > 1 {
				t.scatter[i] = variance(known, t.centre[i]) * k / (k - 1)
			}
		}
	}
	return t
}

// variance is that of a Gaussian with the mean absolute deviation of xs, each
// deviation bounded by slip.
func variance(xs []float64, centre float64) float64 {
	var sum float64
	for _, x := range xs {
		sum += math.Min(math.Abs(x-centre), slip)
	}
	sd := sum / float64(len(xs)) * gaussianMeanDeviation
	return sd * sd
}

// gaussianMeanDeviation is the standard deviation over the mean absolute
// deviation, √(π/2), and a tenth more for the bound and the median.
const gaussianMeanDeviation = 1.4

// Owner is a person whose typings are known.
type Owner struct {
	typed      []Typed
	own        map[string]int // index of typed by text
	background []*Background  // by typed; nil where there is none
	noise      [][]float64    // by typed: the person's own variance by place
	steady     float64        // standard deviation over the usual one, over all places
	structure  string
	white      atomic.Pointer[[kinds][]float64] // see whitened
}

const (
	// scatterWeight is how many typings the population's scatter counts for
	// against what one place of a person shows; steadyWeight how many places
	// it counts for against the person's steadiness over all. Chosen on CMU.
	scatterWeight = 3.0
	steadyWeight  = 100.0
)

// NewOwner returns the person who typed all this. background holds what other
// people here do with the same texts, and may lack any or be nil.
func NewOwner(typed []Typed, background Backgrounds) *Owner {
	o := &Owner{typed: typed, own: map[string]int{}, structure: structureOf(typed)}
	sum, n := steadyWeight, steadyWeight
	for i, t := range typed {
		o.own[t.text.name] = i
		b := background[t.text.name]
		o.background = append(o.background, b.without(t))
		for j, v := range t.scatter {
			if !math.IsNaN(v) {
				sum, n = sum+v/usualNoise(t.text.places[j]), n+1
			}
		}
	}
	steady := sum / n
	o.steady = math.Sqrt(steady)
	for _, t := range typed {
		k := float64(t.typings)
		row := slices.Clone(t.scatter)
		for j, v := range row {
			usual := usualNoise(t.text.places[j])
			if row[j] = usual * steady; !math.IsNaN(v) {
				row[j] = math.Max((k*v+scatterWeight*usual*steady)/(k+scatterWeight), leastNoise)
			}
		}
		o.noise = append(o.noise, row)
	}
	return o
}

// leastNoise is the least variance that anybody is credited with.
const leastNoise = 0.02
