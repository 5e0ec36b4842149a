package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

func TestSittingRefuses(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	must(s.OpenSitting(ctx, "ana", 1000, keystroke.Press, noon))
	for _, c := range []struct {
		what, person string
		uid          int
		channel      keystroke.Channel
		want         error
	}{
		{"no name", "", 1, keystroke.Press, ErrInvalid},
		{"long name", strings.Repeat("x", 257), 1, keystroke.Press, ErrInvalid},
		{"control character", "ana\n", 1, keystroke.Press, ErrInvalid},
		{"not UTF-8", "ana\xff", 1, keystroke.Press, ErrInvalid},
		{"no channel", "ben", 1, "", ErrInvalid},
		{"unknown channel", "ben", 1, "radio", ErrInvalid},
		{"an account made anew", "ana", 1001, keystroke.Press, ErrOtherUID},
	} {
		if got, err := s.OpenSitting(ctx, c.person, c.uid, c.channel, noon); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v, want %v", c.what, got, err, c.want)
		}
	}
	if people, err := s.People(ctx); err != nil || len(people) != 1 {
		t.Errorf("a refusal left %+v, %v", people, err)
	}
}

func TestSampleRefuses(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	sitting := must(s.OpenSitting(ctx, "ana", 1, keystroke.Press, noon)).ID
	closed := must(s.OpenSitting(ctx, "ben", 2, keystroke.Press, noon)).ID
	if err := s.CloseSitting(ctx, closed, noon); err != nil {
		t.Fatal(err)
	}
	other := sample(3)
	other.Sample.Channel = keystroke.Full
	backwards := sample(3)
	backwards.Sample.Events[2].Down = 1
	huge := sample(1)
	huge.Sample.Phrase = strings.Repeat("x", MaxBody)
	for _, c := range []struct {
		what    string
		sitting int64
		sample  Sample
		want    error
	}{
		{"no sitting", 99, sample(3), ErrNotFound},
		{"closed sitting", closed, sample(3), ErrClosed},
		{"other channel", sitting, other, ErrInvalid},
		{"no events", sitting, sample(0), ErrInvalid},
		{"too many events", sitting, sample(keystroke.MaxEvents + 1), ErrInvalid},
		{"back in time", sitting, backwards, ErrInvalid},
		{"too large", sitting, huge, ErrInvalid},
	} {
		if err := s.AddSample(ctx, c.sitting, c.sample); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
	if err := s.CloseSitting(ctx, 99, noon); !errors.Is(err, ErrNotFound) {
		t.Errorf("closing no sitting: %v", err)
	}
	if err := s.CloseSitting(ctx, closed, noon); !errors.Is(err, ErrClosed) {
		t.Errorf("closing twice: %v", err)
	}
	if p, err := s.Person(ctx, "ana"); err != nil || len(p.Sittings[0].Samples) != 0 {
		t.Errorf("a refusal left %+v, %v", p, err)
	}
}

// A sitting that broke off goes on where it was, on its own channel; a closed
// one does not.
func TestSittingResumes(t *testing.T) {
	s, dir := open(t)
	ctx := t.Context()
	first := must(s.OpenSitting(ctx, "ana", 1000, keystroke.Press, at(0)))
	full := must(s.OpenSitting(ctx, "ana", 1000, keystroke.Full, at(1)))
	if first.ID == full.ID || len(first.Samples) != 0 {
		t.Fatalf("%+v and %+v", first, full)
	}
	warm := sample(2)
	warm.Warmup = true
	for _, one := range []Sample{warm, sample(4), sample(3)} {
		if err := s.AddSample(ctx, first.ID, one); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	s = reopen(t, dir)
	got := must(s.OpenSitting(ctx, "ana", 1000, keystroke.Press, at(9)))
	want := Sitting{
		ID: first.ID, Person: "ana", Channel: keystroke.Press, Opened: at(0).UTC(),
		Samples: []Sample{
			{Warmup: true, Taken: at(2).UTC(), Sample: warm.Sample},
			{Taken: at(4).UTC(), Sample: sample(4).Sample},
			{Taken: at(3).UTC(), Sample: sample(3).Sample},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("resumed\n%+v\nwant\n%+v", got, want)
	}
	if n := got.Counted(); len(n) != 2 || len(n[0].Events) != 4 {
		t.Errorf("%d samples count, want the 2 that are no warm-ups", len(n))
	}
	if err := s.CloseSitting(ctx, first.ID, at(10)); err != nil {
		t.Fatal(err)
	}
	next := must(s.OpenSitting(ctx, "ana", 1000, keystroke.Press, at(11)))
	if next.ID == first.ID || len(next.Samples) != 0 {
		t.Errorf("a closed sitting was resumed: %+v", next)
	}
	p := must(s.Person(ctx, "ana"))
	if len(p.Sittings) != 3 || !p.Sittings[0].Closed.Equal(at(10)) || !p.Sittings[1].Closed.IsZero() {
		t.Errorf("sittings %+v", p.Sittings)
	}
}

// What was typed before there was an enrolment may be somebody else's, and is
// not resumed after it: neither on another channel nor as another account's.
func TestSittingFromBeforeTheEnrolment(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	early := must(s.OpenSitting(ctx, "ana", 1, keystroke.Press, at(0)))
	bens := must(s.OpenSitting(ctx, "ben", 2, keystroke.Press, at(0)))
	first := must(s.OpenSitting(ctx, "ana", 1, keystroke.Full, at(1)))
	if err := errors.Join(
		s.AddSample(ctx, early.ID, sample(3)), s.AddSample(ctx, bens.ID, sample(3)),
		s.CloseSitting(ctx, first.ID, at(9)),
	); err != nil {
		t.Fatal(err)
	}
	if _, err := s.OpenSitting(ctx, "ana", 7, keystroke.Press, at(10)); !errors.Is(err, ErrOtherUID) {
		t.Errorf("another account: %v", err)
	}
	if p := must(s.Person(ctx, "ana")); len(p.Sittings) != 2 {
		t.Errorf("another account's request left %+v", p.Sittings)
	}
	late := must(s.OpenSitting(ctx, "ana", 1, keystroke.Press, at(10)))
	if len(late.Samples) != 0 || !late.Opened.Equal(at(10)) {
		t.Errorf("after the enrolment %+v was resumed", late)
	}
	if p := must(s.Person(ctx, "ana")); len(p.Sittings) != 2 {
		t.Errorf("sittings %+v, want the finished one and the new one", p.Sittings)
	}
	if err := s.AddSample(ctx, early.ID, sample(3)); early.ID != late.ID && !errors.Is(err, ErrNotFound) {
		t.Errorf("the old sitting goes on: %v", err)
	}
	if err := s.AddSample(ctx, late.ID, sample(3)); err != nil {
		t.Fatal(err)
	}
	if again := must(s.OpenSitting(ctx, "ana", 1, keystroke.Press, at(11))); len(again.Samples) != 1 {
		t.Errorf("one from after the enrolment was not resumed: %+v", again)
	}
	if again := must(s.OpenSitting(ctx, "ben", 2, keystroke.Press, at(11))); len(again.Samples) != 1 {
		t.Errorf("ben's, who is not enrolled, was not resumed: %+v", again)
	}
}

// Whatever a keyboard can do comes back as it was.
func TestSampleComesBackWhole(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	full := Sample{Taken: noon, Sample: keystroke.Sample{Phrase: "Grün & \"früh\" '", Channel: keystroke.Full, Events: []keystroke.Event{
		{Key: keystroke.ShiftKey, Down: 0, Up: 100, Released: true},
		{Key: 'g', Rune: 'G', Mods: keystroke.Shift | keystroke.ShiftRight, Down: 1, Up: 1, Released: true},
		{Key: 'ü', Rune: 'ü', Down: 1},
		{Key: keystroke.Space, Rune: ' ', Down: 3, Up: keystroke.MaxDuration, Released: true},
		{Key: keystroke.Backspace, Down: 4},
		{Key: keystroke.Unknown, Rune: '€', Down: keystroke.MaxDuration},
	}}}
	sitting := must(s.OpenSitting(ctx, "jürgen o'neill", 1, keystroke.Full, noon))
	if err := s.AddSample(ctx, sitting.ID, full); err != nil {
		t.Fatal(err)
	}
	p := must(s.Person(ctx, "jürgen o'neill"))
	if got := p.Sittings[0].Samples[0].Sample; !reflect.DeepEqual(got, full.Sample) {
		t.Errorf("got\n%+v\nwant\n%+v", got, full.Sample)
	}
}

func TestPerson(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	if _, err := s.Person(ctx, "ana"); !errors.Is(err, ErrNotFound) {
		t.Errorf("nobody: %v, want ErrNotFound", err)
	}
	for i, name := range []string{"ben", "ana"} {
		must(s.OpenSitting(ctx, name, i, keystroke.Press, at(i)))
	}
	if err := s.AddProbe(ctx, "ana", Probe{Taken: at(50), Sample: sample(3).Sample}); err != nil {
		t.Fatal(err)
	}
	people := must(s.People(ctx))
	if len(people) != 2 || people[0].Name != "ana" || people[1].Name != "ben" {
		t.Fatalf("people %+v, want ana and ben", people)
	}
	ana := must(s.Person(ctx, "ana"))
	if !reflect.DeepEqual(ana, people[0]) {
		t.Errorf("Person returns %+v, People %+v", ana, people[0])
	}
	if ana.UID != 1 || !ana.Created.Equal(at(1)) || !ana.Last.Equal(at(50)) || !people[1].Last.IsZero() {
		t.Errorf("ana %+v, ben %+v", ana, people[1])
	}
}

// Deleting leaves nothing of a person but decisions and lock-outs, in the
// tables and in the bytes of the files.
func TestDeletePerson(t *testing.T) {
	s, dir := open(t)
	ctx := t.Context()
	const mark = "remarkable phrase"
	for _, name := range []string{"ana", "ben"} {
		phrase := mark
		if name == "ben" {
			phrase = "cold water on stones"
		}
		for n := range 5 {
			sitting := must(s.OpenSitting(ctx, name, 1, keystroke.Press, noon))
			if err := errors.Join(
				s.AddSample(ctx, sitting.ID, Sample{Sample: typed(phrase, 100+n)}),
				s.AddProbe(ctx, name, Probe{Sample: typed(phrase, 50)}),
				login(ctx, s, name, phrase, at(n)),
				s.CloseSitting(ctx, sitting.ID, noon),
			); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.AppendAudit(ctx, AuditEntry{When: noon, User: name}); err != nil {
			t.Fatal(err)
		}
		must(s.RecordFailure(ctx, "user:"+name, noon, time.Hour))
	}
	if !inFiles(t, dir, mark) {
		t.Fatal("the mark is not in the files before the deletion")
	}
	if err := s.DeletePerson(ctx, "carl"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleting nobody: %v", err)
	}
	if err := s.DeletePerson(ctx, "ana"); err != nil {
		t.Fatal(err)
	}
	if inFiles(t, dir, mark) {
		t.Error("the phrase is still in the files")
	}
	if _, err := s.Person(ctx, "ana"); !errors.Is(err, ErrNotFound) {
		t.Errorf("ana: %v", err)
	}
	for table, want := range map[string]int{"people": 1, "sittings": 5, "samples": 5, "probes": 5, "grown": 5, "audit": 2, "lockouts": 2} {
		var got int
		if err := s.read.QueryRow("SELECT count(*) FROM " + table).Scan(&got); err != nil || got != want {
			t.Errorf("%s has %d rows, %v, want %d", table, got, err, want)
		}
	}
	// An account of that name may now have another uid.
	if _, err := s.OpenSitting(ctx, "ana", 2, keystroke.Press, noon); err != nil {
		t.Error(err)
	}
}

func inFiles(t *testing.T, dir, mark string) bool {
	t.Helper()
	for _, name := range must(filepath.Glob(filepath.Join(dir, "*"))) {
		if bytes.Contains(must(os.ReadFile(name)), []byte(mark)) {
			return true
		}
	}
	return false
}

func TestImport(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	must(s.OpenSitting(ctx, "ana", 1000, keystroke.Press, noon))
	mixed := sample(3)
	mixed.Sample.Channel = keystroke.Full
	for _, c := range []struct {
		what  string
		third ImportPerson
		want  error
	}{
		{"no name", ImportPerson{}, ErrInvalid},
		{"other uid", ImportPerson{Name: "ana", UID: 7}, ErrOtherUID},
		{"empty sitting", ImportPerson{Name: "carl", Sittings: [][]Sample{{sample(1)}, {}}}, ErrInvalid},
		{"invalid sample", ImportPerson{Name: "carl", Sittings: [][]Sample{{sample(1), sample(0)}}}, ErrInvalid},
		{"two channels", ImportPerson{Name: "carl", Sittings: [][]Sample{{sample(1), mixed}}}, ErrInvalid},
	} {
		two := []ImportPerson{{Name: "ben", UID: -1, Sittings: [][]Sample{{sample(1)}}}, c.third}
		if n, err := s.Import(ctx, two, noon); !errors.Is(err, c.want) || n != 0 {
			t.Errorf("%s: %d, %v, want %v", c.what, n, err, c.want)
		}
		if people := must(s.People(ctx)); len(people) != 1 {
			t.Fatalf("%s: a part was kept: %+v", c.what, people)
		}
	}
	n, err := s.Import(ctx, []ImportPerson{
		{Name: "ben", UID: -1, Sittings: [][]Sample{{sample(1), sample(2)}, {mixed}}},
		{Name: "ana", UID: -1, Sittings: [][]Sample{{sample(4)}}},
	}, at(5))
	if err != nil || n != 4 {
		t.Fatalf("%d samples, %v, want 4", n, err)
	}
	ana, ben := must(s.Person(ctx, "ana")), must(s.Person(ctx, "ben"))
	if len(ana.Sittings) != 2 || ana.UID != 1000 {
		t.Errorf("ana %+v", ana)
	}
	if len(ben.Sittings) != 2 || len(ben.Sittings[0].Samples) != 2 || ben.Sittings[1].Channel != keystroke.Full ||
		!ben.Sittings[0].Closed.Equal(at(5)) || ben.UID != -1 {
		t.Errorf("ben %+v", ben)
	}
	// The first sitting tells whose account it is.
	must(s.OpenSitting(ctx, "ben", 1001, keystroke.Press, noon))
	if ben := must(s.Person(ctx, "ben")); ben.UID != 1001 {
		t.Errorf("ben has uid %d, want 1001", ben.UID)
	}
}

// FuzzBody: a body that can be read is written again as it was meant, and one
// that cannot says nothing of what is in it.
func FuzzBody(f *testing.F) {
	for n := range 4 {
		f.Add(must(json.Marshal(typed("cold water on stones", n))))
	}
	f.Add([]byte(`{"phrase":"x","channel":"full","events":[{"key":"Backspace","down_ns":0,"up_ns":5}]}`))
	f.Add([]byte(`{"events":[{"text":"ab"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := decode(body)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) || err.Error() != "damaged database: a sample cannot be read" {
				t.Errorf("error %v", err)
			}
			return
		}
		again, err := encode(s)
		if errors.Is(err, ErrInvalid) && len(body) > MaxBody/8 {
			return // too large, written out
		}
		if err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
		if s2 := must(decode([]byte(again))); !reflect.DeepEqual(s, s2) {
			t.Errorf("%+v came back as %+v", s, s2)
		}
	})
}
