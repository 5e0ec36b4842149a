package feature

import (
	"math"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

// TestCompose makes up a line, asks for its times in order, and reads them back.
func TestCompose(t *testing.T) {
	var asked []int
	log := func(ms float64) float64 { return math.Log(ms) }
	s := Compose("Abc", func(i int, prev, _ keystroke.Key) float64 {
		asked = append(asked, i)
		if prev == 'b' {
			return log(1e6) // a pause longer than any
		}
		return log(120)
	}, func(i int, _, key keystroke.Key) float64 {
		asked = append(asked, 10*i)
		return log(80)
	})
	if len(asked) != 5 || asked[0] != 0 || asked[1] != 1 || asked[2] != 10 || asked[3] != 2 || asked[4] != 20 {
		t.Errorf("asked for %v", asked)
	}
	l := s.Line()
	if err := s.Validate(); err != nil || s.Channel != keystroke.Full || l.Text != "Abc" || l.Strokes[0].Key != 'a' {
		t.Fatalf("%+v, %v", s, err)
	}
	for i, want := range []time.Duration{0, 120 * time.Millisecond, MaxPause} {
		dd, _ := l.DownDown(i)
		dwell, ok := l.Strokes[i].Dwell()
		if (dd-want).Abs() > time.Microsecond || (dwell-80*time.Millisecond).Abs() > time.Microsecond || !ok {
			t.Errorf("key %d: %v after the one before, held for %v", i, dd, dwell)
		}
	}
}

// TestDelays leaves the tempo of what follows the population but for that.
func TestDelays(t *testing.T) {
	p := Default()
	s := Compose("the end", func(_ int, prev, key keystroke.Key) float64 { return p.DownDown(prev, key).Center + 0.25 },
		func(int, keystroke.Key, keystroke.Key) float64 { return 4 })
	s.Events[3].Rune, s.Events[3].Key = 0, keystroke.Tab // breaks off the way over it
	got := p.Delays(s.Line())
	if len(got) != 4 {
		t.Fatalf("%v", got)
	}
	for _, x := range got {
		if math.Abs(x-0.25) > 1e-6 {
			t.Errorf("%v, want 0.25 each", got)
		}
	}
}
