package model

import (
	"math/rand/v2"
	"testing"

	"ksd/internal/channel"
	"ksd/internal/keystroke"
)

// TestViews checks on which channel a probe is judged: never on one that shows
// more than the owner's typings or the probe itself do.
func TestViews(t *testing.T) {
	hand := newTypist(1, 1)
	sitting := hand.sitting(t, 6, phrase)
	ticks := func(p Person) Person {
		out := Person{Name: p.Name, Sittings: []Sitting{{}}}
		for n, s := range p.samples() {
			s = tick(s, n)
			s.Channel = keystroke.Press // as a terminal calls it that knows of no client
			out.Sittings[0].Samples = append(out.Sittings[0].Samples, s)
		}
		return out
	}
	full := Person{Name: "ada", Sittings: []Sitting{sitting}}
	press, ssh := pressOnly(full), ticks(full)
	probe := hand.Types(t, phrase)
	plain := probe.PressOnly()
	ticked := channel.Tick(probe, channel.TickInterval, channel.TickFuzz, rand.New(rand.NewPCG(9, 9)))
	ticked.Channel = keystroke.Press
	for _, c := range []struct {
		name  string
		owner Person
		probe keystroke.Sample
		want  keystroke.Channel
	}{
		{"releases on both sides", full, probe, keystroke.Full},
		{"releases enrolled, none seen", full, plain, keystroke.Press},
		{"none enrolled, releases seen", press, probe, keystroke.Press},
		{"a tick, told by its times", full, ticked, keystroke.SSHPress},
		{"a tick, enrolled without", press, ticked, keystroke.SSHPress},
		{"a tick enrolled, none seen", ssh, plain, keystroke.SSHPress},
		{"a tick enrolled, releases seen", ssh, probe, keystroke.SSHPress},
		{"a tick on both sides", ssh, ticked, keystroke.SSHPress},
	} {
		lines := map[templateKey][]keystroke.Line{}
		for n, s := range c.owner.samples() {
			for _, v := range views(s, n) {
				add(lines, v)
			}
		}
		s, ok := seenOn(c.probe, func(ch keystroke.Channel) bool { return lines[templateKey{phrase, ch}] != nil })
		if !ok || s.Channel != c.want {
			t.Errorf("%s: judged on %s (%v), want %s", c.name, s.Channel, ok, c.want)
		}
		if got, err := verifier(t, []Person{c.owner}, nil).Score("ada", c.probe); err != nil || got.LLR < 1 {
			t.Errorf("%s: the owner gets %+v, %v", c.name, got.LLR, err)
		}
	}
	none := func(keystroke.Channel) bool { return false }
	if _, ok := seenOn(probe, none); ok {
		t.Error("judged against nothing")
	}
}

// samples returns all samples of all sittings, in order.
func (p Person) samples() []keystroke.Sample {
	var out []keystroke.Sample
	for _, s := range p.Sittings {
		out = append(out, s.Samples...)
	}
	return out
}
