package base

import (
	"math"
	"math/rand/v2"
	"time"

	"ksd/internal/channel"
	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model/network"
)

// Person is one typist to learn from.
type Person struct {
	Name    string
	Samples []keystroke.Sample // on channel Full
}

// What typing meets on its way to a verifier, and how often in training.
const (
	minCrop, maxCrop = 17, 45 // keys
	minStrokes       = 8      // characters that must be left of a crop
	maxTick          = 20 * time.Millisecond
	maxJitter        = 10 * time.Millisecond // standard deviation
	slipRate         = 0.02                  // of keys dropped, and of keys doubled
)

// crop returns n key events of s from a random one on, or all if there are
// fewer.
func crop(s keystroke.Sample, n int, rng *rand.Rand) keystroke.Sample {
	n = min(n, len(s.Events))
	if n == 0 {
		return s
	}
	from := rng.IntN(len(s.Events) - n + 1)
	return shifted(s, s.Events[from:from+n])
}

// shifted is s with other events, the first at 0.
func shifted(s keystroke.Sample, events []keystroke.Event) keystroke.Sample {
	out := keystroke.Sample{Phrase: s.Phrase, Channel: s.Channel, Events: make([]keystroke.Event, len(events))}
	for i, e := range events {
		e.Down -= events[0].Down
		if e.Released {
			e.Up -= events[0].Down
		}
		out.Events[i] = e
	}
	return out
}

// slip drops and doubles keys of s.
func slip(s keystroke.Sample, rng *rand.Rand) keystroke.Sample {
	events := make([]keystroke.Event, 0, len(s.Events)+4)
	for i, e := range s.Events {
		switch x := rng.Float64(); {
		case x < slipRate && len(s.Events) > 1:
		case x < 2*slipRate && i+1 < len(s.Events):
			events = append(events, e)
			e.Down += (s.Events[i+1].Down - e.Down) / 2
			if e.Released {
				e.Up = max(e.Up, e.Down)
			}
			events = append(events, e)
		default:
			events = append(events, e)
		}
	}
	if len(events) == 0 {
		return s
	}
	return shifted(s, events)
}

// quantise rounds the times of s down to a clock of the given tick, whose phase
// is random.
func quantise(s keystroke.Sample, tick time.Duration, rng *rand.Rand) keystroke.Sample {
	phase := time.Duration(rng.Int64N(int64(tick)))
	round := func(d time.Duration) time.Duration { return (d+phase)/tick*tick - phase }
	events := make([]keystroke.Event, len(s.Events))
	for i, e := range s.Events {
		e.Down = round(e.Down)
		if e.Released {
			e.Up = max(round(e.Up), e.Down)
		}
		events[i] = e
	}
	return shifted(s, events)
}

// show returns s as a channel shows it, on a perfect line.
func show(s keystroke.Sample, ch keystroke.Channel, rng *rand.Rand) keystroke.Sample {
	switch ch {
	case keystroke.Press:
		return s.PressOnly()
	case keystroke.SSHPress:
		return channel.Tick(s, channel.TickInterval, channel.TickFuzz, rng)
	}
	return s
}

// distort returns s as a channel may show it: half of the time through a clock
// that ticks every 1 to 20 ms, half of the time over a line with jitter, half of
// the time with slips.
func distort(s keystroke.Sample, ch keystroke.Channel, rng *rand.Rand) keystroke.Sample {
	if rng.IntN(2) == 0 {
		s = slip(s, rng)
	}
	s = show(s, ch, rng)
	if len(s.Events) == 0 {
		return s
	}
	if ch != keystroke.SSHPress && rng.IntN(2) == 0 {
		ms := math.Exp(rng.Float64() * math.Log(float64(maxTick/time.Millisecond)))
		s = quantise(s, time.Duration(ms*float64(time.Millisecond)), rng)
	}
	if rng.IntN(2) == 0 {
		s = channel.Jitter(s, time.Duration(rng.Float64()*float64(maxJitter)), rng)
	}
	return s
}

// appendSequence appends what the network reads of strokes to the sequence in,
// at most steps of them.
func appendSequence(in network.Sequence, strokes []feature.Stroke, steps int) network.Sequence {
	for _, s := range strokes[:min(len(strokes), steps)] {
		in.Keys = append(in.Keys, s.Key)
		in.Features = s.Append(in.Features)
	}
	return in
}

// usable returns the people of whom at least least samples have minCrop
// characters left when corrections are carried out, with those samples.
func usable(people []Person, least int) []Person {
	var out []Person
	for _, p := range people {
		q := Person{Name: p.Name}
		for _, s := range p.Samples {
			if len(s.Line().Strokes) >= minCrop {
				q.Samples = append(q.Samples, s)
			}
		}
		if len(q.Samples) >= least {
			out = append(out, q)
		}
	}
	return out
}

// tries bounds how often another crop is drawn where too little was left of one.
const tries = 20

// draw returns the strokes of a crop of a sample with least to most keys, as a
// channel shows it: distorted if rough. Where no crop has enough characters it is
// the whole sample.
func draw(s keystroke.Sample, least, most int, ch keystroke.Channel, rough bool, rng *rand.Rand) []feature.Stroke {
	for range tries {
		c := crop(s, least+rng.IntN(most-least+1), rng)
		if rough {
			c = distort(c, ch, rng)
		} else {
			c = show(c, ch, rng)
		}
		if l := c.Line(); len(l.Strokes) >= minStrokes {
			return feature.Default().Extract(l)
		}
	}
	return feature.Default().Extract(show(s, ch, rng).Line())
}
