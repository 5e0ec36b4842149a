package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"ksd/internal/capture"
	"ksd/internal/channel"
	"ksd/internal/keystroke"
)

// schedule makes the times at which keys are sent of those at which a hand
// pressed them.
type schedule struct {
	name string
	send func(hand []time.Duration, rng *rand.Rand) []time.Duration
}

// jitterMost is how much a rough line delays a key more or less than others.
const jitterMost = 5 * time.Millisecond

// schedules: clients that hold keys back to a tick, and lines that delay them,
// are played by the hand, whatever the machine's own client can do.
var schedules = []schedule{
	{"plain", func(hand []time.Duration, _ *rand.Rand) []time.Duration { return hand }},
	{"20 ms tick", func(hand []time.Duration, rng *rand.Rand) (sent []time.Duration) {
		s := keystroke.Sample{Channel: keystroke.Press}
		for _, at := range hand {
			s.Events = append(s.Events, keystroke.Event{Rune: 'x', Down: at})
		}
		for _, e := range channel.Tick(s, channel.TickInterval, channel.TickFuzz, rng).Events {
			sent = append(sent, e.Down)
		}
		return sent
	}},
	{"±5 ms jitter", func(hand []time.Duration, rng *rand.Rand) (sent []time.Duration) {
		for _, at := range hand {
			sent = append(sent, at+time.Duration(rng.Int64N(int64(2*jitterMost))))
		}
		return sent
	}},
}

// The intervals of the hand lie between these.
const (
	shortestGap = 60 * time.Millisecond
	longestGap  = 250 * time.Millisecond
)

func gap(rng *rand.Rand) time.Duration {
	return shortestGap + time.Duration(rng.Int64N(int64(longestGap-shortestGap)))
}

// press is one key: when it was sent, on CLOCK_MONOTONIC, and when a hand
// pressed it of which that was made.
type press struct{ sent, hand time.Duration }

// desk is a pseudo-terminal with somebody before it. The terminal is a dumb one.
type desk struct {
	keys, tty *os.File
	prompts   chan string // what is asked for; closed when the terminal is
	shown     string      // since the last prompt
}

func newDesk() (*desk, error) {
	keys, tty, err := pty.Open()
	if err != nil {
		return nil, err
	}
	defer keys.Close()
	// Not keys itself: a thread would wait for each of a thousand.
	fd, err := unix.FcntlInt(keys.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	d := &desk{keys: os.NewFile(uintptr(fd), "keys"), tty: tty, prompts: make(chan string, 1)}
	go d.watch()
	return d, nil
}

// watch reads what is shown until the terminal closes.
func (d *desk) watch() {
	defer close(d.prompts)
	b := make([]byte, 4096)
	for {
		n, err := d.keys.Read(b)
		if err != nil {
			return
		}
		d.shown += string(b[:n])
		text, asked := strings.CutSuffix(d.shown, "\n> ")
		if !asked {
			continue
		}
		d.prompts <- strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
		d.shown = ""
	}
}

// prompted waits for a prompt and returns what it asks for.
func (d *desk) prompted() (phrase string, err error) {
	select {
	case phrase, open := <-d.prompts:
		if !open || phrase == "" {
			return "", fmt.Errorf("no phrase is asked for: %q", d.shown)
		}
		return phrase, nil
	case <-time.After(captureWait):
		return "", fmt.Errorf("nothing is asked for in %v", captureWait)
	}
}

// captureWait bounds every wait.
const captureWait = 60 * time.Second

// typed types text, each key at its time of a schedule, then Enter.
func (d *desk) typed(text string, s schedule, rng *rand.Rand) ([]press, error) {
	hand := make([]time.Duration, len(text))
	for i := 1; i < len(hand); i++ {
		hand[i] = hand[i-1] + gap(rng)
	}
	out := make([]press, len(text))
	start := capture.Monotonic() + longestGap
	for i, at := range s.send(hand, rng) {
		time.Sleep(start + at - capture.Monotonic())
		// Late or not: what counts is when it was sent.
		out[i].sent = capture.Monotonic()
		if _, err := d.keys.WriteString(text[i : i+1]); err != nil {
			return nil, err
		}
		out[i].hand = out[i].sent - (at - hand[i])
	}
	time.Sleep(longestGap)
	_, err := d.keys.WriteString("\r")
	return out, err
}

func (d *desk) close() {
	_ = d.tty.Close()
	_ = d.keys.Close()
}
