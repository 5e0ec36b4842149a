package daemon_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"ksd/conf"
	"ksd/daemon"
	"ksd/internal/keystroke"
	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

// short makes a sitting of two phrases, four times each.
func short(c *conf.Config) {
	c.Challenge.Phrases, c.Challenge.Warmups, c.Challenge.Typings = c.Challenge.Phrases[:2], 0, 4
}

// TestSittingLeftOpen has a stranger at an unlocked screen open a sitting before
// the owner enrols, keep the connection, and finish it afterwards: it would
// teach the profile a second owner, and every typing would tell whether it is
// like the first one's.
func TestSittingLeftOpen(t *testing.T) {
	d := ksdtest.Start(t, short)
	d.As(d.UID("ana"))
	ana, stranger := ksdtest.NewTypist(1, tempo), ksdtest.NewTypist(2, 3*tempo)
	left := d.Client()
	s := must(left.OpenSitting(t.Context(), wire.SittingRequest{User: "ana", Channel: keystroke.SSHPress}))(t)
	bring := func() error {
		typing := stranger.Sample(s.Next.Phrase)
		typing.Channel = keystroke.SSHPress
		r, err := left.Type(t.Context(), s.ID, wire.Typing{Sample: typing, Insist: true})
		if err == nil {
			s.Next = r.Next
		}
		return err
	}
	for s.Next.Done < s.Next.Total-1 {
		if err := bring(); err != nil {
			t.Fatal(err)
		}
	}
	hers := d.Client()
	if err := ksdtest.Enrol(t.Context(), hers, "ana", ana); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "the last typing", bring(), wire.CodeProof)
	_, err := left.Finish(t.Context(), s.ID)
	wantCode(t, "finish", err, wire.CodeProof)
	if p := must(hers.User(t.Context(), "ana"))(t); p.Channel != string(keystroke.Press) {
		t.Errorf("person %+v, want press alone", p)
	}
	if code, _ := verify(t, hers, "ana", stranger); code != wire.Refuse {
		t.Errorf("the stranger: %s", code)
	}
	if code, _ := verify(t, left, "ana", ana); code != wire.Accept {
		t.Fatalf("ana: %s", code)
	}
	if err := bring(); err != nil {
		t.Errorf("with proof: %v", err)
	}
}

// TestCallerHangsUp has a person deleted by a caller that goes away in the
// middle. What the audit log says must happen, and nobody may be judged by a
// template that is no more.
func TestCallerHangsUp(t *testing.T) {
	d := ksdtest.Start(t, short)
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	o := d.Options()
	var armed atomic.Bool
	reached, hungUp := make(chan struct{}), make(chan struct{})
	o.World.Now = func() time.Time { // the last thing that is asked for before the audit entry
		if armed.CompareAndSwap(true, false) {
			close(reached)
			<-hungUp
		}
		return d.Clock.Now()
	}
	one := must(daemon.New(t.Context(), o))(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- one.Serve(ctx) }()
	<-one.Ready()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	leaving, c := d.Client(), d.Client()
	armed.Store(true)
	request, hangUp := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = leaving.Delete(request, "ana")
	}()
	<-reached
	hangUp()
	<-gone
	for range 20 { // long enough for the daemon to notice
		_ = must(c.Status(t.Context()))(t)
	}
	close(hungUp)
	for deadline := time.Now().Add(ksdtest.Patience); ; time.Sleep(time.Millisecond) {
		p := must(c.User(t.Context(), "ana"))(t)
		if p.Samples == 0 && !p.Enrolled {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("person %+v, want nothing left", p)
		}
	}
}

// TestCopyWithinAnAttempt types one phrase twice in one attempt, the second
// time as a copy of the first. That says nothing new.
func TestCopyWithinAnAttempt(t *testing.T) {
	d := ksdtest.Start(t, short, func(c *conf.Config) { c.Policy.Attempts = 1 })
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	vague, c := ana.At(tempo*14/10), d.Client()
	taped := map[string]keystroke.Sample{}
	ch := ask(t, c, "ana")
	for {
		s, again := taped[ch.Phrase]
		if !again {
			s = vague.Sample(ch.Phrase)
			taped[ch.Phrase] = s
		}
		a := answer(t, c, ch, s)
		if a.Next == nil {
			if !again || a.Code != wire.Refuse {
				t.Errorf("answer %+v to a copy: %v", a, again)
			}
			break
		}
		ch = *a.Next
	}
	if got := outcomes(t, d, "ana"); !slices.Equal(got, []string{"refuse: copy"}) {
		t.Errorf("audit log %q, want a copy", got)
	}
}

// TestReleasesServePress enrols a person with releases alone. At login.sock no
// terminal shows them, and yet the person must not count as unenrolled: hosts
// may let those in.
func TestReleasesServePress(t *testing.T) {
	d := ksdtest.Start(t, short)
	d.UID("ana")
	ana := ksdtest.NewTypist(1, quick)
	in := wire.ImportPerson{User: "ana", Sittings: make([][]keystroke.Sample, 1)}
	for range d.Config.Challenge.Typings {
		for _, phrase := range d.Config.Challenge.Phrases {
			s := ana.Sample(phrase)
			s.Channel = keystroke.Full
			for i := range s.Events {
				s.Events[i].Up, s.Events[i].Released = s.Events[i].Down+quick/2, true
			}
			in.Sittings[0] = append(in.Sittings[0], s)
		}
	}
	must(d.Client().Import(t.Context(), wire.Import{People: []wire.ImportPerson{in}}))(t)
	d.As(0)
	term := ksdtest.NewTerminal(t)
	h := handOver(t.Context(), d, "ana", term)
	term.Type(t, ana, prompted(t, d, term))
	if code, _ := h.wait(t); code != wire.Accept {
		t.Errorf("ana: %s", code)
	}
}

// TestOneNameForAnAccount comes under another name for an enrolled account. It
// must not be somebody who is not enrolled, nor somebody who may enrol.
func TestOneNameForAnAccount(t *testing.T) {
	d := ksdtest.Start(t, short)
	ana := ksdtest.NewTypist(1, quick)
	d.Enrol("ana", ana)
	d.Alias("Ana", "ana")
	d.As(d.UID("ana"))
	c := d.Client()
	_, err := c.OpenSitting(t.Context(), wire.SittingRequest{User: "Ana", Channel: keystroke.Press})
	wantCode(t, "sitting", err, wire.CodeProof)
	_, err = c.Delete(t.Context(), "Ana")
	wantCode(t, "delete", err, wire.CodeProof)
	if p := must(c.User(t.Context(), "Ana"))(t); p.User != "ana" || !p.Enrolled {
		t.Errorf("person %+v", p)
	}
	if code, _ := verify(t, c, "Ana", ana); code != wire.Accept {
		t.Errorf("challenge: %s", code)
	}
	if _, err = c.OpenSitting(t.Context(), wire.SittingRequest{User: "Ana", Channel: keystroke.Press}); err != nil {
		t.Errorf("with proof: %v", err)
	}
	d.As(0)
	term := ksdtest.NewTerminal(t)
	h := handOver(t.Context(), d, "Ana", term)
	term.Type(t, ana, prompted(t, d, term))
	if code, _ := h.wait(t); code != wire.Accept {
		t.Errorf("at a terminal: %s", code)
	}
	if got := outcomes(t, d, "Ana"); len(got) != 0 {
		t.Errorf("audit log of another name: %q", got)
	}
}

// TestAuditFlood has a user ask for challenges as fast as it can. It fills no
// more than its share of the audit log; others are not held up.
func TestAuditFlood(t *testing.T) {
	d := ksdtest.Start(t, short)
	d.As(d.UID("mallory"))
	c := d.Client()
	flood := func() (unenrolled, busy int) {
		for range 80 {
			_, err := c.Challenge(t.Context(), wire.ChallengeRequest{User: "mallory", Service: "x"})
			switch {
			case errors.Is(err, &wire.Error{Code: wire.CodeUnenrolled}):
				unenrolled++
			case errors.Is(err, &wire.Error{Code: wire.CodeBusy}):
				busy++
			}
		}
		return unenrolled, busy
	}
	if unenrolled, busy := flood(); unenrolled != 60 || busy != 20 {
		t.Errorf("%d recorded, %d refused, want 60 and 20", unenrolled, busy)
	}
	conn := dialLogin(t, d)
	sendHello(t, conn, wire.Hello{User: "mallory", Service: "x", Source: "x"}, ksdtest.NewTerminal(t).TTY)
	if v := readVerdict(t, conn); v != wire.Failed {
		t.Errorf("one more at login.sock: %q", v)
	}
	d.As(d.UID("ana"))
	_, err := d.Client().Challenge(t.Context(), wire.ChallengeRequest{User: "ana", Service: "x"})
	wantCode(t, "ana", err, wire.CodeUnenrolled)
	d.Clock.Advance(time.Minute)
	if unenrolled, _ := flood(); unenrolled != 60 {
		t.Errorf("%d recorded a minute later, want 60", unenrolled)
	}
	if got := outcomes(t, d, "mallory"); len(got) != 100 { // as many as were asked for
		t.Errorf("%d entries", len(got))
	}
}

// TestSittingsHaveAnEnd adds sitting after sitting. An administrator may go
// further than the person.
func TestSittingsHaveAnEnd(t *testing.T) {
	d := ksdtest.Start(t, short)
	d.UID("ana")
	ana := ksdtest.NewTypist(1, tempo)
	in := wire.ImportPerson{User: "ana"}
	for range 49 {
		var s []keystroke.Sample
		for _, phrase := range d.Config.Challenge.Phrases {
			s = append(s, ana.Sample(phrase))
		}
		in.Sittings = append(in.Sittings, s)
	}
	must(d.Client().Import(t.Context(), wire.Import{People: []wire.ImportPerson{in}}))(t)
	d.As(d.UID("ana"))
	c := d.Client()
	open := func() error {
		if code, _ := verify(t, c, "ana", ana); code != wire.Accept {
			t.Fatalf("ana: %s", code)
		}
		return ksdtest.Enrol(t.Context(), c, "ana", ana)
	}
	if err := open(); err != nil {
		t.Errorf("the 50th sitting: %v", err)
	}
	wantCode(t, "the 51st", open(), wire.CodeForbidden)
	d.As(ksdtest.AdminUID)
	if err := ksdtest.Enrol(t.Context(), d.Client(), "ana", ana); err != nil {
		t.Errorf("an administrator: %v", err)
	}
}
