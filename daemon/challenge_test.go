package daemon_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // to break a database on purpose

	"ksd/conf"
	"ksd/internal/keystroke"
	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

// ask asks for a challenge of a user.
func ask(t *testing.T, c *wire.Client, user string) wire.Challenge {
	t.Helper()
	return must(c.Challenge(t.Context(), wire.ChallengeRequest{User: user, Service: "test"}))(t)
}

// answer answers a challenge.
func answer(t *testing.T, c *wire.Client, ch wire.Challenge, s keystroke.Sample) wire.Answer {
	t.Helper()
	return must(c.Answer(t.Context(), ch.ID, wire.Typing{Sample: s}))(t)
}

// outcomes returns the outcomes in the audit log about a user, oldest first.
func outcomes(t *testing.T, d *ksdtest.Daemon, user string) []string {
	t.Helper()
	d.As(ksdtest.AdminUID)
	c := d.Client()
	defer c.Close()
	var out []string
	for _, e := range must(c.Audit(t.Context(), user, 100))(t) {
		if e.Event == "challenge" {
			out = append(out, e.Outcome)
		}
	}
	slices.Reverse(out)
	return out
}

// TestChallengeOnce answers a challenge twice, on another connection, too late,
// with a broken body, and after a new one was asked for. None is heard.
func TestChallengeOnce(t *testing.T) {
	d := ksdtest.Start(t)
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	c, other := d.Client(), d.Client()

	ch := ask(t, c, "ana")
	_, err := other.Answer(t.Context(), ch.ID, wire.Typing{Sample: ana.Sample(ch.Phrase)})
	wantCode(t, "on another connection", err, wire.CodeNotFound)
	if a := answer(t, c, ch, ana.Sample(ch.Phrase)); a.Code != wire.Accept {
		t.Fatalf("the first answer: %+v", a)
	}
	_, err = c.Answer(t.Context(), ch.ID, wire.Typing{Sample: ana.Sample(ch.Phrase)})
	wantCode(t, "a second time", err, wire.CodeNotFound)

	ch = ask(t, c, "ana")
	d.Clock.Advance(d.Config.Challenge.Expire + time.Millisecond)
	_, err = c.Answer(t.Context(), ch.ID, wire.Typing{Sample: ana.Sample(ch.Phrase)})
	wantCode(t, "too late", err, wire.CodeExpired)

	ch = ask(t, c, "ana")
	_, err = c.Answer(t.Context(), ch.ID, wire.Typing{})
	wantCode(t, "without a sample", err, wire.CodeBadRequest)
	_, err = c.Answer(t.Context(), ch.ID, wire.Typing{Sample: ana.Sample(ch.Phrase)})
	wantCode(t, "after a broken body", err, wire.CodeNotFound)

	old := ask(t, c, "ana")
	ch = ask(t, c, "ana")
	_, err = c.Answer(t.Context(), old.ID, wire.Typing{Sample: ana.Sample(old.Phrase)})
	wantCode(t, "after a new one", err, wire.CodeNotFound)
	if a := answer(t, c, ch, ana.Sample(ch.Phrase)); a.Code != wire.Accept {
		t.Errorf("the new one: %+v", a)
	}
	want := []string{"accept", "timeout", "unusable", "cancelled", "accept"}
	if got := outcomes(t, d, "ana"); !slices.Equal(got, want) {
		t.Errorf("audit log %q, want %q", got, want)
	}
}

// TestClosedConnection leaves a challenge unanswered: it is given up when the
// connection ends, and recorded.
func TestClosedConnection(t *testing.T) {
	d := ksdtest.Start(t)
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	c := d.Client()
	ask(t, c, "ana")
	_ = c.Close()
	if err := d.Stop(); err != nil { // waits for the session's end
		t.Fatal(err)
	}
	d.Start()
	if got := outcomes(t, d, "ana"); !slices.Equal(got, []string{"cancelled"}) {
		t.Errorf("audit log %q, want cancelled", got)
	}
}

// TestUnusable brings what cannot be judged: the same phrase is asked for
// again, and in the end the claim is over.
func TestUnusable(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Policy.Tries = 5 })
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	c := d.Client()
	ch := ask(t, c, "ana")
	phrase := ch.Phrase
	for _, one := range []struct {
		reason wire.Reason
		change func(*keystroke.Sample)
	}{
		{wire.ReasonText, func(s *keystroke.Sample) { s.Events = s.Events[:len(s.Events)-1] }},
		{wire.ReasonText, func(s *keystroke.Sample) { s.Phrase = "something else" }},
		{wire.ReasonChannel, func(s *keystroke.Sample) { s.Channel = keystroke.SSHPress }},
		{wire.ReasonCorrections, func(s *keystroke.Sample) { *s = corrected(*s, d.Config.Challenge.Corrections+1) }},
	} {
		s := ana.Sample(phrase)
		one.change(&s)
		a := answer(t, c, ch, s)
		if a.Reason != one.reason || a.Next == nil || a.Code != "" {
			t.Fatalf("answer %+v, want %s and a next one", a, one.reason)
		}
		if a.Next.Phrase != phrase || a.Next.ID == ch.ID || a.Next.Try != 1 {
			t.Errorf("next %+v after %+v, want the same phrase with a new word", a.Next, ch)
		}
		ch = *a.Next
	}
	s := ana.Sample(phrase)
	s.Phrase = "something else"
	if a := answer(t, c, ch, s); a.Code != wire.Unusable || a.Reason != wire.ReasonText || a.Next != nil {
		t.Errorf("the last answer %+v, want %s", a, wire.Unusable)
	}

	ch = ask(t, c, "ana")
	if a := answer(t, c, ch, corrected(ana.Sample(ch.Phrase), d.Config.Challenge.Corrections)); a.Reason != "" {
		t.Errorf("as many corrections as are allowed: %+v", a)
	}
}

// corrected returns s with its last key mistyped and corrected n times.
func corrected(s keystroke.Sample, n int) keystroke.Sample {
	last := s.Events[len(s.Events)-1]
	s.Events = slices.Clone(s.Events)
	for range n {
		back, again := keystroke.Event{Key: keystroke.Backspace}, last
		back.Down = s.Events[len(s.Events)-1].Down + 50*time.Millisecond
		again.Down = back.Down + 50*time.Millisecond
		s.Events = append(s.Events, back, again)
	}
	return s
}

// TestSequence types in a tempo that tells nothing: another phrase is asked for
// each time, never the same twice, until there is none left and the gate
// refuses. Then the next attempt begins.
func TestSequence(t *testing.T) {
	d := ksdtest.Start(t)
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	vague := ana.At(tempo * 14 / 10)
	c := d.Client()
	ch := ask(t, c, "ana")
	var asked []string
	for typed := 1; ; typed++ {
		asked = append(asked, ch.Phrase)
		if want := 1 + (typed-1)/d.Config.Policy.MaxPhrases; ch.Try != want || ch.Tries != 2 {
			t.Errorf("typing %d is try %d of %d, want %d of 2", typed, ch.Try, ch.Tries, want)
		}
		a := answer(t, c, ch, vague.Sample(ch.Phrase))
		if a.Detail == nil || a.Detail.Sum != 0 {
			t.Fatalf("detail %+v, want a sum of 0", a.Detail)
		}
		if a.Next == nil {
			if a.Code != wire.Refuse || typed != 6 {
				t.Errorf("after %d typings %+v, want refuse after 6", typed, a)
			}
			break
		}
		ch = *a.Next
	}
	for i := range asked[1:] {
		if asked[i] == asked[i+1] {
			t.Errorf("asked for %q twice running", asked[i])
		}
	}
	if got := outcomes(t, d, "ana"); !slices.Equal(got, []string{"refuse", "refuse"}) {
		t.Errorf("audit log %q, want one entry an attempt", got)
	}
}

// TestOnePhrase has only one phrase to ask for: typing it twice would say
// little new, so the attempt is over after one.
func TestOnePhrase(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Challenge.Phrases = c.Challenge.Phrases[:1] })
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	c := d.Client()
	ch := ask(t, c, "ana")
	a := answer(t, c, ch, ana.At(tempo*14/10).Sample(ch.Phrase))
	if a.Next == nil || a.Next.Try != 2 {
		t.Errorf("after one unclear typing %+v, want the second try", a)
	}
}

// TestOrderIsDrawn asks for many first phrases: all of them come up.
func TestOrderIsDrawn(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Challenge.Phrases = c.Challenge.Phrases[:3] })
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	c := d.Client()
	seen := map[string]int{}
	for range 40 {
		ch := ask(t, c, "ana")
		seen[ch.Phrase]++
		answer(t, c, ch, ana.Sample(ch.Phrase))
	}
	if len(seen) != 3 {
		t.Errorf("first phrases %v, want all 3 in 40", seen)
	}
}

// TestLockout fails until the person is locked, waits as long as it is told,
// and meets a wait twice as long. Accept clears it.
func TestLockout(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Policy.Attempts = 1 })
	ana, stranger := ksdtest.NewTypist(1, tempo), ksdtest.NewTypist(2, 3*tempo)
	d.Enrol("ana", ana)
	d.Enrol("bob", ana)
	c := d.Client()
	for range d.Config.Lockout.Failures {
		if code, _ := verify(t, c, "ana", stranger); code != wire.Refuse {
			t.Fatalf("code %s, want refuse", code)
		}
	}
	locked := func(wait string) {
		t.Helper()
		_, err := c.Challenge(t.Context(), wire.ChallengeRequest{User: "ana", Service: "test"})
		wantCode(t, "locked", err, wire.CodeLocked)
		if err != nil && !strings.Contains(err.Error(), wait) {
			t.Errorf("%v, want %s", err, wait)
		}
	}
	locked("30 seconds")
	if p := must(c.User(t.Context(), "ana"))(t); p.Failures != 5 || !p.LockedUntil.Equal(d.Clock.Now().Add(30*time.Second)) {
		t.Errorf("person %+v", p)
	}
	if code, _ := verify(t, c, "bob", ana); code != wire.Accept {
		t.Errorf("bob, who did nothing: %s", code)
	}
	d.Clock.Advance(29 * time.Second)
	locked("1 second")
	d.Clock.Advance(time.Second)
	if code, _ := verify(t, c, "ana", stranger); code != wire.Refuse {
		t.Fatalf("after the wait: %s", code)
	}
	locked("60 seconds")
	d.Clock.Advance(time.Minute)
	if code, _ := verify(t, c, "ana", ana); code != wire.Accept {
		t.Fatalf("ana after the wait: %s", code)
	}
	if p := must(c.User(t.Context(), "ana"))(t); p.Failures != 0 || p.Last.IsZero() {
		t.Errorf("person after an accept %+v", p)
	}

	for range d.Config.Lockout.Failures {
		verify(t, c, "ana", stranger)
	}
	locked("30 seconds")
	if p := must(c.Unlock(t.Context(), "ana"))(t); p.Failures != 0 || !p.LockedUntil.IsZero() {
		t.Errorf("person after unlock %+v", p)
	}
	if code, _ := verify(t, c, "ana", ana); code != wire.Accept {
		t.Errorf("after unlock: %s", code)
	}
}

// TestShownIsPaidFor opens claims on many connections, answers none and closes
// none: the person is locked all the same, before anybody has seen more phrases
// than lockout.failures.
func TestShownIsPaidFor(t *testing.T) {
	d := ksdtest.Start(t)
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	for range d.Config.Lockout.Failures {
		ask(t, d.Client(), "ana")
	}
	_, err := d.Client().Challenge(t.Context(), wire.ChallengeRequest{User: "ana", Service: "test"})
	wantCode(t, "one more", err, wire.CodeLocked)
}

// TestSourceLockout has one source try many people. It is locked for all of
// them, and they are not for others.
func TestSourceLockout(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Policy.Attempts, c.Lockout.SourceFailures = 1, 3 })
	hands, stranger := ksdtest.NewTypist(1, tempo), ksdtest.NewTypist(2, 3*tempo)
	people := []string{"ana", "bob", "eve", "zoe"}
	for _, p := range people {
		d.Enrol(p, hands)
	}
	c := d.Client()
	from := func(user, source string, hands *ksdtest.Typist) error {
		ch, err := c.Challenge(t.Context(), wire.ChallengeRequest{User: user, Service: "test", Source: source})
		if err == nil {
			answer(t, c, ch, hands.Sample(ch.Phrase))
		}
		return err
	}
	for _, p := range people[:3] {
		if err := from(p, "host:192.0.2.1", stranger); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, "a fourth", from("zoe", "host:192.0.2.1", hands), wire.CodeLocked)
	if err := from("zoe", "host:192.0.2.2", hands); err != nil {
		t.Errorf("zoe from elsewhere: %v", err)
	}
	d.As(d.UID("zoe"))
	_ = c.Close()
	c = d.Client()
	if err := from("zoe", "host:192.0.2.1", hands); err != nil {
		t.Errorf("zoe, whose word about the source is not believed: %v", err)
	}
}

// TestAuditFailureDenies takes the audit log away: nobody gets in, and nobody
// is let off.
func TestAuditFailureDenies(t *testing.T) {
	d := ksdtest.Start(t)
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	c := d.Client()
	ch := ask(t, c, "ana")
	db, err := sql.Open("sqlite", filepath.Join(d.Config.Daemon.State, "ksd.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(context.Background(), "ALTER TABLE audit RENAME TO elsewhere"); err != nil {
		t.Fatal(err)
	}
	if a := answer(t, c, ch, ana.Sample(ch.Phrase)); a.Code != wire.Failed {
		t.Errorf("answer %+v, want %s", a, wire.Failed)
	}
	if _, err := c.Delete(t.Context(), "ana"); err == nil {
		t.Error("a person was deleted without a trace")
	}
	if _, err := db.ExecContext(context.Background(), "ALTER TABLE elsewhere RENAME TO audit"); err != nil {
		t.Fatal(err)
	}
	if p := must(c.User(t.Context(), "ana"))(t); p.Failures != 1 || !p.Last.IsZero() || !p.Enrolled {
		t.Errorf("person %+v, want one failure", p)
	}
}

// TestCopies replays an accepted typing: as it was, and with the noise of a
// clean line. Both are refused, and the log says why.
func TestCopies(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) {
		c.Policy.Attempts = 1
		c.Challenge.Phrases = c.Challenge.Phrases[:1]
	})
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	c := d.Client()
	ch := ask(t, c, "ana")
	taped := ana.Sample(ch.Phrase)
	if a := answer(t, c, ch, taped); a.Code != wire.Accept {
		t.Fatalf("answer %+v", a)
	}
	if a := answer(t, c, ask(t, c, "ana"), taped); a.Code != wire.Refuse {
		t.Errorf("the same typing again: %+v", a)
	}
	noisy := taped
	noisy.Events = slices.Clone(taped.Events)
	for i := range noisy.Events[1:] {
		noisy.Events[i+1].Down += time.Duration(i%3) * 900 * time.Microsecond
	}
	if a := answer(t, c, ask(t, c, "ana"), noisy); a.Code != wire.Refuse {
		t.Errorf("with a little noise: %+v", a)
	}
	ch = ask(t, c, "ana")
	if a := answer(t, c, ch, ana.Sample(ch.Phrase)); a.Code != wire.Accept {
		t.Errorf("ana herself: %+v", a)
	}
	want := []string{"accept", "refuse: copy", "refuse: copy", "accept"}
	if got := outcomes(t, d, "ana"); !slices.Equal(got, want) {
		t.Errorf("audit log %q, want %q", got, want)
	}
}

// TestAnotherAccount gives an enrolled name to somebody with another uid: the
// rhythm is not theirs.
func TestAnotherAccount(t *testing.T) {
	d := ksdtest.Start(t)
	ana := ksdtest.NewTypist(1, tempo)
	d.UID("first")
	d.Enrol("ana", ana)
	d.Rename("ana", "old")
	d.UID("ana") // with the next uid
	_, err := d.Client().Challenge(t.Context(), wire.ChallengeRequest{User: "ana", Service: "test"})
	wantCode(t, "challenge", err, wire.CodeUnenrolled)
	_, err = d.Client().OpenSitting(t.Context(), wire.SittingRequest{User: "ana", Channel: keystroke.Press})
	wantCode(t, "sitting", err, wire.CodeForbidden)
}

// TestProof enrols a person anew as itself: only after a challenge on the same
// connection, and not for ever.
func TestProof(t *testing.T) {
	d := ksdtest.Start(t)
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	d.As(d.UID("ana"))
	c, other := d.Client(), d.Client()
	open := func(c *wire.Client) error {
		_, err := c.OpenSitting(t.Context(), wire.SittingRequest{User: "ana", Channel: keystroke.Press})
		return err
	}
	wantCode(t, "at once", open(c), wire.CodeProof)
	if code, _ := verify(t, c, "ana", ksdtest.NewTypist(2, 3*tempo)); code != wire.Refuse {
		t.Fatalf("a stranger: %s", code)
	}
	wantCode(t, "after a refusal", open(c), wire.CodeProof)
	if code, _ := verify(t, c, "ana", ana); code != wire.Accept {
		t.Fatalf("ana: %s", code)
	}
	wantCode(t, "on another connection", open(other), wire.CodeProof)
	if err := open(c); err != nil {
		t.Errorf("with proof: %v", err)
	}
	d.Clock.Advance(wire.ProofLifetime + time.Second)
	wantCode(t, "with an old proof", open(c), wire.CodeProof)
	_, err := c.Delete(t.Context(), "ana")
	wantCode(t, "delete with an old proof", err, wire.CodeProof)
	if code, _ := verify(t, c, "ana", ana); code != wire.Accept {
		t.Fatalf("ana: %s", code)
	}
	if p := must(c.Delete(t.Context(), "ana"))(t); !p.Enrolled {
		t.Errorf("deleted %+v, want it as it was", p)
	}
	_, err = c.Challenge(t.Context(), wire.ChallengeRequest{User: "ana", Service: "test"})
	wantCode(t, "after that", err, wire.CodeUnenrolled)
}
