package feature

import (
	"math"
	"slices"
	"testing"

	"ksd/internal/keystroke"
)

// TestSummarise holds every figure against a typing worked out by hand:
//
//	A-b-c x← d-e   at 100 200 400 | 500 600 | 700 1200 ms, Shift first at 0
func TestSummarise(t *testing.T) {
	with := func(e keystroke.Event, m keystroke.Mods) keystroke.Event { e.Mods = m; return e }
	back := keystroke.Event{Key: keystroke.Backspace, Down: 600 * ms, Up: 640 * ms, Released: true}
	shift := keystroke.Event{Key: keystroke.ShiftKey, Down: 0, Up: 150 * ms, Released: true}
	s := keystroke.Sample{Phrase: "Abcde", Channel: keystroke.Full, Events: []keystroke.Event{
		shift, with(key('A', 100, 180), keystroke.Shift|keystroke.ShiftLeft), key('b', 200, 320), with(key('c', 400, 500), keystroke.Shift|keystroke.ShiftRight),
		key('x', 500, 590), back, with(key('d', 700, 0), keystroke.Shift), key('e', 1200, 1290),
	}}
	got := Summarise(s)
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"WPM", got.WPM, 4.0 / 5 / (1.2 / 60)}, // 4 characters after the first, in 1.2 s
		{"error rate", got.ErrorRate, 1.0 / 7}, // Shift neither types nor corrects
		{"corrections", float64(got.Corrections), 1},
		{"duration", got.DurationMS, 1200},
		{"left", float64(got.ShiftLeft), 1},
		{"right", float64(got.ShiftRight), 1},
		{"unknown", float64(got.ShiftUnknown), 1},
		// down-down: 100, 200 and, after the correction, 500
		{"PPT n", float64(got.PPT.N), 3},
		{"PPT mean", got.PPT.MeanMS, 800.0 / 3},
		{"PPT sd", got.PPT.StdDev, math.Sqrt((math.Pow(500.0/3, 2) + math.Pow(200.0/3, 2) + math.Pow(700.0/3, 2)) / 2)},
		// dwells 80, 120, 100 and 90; d was not released
		{"HT n", float64(got.HT.N), 4},
		{"HT mean", got.HT.MeanMS, 97.5},
		{"HT sd", got.HT.StdDev, math.Sqrt((17.5*17.5 + 22.5*22.5 + 2.5*2.5 + 7.5*7.5) / 3)},
		// releases at 180, 320, 500
		{"RRT n", float64(got.RRT.N), 2},
		{"RRT mean", got.RRT.MeanMS, 160},
		{"RRT sd", got.RRT.StdDev, math.Sqrt(800)},
		// 180 to 200, 320 to 400
		{"RPT n", float64(got.RPT.N), 2},
		{"RPT mean", got.RPT.MeanMS, 50},
		{"RPT sd", got.RPT.StdDev, math.Sqrt(1800)},
		{"consistency", got.Consistency, 1 - got.PPT.StdDev/got.PPT.MeanMS},
		// 100 and 200 are neighbours, and not more than twice as long; 500 has none
		{"speed changes", got.SpeedChanges, 0},
	} {
		if !near(c.got, c.want, 1e-9) {
			t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
		}
	}
	if want := []Latency{{"Ab", 100}, {"bc", 200}, {"de", 500}}; !slices.Equal(got.Digraphs, want) {
		t.Errorf("digraphs %v, want %v", got.Digraphs, want)
	}
	if want := []Latency{{"Abc", 300}}; !slices.Equal(got.Trigraphs, want) {
		t.Errorf("trigraphs %v, want %v", got.Trigraphs, want)
	}
}

func TestSpeedChanges(t *testing.T) {
	lost := keystroke.Event{Key: keystroke.Unknown, Down: 450 * ms}
	for _, c := range []struct {
		name string
		line keystroke.Line
		want float64
	}{
		{"nothing", keystroke.Line{}, 0},
		{"one interval", lineOf(key('a', 0, 0), key('b', 100, 0)), 0},
		{"faster and slower", lineOf(key('a', 0, 0), key('b', 100, 0), key('c', 301, 0), key('d', 401, 0)), 1},
		{"exactly twice", lineOf(key('a', 0, 0), key('b', 100, 0), key('c', 300, 0), key('d', 400, 0)), 0},
		{"one of two", lineOf(key('a', 0, 0), key('b', 100, 0), key('c', 301, 0), key('d', 500, 0)), 0.5},
		// The intervals on both sides of a lost key are no neighbours.
		{"over a break", lineOf(key('a', 0, 0), key('b', 100, 0), key('c', 200, 0), lost, key('d', 500, 0), key('e', 900, 0), key('f', 1300, 0)), 0},
	} {
		if got := speedChanges(c.line); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestSummariseLittle(t *testing.T) {
	if got := Summarise(keystroke.Sample{}); got.WPM != 0 || got.ErrorRate != 0 || got.Consistency != 0 || got.PPT != (Moments{}) {
		t.Errorf("of nothing: %+v", got)
	}
	one := Summarise(typing("a", 100, 50))
	if one.WPM != 0 || one.HT != (Moments{1, 50, 0}) || one.Digraphs != nil {
		t.Errorf("of one key: %+v", one)
	}
	at := Summarise(typing("abc", 0, 50)) // all at once
	if at.WPM != 0 || at.Consistency != 0 {
		t.Errorf("without time: %+v", at)
	}
	if got := Summarise(typing("abcd", 100, 50)).Consistency; got != 1 {
		t.Errorf("a metronome's consistency is %v, want 1", got)
	}
	wild := Summarise(keystroke.Sample{Events: []keystroke.Event{key('a', 0, 0), key('b', 1, 0), key('c', 2, 0), key('d', 3, 0), key('e', 900, 0)}})
	if wild.Consistency != 0 {
		t.Errorf("consistency %v, want 0 and not below", wild.Consistency)
	}
}
