package policy

import (
	"math"
	"slices"
	"time"
)

// Week is the time over which joining is bounded.
const Week = 7 * 24 * time.Hour

// Growth is the rule by which typings of accepted logins join an owner's
// templates, so that these follow the owner's hands. Hands change: templates
// that stay as they were enrolled refuse their owner more often every week.
//
// A typing that was accepted waits. The next attempt of the person confirms it
// by being accepted too, and so does root's word; any other end of an attempt
// drops it. What is confirmed joins a window of the newest typings of its text,
// from which the templates are built together with the enrolment.
//
// An impostor who gets in now and then must not be able to walk a template away
// step by step. Two bounds see to that. At most PerWeek typings of a text join
// in any Week; and a typing joins only if the enrolment alone, which never
// changes and which no joined typing is part of, would not have refused it. So
// every typing of a window lies within the same distance of the enrolment,
// whatever joined before it.
//
// The zero value lets nothing join.
type Growth struct {
	Window  int // typings of a text that are kept beside the enrolment
	PerWeek int // of them that join in any Week, at most Window
}

// Typing is what the rule needs to know of one typing. A text is a phrase on a
// channel: each has a window of its own.
type Typing struct {
	ID     int64 // the caller's own; the rule hands it back
	Text   string
	Anchor float64   // its log-likelihood ratio by the enrolment alone; NaN where that cannot judge it
	Joined time.Time // zero while it waits
}

// Confirm says which of the waiting typings join at now, with Joined set, and
// which of the window make room for them. The window holds the typings that
// joined before, oldest first, of all texts. The waiting ones that do not join
// are to be dropped; b are the bounds that attempts are judged by.
//
// Like a lock-out, a joining that lies a Week or more in the future counts no
// more than one in the past: the clock was set meanwhile.
func (g Growth) Confirm(window, waiting []Typing, b Bounds, now time.Time) (joins, leaves []Typing) {
	if g.PerWeek < 1 || g.Window < g.PerWeek || !b.valid() {
		return nil, nil
	}
	window = slices.Clone(window)
	for _, t := range waiting {
		recent := count(window, func(w Typing) bool { return w.Text == t.Text && now.Sub(w.Joined).Abs() < Week })
		if recent >= g.PerWeek || !near(t.Anchor, b) {
			continue
		}
		t.Joined = now
		joins, window = append(joins, t), append(window, t)
	}
	for _, t := range joins {
		for count(window, func(w Typing) bool { return w.Text == t.Text }) > g.Window {
			oldest := slices.IndexFunc(window, func(w Typing) bool { return w.Text == t.Text })
			leaves = append(leaves, window[oldest])
			window = slices.Delete(window, oldest, oldest+1)
		}
	}
	return joins, leaves
}

// near reports whether the enrolment alone would not have refused a typing. It
// is false for what is not a finite number.
func near(anchor float64, b Bounds) bool {
	return anchor > b.Refuse && !math.IsInf(anchor, 0)
}

func count(typings []Typing, is func(Typing) bool) (n int) {
	for _, t := range typings {
		if is(t) {
			n++
		}
	}
	return n
}
