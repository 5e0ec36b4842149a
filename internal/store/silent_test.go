package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

func TestSilent(t *testing.T) {
	s, dir := open(t)
	ctx := t.Context()
	if err := s.RememberSilent(ctx, "ana", "xterm", noon); !errors.Is(err, ErrNotFound) {
		t.Errorf("of nobody: %v, want ErrNotFound", err)
	}
	must(s.OpenSitting(ctx, "ana", 1, keystroke.Press, noon))
	must(s.OpenSitting(ctx, "ben", 2, keystroke.Press, noon))
	for _, term := range []string{"", strings.Repeat("x", 65)} {
		if err := s.RememberSilent(ctx, "ana", term, noon); err == nil {
			t.Errorf("a type of %d characters was kept", len(term))
		}
	}
	silent := func(person, term string, when time.Time, want bool) {
		t.Helper()
		if got, err := s.Silent(ctx, person, term, when); err != nil || got != want {
			t.Errorf("%s at %s, %v: %v, %v, want %v", person, term, when, got, err, want)
		}
	}
	remember := func(person, term string, when time.Time) {
		t.Helper()
		if err := s.RememberSilent(ctx, person, term, when); err != nil {
			t.Fatal(err)
		}
	}
	silent("ana", "xterm", noon, false)
	remember("ana", "xterm", noon)
	s.Close()
	s = reopen(t, dir)
	silent("ana", "xterm", noon, true)
	silent("ana", "xterm-256color", noon, false)
	silent("ben", "xterm", noon, false)
	silent("nobody", "xterm", noon, false)
	silent("ana", "xterm", noon.Add(SilentFor-time.Second), true)
	silent("ana", "xterm", noon.Add(SilentFor), false)
	silent("ana", "xterm", noon.Add(-SilentFor), false) // the clock was set back
	remember("ana", "xterm", noon.Add(time.Hour))
	silent("ana", "xterm", noon.Add(SilentFor), true)
	remember("ana", "screen", noon.Add(2*SilentFor)) // drops what is too old
	silent("ana", "xterm", noon, false)
	remember("ben", "screen", noon)
	for range 2 {
		if err := s.ForgetSilent(ctx, "ana", "screen"); err != nil {
			t.Errorf("forget: %v", err)
		}
	}
	silent("ana", "screen", noon.Add(2*SilentFor), false)
	silent("ben", "screen", noon, true)
	if err := s.DeletePerson(ctx, "ben"); err != nil {
		t.Fatal(err)
	}
	must(s.OpenSitting(ctx, "ben", 2, keystroke.Press, noon))
	silent("ben", "screen", noon, false)
}

// The oldest are forgotten, each person's by themselves.
func TestSilentIsBounded(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	must(s.OpenSitting(ctx, "ana", 1, keystroke.Press, noon))
	must(s.OpenSitting(ctx, "ben", 2, keystroke.Press, noon))
	if err := s.RememberSilent(ctx, "ben", "0", noon); err != nil {
		t.Fatal(err)
	}
	const more = 3
	for n := range MaxSilent + more {
		if err := s.RememberSilent(ctx, "ana", fmt.Sprint(n), at(n)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range MaxSilent + more {
		if got := must(s.Silent(ctx, "ana", fmt.Sprint(n), noon)); got != (n >= more) {
			t.Errorf("type %d: %v", n, got)
		}
	}
	// The newest stays, also after the clock was set back.
	if err := s.RememberSilent(ctx, "ana", "late", at(-1000)); err != nil {
		t.Fatal(err)
	}
	if !must(s.Silent(ctx, "ana", "late", noon)) || must(s.Silent(ctx, "ana", fmt.Sprint(more), noon)) {
		t.Error("what came last was not kept, or one too many")
	}
	if !must(s.Silent(ctx, "ben", "0", noon)) {
		t.Error("ben's was forgotten with ana's")
	}
}
