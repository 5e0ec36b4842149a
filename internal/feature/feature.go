// Package feature turns keystrokes into numbers: for every key of a line its
// times and how they differ from what the population needs for that key pair,
// and for every sample the plain figures that reports show.
//
// Units stand in every name: Log… is the natural logarithm of milliseconds,
// …MS is milliseconds, Z… is a residual in standard deviations of the
// population, clipped to ±MaxZ.
//
// The population's table (Population) is built by `ksdctl population` from the
// KLiCKe corpus and committed as population.tsv; its format is described at
// ReadPopulation. A residual against it takes away what the text dictates, so
// that "th" and "zq" become comparable and only the hand is left; handing the
// residual to the network took the equal error rate on free text from 9.0 to
// 5.0 % (docs/MODEL.md).
package feature

import (
	"math"
	"time"

	"ksd/internal/keystroke"
)

// MaxZ is where residuals are clipped: beyond it a pause is a pause.
const MaxZ = 3.0

// minMS keeps the logarithm away from zero; no finger is faster than this.
const minMS = 5.0

// Stroke is one key of a line in numbers. Where a Has… flag is false the
// values that hang on it are 0.
type Stroke struct {
	Key uint16 // id in the vocabulary, 1 to VocabularySize-1; 0 is a key outside of it

	HasDD bool    // whether the interval from the stroke before is one movement
	LogDD float64 // press-press interval, log-ms
	ZDD   float64 // its residual

	HasDwell bool    // whether the release was seen
	LogDwell float64 // press-release time, log-ms
	ZDwell   float64 // its residual

	HasFlight bool    // whether HasDD and the release of the stroke before are known
	FlightMS  float64 // release-press interval, ms, negative where keys overlap
	ZFlight   float64 // its residual
	Overlap   bool    // whether the key before was still down
}

// Extract returns the strokes of a line in numbers, in the line's order.
func (p *Population) Extract(l keystroke.Line) []Stroke {
	return p.AppendStrokes(make([]Stroke, 0, len(l.Strokes)), l)
}

// AppendStrokes appends what Extract returns to dst.
func (p *Population) AppendStrokes(dst []Stroke, l keystroke.Line) []Stroke {
	for i, st := range l.Strokes {
		prev := keystroke.Unknown
		if i > 0 {
			prev = l.Strokes[i-1].Key
		}
		dst = append(dst, p.stroke(l, i, prev, st))
	}
	return dst
}

func (p *Population) stroke(l keystroke.Line, i int, prev keystroke.Key, st keystroke.Stroke) Stroke {
	s := Stroke{Key: KeyID(st.Key)}
	if dd, ok := l.DownDown(i); ok {
		s.HasDD, s.LogDD = true, LogMS(dd)
		s.ZDD = p.DownDown(prev, st.Key).Z(s.LogDD)
	}
	if dwell, ok := hold(st); ok {
		s.HasDwell, s.LogDwell = true, LogMS(dwell)
		s.ZDwell = p.Dwell(st.Key).Z(s.LogDwell)
	}
	if fl, ok := flight(l, i); ok {
		s.HasFlight, s.FlightMS, s.Overlap = true, MS(fl), fl < 0
		s.ZFlight = p.Flight(prev, st.Key).Z(s.FlightMS)
	}
	return s
}

// hold returns how long a key was held, where that can be believed.
func hold(st keystroke.Stroke) (time.Duration, bool) {
	d, ok := st.Dwell()
	return d, ok && d >= MinDwell
}

// flight returns the release-press interval before stroke i, where it can be
// believed.
func flight(l keystroke.Line, i int) (time.Duration, bool) {
	d, ok := l.Flight(i)
	if !ok {
		return 0, false
	}
	_, ok = hold(l.Strokes[i-1])
	return d, ok
}

// MS returns d in milliseconds.
func MS(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// LogMS returns the natural logarithm of d in ms, of at least 5 ms.
func LogMS(d time.Duration) float64 { return math.Log(math.Max(MS(d), minMS)) }

// Rate is how many timing features a key gives the network.
const Rate = 6

// Append appends the Rate numbers of s that the network reads: the residuals
// of down-down, dwell and flight, each 0 where unknown, then the flags for
// overlap, release seen and interval known.
func (s Stroke) Append(dst []float32) []float32 {
	return append(dst, float32(s.ZDD), float32(s.ZDwell), float32(s.ZFlight),
		flag(s.Overlap), flag(s.HasDwell), flag(s.HasDD))
}

func flag(b bool) float32 {
	if b {
		return 1
	}
	return 0
}
