package network

import (
	"math/rand/v2"
	"testing"
	"time"

	"ksd/internal/channel"
	"ksd/internal/keystroke"
)

func TestTicked(t *testing.T) {
	const ticks, plain, other = "OpenSSH_9.9p1 Debian-3", "OpenSSH_9.2p1", "PuTTY_Release_0.83"
	rng := rand.New(rand.NewPCG(1, 2))
	free := keystroke.Sample{Channel: keystroke.Press}
	for at := time.Duration(0); len(free.Events) < 20; at += 80*time.Millisecond + time.Duration(rng.IntN(1e8)) {
		free.Events = append(free.Events, keystroke.Event{Key: 'a', Rune: 'a', Down: at})
	}
	on := channel.Tick(free, channel.TickInterval, channel.TickFuzz, rng)
	for name, c := range map[string]struct {
		client  string
		s       keystroke.Sample
		packets uint64
		took    time.Duration
		want    bool
	}{
		"by its times":                {ticks, on, 25, 3 * time.Second, true},
		"by its packets":              {ticks, free, 150, 3 * time.Second, true},
		"neither":                     {ticks, free, 25, 3 * time.Second, false},
		"a few packets at once":       {ticks, free, 40, time.Second / 2, false},
		"releases are no chaff":       {ticks, free, 60, 3 * time.Second, false},
		"a client that cannot":        {plain, on, 150, 3 * time.Second, false},
		"another program":             {other, on, 150, 3 * time.Second, false},
		"a program that does not say": {"", on, 150, 3 * time.Second, false},
	} {
		if got := ticked(c.client, c.s, c.packets, c.took); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
