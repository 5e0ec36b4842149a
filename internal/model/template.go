package model

import (
	"math"
	"slices"
	"time"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
)

// The robust detector: the distance of a sample to the medians of the owner's
// earlier typings of the same phrase, in units of the owner's own spread,
//
//	score = mean over times of min(|x - median| / a, 3)
//	a     = (N·MAD + 10·a_pop) / (N + 10)
//
// over log press-press times and, where releases are seen, log dwells. N is the
// number of typings, a_pop how far people usually stray from their own median
// at that key pair: with few typings the population knows an owner's spread
// better than the owner's sample does. Medians, and a cap of 3, keep a single
// slip from deciding. (Scaled Manhattan of Araújo et al. 2005 and of Killourhy
// and Maxion 2009, made robust and shrunk.)
const (
	capDistance = 3.0
	priorWeight = 10.0
)

// template is one phrase as its owner types it on one channel. Index i of a
// vector of times is the press-press time before stroke i, i+n the dwell of
// stroke i; NaN where unknown.
type template struct {
	median, scale []float64 // log-ms
	typings       []keystroke.Line
	parts         []part // of a text put together from words; nil of a phrase
}

type templateKey struct {
	phrase  string
	channel keystroke.Channel
}

// times returns the log times of a line, by place.
func times(strokes []feature.Stroke) []float64 {
	n := len(strokes)
	out := make([]float64, 2*n)
	for i, s := range strokes {
		out[i], out[n+i] = math.NaN(), math.NaN()
		if s.HasDD {
			out[i] = s.LogDD
		}
		if s.HasDwell {
			out[n+i] = s.LogDwell
		}
	}
	return out
}

// newTemplate builds the template of lines of one text; there must be one at
// least.
func newTemplate(pop *feature.Population, lines []keystroke.Line) *template {
	n := len(lines[0].Strokes)
	t := &template{median: make([]float64, 2*n), scale: make([]float64, 2*n), typings: lines}
	rows := make([][]float64, len(lines))
	for k, l := range lines {
		rows[k] = times(pop.Extract(l))
	}
	for i := range t.median {
		var xs []float64
		for _, row := range rows {
			if !math.IsNaN(row[i]) {
				xs = append(xs, row[i])
			}
		}
		if len(xs) == 0 {
			t.median[i] = math.NaN()
			continue
		}
		t.median[i] = feature.Median(xs)
		own, usual := feature.MAD(xs), usualSpread(pop, lines[0], i)
		t.scale[i] = (float64(len(xs))*own + priorWeight*usual) / (float64(len(xs)) + priorWeight)
	}
	return t
}

// usualSpread returns a_pop of the time at index i.
func usualSpread(pop *feature.Population, l keystroke.Line, i int) float64 {
	n := len(l.Strokes)
	if i >= n {
		return pop.Dwell(l.Strokes[i-n].Key).Within
	}
	if i == 0 {
		return 0
	}
	return pop.DownDown(l.Strokes[i-1].Key, l.Strokes[i].Key).Within
}

// minTimes is how many times a sample must have in common with the template.
const minTimes = 6

// distance returns how far strokes lie from the template, 0 to capDistance,
// and false if too few times are known in both.
func (t *template) distance(strokes []feature.Stroke) (float64, bool) {
	var sum float64
	var known int
	n := len(strokes)
	if 2*n != len(t.median) {
		return 0, false
	}
	add := func(i int, x float64) {
		if !math.IsNaN(t.median[i]) {
			sum += math.Min(math.Abs(x-t.median[i])/t.scale[i], capDistance)
			known++
		}
	}
	for i, s := range strokes {
		if s.HasDD {
			add(i, s.LogDD)
		}
		if s.HasDwell {
			add(n+i, s.LogDwell)
		}
	}
	if known < minTimes {
		return 0, false
	}
	return sum / float64(known), true
}

// beats lays the press-press times of a line beside the template's.
func (t *template) beats(l keystroke.Line) []Beat {
	out := make([]Beat, len(l.Strokes))
	for i, st := range l.Strokes {
		out[i].Rune = st.Rune
		if dd, ok := l.DownDown(i); ok {
			out[i].Typed = dd
		}
		if m := t.median[i]; !math.IsNaN(m) {
			usual := math.Exp(m)
			out[i].Usual = fromMS(usual)
			out[i].Spread = fromMS(usual * math.Sinh(t.scale[i]))
		}
	}
	return out
}

func fromMS(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// Unlike says whether s is too unlike the given earlier typings of the same
// phrase to be kept without asking: its distance to their template lies more
// than 3 MAD above the median of the distances they have to each other's. It
// is false with fewer than 3 earlier typings of its text, which show no spread
// yet.
func Unlike(s keystroke.Sample, earlier []keystroke.Sample) bool {
	pop, line := feature.Default(), s.Line()
	var lines []keystroke.Line
	for _, e := range earlier {
		if l := e.Line(); l.Text == line.Text {
			lines = append(lines, l)
		}
	}
	if len(lines) < 3 {
		return false
	}
	var among []float64
	for i := range lines {
		others := slices.Concat(lines[:i], lines[i+1:])
		if d, ok := newTemplate(pop, others).distance(pop.Extract(lines[i])); ok {
			among = append(among, d)
		}
	}
	d, ok := newTemplate(pop, lines).distance(pop.Extract(line))
	if !ok || len(among) < 3 {
		return false
	}
	// Three distances can lie close together by chance; people never do.
	spread := math.Max(feature.MAD(among), minMAD)
	return d > feature.Median(among)+3*spread
}

const minMAD = 0.15
