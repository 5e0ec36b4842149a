package policy

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var (
	grow   = Growth{Window: 10, PerWeek: 5}
	bounds = NewBounds(0.01, 0.05)
)

// joined returns n typings of a text with the numbers from id on that joined
// so long ago.
func joined(text string, id int64, n int, ago time.Duration) []Typing {
	var out []Typing
	for i := range n {
		out = append(out, Typing{ID: id + int64(i), Text: text, Joined: noon.Add(-ago)})
	}
	return out
}

func ids(typings []Typing) []int64 {
	out := []int64{}
	for _, t := range typings {
		out = append(out, t.ID)
	}
	return out
}

func TestNothingJoins(t *testing.T) {
	good := []Typing{{ID: 1, Text: "a", Anchor: surest}}
	far := func(anchor float64) []Typing { return []Typing{{ID: 1, Text: "a", Anchor: anchor}} }
	for _, c := range []struct {
		name            string
		g               Growth
		window, waiting []Typing
		b               Bounds
	}{
		{"the zero rule", Growth{}, nil, good, bounds},
		{"no window", Growth{PerWeek: 5}, nil, good, bounds},
		{"none a week", Growth{Window: 10}, nil, good, bounds},
		{"less than none a week", Growth{Window: 10, PerWeek: -1}, nil, good, bounds},
		{"more a week than the window holds, which would forget whom it let in", Growth{Window: 4, PerWeek: 5}, nil, good, bounds},
		{"no bounds", grow, nil, good, Bounds{}},
		{"bounds that are not numbers", grow, nil, good, Bounds{nan, nan, nan}},
		{"nothing waits", grow, nil, nil, bounds},
		{"the enrolment refuses it", grow, nil, far(bounds.Refuse), bounds},
		{"the enrolment refuses it by far", grow, nil, far(-6), bounds},
		{"the enrolment cannot tell", grow, nil, far(nan), bounds},
		{"minus infinity", grow, nil, far(-inf), bounds},
		{"plus infinity", grow, nil, far(inf), bounds},
		{"enough this week", grow, joined("a", 10, 5, Week-1), good, bounds},
		{"enough this minute", grow, joined("a", 10, 5, 0), good, bounds},
		{"enough this week, more before", grow, append(joined("a", 10, 5, 2*Week), joined("a", 20, 5, Week-1)...), good, bounds},
		{"enough, before the clock was set back a little", grow, joined("a", 10, 5, -Week+1), good, bounds},
	} {
		if joins, leaves := c.g.Confirm(c.window, c.waiting, c.b, noon); len(joins) != 0 || len(leaves) != 0 {
			t.Errorf("%s: %v join, %v leave", c.name, ids(joins), ids(leaves))
		}
	}
}

// surest is what the surest typing has.
const surest = 6.0

func TestJoins(t *testing.T) {
	waiting := []Typing{
		{ID: 1, Text: "a", Anchor: math.Nextafter(bounds.Refuse, 0)},
		{ID: 2, Text: "b", Anchor: -6},
		{ID: 3, Text: "b", Anchor: surest},
		{ID: 4, Text: "a", Anchor: 0},
	}
	for _, c := range []struct {
		name          string
		window        []Typing
		joins, leaves []int64
	}{
		{"into nothing", nil, []int64{1, 3, 4}, nil},
		{"one short of enough", joined("a", 10, 4, time.Hour), []int64{1, 3}, nil},
		{"another text is full", joined("c", 10, 10, time.Hour), []int64{1, 3, 4}, nil},
		{"enough, but a week ago", joined("a", 10, 5, Week), []int64{1, 3, 4}, nil},
		{"enough, but the clock was set back by years", joined("a", 10, 5, -1000*Week), []int64{1, 3, 4}, nil},
		{"room for one", joined("a", 10, 9, Week), []int64{1, 3, 4}, []int64{10}},
		{"full", joined("a", 10, 10, Week), []int64{1, 3, 4}, []int64{10, 11}},
		{"the window was larger once", joined("a", 10, 13, Week), []int64{1, 3, 4}, []int64{10, 11, 12, 13, 14}},
	} {
		before := slices.Clone(c.window)
		joins, leaves := grow.Confirm(c.window, waiting, bounds, noon)
		if !slices.Equal(ids(joins), c.joins) || !slices.Equal(ids(leaves), append([]int64{}, c.leaves...)) {
			t.Errorf("%s: %v join, %v leave; want %v and %v", c.name, ids(joins), ids(leaves), c.joins, c.leaves)
		}
		for _, j := range joins {
			if !j.Joined.Equal(noon) {
				t.Errorf("%s: %d joined at %v", c.name, j.ID, j.Joined)
			}
		}
		if !slices.Equal(c.window, before) {
			t.Errorf("%s: the caller's window was changed", c.name)
		}
	}
}

// hands are a person whose typings are points on a line, and a template that is
// the median of the enrolment and of what grew. A point's log-likelihood ratio
// falls with its distance from the template.
func llr(point, template float64) float64 { return 5 - 4*math.Abs(point-template) }

// reach is how far from a template a point may lie that is not refused.
var reach = (5 - bounds.Refuse) / 4

func middle(points []float64) float64 {
	points = slices.Sorted(slices.Values(points))
	return (points[(len(points)-1)/2] + points[len(points)/2]) / 2
}

// An impostor knows everything: at each login it types the point furthest from
// the owner that the templates of the day accept. Whatever the chance per week
// that it gets in, up to every login, the window stays within reach of the
// enrolment, and it takes its time. Without the anchor it would walk away.
func TestImpostorCannotWalkTheTemplateAway(t *testing.T) {
	enrolment := []float64{-0.2, -0.1, 0, 0.1, 0.2}
	anchor := middle(enrolment)
	for _, c := range []struct {
		p        float64 // chance that a login of the week is the impostor's
		anchored bool
	}{{0.02, true}, {0.1, true}, {0.5, true}, {1, true}, {1, false}} {
		t.Run(fmt.Sprintf("p=%v anchored=%v", c.p, c.anchored), func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			var window, waiting []Typing
			points := map[int64]float64{}
			template, farthest := anchor, 0.0
			const weeks, logins = 104, 20
			for i := range weeks * logins {
				now := noon.Add(time.Duration(i) * Week / logins)
				point := 0.2 * random.NormFloat64()
				if random.Float64() < c.p {
					point = template + (5-bounds.Accept)/4 - 1e-9 // accepted, just
				}
				if Decide(llr(point, template), 1, 1, bounds) != Accept {
					waiting = nil
					continue
				}
				joins, leaves := grow.Confirm(window, waiting, bounds, now)
				window = slices.DeleteFunc(append(window, joins...), func(w Typing) bool { return slices.Contains(leaves, w) })
				a := llr(point, anchor)
				if !c.anchored {
					a = surest
				}
				points[int64(i)] = point
				waiting = []Typing{{ID: int64(i), Text: "a", Anchor: a}}

				all := slices.Clone(enrolment)
				for _, w := range window {
					all = append(all, points[w.ID])
				}
				template = middle(all)
				farthest = math.Max(farthest, math.Abs(template-anchor))
				check(t, window, now)
			}
			t.Logf("the template was %.2f away at most, reach is %.2f", farthest, reach)
			if c.anchored && farthest > reach {
				t.Errorf("the template was walked %.2f away, further than %.2f", farthest, reach)
			}
			if !c.anchored && farthest < 2*reach {
				t.Errorf("without its anchor the template was walked %.2f away: this test shows nothing", farthest)
			}
		})
	}
}

// check fails where a window breaks its bounds.
func check(t *testing.T, window []Typing, now time.Time) {
	t.Helper()
	if len(window) > grow.Window {
		t.Fatalf("%d typings in the window", len(window))
	}
	for _, w := range window {
		if w.Anchor <= bounds.Refuse {
			t.Fatalf("one joined that the enrolment refuses: %v", w.Anchor)
		}
		since := count(window, func(v Typing) bool { return !v.Joined.Before(w.Joined) && v.Joined.Sub(w.Joined) < Week })
		if since > grow.PerWeek {
			t.Fatalf("%d joined in the week from %v, as of %v", since, w.Joined, now)
		}
	}
}

// FuzzGrowth: whatever the window and the clock, no more than PerWeek join, no
// text keeps more than Window, and what joins was waiting and near.
func FuzzGrowth(f *testing.F) {
	f.Add(uint64(1), 10, 5, int64(0))
	f.Add(uint64(2), 1, 1, int64(Week))
	f.Add(uint64(3), 3, 3, int64(-9*Week))
	f.Fuzz(func(t *testing.T, seed uint64, most, perWeek int, spread int64) {
		g := Growth{Window: most, PerWeek: perWeek}
		random := rand.New(rand.NewPCG(seed, 0))
		some := func(n int, id int64) (out []Typing) {
			for i := range n {
				ago := time.Duration(float64(spread) * random.Float64())
				out = append(out, Typing{ID: id + int64(i), Text: []string{"a", "b"}[random.IntN(2)], Anchor: 20*random.Float64() - 10, Joined: noon.Add(-ago)})
			}
			return out
		}
		window, waiting := some(random.IntN(30), 0), some(random.IntN(10), 100)
		joins, leaves := g.Confirm(window, waiting, bounds, noon)
		after := slices.DeleteFunc(append(window, joins...), func(w Typing) bool { return slices.Contains(leaves, w) })
		for _, text := range []string{"a", "b"} {
			is := func(w Typing) bool { return w.Text == text }
			if n := count(joins, is); n > max(perWeek, 0) {
				t.Errorf("%d of %q join, %d may", n, text, perWeek)
			}
			if n := count(after, is); count(joins, is) > 0 && n > most {
				t.Errorf("%d of %q are kept, %d may be", n, text, most)
			}
		}
		for _, j := range joins {
			if j.ID < 100 || !(j.Anchor > bounds.Refuse) || slices.ContainsFunc(leaves, func(l Typing) bool { return l.ID == j.ID }) {
				t.Errorf("%+v joins", j)
			}
		}
	})
}
