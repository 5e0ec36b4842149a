package feature

import (
	"math"

	"ksd/internal/keystroke"
)

// Moments are the mean and the standard deviation of one kind of time, in ms.
// N is how many times there were; with N = 0 both are 0.
type Moments struct {
	N              int
	MeanMS, StdDev float64
}

// Latency is the time from the first press to the last of a run of keys, ms.
type Latency struct {
	Text string // two or three characters
	MS   float64
}

// Summary holds the plain figures of one sample.
type Summary struct {
	WPM         float64 // words of five characters per minute of typing
	ErrorRate   float64 // corrections per key pressed that types or corrects, 0 to 1
	Corrections int
	DurationMS  float64 // first press to last

	ShiftLeft, ShiftRight, ShiftUnknown int // strokes typed with each shift

	// Consistency is 1 - the coefficient of variation of the press-press
	// intervals, at least 0: 1 is a metronome.
	Consistency float64
	// SpeedChanges is the share of neighbouring interval pairs in which one is
	// more than twice as long as the other, 0 to 1.
	SpeedChanges float64

	HT  Moments // hold: press to release of a key
	PPT Moments // press to press
	RRT Moments // release to release
	RPT Moments // release to press, negative where keys overlap

	Digraphs, Trigraphs []Latency // in the order typed, uninterrupted ones only
}

// Summarise works out the plain figures of a sample.
func Summarise(s keystroke.Sample) Summary {
	l := s.Line()
	out := Summary{Corrections: l.Corrections, DurationMS: MS(s.Duration())}
	if n := len(l.Strokes); n > 1 && out.DurationMS > 0 {
		out.WPM = float64(n-1) / 5 / (out.DurationMS / 60000)
	}
	if keys := typed(s); keys > 0 {
		out.ErrorRate = float64(l.Corrections) / float64(keys)
	}
	var hold, dd, rr, flight []float64
	for i, st := range l.Strokes {
		out.countShift(st)
		if d, ok := st.Dwell(); ok {
			hold = append(hold, MS(d))
		}
		if d, ok := l.DownDown(i); ok {
			dd = append(dd, MS(d))
			if prev := l.Strokes[i-1]; st.Released && prev.Released {
				rr = append(rr, MS(st.Up-prev.Up))
			}
		}
		if d, ok := l.Flight(i); ok {
			flight = append(flight, MS(d))
		}
	}
	out.HT, out.PPT, out.RRT, out.RPT = moments(hold), moments(dd), moments(rr), moments(flight)
	if out.PPT.MeanMS > 0 {
		out.Consistency = math.Max(0, 1-out.PPT.StdDev/out.PPT.MeanMS)
	}
	out.SpeedChanges = speedChanges(l)
	out.Digraphs, out.Trigraphs = latencies(l, 2), latencies(l, 3)
	return out
}

func (s *Summary) countShift(st keystroke.Stroke) {
	switch {
	case st.Mods&keystroke.ShiftLeft != 0:
		s.ShiftLeft++
	case st.Mods&keystroke.ShiftRight != 0:
		s.ShiftRight++
	case st.Mods&keystroke.Shift != 0:
		s.ShiftUnknown++
	}
}

// typed counts the keys that type or correct.
func typed(s keystroke.Sample) int {
	n := 0
	for _, e := range s.Events {
		if e.Rune != 0 || e.Key == keystroke.Backspace || e.Key == keystroke.Delete {
			n++
		}
	}
	return n
}

func moments(xs []float64) Moments {
	mean, sd := meanSD(xs)
	return Moments{len(xs), mean, sd}
}

func speedChanges(l keystroke.Line) float64 {
	changes, pairs := 0, 0
	for i := 1; i < len(l.Strokes); i++ {
		a, before := l.DownDown(i - 1)
		b, after := l.DownDown(i)
		if !before || !after {
			continue
		}
		pairs++
		if a > 2*b || b > 2*a {
			changes++
		}
	}
	return float64(changes) / float64(max(pairs, 1))
}

// latencies returns the time each uninterrupted run of n strokes took.
func latencies(l keystroke.Line, n int) []Latency {
	var out []Latency
	run := 0
	for i, st := range l.Strokes {
		run++
		if !st.Joined {
			run = 1
		}
		if run < n {
			continue
		}
		text := make([]rune, n)
		for k := range text {
			text[k] = l.Strokes[i-n+1+k].Rune
		}
		out = append(out, Latency{string(text), MS(st.Down - l.Strokes[i-n+1].Down)})
	}
	return out
}
