package store

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

func TestProbes(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	if err := s.AddProbe(ctx, "ana", Probe{Taken: noon, Sample: sample(3).Sample}); !errors.Is(err, ErrNotFound) {
		t.Errorf("probe of nobody: %v, want ErrNotFound", err)
	}
	if got, err := s.Probes(ctx, "ana"); err != nil || len(got) != 0 {
		t.Errorf("nobody has %v, %v", got, err)
	}
	must(s.OpenSitting(ctx, "ana", 1, keystroke.Press, noon))
	must(s.OpenSitting(ctx, "ben", 2, keystroke.Press, noon))
	if err := s.AddProbe(ctx, "ana", Probe{Taken: noon}); !errors.Is(err, ErrInvalid) {
		t.Errorf("empty probe: %v, want ErrInvalid", err)
	}
	if err := s.AddProbe(ctx, "ben", Probe{Taken: noon, Sample: sample(7).Sample}); err != nil {
		t.Fatal(err)
	}
	const more = 3
	for n := range MaxProbes + more {
		// The clock runs backwards: newest is what came last.
		if err := s.AddProbe(ctx, "ana", Probe{Taken: at(-n), Sample: sample(n + 1).Sample}); err != nil {
			t.Fatal(err)
		}
	}
	got := must(s.Probes(ctx, "ana"))
	if len(got) != MaxProbes {
		t.Fatalf("%d probes, want %d", len(got), MaxProbes)
	}
	for i, p := range got {
		n := MaxProbes + more - 1 - i
		if !p.Taken.Equal(at(-n)) || len(p.Sample.Events) != n+1 {
			t.Fatalf("probe %d was taken %v with %d events, want number %d", i, p.Taken, len(p.Sample.Events), n)
		}
	}
	if ben := must(s.Probes(ctx, "ben")); len(ben) != 1 || !reflect.DeepEqual(ben[0].Sample, sample(7).Sample) {
		t.Errorf("ben's probes went with ana's: %+v", ben)
	}
}

func TestFailures(t *testing.T) {
	s, dir := open(t)
	ctx := t.Context()
	const forget = time.Hour
	record := func(subject string, when int, want int) {
		t.Helper()
		got, err := s.RecordFailure(ctx, subject, at(when), forget)
		if err != nil || got.Count != want || !got.Last.Equal(at(when)) {
			t.Errorf("%s at %d: %+v, %v, want %d", subject, when, got, err, want)
		}
	}
	for _, subject := range []string{"", strings.Repeat("x", 257)} {
		if _, err := s.RecordFailure(ctx, subject, noon, forget); err == nil {
			t.Errorf("subject of %d characters was taken", len(subject))
		}
	}
	if got, err := s.Failures(ctx, "user:ana"); err != nil || got != (Failures{}) {
		t.Errorf("nothing recorded: %+v, %v", got, err)
	}
	record("user:ana", 0, 1)
	record("user:ana", 3599, 2)
	record("user:ben", 3599, 1)
	record("user:ana", 7198, 3)
	s.Close()
	s = reopen(t, dir) // a restart forgets nothing
	if got := must(s.Failures(ctx, "user:ana")); got.Count != 3 || !got.Last.Equal(at(7198)) {
		t.Errorf("after a restart %+v", got)
	}
	record("user:ana", 7198+3600, 1) // forgotten: it counts anew
	if got := must(s.Failures(ctx, "user:ben")); got.Count != 0 {
		t.Errorf("ben's old failure was kept: %+v", got)
	}
	record("user:ana", 7198+3590, 2) // a clock set back a little
	record("user:ana", -7198, 1)     // and by much
	if err := s.ClearFailures(ctx, "user:ana"); err != nil {
		t.Fatal(err)
	}
	if got := must(s.Failures(ctx, "user:ana")); got != (Failures{}) {
		t.Errorf("after clearing %+v", got)
	}
	if err := s.ClearFailures(ctx, "user:ana"); err != nil {
		t.Errorf("clearing twice: %v", err)
	}
}

func TestAudit(t *testing.T) {
	s, dir := open(t)
	ctx := t.Context()
	for _, limit := range []int{0, -1} {
		if _, err := s.Audit(ctx, "", limit); !errors.Is(err, ErrInvalid) {
			t.Errorf("limit %d: %v, want ErrInvalid", limit, err)
		}
	}
	score := -3.25
	entries := []AuditEntry{
		{When: at(0).UTC(), Event: "challenge", User: "ana", Actor: "uid:0", Service: "su", Source: "uid:1000", Outcome: "refuse", Score: &score, Model: "0123456789ab"},
		{When: at(2).UTC(), Event: "unlock", User: "ben", Actor: "uid:0", Outcome: "done"},
		{When: at(1).UTC(), Event: "challenge", User: "ana'; --", Actor: "uid:7", Outcome: "locked"},
	}
	for _, e := range entries {
		if err := s.AppendAudit(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	s = reopen(t, dir)
	for _, c := range []struct {
		user  string
		limit int
		want  []AuditEntry
	}{
		{"", 10, []AuditEntry{entries[2], entries[1], entries[0]}},
		{"", 2, []AuditEntry{entries[2], entries[1]}},
		{"ana", 10, entries[:1]},
		{"ana'; --", 10, entries[2:]},
		{"carl", 10, nil},
	} {
		if got, err := s.Audit(ctx, c.user, c.limit); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q, %d: %+v, %v, want %+v", c.user, c.limit, got, err, c.want)
		}
	}
	nonsense := math.NaN()
	if err := s.AppendAudit(ctx, AuditEntry{When: noon, Score: &nonsense}); err != nil {
		t.Errorf("a score that is no number keeps a decision from the log: %v", err)
	}
}
