package capture

import (
	"math"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// lineTo is a terminal at the end of a line that takes the given times for
// round trips, in turn. It is asked, and the clock moves with each answer.
func lineTo(t *testing.T, e *emulator, trip func() time.Duration) (*pipe, *Terminal) {
	t.Helper()
	p, term := overStream(t, e)
	var now atomic.Int64
	now.Store(int64(time.Hour))
	term.clock = func() time.Duration { return time.Duration(now.Load()) }
	e.send = func(s string) { p.put(s, time.Duration(now.Add(int64(trip())))) }
	if asked, err := term.Ask(t.Context()); err != nil || asked.Silent {
		t.Fatalf("%+v, %v", asked, err)
	}
	return p, term
}

// prompt has somebody type at a prompt, once all round trips of it are over.
func prompt(t *testing.T, p *pipe, term *Terminal, e *emulator) {
	t.Helper()
	before := e.was(fence)
	ch := p.read(t.Context(), term, Prompt{Phrase: "x"})
	for range tripsEach {
		p.expect(fence)
	}
	e.hit('x', kittyPress)
	e.hit('\r', kittyPress)
	if s, err := result(t, ch); err != nil || keys(s) != "x" {
		t.Errorf("%+v, %v", s, err)
	}
	if n := e.was(fence) - before; n != tripsEach {
		t.Errorf("%d round trips in a prompt, want %d", n, tripsEach)
	}
}

func TestJitter(t *testing.T) {
	const ms = time.Millisecond
	rng := rand.New(rand.NewPCG(3, 9))
	uniform := func(wide time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(2*wide))) - wide }
	n := 0
	for _, c := range []struct {
		name        string
		trip        func() time.Duration
		least, most time.Duration
	}{
		{"a steady line", func() time.Duration { return 80 * ms }, 0, 0},
		{"a lost packet, and a stall", func() time.Duration {
			if n++; n%9 == 4 {
				return 900 * ms
			}
			return 80*ms + uniform(ms)
		}, ms / 4, 2 * ms},
		{"5 ms early or late", func() time.Duration { return 80*ms + uniform(5*ms) + uniform(5*ms) }, 2 * ms, 8 * ms},
		{"20 ms early or late", func() time.Duration { return 80*ms + uniform(20*ms) + uniform(20*ms) }, 12 * ms, 24 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &emulator{win32: -1}
			p, term := lineTo(t, e, c.trip)
			if sd, ok := term.Jitter(); ok {
				t.Errorf("%v before any prompt", sd)
			}
			for range 2 {
				prompt(t, p, term, e)
			}
			if sd, ok := term.Jitter(); !ok || sd < c.least || sd > c.most {
				t.Errorf("%v, %v; want %v to %v", sd, ok, c.least, c.most)
			}
		})
	}
}

// TestJitterEstimate holds the estimate, of one prompt and of two, against what
// it stands for: the standard deviation of a round trip, over many lines.
func TestJitterEstimate(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{tripsEach, tripsKept} {
		for name, draw := range map[string]func() float64{
			"normal":  rng.NormFloat64,
			"uniform": func() float64 { return math.Sqrt(6) * (rng.Float64() - rng.Float64()) },
		} {
			var sum, squares float64
			const lines = 5000
			for range lines {
				var term Terminal
				for range n {
					term.talk.trips.took = append(term.talk.trips.took, time.Second+time.Duration(draw()*float64(time.Millisecond)))
				}
				sd, _ := term.Jitter()
				x := float64(sd) / float64(time.Millisecond)
				sum, squares = sum+x, squares+x*x
			}
			mean := sum / lines
			spread := math.Sqrt(squares/lines - mean*mean)
			t.Logf("%d round trips, %s: %.2f ± %.2f of what it is", n, name, mean, spread)
			if mean < 0.85 || mean > 1.15 || spread > 0.35 {
				t.Errorf("%d round trips, %s: %.2f ± %.2f", n, name, mean, spread)
			}
		}
	}
}

// TestJitterUnknown looks at terminals that are not measured, which no prompt
// may wait for.
func TestJitterUnknown(t *testing.T) {
	t.Run("never asked", func(t *testing.T) {
		p, term := overStream(t, nil)
		ch := p.read(t.Context(), term, Prompt{Phrase: "x"})
		p.put("x\r", time.Hour)
		if _, err := result(t, ch); err != nil {
			t.Error(err)
		}
		if sd, ok := term.Jitter(); ok || strings.Contains(p.sent(), fence) {
			t.Errorf("%v, %v, sent %q", sd, ok, p.sent())
		}
	})
	t.Run("answers late", func(t *testing.T) {
		e := &emulator{win32: -1, ignore: []string{fence}}
		e.before = map[string]func(){fence: func() {
			time.AfterFunc(900*time.Millisecond, func() { e.send("\x1b[?62;22c") })
		}}
		con := newEmulator(t, e)
		term := con.raw("xterm")
		if asked, err := term.Ask(t.Context()); err != nil || !asked.Silent {
			t.Fatalf("%+v, %v", asked, err)
		}
		ch := con.read(t.Context(), term, Prompt{Phrase: "x"})
		time.Sleep(time.Second)
		con.send("x\r")
		if s, err := result(t, ch); err != nil || keys(s) != "x" {
			t.Errorf("%+v, %v", s, err)
		}
		if err := term.Leave(t.Context()); err != nil || e.was(fence) != 1 {
			t.Errorf("%v, %d fences", err, e.was(fence))
		}
	})
	t.Run("becomes slow", func(t *testing.T) {
		e := &emulator{win32: -1}
		took := time.Millisecond
		p, term := lineTo(t, e, func() time.Duration { return took })
		took = askLimit + time.Millisecond
		ch := p.read(t.Context(), term, Prompt{Phrase: "x"})
		for range tripsLate {
			p.expect(fence)
		}
		e.hit('x', kittyPress)
		e.hit('\r', kittyPress)
		if s, err := result(t, ch); err != nil || keys(s) != "x" {
			t.Errorf("%+v, %v", s, err)
		}
		if sd, ok := term.Jitter(); ok || e.was(fence) != 1+tripsLate {
			t.Errorf("%v, %v, %d fences, want %d", sd, ok, e.was(fence), 1+tripsLate)
		}
	})
	t.Run("answers once", func(t *testing.T) {
		e := &emulator{win32: -1}
		p, term := lineTo(t, e, func() time.Duration { return time.Millisecond })
		e.ignore = []string{fence}
		ch := p.read(t.Context(), term, Prompt{Phrase: "x"})
		p.expect(fence)
		e.hit('x', kittyPress)
		e.hit('\r', kittyPress)
		if _, err := result(t, ch); err != nil {
			t.Error(err)
		}
		if sd, ok := term.Jitter(); ok || e.was(fence) != 2 {
			t.Errorf("%v, %v, %d fences", sd, ok, e.was(fence))
		}
	})
}
