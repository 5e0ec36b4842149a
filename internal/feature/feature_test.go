package feature

import (
	"math"
	"slices"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

const ms = time.Millisecond

// synthetic is a small population with round figures.
func synthetic() *Population {
	return &Population{
		dd:        map[pair]Spread{{'a', 'b'}: {math.Log(100), 0.5, 0.1}},
		ddKey:     map[keystroke.Key]Spread{'b': {math.Log(200), 1, 0.2}},
		ddAll:     Spread{math.Log(400), 2, 0.3},
		flight:    map[pair]Spread{{'a', 'b'}: {50, 10, 5}},
		flightKey: map[keystroke.Key]Spread{'b': {60, 20, 5}},
		flightAll: Spread{70, 40, 5},
		dwell:     map[keystroke.Key]Spread{'a': {math.Log(80), 0.25, 0.1}},
		dwellAll:  Spread{math.Log(90), 0.5, 0.1},
	}
}

// key is an event that types k, down and up at a number of ms; up 0 is a
// release that was not seen.
func key(k rune, down, up int) keystroke.Event {
	e := keystroke.Event{Key: keystroke.KeyOf(k), Rune: k, Down: time.Duration(down) * ms}
	if up > 0 {
		e.Up, e.Released = time.Duration(up)*ms, true
	}
	return e
}

func lineOf(events ...keystroke.Event) keystroke.Line {
	return keystroke.Sample{Channel: keystroke.Full, Events: events}.Line()
}

func TestBackOff(t *testing.T) {
	p := synthetic()
	for _, c := range []struct {
		prev, key  rune
		dd, flight float64
	}{{'a', 'b', 100, 50}, {'x', 'b', 200, 60}, {'a', 'x', 400, 70}, {'b', 'a', 400, 70}} {
		prev, k := keystroke.Key(c.prev), keystroke.Key(c.key)
		if got := math.Exp(p.DownDown(prev, k).Center); !near(got, c.dd, 1e-9) {
			t.Errorf("%c%c: %v ms, want %v", c.prev, c.key, got, c.dd)
		}
		if got := p.Flight(prev, k).Center; got != c.flight {
			t.Errorf("%c%c: flight %v ms, want %v", c.prev, c.key, got, c.flight)
		}
	}
	if a, x := p.Dwell('a'), p.Dwell('x'); a.Scale != 0.25 || x.Scale != 0.5 {
		t.Errorf("dwell of a %v, of x %v", a, x)
	}
}

func TestZ(t *testing.T) {
	s := Spread{Center: 5, Scale: 0.5}
	for x, want := range map[float64]float64{5: 0, 5.5: 1, 4: -2, 6.5: 3, 6.51: MaxZ, 99: MaxZ, -99: -MaxZ} {
		if got := s.Z(x); !near(got, want, 1e-12) {
			t.Errorf("Z(%v) = %v, want %v", x, got, want)
		}
	}
	if got := s.At(-2); got != 4 {
		t.Errorf("At(-2) = %v, want 4", got)
	}
}

func TestLogMS(t *testing.T) {
	for d, want := range map[time.Duration]float64{100 * ms: 100, 1500 * time.Microsecond: 5, 0: 5, -time.Second: 5, 5 * ms: 5} {
		if got := math.Exp(LogMS(d)); !near(got, want, 1e-9) {
			t.Errorf("%v: %v ms, want %v", d, got, want)
		}
	}
}

func TestExtract(t *testing.T) {
	got := synthetic().Extract(lineOf(
		key('a', 0, 80),
		key('b', 110, 200),                       // flight 30
		key('€', 150, 0),                         // no id; b was still down
		key('b', 250, 264),                       // held for 14 ms: a lost release
		key('a', 264, 300),                       // so no flight here
		keystroke.Event{Key: keystroke.Unknown},  // a lost key
		key('b', 700, 790),                       // no interval, but a dwell
		keystroke.Event{Key: keystroke.ShiftKey}, // breaks nothing
		key('a', 3700, 3715),                     // three seconds: clipped
	))
	want := []Stroke{
		{Key: 1, HasDwell: true, LogDwell: math.Log(80)},
		{Key: 2, HasDD: true, LogDD: math.Log(110), ZDD: math.Log(1.1) / 0.5, HasDwell: true, LogDwell: math.Log(90), HasFlight: true, FlightMS: 30, ZFlight: -2},
		{Key: 0, HasDD: true, LogDD: math.Log(40), ZDD: math.Log(0.1) / 2, HasFlight: true, FlightMS: -50, ZFlight: -3, Overlap: true},
		{Key: 2, HasDD: true, LogDD: math.Log(100), ZDD: math.Log(0.5)},
		{Key: 1, HasDD: true, LogDD: math.Log(14), ZDD: math.Log(14.0/400) / 2, HasDwell: true, LogDwell: math.Log(36), ZDwell: -3},
		{Key: 2, HasDwell: true, LogDwell: math.Log(90)},
		{Key: 1, HasDD: true, LogDD: math.Log(3000), ZDD: math.Log(7.5) / 2, HasDwell: true, LogDwell: math.Log(15), ZDwell: -3, HasFlight: true, FlightMS: 2910, ZFlight: 3},
	}
	if len(got) != len(want) {
		t.Fatalf("%d strokes, want %d", len(got), len(want))
	}
	for i := range want {
		g, w := got[i], want[i]
		for _, x := range [][2]*float64{{&g.LogDD, &w.LogDD}, {&g.ZDD, &w.ZDD}, {&g.LogDwell, &w.LogDwell}, {&g.ZDwell, &w.ZDwell}, {&g.ZFlight, &w.ZFlight}} {
			if near(*x[0], *x[1], 1e-9) {
				*x[0] = *x[1]
			}
		}
		if g != w {
			t.Errorf("stroke %d: got\n%+v, want\n%+v", i, g, w)
		}
	}
	if got := synthetic().Extract(keystroke.Line{}); len(got) != 0 {
		t.Errorf("an empty line gave %v", got)
	}
}

func TestAppend(t *testing.T) {
	s := Stroke{ZDD: 1, ZDwell: 2, ZFlight: 3, Overlap: true}
	got := s.Append([]float32{9})
	if want := []float32{9, 1, 2, 3, 1, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	s = Stroke{HasDwell: true}
	if want := []float32{0, 0, 0, 0, 1, 0}; !slices.Equal(s.Append(nil), want) {
		t.Errorf("%v, want %v", s.Append(nil), want)
	}
	s = Stroke{HasDD: true}
	if got := s.Append(nil); len(got) != Rate || got[5] != 1 {
		t.Errorf("%v, want %d numbers, the last 1", got, Rate)
	}
}

func TestVocabulary(t *testing.T) {
	seen := map[uint16]rune{0: 0}
	for _, r := range Vocabulary {
		id := KeyID(keystroke.KeyOf(r))
		if other, taken := seen[id]; taken || int(id) >= VocabularySize {
			t.Errorf("%q has id %d, as %q", r, id, other)
		}
		seen[id] = r
	}
	// The ids stand in model files: they never change.
	for k, want := range map[keystroke.Key]uint16{'a': 1, 'z': 26, keystroke.Space: 27, '0': 28, '_': 60, 'é': 0, keystroke.Backspace: 0, keystroke.Unknown: 0} {
		if got := KeyID(k); got != want {
			t.Errorf("id of %v is %d, want %d", k, got, want)
		}
	}
}

func BenchmarkExtract(b *testing.B) {
	s := typing("the quick brown fox jump", 120, 90)
	l := s.Line()
	p := Default()
	b.ReportAllocs()
	for b.Loop() {
		p.Extract(l)
	}
}

// typing is a typing of text with equal intervals and dwells, in ms.
func typing(text string, interval, dwell int) keystroke.Sample {
	s := keystroke.Sample{Phrase: text, Channel: keystroke.Full}
	for i, r := range []rune(text) {
		s.Events = append(s.Events, key(r, i*interval, i*interval+dwell))
	}
	return s
}
