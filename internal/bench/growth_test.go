package bench

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ksd/internal/corpus"
	"ksd/internal/keystroke"
	"ksd/internal/policy"
)

// drifting are subjects of the CMU benchmark who type faster from sitting to
// sitting, each with a rhythm of its own.
func drifting(subjects, perSitting int, drift float64) []corpus.Repetition {
	var out []corpus.Repetition
	for s := range subjects {
		rng := rand.New(rand.NewPCG(uint64(s), 1))
		var usual [corpus.CMUFeatures]float64
		for i := range usual {
			if usual[i] = 0.1 + 0.3*rng.Float64(); i%3 == 0 { // how long a key is held
				usual[i] /= 3
			}
		}
		for sitting := range cmuSittings {
			for rep := range perSitting {
				r := corpus.Repetition{Subject: string(rune('a' + s)), Session: sitting + 1, Rep: rep + 1}
				for i := range r.Features {
					r.Features[i] = usual[i] * math.Exp(0.08*rng.NormFloat64()-drift*float64(sitting))
				}
				out = append(out, r)
			}
		}
	}
	return out
}

func growthOptions() GrowthOptions {
	return GrowthOptions{
		Enrol: 5, Warmups: 1, Channel: keystroke.Full, FMR: 0.1, Impostors: 0.1, Apart: policy.Week, Seed: 1,
		Window: 5, PerWeek: 2,
	}
}

func TestGrowthRefuses(t *testing.T) {
	good := drifting(2, 10, 0)
	session := slices.Clone(good)
	session[3].Session = 9
	for _, c := range []struct {
		name   string
		reps   []corpus.Repetition
		change func(*GrowthOptions)
	}{
		{"nobody to be an impostor", good[:80], func(*GrowthOptions) {}},
		{"nobody at all", nil, func(*GrowthOptions) {}},
		{"a ninth session", session, func(*GrowthOptions) {}},
		{"a session missing", slices.DeleteFunc(slices.Clone(good), func(r corpus.Repetition) bool { return r.Session == 4 }), func(*GrowthOptions) {}},
		{"nothing left of the first session", good, func(o *GrowthOptions) { o.Enrol = 9 }},
		{"no enrolment", good, func(o *GrowthOptions) { o.Enrol = 0 }},
		{"less than no warm-up", good, func(o *GrowthOptions) { o.Warmups = -1 }},
		{"impostors alone", good, func(o *GrowthOptions) { o.Impostors = 1 }},
		{"not a share", good, func(o *GrowthOptions) { o.Impostors = math.NaN() }},
		{"no time between sittings", good, func(o *GrowthOptions) { o.Apart = 0 }},
		{"no threshold", good, func(o *GrowthOptions) { o.FMR = 0 }},
		{"no channel", good, func(o *GrowthOptions) { o.Channel = "" }},
	} {
		o := growthOptions()
		c.change(&o)
		if r, err := Growth(t.Context(), c.reps, o); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %+v, %v", c.name, r, err)
		}
	}
}

// Hands that drift are refused in the end where nothing grows, and followed
// where it does; both see the same attempts, and the rule bounds what joins.
func TestGrowth(t *testing.T) {
	run := func(reps []corpus.Repetition, change func(*GrowthOptions)) GrowthResult {
		t.Helper()
		o := growthOptions()
		change(&o)
		r, err := Growth(t.Context(), reps, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", r)
		return r
	}
	all := drifting(5, 9, 0.1)
	none := run(all, func(o *GrowthOptions) { o.Window, o.PerWeek = 0, 0 })
	grown := run(all, func(*GrowthOptions) {})
	last := cmuSittings - 1
	if none.Joined != 0 || none.Novices > none.FMR || none.Novices < none.FMR/2 {
		t.Errorf("nothing grows, and %d joined; the threshold accepts %v of those it was set by", none.Joined, none.Novices)
	}
	if !(none.FNMR[last] > none.FNMR[0]+0.2) {
		t.Errorf("hands drift, and templates that stay refuse %v", none.FNMR)
	}
	if !(grown.FNMR[last] < none.FNMR[last]-0.2) {
		t.Errorf("in the last sitting %v are refused with growing, %v without", grown.FNMR[last], none.FNMR[last])
	}
	if most := grown.People * cmuSittings * 2; grown.Joined == 0 || grown.Joined > most {
		t.Errorf("%d joined, at most %d may", grown.Joined, most)
	}
	few := drifting(3, 7, 0.05)
	usual := run(few, func(*GrowthOptions) {})
	if again := run(few, func(*GrowthOptions) {}); !reflect.DeepEqual(again, usual) {
		t.Errorf("equal seeds, and %+v", again)
	}
	if soon := run(few, func(o *GrowthOptions) { o.Apart = time.Minute }); soon.Joined > soon.People*2 || usual.Joined <= usual.People*2 {
		t.Errorf("%d joined within minutes, %d in weeks", soon.Joined, usual.Joined)
	}
	if alone := run(few, func(o *GrowthOptions) { o.Impostors = 0 }); alone.Accepted != 0 || alone.Foreign != 0 {
		t.Errorf("no impostor tries, and %+v", alone)
	}
	if worst := run(few, func(o *GrowthOptions) { o.Nearest, o.Impostors = true, 0.5 }); worst.Accepted <= usual.Accepted {
		t.Errorf("the nearest impostors are accepted %v of the time, any %v", worst.Accepted, usual.Accepted)
	}
}

// The sample of a subject who types as drifting says is what the columns say.
func TestCMUTypists(t *testing.T) {
	reps := drifting(2, 7, 0)
	o := growthOptions()
	o.Enrol = 3
	people, err := cmuTypists(reps, o)
	if err != nil {
		t.Fatal(err)
	}
	var names strings.Builder
	for _, p := range people {
		names.WriteString(p.name)
		for i, s := range p.sitting {
			if len(s) != 7 {
				t.Errorf("%s has %d typings in sitting %d", p.name, len(s), i+1)
			}
		}
		if len(p.first()) != cmuImpostor || len(p.last()) != cmuLast {
			t.Errorf("%s as a stranger: %d first, %d last", p.name, len(p.first()), len(p.last()))
		}
	}
	if names.String() != "ab" {
		t.Errorf("people %q", names.String())
	}
}
