package ksdtest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

// Kitty is a terminal that speaks the kitty keyboard protocol
// (https://sw.kovidgoyal.net/kitty/keyboard-protocol/) and nothing else.
type Kitty struct {
	Grants uint32        // the flags it grants of those it is asked for
	Mute   bool          // it answers nothing at all, as a terminal that knows nothing
	Rough  time.Duration // its answers take up to that long

	stack []uint32
}

func (k *Kitty) carryOut(seq string) string {
	var flags uint32
	switch {
	case k.Mute:
	case seq == attributes:
		return iAmAVT220
	case seq == "\x1b[?u":
		if len(k.stack) > 0 {
			flags = k.stack[len(k.stack)-1]
		}
		return fmt.Sprintf("\x1b[?%du", flags)
	case seq == "\x1b[<u" && len(k.stack) > 0:
		k.stack = k.stack[:len(k.stack)-1]
	case strings.HasPrefix(seq, "\x1b[>"):
		if _, err := fmt.Sscanf(seq, "\x1b[>%du", &flags); err == nil {
			k.stack = append(k.stack, flags&k.Grants)
		}
	}
	return ""
}

func (k *Kitty) depth() int { return len(k.stack) }

func (k *Kitty) late() time.Duration { return k.Rough }

// Releases returns when the keys of one typing go up, given when they went down:
// each is held for a third to two thirds of the tempo, by key, and up to 8 ms more
// or less.
func (t *Typist) Releases(text string, downs []time.Duration) []time.Duration {
	ups := make([]time.Duration, len(downs))
	for i, r := range []rune(text) {
		key := rand.New(rand.NewPCG(t.seed, uint64(r)))
		usual := float64(t.tempo) * (1 + key.Float64()) / 3
		ups[i] = downs[i] + time.Duration(usual) + time.Duration(t.noise.Int64N(int64(unsteady)))
	}
	return ups
}

// FullSample is Sample on channel Full.
func (t *Typist) FullSample(phrase string) keystroke.Sample {
	s := t.Sample(phrase)
	s.Channel = keystroke.Full
	downs := make([]time.Duration, len(s.Events))
	for i, e := range s.Events {
		downs[i] = e.Down
	}
	for i, up := range t.Releases(phrase, downs) {
		s.Events[i].Up, s.Events[i].Released = up, true
	}
	return s
}

// TypeKitty is Type at a terminal that tells releases by the kitty protocol.
func (t *Terminal) TypeKitty(tb testing.TB, hands *Typist, text string) {
	tb.Helper()
	type event struct {
		at   time.Duration
		keys string
	}
	var events []event
	downs := hands.Downs(text)
	ups := hands.Releases(text, downs)
	for i, r := range []rune(text) {
		events = append(events,
			event{downs[i], fmt.Sprintf("\x1b[%d;;%du", r, r)}, event{ups[i], fmt.Sprintf("\x1b[%d;1:3u", r)})
	}
	slices.SortStableFunc(events, func(a, b event) int { return int(a.at - b.at) })
	start := time.Now()
	for _, e := range events {
		time.Sleep(time.Until(start.Add(e.at)))
		if _, err := io.WriteString(t.Keys, e.keys); err != nil {
			tb.Fatal(err)
		}
	}
	time.Sleep(hands.tempo)
	t.Press(tb, "\x1b[13;1:1u\x1b[13;1:3u")
}
