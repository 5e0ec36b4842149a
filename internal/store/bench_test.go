package store

import (
	"fmt"
	"path/filepath"
	"testing"

	"ksd/internal/keystroke"
)

// BenchmarkAddSample is the time to confirm one sample of 24 keys on disk.
func BenchmarkAddSample(b *testing.B) {
	s := must(Open(b.Context(), filepath.Join(b.TempDir(), "state")))
	defer s.Close()
	sitting := must(s.OpenSitting(b.Context(), "ana", 1, keystroke.Press, noon))
	for b.Loop() {
		if err := s.AddSample(b.Context(), sitting.ID, sample(24)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPeople is the time to read 100 people with 25 samples of 24 keys
// each, as a start of the daemon does.
func BenchmarkPeople(b *testing.B) {
	s := must(Open(b.Context(), filepath.Join(b.TempDir(), "state")))
	defer s.Close()
	people := make([]ImportPerson, 100)
	for i := range people {
		people[i] = ImportPerson{Name: fmt.Sprint("person", i), UID: -1, Sittings: [][]Sample{nil}}
		for range 25 {
			people[i].Sittings[0] = append(people[i].Sittings[0], sample(24))
		}
	}
	must(s.Import(b.Context(), people, noon))
	for b.Loop() {
		if _, err := s.People(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
