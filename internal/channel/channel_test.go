package channel

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

const ms = time.Millisecond

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// typed is a sample with presses at the given times, each held for 80 ms.
func typed(downs ...time.Duration) keystroke.Sample {
	s := keystroke.Sample{Channel: keystroke.Full}
	for i, d := range downs {
		r := 'a' + rune(i%26)
		s.Phrase += string(r)
		s.Events = append(s.Events, keystroke.Event{Key: keystroke.Key(r), Rune: r, Down: d, Up: d + 80*ms, Released: true})
	}
	return s
}

// random is n keys with gaps up to most.
func random(r *rand.Rand, n int, most time.Duration) keystroke.Sample {
	downs := make([]time.Duration, n)
	for i := 1; i < n; i++ {
		downs[i] = downs[i-1] + time.Duration(r.Int64N(int64(most)))
	}
	return typed(downs...)
}

func downs(s keystroke.Sample) (out []time.Duration) {
	for _, e := range s.Events {
		out = append(out, e.Down)
	}
	return out
}

// TestTickExactly has no fuzz, so that ticks lie at every 20 ms after the first
// key of a train.
func TestTickExactly(t *testing.T) {
	for name, c := range map[string]struct{ in, want []time.Duration }{
		"nothing":             {nil, nil},
		"one key":             {[]time.Duration{0}, []time.Duration{0}},
		"on a tick":           {[]time.Duration{0, 20 * ms, 60 * ms}, []time.Duration{0, 20 * ms, 60 * ms}},
		"between ticks":       {[]time.Duration{0, 21 * ms, 59 * ms}, []time.Duration{0, 40 * ms, 60 * ms}},
		"several in one tick": {[]time.Duration{0, 0, 1 * ms, 20 * ms, 21 * ms}, []time.Duration{0, 20 * ms, 20 * ms, 20 * ms, 40 * ms}},
		"a new train":         {[]time.Duration{0, 5 * ms, 4001 * ms, 4002 * ms}, []time.Duration{0, 20 * ms, 4001 * ms, 4021 * ms}},
		"still the old one":   {[]time.Duration{0, 1001 * ms, 1002 * ms}, []time.Duration{0, 1020 * ms, 1020 * ms}},
		"at the very end":     {[]time.Duration{0, keystroke.MaxDuration}, []time.Duration{0, keystroke.MaxDuration}},
	} {
		got := Tick(typed(c.in...), 20*ms, 0, rng(1))
		if !reflect.DeepEqual(downs(got), c.want) {
			t.Errorf("%s: %v, want %v", name, downs(got), c.want)
		}
		if got.Channel != keystroke.SSHPress || len(c.in) > 0 && got.Validate() != nil {
			t.Errorf("%s: %+v, %v", name, got, got.Validate())
		}
	}
}

// TestTickFuzz checks the spacing of ticks against the formula: every key of a
// dense train arrives on one, so that all of them are seen.
func TestTickFuzz(t *testing.T) {
	var means []float64
	for seed := range uint64(200) {
		in := make([]time.Duration, keystroke.MaxEvents)
		for i := range in {
			in[i] = time.Duration(i) * 5 * ms
		}
		got := downs(Tick(typed(in...), 20*ms, 0.1, rng(seed)))
		var gaps []time.Duration
		for i, d := range got {
			if wait := d - in[i]; wait < 0 || wait > 22*ms {
				t.Fatalf("a key waits for %v", wait)
			}
			if i > 0 && d != got[i-1] {
				gaps = append(gaps, d-got[i-1])
			}
		}
		var sum time.Duration
		low, high := gaps[0], gaps[0]
		for _, g := range gaps {
			sum, low, high = sum+g, min(low, g), max(high, g)
		}
		if low < 18*ms || high > 22*ms || high-low > 2*ms || high-low < ms {
			t.Fatalf("ticks %v to %v apart, want a band of 2 ms within 18 to 22", low, high)
		}
		means = append(means, float64(sum)/float64(len(gaps))/float64(ms))
	}
	// The mean of a train is 19 ms and its own R, which is uniform up to 2 ms.
	low, high, mean := math.Inf(1), math.Inf(-1), 0.0
	for _, m := range means {
		low, high, mean = min(low, m), max(high, m), mean+m/float64(len(means))
	}
	if low < 18.8 || low > 19.3 || high > 21.2 || high < 20.7 || math.Abs(mean-20) > 0.2 {
		t.Errorf("trains have ticks of %.2f to %.2f ms, %.2f on average; want 19 to 21, 20", low, high, mean)
	}
}

func TestTick(t *testing.T) {
	in := random(rng(3), 40, 300*ms)
	before := random(rng(3), 40, 300*ms)
	a, b, c := Tick(in, TickInterval, TickFuzz, rng(7)), Tick(in, TickInterval, TickFuzz, rng(7)), Tick(in, TickInterval, TickFuzz, rng(8))
	if !reflect.DeepEqual(a, b) || reflect.DeepEqual(a, c) {
		t.Error("it is not decided by the seed")
	}
	if !reflect.DeepEqual(in, before) {
		t.Error("the sample given was changed")
	}
	if a.Phrase != in.Phrase || a.Line().Text != in.Phrase || a.Validate() != nil || a.Events[3].Released {
		t.Errorf("%+v", a)
	}
	if got := Tick(in, 0, TickFuzz, rng(1)); !reflect.DeepEqual(downs(got), downs(in)) || got.Channel != keystroke.SSHPress {
		t.Errorf("without an interval: %+v", got)
	}
}

func TestJitter(t *testing.T) {
	in := random(rng(3), 500, 400*ms)
	if got := Jitter(in, 0, rng(1)); !reflect.DeepEqual(got, in) {
		t.Error("jitter of 0 changed something")
	}
	if a, b := Jitter(in, 5*ms, rng(1)), Jitter(in, 5*ms, rng(1)); !reflect.DeepEqual(a, b) {
		t.Error("it is not decided by the seed")
	}
	if got := Jitter(keystroke.Sample{Channel: keystroke.Press}, ms, rng(1)); len(got.Events) != 0 {
		t.Errorf("of nothing: %+v", got)
	}
	for _, s := range []keystroke.Sample{in, in.PressOnly(), Tick(in, TickInterval, TickFuzz, rng(1))} {
		for _, sd := range []time.Duration{ms, 10 * ms, time.Second, keystroke.MaxDuration} {
			got := Jitter(s, sd, rng(2))
			if err := got.Validate(); err != nil || got.Channel != s.Channel || got.Phrase != s.Phrase || len(got.Events) != len(s.Events) {
				t.Fatalf("%s, sd %v: %v", s.Channel, sd, err)
			}
		}
	}
	// Far apart, order binds nothing: intervals err by √2·sd, dwells as well.
	wide := make([]time.Duration, keystroke.MaxEvents)
	for i := range wide {
		wide[i] = time.Duration(i) * 500 * ms
	}
	before, after := typed(wide...), Jitter(typed(wide...), 4*ms, rng(5))
	var gap, hold float64
	for i := 1; i < len(wide); i++ {
		g := after.Events[i].Down - after.Events[i-1].Down - 500*ms
		h := after.Events[i].Up - after.Events[i].Down - (before.Events[i].Up - before.Events[i].Down)
		gap += math.Pow(float64(g)/float64(ms), 2) / float64(len(wide)-1)
		hold += math.Pow(float64(h)/float64(ms), 2) / float64(len(wide)-1)
	}
	for what, sd := range map[string]float64{"intervals": math.Sqrt(gap), "dwells": math.Sqrt(hold)} {
		if math.Abs(sd-4*math.Sqrt2) > 0.6 {
			t.Errorf("%s err by sd %.2f ms, want %.2f", what, sd, 4*math.Sqrt2)
		}
	}
}
