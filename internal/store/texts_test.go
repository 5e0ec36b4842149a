package store

import (
	"errors"
	"fmt"
	"testing"

	"ksd/internal/keystroke"
)

func TestTexts(t *testing.T) {
	s, dir := open(t)
	ctx := t.Context()
	if first, err := s.TakeText(ctx, "ana", "a text"); first || !errors.Is(err, ErrNotFound) {
		t.Errorf("text of nobody: %v, %v, want ErrNotFound", first, err)
	}
	must(s.OpenSitting(ctx, "ana", 1, keystroke.Press, noon))
	must(s.OpenSitting(ctx, "ben", 2, keystroke.Press, noon))
	take := func(person, text string, want bool) {
		t.Helper()
		if first, err := s.TakeText(ctx, person, text); err != nil || first != want {
			t.Errorf("%s, %q: %v, %v, want %v", person, text, first, err, want)
		}
	}
	take("ana", "a text", true)
	take("ana", "a text", false)
	take("ana", "another", true)
	take("ben", "a text", true)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, dir)
	take("ana", "a text", false)
	if err := s.DeletePerson(ctx, "ana"); err != nil {
		t.Fatal(err)
	}
	must(s.OpenSitting(ctx, "ana", 1, keystroke.Press, noon))
	take("ana", "a text", true)
	take("ben", "a text", false)
}

// The oldest are forgotten, each person's by themselves, and no other.
func TestTextsAreBounded(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	must(s.OpenSitting(ctx, "ana", 1, keystroke.Press, noon))
	must(s.OpenSitting(ctx, "ben", 2, keystroke.Press, noon))
	if !must(s.TakeText(ctx, "ben", "0")) {
		t.Error("ben's is not the first")
	}
	// One by one it takes a while to confirm each on disk.
	for n := range MaxTexts {
		if _, err := s.write.Exec("INSERT INTO texts (person, hash) SELECT id, ? FROM people WHERE name = 'ana'", n); err != nil {
			t.Fatal(err)
		}
	}
	count := func(person string) (n, least int) {
		t.Helper()
		err := s.write.QueryRow("SELECT count(*), min(hash) FROM texts JOIN people ON people.id = person WHERE name = ?", person).Scan(&n, &least)
		if err != nil {
			t.Fatal(err)
		}
		return n, least
	}
	for i := range 3 {
		if !must(s.TakeText(ctx, "ana", fmt.Sprint("new ", i))) {
			t.Errorf("text %d is not the first", i)
		}
	}
	if n, _ := count("ana"); n != MaxTexts {
		t.Errorf("%d texts of ana, want %d", n, MaxTexts)
	}
	var oldest int
	if err := s.write.QueryRow("SELECT hash FROM texts JOIN people ON people.id = person WHERE name = 'ana' ORDER BY texts.id LIMIT 1").Scan(&oldest); err != nil || oldest != 3 {
		t.Errorf("the oldest is %d (%v), want 3", oldest, err)
	}
	if n, _ := count("ben"); n != 1 {
		t.Errorf("%d texts of ben, want 1", n)
	}
}
