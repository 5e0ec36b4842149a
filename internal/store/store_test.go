package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

// The clock of these tests: a moment with microseconds, and not in UTC.
var noon = time.Date(2026, 3, 1, 13, 0, 0, 123456000, time.FixedZone("", 3600))

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

// open returns a store in a folder of its own, and the folder.
func open(t *testing.T) (*Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	return reopen(t, dir), dir
}

func reopen(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// typed returns a sample of the phrase with n events, on channel Press.
func typed(phrase string, n int) keystroke.Sample {
	s := keystroke.Sample{Phrase: phrase, Channel: keystroke.Press}
	for i := range n {
		s.Events = append(s.Events, keystroke.Event{
			Key: 'a' + keystroke.Key(i%26), Rune: rune('A' + i%26), Mods: keystroke.Shift,
			Down: time.Duration(i) * 123456789,
		})
	}
	return s
}

func sample(n int) Sample { return Sample{Taken: at(n), Sample: typed("cold water on stones", n)} }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestOpenMakesAndKeeps(t *testing.T) {
	s, dir := open(t)
	ctx := t.Context()
	sitting, err := s.OpenSitting(ctx, "ana", 1000, keystroke.Press, noon)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddSample(ctx, sitting.ID, sample(3)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", FileName, FileName + "-wal", FileName + "-shm"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if perm := info.Mode().Perm(); perm&0o077 != 0 {
			t.Errorf("%q has mode %04o", name, perm)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("after Close the folder holds %v, %v, want the database alone", entries, err)
	}
	people, err := reopen(t, dir).People(ctx)
	if err != nil || len(people) != 1 || len(people[0].Sittings) != 1 || len(people[0].Sittings[0].Samples) != 1 {
		t.Errorf("after opening again: %+v, %v", people, err)
	}
}

// Confirmed means on disk: the settings that make it so, as SQLite has them.
func TestSettings(t *testing.T) {
	s, _ := open(t)
	for name, db := range map[string]*sql.DB{"write": s.write, "read": s.read} {
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1",
			"secure_delete": "1", "busy_timeout": "10000",
		} {
			var got string
			if err := db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s: %s is %q, %v, want %q", name, pragma, got, err, want)
			}
		}
	}
	if _, err := s.read.Exec("DELETE FROM people"); err == nil {
		t.Error("the reading connections can write")
	}
}

// Many people enrol at once while others read and are refused: nothing is
// lost and nothing is mixed up.
func TestConcurrency(t *testing.T) {
	const people, samples = 6, 8
	s, _ := open(t)
	ctx := t.Context()
	var wg sync.WaitGroup
	for i := range people {
		wg.Go(func() {
			name := fmt.Sprint("person", i)
			sitting, err := s.OpenSitting(ctx, name, i, keystroke.Press, noon)
			if err != nil {
				t.Error(err)
				return
			}
			for n := range samples {
				if err := s.AddSample(ctx, sitting.ID, sample(10*i+n+1)); err != nil {
					t.Error(err)
				}
				if _, err := s.RecordFailure(ctx, "host:x", at(n), time.Hour); err != nil {
					t.Error(err)
				}
				if _, err := s.Person(ctx, name); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got, err := s.People(ctx)
	if err != nil || len(got) != people {
		t.Fatalf("%d people, %v", len(got), err)
	}
	for i, p := range got {
		if len(p.Sittings) != 1 || len(p.Sittings[0].Samples) != samples {
			t.Fatalf("%s: %+v", p.Name, p.Sittings)
		}
		for n, one := range p.Sittings[0].Samples {
			if len(one.Sample.Events) != 10*i+n+1 {
				t.Errorf("%s: sample %d has %d events", p.Name, n, len(one.Sample.Events))
			}
		}
	}
	if f, err := s.Failures(ctx, "host:x"); err != nil || f.Count != people*samples {
		t.Errorf("%+v, %v, want %d failures", f, err, people*samples)
	}
}

// A caller that has gone away is told so, and changes nothing.
func TestCancelled(t *testing.T) {
	s, _ := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.OpenSitting(ctx, "ana", 1, keystroke.Press, noon); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if people, err := s.People(t.Context()); err != nil || len(people) != 0 {
		t.Errorf("%v, %v", people, err)
	}
}

// Errors go to logs. None shows what was to be typed or what was.
func TestErrorsShowNoPhrase(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	sitting := must(s.OpenSitting(ctx, "ana", 1, keystroke.Press, noon))
	secret := sample(5)
	secret.Sample.Phrase = "swordfish and chips"
	if err := s.AddSample(ctx, sitting.ID, secret); err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.Exec(`UPDATE samples SET body = replace(body, '"text":"A"', '"text":"swordfish"')`); err != nil {
		t.Fatal(err)
	}
	_, corrupt := s.People(ctx)
	if !errors.Is(corrupt, ErrCorrupt) {
		t.Errorf("error %v, want ErrCorrupt", corrupt)
	}
	long := secret
	long.Sample = typed(strings.Repeat("swordfish ", MaxBody/10), 1)
	channel := secret
	channel.Sample.Channel = keystroke.Full
	for _, err := range []error{
		corrupt,
		s.AddSample(ctx, sitting.ID, long),
		s.AddSample(ctx, sitting.ID, channel),
		s.AddSample(ctx, 99, secret),
		s.AddProbe(ctx, "ben", Probe{Sample: secret.Sample}),
	} {
		if err == nil || strings.Contains(err.Error(), "sword") {
			t.Errorf("error: %v", err)
		}
	}
}
