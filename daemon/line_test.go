package daemon_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"ksd/conf"
	"ksd/internal/channel"
	"ksd/internal/keystroke"
	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

const jitter = 12 * time.Millisecond

func strictLine(c *conf.Config) { c.Challenge.Jitter = jitter }

// TestRoughLine types well at a terminal whose answers take 0 to 80 ms: nothing of
// it is judged.
func TestRoughLine(t *testing.T) {
	d := ksdtest.Start(t, strictLine)
	ana := ksdtest.NewTypist(1, quick)
	d.EnrolOn("ana", ana, keystroke.Full)
	term := ksdtest.NewTerminal(t)
	term.Speaks(&ksdtest.Kitty{Grants: 31, Rough: 80 * time.Millisecond})
	h := wire.Hello{User: "ana", Service: "test", Source: "tty:x", Term: "xterm-kitty"}
	replies := conversed(t, d, term, h, func(phrase string) {
		for left := d.Config.Policy.Tries; left > 0; left-- {
			for range 12 {
				term.Await(t, "\x1b[c") // measured before the first key, so that the keys need not be slow
			}
			term.TypeKitty(t, ana, phrase)
			if left > 1 {
				term.Await(t, "too unevenly")
				phrase = prompted(t, d, term)
			}
		}
	})
	n := len(replies)
	if n < 2 || replies[n-1] != (wire.Verdict{Code: wire.Unusable}) {
		t.Fatalf("the daemon said %v", replies)
	}
	if text, ok := replies[n-2].(wire.Text); !ok || !strings.Contains(text.Text, "the line is too rough") {
		t.Errorf("the daemon said %v", replies[n-2])
	}
	if log := d.Log.String(); strings.Count(log, "rougher than challenge.jitter") != d.Config.Policy.Tries {
		t.Errorf("the log: %s", log)
	}
}

// TestRoughLineOverAPI has programs say how rough the line is.
func TestRoughLineOverAPI(t *testing.T) {
	d := ksdtest.Start(t, strictLine, func(c *conf.Config) { c.Policy.Tries = 3 })
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	c := d.Client()
	ch := ask(t, c, "ana")
	phrase := ch.Phrase
	for _, ms := range []float64{12.1, 1e300} {
		a := must(c.Answer(t.Context(), ch.ID, wire.Typing{Sample: ana.Sample(phrase), JitterMS: ms}))(t)
		if a.Reason != wire.ReasonLine || a.Code != "" || a.Next == nil || a.Next.Phrase != phrase {
			t.Fatalf("%v ms: %+v", ms, a)
		}
		ch = *a.Next
	}
	if a := must(c.Answer(t.Context(), ch.ID, wire.Typing{Sample: ana.Sample(phrase), JitterMS: 12}))(t); a.Code != wire.Accept {
		t.Errorf("just as rough as may be: %+v", a)
	}
}

// TestTickIsNoRoughLine: answers of a client that keeps a tick come at ticks, 14 ms
// uneven at most, which says nothing of the line. Where keys do not, it does.
func TestTickIsNoRoughLine(t *testing.T) {
	d := ksdtest.Start(t, strictLine)
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	for _, one := range []struct {
		ticked bool
		ms     float64
		want   wire.Reason
	}{
		{true, 18, ""}, {true, 19, wire.ReasonLine}, {false, 14, wire.ReasonLine},
	} {
		c := d.Client()
		ch := ask(t, c, "ana")
		s := ana.Sample(ch.Phrase)
		if one.ticked {
			s = channel.Tick(s, channel.TickInterval, channel.TickFuzz, rand.New(rand.NewPCG(1, 1)))
			s.Channel = keystroke.Press
			if !channel.Ticked(s) {
				t.Fatal("not told by its times")
			}
		}
		if a := must(c.Answer(t.Context(), ch.ID, wire.Typing{Sample: s, JitterMS: one.ms}))(t); a.Reason != one.want {
			t.Errorf("%+v: %+v", one, a)
		}
		c.Close()
	}
}

// TestRoughEnrolment keeps nothing that came over a rough line, insisted or not,
// and says so from the first warm-up on.
func TestRoughEnrolment(t *testing.T) {
	d := ksdtest.Start(t, strictLine)
	c := d.Client()
	s := must(c.OpenSitting(t.Context(), wire.SittingRequest{User: "ana", Channel: keystroke.Press}))(t)
	typed := ksdtest.NewTypist(1, tempo).Sample(s.Next.Phrase)
	for _, insist := range []bool{false, true} {
		got := must(c.Type(t.Context(), s.ID, wire.Typing{Sample: typed, JitterMS: 13, Insist: insist}))(t)
		if got.Kept || got.Reason != wire.ReasonLine || got.Next.Done != 0 {
			t.Errorf("insisted %v: %+v", insist, got)
		}
	}
	if got := must(c.Type(t.Context(), s.ID, wire.Typing{Sample: typed, JitterMS: 11}))(t); !got.Kept || got.Next.Done != 1 {
		t.Errorf("on a better line: %+v", got)
	}
}
