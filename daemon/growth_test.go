package daemon_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ksd/conf"
	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

// onePhrase makes every login of a test one typing of one phrase.
func onePhrase(c *conf.Config) {
	c.Challenge.Phrases = c.Challenge.Phrases[:1]
	c.Policy.Attempts = 1
	c.Training.Automatic = false
}

// grown tells how much of a person joined and waits.
func grown(t *testing.T, d *ksdtest.Daemon, user string) string {
	t.Helper()
	d.As(ksdtest.AdminUID)
	c := d.Client()
	defer c.Close()
	p := must(c.User(t.Context(), user))(t)
	return fmt.Sprintf("%d+%d", p.Grown, p.Waiting)
}

// logsIn takes a person through one login and fails where it ends otherwise
// than wanted.
func logsIn(t *testing.T, c *wire.Client, user string, hands *ksdtest.Typist, want wire.Code) wire.Answer {
	t.Helper()
	code, a := verify(t, c, user, hands)
	if code != want {
		t.Fatalf("login of %s: %s, want %s", user, code, want)
	}
	return a
}

// TestGrows follows one person: what waits, what joins, what drops it, how it is
// shown and recorded, and that it survives a restart.
func TestGrows(t *testing.T) {
	d := ksdtest.Start(t, onePhrase)
	ana, stranger := ksdtest.NewTypist(1, tempo), ksdtest.NewTypist(2, 3*tempo)
	d.Enrol("ana", ana)
	at := d.Clock.Now()
	for _, step := range []struct {
		what string
		do   func(c *wire.Client)
		want string
	}{
		{"an accept waits", func(c *wire.Client) { logsIn(t, c, "ana", ana, wire.Accept) }, "0+1"},
		{"a refusal drops it", func(c *wire.Client) { logsIn(t, c, "ana", stranger, wire.Refuse) }, "0+0"},
		{"it does not join afterwards", func(c *wire.Client) { logsIn(t, c, "ana", ana, wire.Accept) }, "0+1"},
		{"giving up drops it", func(c *wire.Client) { ask(t, c, "ana"); ask(t, c, "ana") }, "0+0"},
		{"another accept", func(c *wire.Client) { logsIn(t, c, "ana", ana, wire.Accept) }, "0+1"},
		{"a restart drops nothing", func(c *wire.Client) {
			_ = c.Close()
			if err := d.Stop(); err != nil {
				t.Fatal(err)
			}
			d.Start()
		}, "0+1"},
		{"two in a row", func(c *wire.Client) { logsIn(t, c, "ana", ana, wire.Accept) }, "1+1"},
		{"three", func(c *wire.Client) { d.Clock.Advance(time.Hour); logsIn(t, c, "ana", ana, wire.Accept) }, "2+1"},
		{"a refusal takes nothing that joined", func(c *wire.Client) { logsIn(t, c, "ana", stranger, wire.Refuse) }, "2+0"},
		{"nothing waits for root's word", func(c *wire.Client) {
			if g := must(c.Confirm(t.Context(), "ana"))(t); g != (wire.Growth{}) {
				t.Errorf("confirmed %+v", g)
			}
		}, "2+0"},
		{"an accept", func(c *wire.Client) { logsIn(t, c, "ana", ana, wire.Accept) }, "2+1"},
		{"root's word", func(c *wire.Client) {
			if g := must(c.Confirm(t.Context(), "ana"))(t); g != (wire.Growth{Waited: 1, Joined: 1}) {
				t.Errorf("confirmed %+v", g)
			}
		}, "3+0"},
		{"a fourth and a fifth", func(c *wire.Client) {
			for range 3 {
				logsIn(t, c, "ana", ana, wire.Accept)
			}
		}, "5+1"},
		{"no more this week", func(c *wire.Client) { logsIn(t, c, "ana", ana, wire.Accept) }, "5+1"},
		{"not by root's word either", func(c *wire.Client) {
			if g := must(c.Confirm(t.Context(), "ana"))(t); g != (wire.Growth{Waited: 1}) {
				t.Errorf("confirmed %+v", g)
			}
		}, "5+0"},
	} {
		c := d.Client()
		step.do(c)
		_ = c.Close()
		if got := grown(t, d, "ana"); got != step.want {
			t.Fatalf("%s: joined+waiting %s, want %s", step.what, got, step.want)
		}
	}
	c := d.Client()
	if p := must(c.User(t.Context(), "ana"))(t); !p.GrownSince.Equal(at) || p.Samples != d.Config.Challenge.Typings {
		t.Errorf("person %+v: grown since %v, want %v", p, p.GrownSince, at)
	}
	want := strings.Repeat("1 of 1 typing joined,", 5) + "0 of 1 typing joined,"
	if got := strings.ReplaceAll(recorded(t, d, "grow"), "0 of 0 typings joined,", ""); got != want {
		t.Errorf("audit log %q, want %q", got, want)
	}
	for i := range 3 {
		d.Clock.Advance(7 * 24 * time.Hour)
		for range 8 {
			logsIn(t, c, "ana", ana, wire.Accept)
		}
		if got, want := grown(t, d, "ana"), fmt.Sprintf("%d+1", min(5*(i+2), d.Config.Adapt.Window)); got != want {
			t.Errorf("week %d: joined+waiting %s, want %s", i+2, got, want)
		}
	}
}

// recorded returns the outcomes of one kind of event, oldest first, each with a
// comma.
func recorded(t *testing.T, d *ksdtest.Daemon, event string) string {
	t.Helper()
	d.As(ksdtest.AdminUID)
	c := d.Client()
	defer c.Close()
	var out []string
	for _, e := range must(c.Audit(t.Context(), "", 1000))(t) {
		if e.Event == event {
			out = append(out, e.Outcome+",")
		}
	}
	slices.Reverse(out)
	return strings.Join(out, "")
}

// usual returns the owner's usual interval as the templates have it.
func usual(t *testing.T, a wire.Answer) float64 {
	t.Helper()
	if a.Detail == nil || len(a.Detail.Rhythm) == 0 {
		t.Fatalf("no detail: %+v", a)
	}
	return a.Detail.Rhythm[0].UsualMS
}

// TestTemplatesFollow has a person type slower by and by. The templates follow,
// a little after a typing joined; switched off, they are those of the enrolment;
// thrown away, it is gone.
func TestTemplatesFollow(t *testing.T) {
	d := ksdtest.Start(t, onePhrase)
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	slower := ana.At(6 * tempo / 5)
	c := d.Client()
	before := usual(t, logsIn(t, c, "ana", slower, wire.Accept))
	for range 3 {
		d.Clock.Advance(7 * 24 * time.Hour)
		for range 7 {
			logsIn(t, c, "ana", slower, wire.Accept)
		}
	}
	if now := usual(t, logsIn(t, c, "ana", slower, wire.Accept)); now <= before {
		// The renewal that the weeks started may still be on its way.
		for deadline := time.Now().Add(ksdtest.Patience); now <= before; now = usual(t, logsIn(t, c, "ana", slower, wire.Accept)) {
			if time.Now().After(deadline) {
				t.Fatalf("the usual interval is %v ms as before", now)
			}
		}
	}
	config := d.Config
	config.Adapt.Enabled = false
	d.Reload(config, nil)
	if now := usual(t, logsIn(t, c, "ana", slower, wire.Accept)); now != before {
		t.Errorf("switched off: the usual interval is %v ms, %v ms at the enrolment", now, before)
	}
	if got := grown(t, d, "ana"); got != "10+0" {
		t.Errorf("switched off: joined+waiting %s, want what joined, and nothing that waits", got)
	}
	_, err := c.Confirm(t.Context(), "ana")
	wantCode(t, "confirm, switched off", err, wire.CodeBadRequest)
	d.Reload(d.Config, nil)
	if now := usual(t, logsIn(t, c, "ana", slower, wire.Accept)); now <= before {
		t.Errorf("switched on again: the usual interval is %v ms, %v ms at the enrolment", now, before)
	}
	if p := must(c.Revert(t.Context(), "ana"))(t); p.Grown != 10 {
		t.Errorf("reverted from %+v", p)
	}
	if now := usual(t, logsIn(t, c, "ana", slower, wire.Accept)); now != before {
		t.Errorf("reverted: the usual interval is %v ms, %v ms at the enrolment", now, before)
	}
	if got := grown(t, d, "ana"); got != "0+1" {
		t.Errorf("reverted: joined+waiting %s", got)
	}
	if got := recorded(t, d, "revert"); got != "10 typings thrown away," {
		t.Errorf("audit log %q", got)
	}
}

// TestAnchor has hands drift away from the enrolment, each step so small that
// the templates of the day accept it. Beyond what the enrolment alone does not
// refuse, 1.6 times its tempo, nothing joins.
func TestAnchor(t *testing.T) {
	d := ksdtest.Start(t, onePhrase, func(c *conf.Config) { c.Adapt.Window, c.Adapt.PerWeek = 10, 10 })
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	for i, x := range []struct {
		factor float64
		joined int // at that tempo
	}{{1.15, 10}, {1.31, 10}, {1.49, 10}, {1.72, 0}} {
		d.Clock.Advance(8 * 24 * time.Hour)
		week := d.Clock.Now()
		hands, c := ana.At(time.Duration(x.factor*float64(tempo))), d.Client()
		for range 11 {
			logsIn(t, c, "ana", hands, wire.Accept)
		}
		if err := d.Stop(); err != nil { // which builds templates anew
			t.Fatal(err)
		}
		d.Start()
		since := must(d.Client().User(t.Context(), "ana"))(t).GrownSince
		if all := x.joined > 0; all != since.Equal(week) {
			t.Errorf("week %d: the oldest in the window is of %v, this week began %v, %d should have joined", i, since, week, x.joined)
		}
		if got := grown(t, d, "ana"); got != "10+1" {
			t.Errorf("week %d: joined+waiting %s, want 10+1", i, got)
		}
	}
	// The last of them was typed a week before, at a tempo that was near enough.
	if got := strings.Count(recorded(t, d, "grow"), "1 of 1"); got != 31 {
		t.Errorf("%d joined by the audit log, want 31", got)
	}
}

// TestOnlyAdministratorsLoginsGrow has a person pass challenges as itself, as
// anybody at its unlocked shell could: they neither wait nor confirm.
func TestOnlyAdministratorsLoginsGrow(t *testing.T) {
	d := ksdtest.Start(t, onePhrase)
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	own := func(want wire.Code, hands *ksdtest.Typist) {
		t.Helper()
		d.As(d.UID("ana"))
		c := d.Client()
		defer c.Close()
		logsIn(t, c, "ana", hands, want)
	}
	own(wire.Accept, ana)
	own(wire.Accept, ana)
	if got := grown(t, d, "ana"); got != "0+0" {
		t.Errorf("joined+waiting %s, want nothing", got)
	}
	logsIn(t, d.Client(), "ana", ana, wire.Accept)
	own(wire.Accept, ana)
	if got := grown(t, d, "ana"); got != "0+1" {
		t.Errorf("joined+waiting %s: her own challenge changed something", got)
	}
	own(wire.Refuse, ksdtest.NewTypist(2, 3*tempo))
	if got := grown(t, d, "ana"); got != "0+0" {
		t.Errorf("joined+waiting %s: a refusal counts wherever it comes from", got)
	}
	d.As(d.UID("ana"))
	c := d.Client()
	_, err := c.Confirm(t.Context(), "ana")
	wantCode(t, "confirm as herself", err, wire.CodeForbidden)
	_, err = c.Revert(t.Context(), "ana")
	wantCode(t, "revert as herself", err, wire.CodeForbidden)
	d.As(ksdtest.AdminUID)
	c = d.Client()
	_, err = c.Confirm(t.Context(), "nobody")
	wantCode(t, "confirm nobody", err, wire.CodeUnenrolled)
	_, err = c.Revert(t.Context(), "nobody")
	wantCode(t, "revert nobody", err, wire.CodeUnenrolled)
}

// TestOnlyEnrolledPhrasesGrow accepts a typing of a phrase that can no longer be
// asked for: it does not wait.
func TestOnlyEnrolledPhrasesGrow(t *testing.T) {
	d := ksdtest.Start(t, onePhrase)
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	c := d.Client()
	ch := ask(t, c, "ana")
	config := d.Config
	config.Policy.MinSamples = config.Challenge.Typings + 1
	d.Reload(config, nil)
	if a := answer(t, c, ch, ana.Sample(ch.Phrase)); a.Code != wire.Accept {
		t.Fatalf("answer %+v", a)
	}
	if got := grown(t, d, "ana"); got != "0+0" {
		t.Errorf("joined+waiting %s", got)
	}
}

// TestTrainingGetsWhatGrew has the network follow what joined, once it is a day
// old. What a training is given of it is a sitting of its own, the last.
func TestTrainingGetsWhatGrew(t *testing.T) {
	d := ksdtest.Start(t, onePhrase, func(c *conf.Config) { c.Training.Automatic = true })
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	c := d.Client()
	pass := func(after time.Duration) {
		d.Clock.AwaitTimer(after)
		d.Clock.Advance(after)
	}
	trained := func(s wire.Status) bool { return s.Job == "" && s.Model.Trained.Equal(d.Clock.Now()) }
	pass(d.Config.Training.Settle)
	await(t, c, "training after the enrolment", trained)
	d.Clock.Advance(24 * time.Hour)
	for range 3 {
		logsIn(t, c, "ana", ana, wire.Accept)
	}
	pass(time.Minute)
	await(t, c, "training is due", func(s wire.Status) bool { return s.Job != "" })
	pass(d.Config.Training.Settle)
	await(t, c, "training after the logins", trained)
	runs, people := d.Ear.Trained()
	if runs != 2 || len(people) != 1 || len(people[0].Sittings) != 2 {
		t.Fatalf("%d trainings, the last on %+v", runs, people)
	}
	if s := people[0].Sittings[1]; len(s.Samples) != 2 || s.ID == people[0].Sittings[0].ID {
		t.Errorf("what grew is sitting %d with %d samples, want 2 in one of its own", s.ID, len(s.Samples))
	}
}

// TestDeleteTakesWhatGrew deletes a person and enrols it anew: nothing is left.
func TestDeleteTakesWhatGrew(t *testing.T) {
	d := ksdtest.Start(t, onePhrase)
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	c := d.Client()
	for range 3 {
		logsIn(t, c, "ana", ana, wire.Accept)
	}
	if p := must(c.Delete(t.Context(), "ana"))(t); p.Grown != 2 || p.Waiting != 1 {
		t.Errorf("deleted %+v", p)
	}
	d.Enrol("ana", ana)
	if got := grown(t, d, "ana"); got != "0+0" {
		t.Errorf("enrolled anew: joined+waiting %s", got)
	}
}

// TestNothingJoinsUnrecorded has the audit log refuse the entry of a joining:
// the login is accepted, and nothing joins.
func TestNothingJoinsUnrecorded(t *testing.T) {
	d := ksdtest.Start(t, onePhrase)
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	c := d.Client()
	logsIn(t, c, "ana", ana, wire.Accept)
	db := must(sql.Open("sqlite", filepath.Join(d.Config.Daemon.State, "ksd.db")))(t)
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `CREATE TRIGGER no_growth BEFORE INSERT ON audit
		WHEN new.event = 'grow' BEGIN SELECT raise(ABORT, 'the disk is full'); END`); err != nil {
		t.Fatal(err)
	}
	logsIn(t, c, "ana", ana, wire.Accept)
	if got := grown(t, d, "ana"); got[0] != '0' {
		t.Errorf("joined+waiting %s, want nothing that joined", got)
	}
}

// TestAuditIsPruned lets entries grow old: they go, the others stay.
func TestAuditIsPruned(t *testing.T) {
	d := ksdtest.Start(t, onePhrase, func(c *conf.Config) { c.Audit.KeepDays = 30 })
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	c := d.Client()
	logsIn(t, c, "ana", ana, wire.Accept)
	entries := func() int { return len(must(c.Audit(t.Context(), "ana", 100))(t)) }
	settled := func(want int, advance time.Duration) {
		t.Helper()
		d.Clock.AwaitTimer(advance)
		d.Clock.Advance(advance)
		for deadline := time.Now().Add(ksdtest.Patience); entries() != want; {
			if time.Now().After(deadline) {
				t.Fatalf("%d entries, want %d", entries(), want)
			}
		}
	}
	all := entries()
	settled(all, time.Hour)
	d.Clock.AwaitTimer(24 * time.Hour)
	d.Clock.Advance(23 * time.Hour)
	logsIn(t, c, "ana", ana, wire.Accept)
	d.Clock.Advance(29 * 24 * time.Hour)
	recent := entries() - all
	settled(recent, 24*time.Hour)
	if recent < 1 {
		t.Errorf("%d entries are left", recent)
	}
}
