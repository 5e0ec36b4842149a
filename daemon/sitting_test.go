package daemon_test

import (
	"slices"
	"testing"
	"time"

	"ksd/conf"
	"ksd/internal/keystroke"
	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

// openPress opens a sitting on channel Press.
func openPress(t *testing.T, c *wire.Client, user string) wire.Sitting {
	t.Helper()
	return must(c.OpenSitting(t.Context(), wire.SittingRequest{User: user, Channel: keystroke.Press}))(t)
}

// TestSittingPlan walks through a sitting: warm-ups first, then the phrases in
// turn, and numbers that add up.
func TestSittingPlan(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Challenge.Warmups, c.Challenge.Typings, c.Policy.MinSamples = 2, 3, 3 })
	phrases := d.Config.Challenge.Phrases
	d.UID("ana")
	ana, c := ksdtest.NewTypist(1, tempo), d.Client()
	s := openPress(t, c, "ana")
	if s.Resumed || s.User != "ana" {
		t.Errorf("sitting %+v", s)
	}
	next := s.Next
	for i := range 2 + 3*5 {
		want := wire.Ask{Phrase: phrases[i%5], Warmup: i < 2, Done: i, Total: 17}
		if i >= 2 {
			want.Phrase = phrases[(i-2)%5]
		}
		if next != want {
			t.Fatalf("typing %d: asked %+v, want %+v", i, next, want)
		}
		_, err := c.Finish(t.Context(), s.ID)
		wantCode(t, "finish too early", err, wire.CodeTooFew)
		r := must(c.Type(t.Context(), s.ID, wire.Typing{Sample: ana.Sample(next.Phrase)}))(t)
		if !r.Kept || r.Stats == nil || r.Stats.WPM < 50 || r.Stats.Accuracy != 1 {
			t.Fatalf("typing %d: %+v, stats %+v", i, r, r.Stats)
		}
		next = r.Next
	}
	if next != (wire.Ask{Done: 17, Total: 17}) {
		t.Errorf("at the end asked %+v", next)
	}
	_, err := c.Type(t.Context(), s.ID, wire.Typing{Sample: ana.Sample(phrases[0])})
	wantCode(t, "one more", err, wire.CodeBadRequest)
	if p := must(c.User(t.Context(), "ana"))(t); p.Enrolled {
		t.Errorf("an open sitting counts: %+v", p)
	}
	if p := must(c.Finish(t.Context(), s.ID))(t); !p.Enrolled || p.Samples != 15 || p.Trained {
		t.Errorf("finished: %+v", p)
	}
	_, err = c.Finish(t.Context(), s.ID)
	wantCode(t, "finish again", err, wire.CodeNotFound)
	if s := openPress(t, c, "ana"); s.Resumed || s.Next.Done != 0 {
		t.Errorf("a second sitting: %+v", s)
	}
}

// TestUnfit brings typings that are not kept. The sitting does not move on.
func TestUnfit(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Challenge.Warmups = 1; c.Challenge.Phrases = c.Challenge.Phrases[:1] })
	d.UID("ana")
	ana, c := ksdtest.NewTypist(1, tempo), d.Client()
	s := openPress(t, c, "ana")
	bring := func(want wire.Reason, x keystroke.Sample, insist bool) {
		t.Helper()
		r := must(c.Type(t.Context(), s.ID, wire.Typing{Sample: x, Insist: insist}))(t)
		if r.Reason != want || r.Kept != (want == "") {
			t.Errorf("%+v, want reason %q", r, want)
		}
		if !r.Kept && r.Next != s.Next {
			t.Errorf("next %+v, want %+v as before", r.Next, s.Next)
		}
		s.Next = r.Next
	}
	phrase := s.Next.Phrase
	taped := ana.Sample(phrase)
	other := ana.Sample("some other text")
	renamed := ana.Sample("some other text")
	renamed.Phrase = phrase
	elsewhere := taped
	elsewhere.Channel = keystroke.SSHPress
	slow := ana.Sample(phrase)
	slow.Events = slices.Clone(slow.Events)
	for i := 7; i < len(slow.Events); i++ {
		slow.Events[i].Down += 3 * time.Second
	}
	for range 2 { // as a warm-up, and as a typing that counts
		bring(wire.ReasonText, other, true)
		bring(wire.ReasonText, renamed, true)
		bring(wire.ReasonChannel, elsewhere, true)
		bring(wire.ReasonTooSlow, slow, true)
		if s.Next.Warmup {
			bring("", corrected(ana.Sample(phrase), 9), false) // warm-ups may be full of them
			continue
		}
		bring(wire.ReasonCorrections, corrected(ana.Sample(phrase), d.Config.Challenge.Corrections+1), true)
	}
	bring("", taped, false)
	bring(wire.ReasonDuplicate, taped, true)
	bring("", ana.Sample(phrase), false)
	bring("", ana.Sample(phrase), false)
	unlike := ana.At(3 * tempo).Sample(phrase)
	bring(wire.ReasonUnlike, unlike, false)
	bring("", unlike, true)

	_, err := c.OpenSitting(t.Context(), wire.SittingRequest{User: "ana", Channel: "smoke"})
	wantCode(t, "a channel that there is not", err, wire.CodeBadRequest)
}

// TestResume breaks a sitting off, by closing the connection and by stopping
// the daemon, and goes on where it was.
func TestResume(t *testing.T) {
	d := ksdtest.Start(t)
	d.UID("ana")
	ana := ksdtest.NewTypist(1, tempo)
	total := 0
	for done := 0; ; {
		c := d.Client()
		s := openPress(t, c, "ana")
		if s.Next.Done != done || s.Resumed != (done > 0) {
			t.Fatalf("sitting %+v, want %d done", s, done)
		}
		total = s.Next.Total
		for range 5 {
			if s.Next.Phrase == "" {
				break
			}
			r := must(c.Type(t.Context(), s.ID, wire.Typing{Sample: ana.Sample(s.Next.Phrase)}))(t)
			s.Next, done = r.Next, r.Next.Done
		}
		if s.Next.Phrase == "" {
			if p := must(c.Finish(t.Context(), s.ID))(t); !p.Enrolled || p.Sittings != 1 {
				t.Errorf("person %+v", p)
			}
			break
		}
		_ = c.Close()
		if done > 10 {
			if err := d.Stop(); err != nil {
				t.Fatal(err)
			}
			d.Start()
		}
	}
	if total != 28 {
		t.Errorf("%d typings in all, want 28", total)
	}
}

// TestSittingBelongsToItsConnection uses the word of a sitting elsewhere, and
// after its person is gone.
func TestSittingBelongsToItsConnection(t *testing.T) {
	d := ksdtest.Start(t)
	d.UID("ana")
	ana, c := ksdtest.NewTypist(1, tempo), d.Client()
	s := openPress(t, c, "ana")
	typing := wire.Typing{Sample: ana.Sample(s.Next.Phrase)}
	_, err := d.Client().Type(t.Context(), s.ID, typing)
	wantCode(t, "typing on another connection", err, wire.CodeNotFound)
	_, err = d.Client().Finish(t.Context(), s.ID)
	wantCode(t, "finish on another connection", err, wire.CodeNotFound)
	must(c.Delete(t.Context(), "ana"))(t)
	_, err = c.Type(t.Context(), s.ID, typing)
	wantCode(t, "after the person was deleted", err, wire.CodeUnenrolled)
}

// TestEarlySittingIsNotResumed leaves a sitting open, enrols on another channel,
// and opens one again with proof: what a guest typed before the enrolment is not
// in it, and the guest's connection cannot go on.
func TestEarlySittingIsNotResumed(t *testing.T) {
	d := ksdtest.Start(t)
	d.UID("ana")
	ana, guest := d.Client(), d.Client()
	early := openPress(t, guest, "ana")
	hands := ksdtest.NewTypist(2, 2*tempo)
	early.Next = must(guest.Type(t.Context(), early.ID, wire.Typing{Sample: hands.Sample(early.Next.Phrase)}))(t).Next
	d.Clock.Advance(time.Minute)
	own := ksdtest.NewTypist(1, tempo)
	var samples []keystroke.Sample
	for _, p := range d.Config.Challenge.Phrases {
		for range d.Config.Policy.MinSamples {
			samples = append(samples, own.Sample(p))
		}
	}
	must(ana.Import(t.Context(), wire.Import{People: []wire.ImportPerson{{User: "ana", Sittings: [][]keystroke.Sample{samples}}}}))(t)
	d.Clock.Advance(time.Minute)
	if s := openPress(t, ana, "ana"); s.Resumed || s.Next.Done != 0 {
		t.Errorf("after the enrolment a sitting goes on: %+v", s)
	}
	_, err := guest.Type(t.Context(), early.ID, wire.Typing{Sample: hands.Sample(early.Next.Phrase)})
	wantCode(t, "the guest goes on", err, wire.CodeNotFound)
}

// TestPhrasesChange changes the configured phrases in the middle of a sitting:
// it is completed with the new ones, and what was typed is kept.
func TestPhrasesChange(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Challenge.Warmups = 0 })
	d.UID("ana")
	ana, c := ksdtest.NewTypist(1, tempo), d.Client()
	s := openPress(t, c, "ana")
	for range 6 {
		s.Next = must(c.Type(t.Context(), s.ID, wire.Typing{Sample: ana.Sample(s.Next.Phrase)}))(t).Next
	}
	changed := d.Config
	changed.Challenge.Phrases = []string{"a brand new phrase here", d.Config.Challenge.Phrases[0]}
	d.Reload(changed, nil)
	s = openPress(t, c, "ana")
	if want := (wire.Ask{Phrase: "a brand new phrase here", Done: 2, Total: 10}); s.Next != want {
		t.Errorf("asked %+v, want %+v", s.Next, want)
	}
	if p := must(c.User(t.Context(), "ana"))(t); p.Samples != 6 {
		t.Errorf("%d samples, want all 6", p.Samples)
	}
}
