package feature

import (
	"math"
	"time"

	"ksd/internal/keystroke"
)

// Compose makes up a typing of text, with releases and without corrections, from
// its times in log-ms: gap(i) before key i, but the first, and hold(i) of it,
// asked for in that order. No time is longer than MaxPause.
func Compose(text string, gap, hold func(i int, prev, key keystroke.Key) float64) keystroke.Sample {
	s := keystroke.Sample{Phrase: text, Channel: keystroke.Full}
	var down time.Duration
	prev := keystroke.Unknown
	for i, r := range []rune(text) {
		key := keystroke.KeyOf(r)
		if i > 0 {
			down += fromLogMS(gap(i, prev, key))
		}
		s.Events = append(s.Events, keystroke.Event{Key: key, Rune: r, Down: down, Up: down + fromLogMS(hold(i, prev, key)), Released: true})
		prev = key
	}
	return s
}

func fromLogMS(x float64) time.Duration {
	ms := math.Exp(math.Min(x, math.Log(MS(MaxPause))))
	return time.Duration(ms * float64(time.Millisecond))
}

// Delays returns by how much the press-press intervals of l are longer than the
// population's centres for their key pairs, in log-ms, unscaled and not clipped.
// Intervals that are no one movement are left out.
func (p *Population) Delays(l keystroke.Line) []float64 {
	var out []float64
	for i := range l.Strokes {
		if dd, ok := l.DownDown(i); ok {
			out = append(out, LogMS(dd)-p.DownDown(l.Strokes[i-1].Key, l.Strokes[i].Key).Center)
		}
	}
	return out
}
