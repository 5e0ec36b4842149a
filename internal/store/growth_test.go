package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

// login is an accepted login of a person that confirms the one before.
func login(ctx context.Context, s *Store, person, phrase string, at time.Time) error {
	p, err := s.Person(ctx, person)
	if err != nil {
		return err
	}
	_, err = s.Grow(ctx, person, Growth{
		Joins: numbers(p.Waiting), At: at, Waits: []Grown{{Taken: at, Sample: typed(phrase, 30)}},
	})
	return err
}

func numbers(typings []Grown) []int64 {
	out := []int64{}
	for _, g := range typings {
		out = append(out, g.ID)
	}
	return out
}

func TestGrowRefuses(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	must(s.OpenSitting(ctx, "ana", 1, keystroke.Press, noon))
	must(s.OpenSitting(ctx, "ben", 2, keystroke.Press, noon))
	must(s.Grow(ctx, "ana", Growth{Waits: []Grown{{Taken: noon, Sample: sample(3).Sample}}}))
	before := must(s.Person(ctx, "ana"))
	for _, c := range []struct {
		what, person string
		g            Growth
		want         error
	}{
		{"nobody", "carl", Growth{}, ErrNotFound},
		{"an empty sample", "ana", Growth{Joins: numbers(before.Waiting), Waits: []Grown{{Sample: sample(3).Sample}, {}}}, ErrInvalid},
		{"a huge sample", "ana", Growth{Waits: []Grown{{Sample: keystroke.Sample{
			Phrase: strings.Repeat("x", MaxBody), Channel: keystroke.Press, Events: sample(1).Sample.Events,
		}}}}, ErrInvalid},
		{"more than one login types", "ana", Growth{Waits: make([]Grown, MaxWaiting+1)}, ErrInvalid},
	} {
		if n, err := s.Grow(ctx, c.person, c.g); !errors.Is(err, c.want) || n != 0 {
			t.Errorf("%s: %d, %v, want %v", c.what, n, err, c.want)
		}
		if after := must(s.Person(ctx, "ana")); !reflect.DeepEqual(after, before) {
			t.Fatalf("%s: a part was done: %+v", c.what, after)
		}
	}
	// What joined, or waits, of somebody else is out of reach.
	if n := must(s.Grow(ctx, "ben", Growth{Joins: numbers(before.Waiting), Leaves: numbers(before.Waiting)})); n != 0 {
		t.Errorf("%d of ana's joined with ben's", n)
	}
	if after := must(s.Person(ctx, "ana")); !reflect.DeepEqual(after, before) {
		t.Errorf("ben's growth changed ana: %+v", after)
	}
	if _, err := s.Ungrow(ctx, "carl"); !errors.Is(err, ErrNotFound) {
		t.Errorf("ungrow nobody: %v", err)
	}
	if err := s.DropWaiting(ctx, "carl"); err != nil {
		t.Errorf("dropping what nobody has: %v", err)
	}
}

// Waiting, joining, leaving and dropping, each over a restart.
func TestGrow(t *testing.T) {
	s, dir := open(t)
	ctx := t.Context()
	must(s.OpenSitting(ctx, "ana", 1, keystroke.Press, noon))
	step := func(what string, f func() error, joined, waiting string) {
		t.Helper()
		if err := f(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		s.Close()
		s = reopen(t, dir)
		p := must(s.Person(ctx, "ana"))
		if got := [2]string{lengths(p.Grown), lengths(p.Waiting)}; got != [2]string{joined, waiting} {
			t.Fatalf("%s: joined and waiting %q, want %q and %q", what, got, joined, waiting)
		}
	}
	typings := func(lengths ...int) (out []Grown) {
		for _, n := range lengths {
			out = append(out, Grown{Taken: at(n), Sample: sample(n).Sample})
		}
		return out
	}
	waiting := func() []int64 { return numbers(must(s.Person(ctx, "ana")).Waiting) }
	grow := func(want int, g Growth) func() error {
		return func() error {
			if n, err := s.Grow(ctx, "ana", g); n != want || err != nil {
				return fmt.Errorf("%d joined, %w; want %d", n, err, want)
			}
			return nil
		}
	}
	step("a login", grow(0, Growth{Waits: typings(3, 4)}), "", "3@- 4@-")
	step("the next, which confirms one of them", grow(1, Growth{Joins: waiting()[:1], At: at(60), Waits: typings(5, 6)}), "3@60", "5@- 6@-")
	stale := waiting()
	step("a refusal", func() error { return s.DropWaiting(ctx, "ana") }, "3@60", "")
	step("what was dropped does not join", grow(0, Growth{Joins: stale, At: at(61), Waits: typings(7)}), "3@60", "7@-")
	joined := must(s.Person(ctx, "ana")).Grown
	step("what joined does not join again", grow(0, Growth{Joins: numbers(joined), At: at(99), Waits: typings(7)}), "3@60", "7@-")
	step("one joins, one leaves", grow(1, Growth{Joins: waiting(), At: at(62), Leaves: numbers(joined)}), "7@62", "")
	step("two more", grow(0, Growth{Waits: typings(8, 9)}), "7@62", "8@- 9@-")
	step("join", grow(2, Growth{Joins: waiting(), At: at(63), Waits: typings(10)}), "7@62 8@63 9@63", "10@-")
	p := must(s.Person(ctx, "ana"))
	if g := p.Grown[1]; !g.Taken.Equal(at(8)) || !reflect.DeepEqual(g.Sample, sample(8).Sample) {
		t.Errorf("it came back as %+v", g)
	}
	step("back to the enrolment", func() error {
		if n, err := s.Ungrow(ctx, "ana"); n != 3 || err != nil {
			return fmt.Errorf("%d, %w", n, err)
		}
		return nil
	}, "", "")
}

// lengths shows typings by their number of events and when they joined.
func lengths(typings []Grown) string {
	var out []string
	for _, g := range typings {
		joined := "-"
		if !g.Joined.IsZero() {
			joined = fmt.Sprint(int(g.Joined.Sub(noon).Seconds()))
		}
		out = append(out, fmt.Sprintf("%d@%s", len(g.Sample.Events), joined))
	}
	return strings.Join(out, " ")
}

// Going back to the enrolment leaves nothing of what grew in the bytes of the
// files, and nothing else goes with it.
func TestUngrowOverwrites(t *testing.T) {
	s, dir := open(t)
	ctx := t.Context()
	const mark = "remarkable phrase"
	for _, name := range []string{"ana", "ben"} {
		sitting := must(s.OpenSitting(ctx, name, 1, keystroke.Press, noon))
		if err := s.AddSample(ctx, sitting.ID, sample(5)); err != nil {
			t.Fatal(err)
		}
		phrase := map[string]string{"ana": mark, "ben": "cold water on stones"}[name]
		for n := range 4 {
			if err := login(ctx, s, name, phrase, at(n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !inFiles(t, dir, mark) {
		t.Fatal("the mark is not in the files before")
	}
	if n, err := s.Ungrow(ctx, "ana"); n != 3 || err != nil {
		t.Errorf("%d, %v; want the 3 that joined", n, err)
	}
	if inFiles(t, dir, mark) {
		t.Error("the phrase is still in the files")
	}
	if p := must(s.Person(ctx, "ana")); len(p.Sittings) != 1 || len(p.Sittings[0].Samples) != 1 {
		t.Errorf("the enrolment went too: %+v", p)
	}
	if p := must(s.Person(ctx, "ben")); len(p.Grown) != 3 || len(p.Waiting) != 1 {
		t.Errorf("ben's went too: %+v", p)
	}
}

// A database of the first version, with people in it, comes whole to this one.
func TestOldDatabaseGrows(t *testing.T) {
	dir := old(t, 1)
	ctx := t.Context()
	db, err := connect(filepath.Join(dir, FileName), "")
	if err != nil {
		t.Fatal(err)
	}
	body := must(encode(sample(4).Sample))
	for _, q := range []string{
		"INSERT INTO people VALUES (7, 'ana', 1000, 1)",
		"INSERT INTO sittings VALUES (9, 7, 'press', 1, 2)",
		"INSERT INTO samples VALUES (9, 0, 'cold water on stones', 0, 3, '" + body + "')",
		"INSERT INTO probes VALUES (1, 7, 5, '" + body + "')",
		"INSERT INTO audit VALUES (1, 6, 'challenge', 'ana', 'uid:0', 'su', '', 'accept', 4.5, '')",
	} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s := reopen(t, dir)
	p := must(s.Person(ctx, "ana"))
	if p.UID != 1000 || len(p.Sittings) != 1 || !reflect.DeepEqual(p.Sittings[0].Samples[0].Sample, sample(4).Sample) ||
		p.Last.IsZero() || len(p.Grown)+len(p.Waiting) != 0 {
		t.Fatalf("ana came over as %+v", p)
	}
	for n := range 2 {
		if err := login(ctx, s, "ana", "cold water on stones", at(n)); err != nil {
			t.Fatal(err)
		}
	}
	if p := must(s.Person(ctx, "ana")); len(p.Grown) != 1 || len(p.Waiting) != 1 {
		t.Errorf("after two logins %+v", p)
	}
	if log := must(s.Audit(ctx, "ana", 5)); len(log) != 1 {
		t.Errorf("audit log %+v", log)
	}
}

func TestPruneAudit(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	for _, n := range []int{5, 1, 3} { // a clock that was set meanwhile
		if err := s.AppendAudit(ctx, AuditEntry{When: at(n), User: fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		before int
		n      int64
		left   []string
	}{{1, 0, []string{"3", "1", "5"}}, {4, 2, []string{"5"}}, {4, 0, []string{"5"}}, {6, 1, nil}} {
		n, err := s.PruneAudit(ctx, at(c.before))
		var left []string
		for _, e := range must(s.Audit(ctx, "", 10)) {
			left = append(left, e.User)
		}
		if err != nil || n != c.n || !slices.Equal(left, c.left) {
			t.Errorf("before %d: %d, %v, %q left; want %d and %q", c.before, n, err, left, c.n, c.left)
		}
	}
}
