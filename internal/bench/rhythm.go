package bench

import (
	"math"
	"math/rand/v2"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
)

// Everything here makes up typing of a text from numbers, by place: one
// press-press time before each key but the first, one dwell for each.

// medians types text at the population's medians, times changed by tempo in
// log-ms and by normal noise of standard deviation sd in log-ms.
func medians(pop *feature.Population, text string, tempo, sd float64, rng *rand.Rand) keystroke.Sample {
	return feature.Compose(text,
		func(_ int, prev, key keystroke.Key) float64 {
			return pop.DownDown(prev, key).Center + tempo + sd*rng.NormFloat64()
		},
		func(_ int, _, key keystroke.Key) float64 { return pop.Dwell(key).Center + sd*rng.NormFloat64() })
}

// independent draws each time by itself from the population's distribution.
func independent(pop *feature.Population, text string, rng *rand.Rand) keystroke.Sample {
	return feature.Compose(text,
		func(_ int, prev, key keystroke.Key) float64 { return pop.DownDown(prev, key).At(rng.NormFloat64()) },
		func(_ int, _, key keystroke.Key) float64 { return pop.Dwell(key).At(rng.NormFloat64()) })
}

// metronome waits the same time at every key.
func metronome(pop *feature.Population, text string, gap float64) keystroke.Sample {
	return feature.Compose(text,
		func(int, keystroke.Key, keystroke.Key) float64 { return gap },
		func(_ int, _, key keystroke.Key) float64 { return pop.Dwell(key).Center })
}

// average types text at the mean times, by place, of typings of it, which must
// have the strokes of text.
func average(text string, seen []keystroke.Sample) keystroke.Sample {
	n := len([]rune(text))
	gaps, holds := make([]mean, n), make([]mean, n)
	for _, s := range seen {
		l := s.Line()
		for i, st := range l.Strokes {
			if dd, ok := l.DownDown(i); ok {
				gaps[i].add(feature.MS(dd))
			}
			if d, ok := st.Dwell(); ok {
				holds[i].add(feature.MS(d))
			}
		}
	}
	return feature.Compose(text,
		func(i int, _, _ keystroke.Key) float64 { return math.Log(gaps[i].value()) },
		func(i int, _, _ keystroke.Key) float64 { return math.Log(holds[i].value()) })
}

// mean adds up ms. What was never seen counts as 100 ms.
type mean struct{ sum, n float64 }

func (m *mean) add(x float64) { m.sum, m.n = m.sum+x, m.n+1 }

func (m mean) value() float64 {
	if m.n == 0 {
		return 100
	}
	return math.Max(m.sum/m.n, 1)
}

// histograms hold what somebody saw of a person's times, by key pair and by key,
// in ms: the HISTOGRAM attack of González et al. (2022).
type histograms struct {
	gaps  map[[2]keystroke.Key][]float64 // {Unknown, key} for all pairs that end in key
	holds map[keystroke.Key][]float64    // Unknown for all keys
}

// binWidth is that of the histograms, in ms: a time is drawn from anywhere in
// the bin of one that was seen.
const binWidth = 10.0

func newHistograms(seen []keystroke.Sample) histograms {
	h := histograms{gaps: map[[2]keystroke.Key][]float64{}, holds: map[keystroke.Key][]float64{}}
	for _, s := range seen {
		l := s.Line()
		for i, st := range l.Strokes {
			if dd, ok := l.DownDown(i); ok {
				x := feature.MS(dd)
				for _, at := range h.gapKeys(l.Strokes[i-1].Key, st.Key) {
					h.gaps[at] = append(h.gaps[at], x)
				}
			}
			if d, ok := st.Dwell(); ok {
				h.holds[st.Key] = append(h.holds[st.Key], feature.MS(d))
				h.holds[keystroke.Unknown] = append(h.holds[keystroke.Unknown], feature.MS(d))
			}
		}
	}
	return h
}

// gapKeys lists where an interval is kept and looked for, the closest first.
func (histograms) gapKeys(prev, key keystroke.Key) [][2]keystroke.Key {
	return [][2]keystroke.Key{{prev, key}, {keystroke.Unknown, key}, {}}
}

// draw types text by times drawn one by one; tempo, in log-ms, is added to all.
func (h histograms) draw(text string, tempo float64, rng *rand.Rand) keystroke.Sample {
	one := func(from []float64) float64 {
		if len(from) == 0 {
			return math.Log(100)
		}
		x := from[rng.IntN(len(from))]
		return math.Log(math.Max((math.Floor(x/binWidth)+rng.Float64())*binWidth, 1)) + tempo
	}
	return feature.Compose(text,
		func(_ int, prev, key keystroke.Key) float64 {
			for _, at := range h.gapKeys(prev, key) {
				if len(h.gaps[at]) > 0 {
					return one(h.gaps[at])
				}
			}
			return one(nil)
		},
		func(_ int, _, key keystroke.Key) float64 {
			if len(h.holds[key]) > 0 {
				return one(h.holds[key])
			}
			return one(h.holds[keystroke.Unknown])
		})
}
