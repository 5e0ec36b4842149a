// Package enroll is the program ksd-enroll: it teaches the daemon a person's
// rhythm in a talk at the terminal, in three steps.
//
//  1. Warm-up: a few typings that do not count, since the first ones are never
//     like the later ones.
//  2. Collection: each phrase some times over, with speed, accuracy and
//     duration while one types. A typing too unlike the others is asked for
//     again, unless the person wants to keep it.
//  3. Check: one challenge, to see that the new profile knows its owner.
//
// The daemon chooses what is typed and judges it; this package shows and asks.
// Every typing that was said to be kept is on the daemon's disk, so a sitting
// that broke off goes on where it was.
package enroll

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ksd/internal/cli"
	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/wire"
)

const (
	// idle is how long one typing is waited for.
	idle = 10 * time.Minute
	// maxLost is how often in a row a sitting is opened again after its
	// connection went, with nothing kept in between.
	maxLost = 3
	// service names this program in challenges and in the audit log.
	service = "ksd-enroll"
)

// Enrol takes the person at the terminal through one sitting for user and the
// check after it. Somebody who is enrolled already passes a challenge first,
// where the daemon wants that. The Person is valid once the sitting is
// finished, whatever came of the check. Errors: cli.ErrNotRecognised after a
// failed check or proof, those of wire.Client and of cli.Dialogue.
func Enrol(ctx context.Context, d *cli.Dialogue, c *wire.Client, user string) (wire.Person, error) {
	s := &sitting{d: d, c: c, user: user}
	if err := s.begin(ctx); err != nil {
		return wire.Person{}, err
	}
	for s.next.Phrase != "" {
		if err := s.one(ctx); err != nil {
			return wire.Person{}, err
		}
	}
	person, err := c.Finish(ctx, s.id)
	if err != nil {
		return person, err
	}
	return person, s.check(ctx, person)
}

// sitting is one enrolment sitting at the terminal.
type sitting struct {
	d       *cli.Dialogue
	c       *wire.Client
	user    string
	channel keystroke.Channel // that its typings come on
	id      string
	next    wire.Ask
	note    string // shown above the next phrase
	step    string // of the page before
	lost    int    // how often in a row the connection went
}

// begin opens the sitting, with a proof first if the daemon asks for one.
func (s *sitting) begin(ctx context.Context) error {
	var err error
	if s.channel, err = s.d.Ask(ctx); err != nil {
		return err
	}
	opened, err := s.open(ctx)
	if errors.Is(err, &wire.Error{Code: wire.CodeProof}) {
		s.d.Say("%s is enrolled already. Before more typing is taken in, show that it is you: type this line, then press Enter.", s.user)
		if err := prove(ctx, s.d, s.c, s.user); err != nil {
			return err
		}
		opened, err = s.open(ctx)
	}
	if err != nil {
		return err
	}
	s.note = welcome(opened) + "\n" + s.d.Captured(s.channel)
	return nil
}

func (s *sitting) open(ctx context.Context) (wire.Sitting, error) {
	opened, err := s.c.OpenSitting(ctx, wire.SittingRequest{User: s.user, Channel: s.channel})
	if err == nil {
		s.id, s.next = opened.ID, opened.Next
	}
	return opened, err
}

// welcome is what a sitting begins with.
func welcome(o wire.Sitting) string {
	left := o.Next.Total - o.Next.Done
	if o.Resumed && o.Next.Done > 0 {
		return fmt.Sprintf("Welcome back. %d of %d typings are kept; %d to go.", o.Next.Done, o.Next.Total, left)
	}
	return fmt.Sprintf("You will type %d short lines, which takes about %s. "+
		"Type the way you always do, neither faster nor neater. Backspace mends a slip. "+
		"Ctrl-C stops; what is kept by then stays kept.", left, minutes(left))
}

// minutes is how long typings take, at seven seconds each.
func minutes(typings int) string {
	n := (typings*7 + 30) / 60
	if n <= 1 {
		return "a minute"
	}
	return fmt.Sprintf("%d minutes", n)
}

// one takes in one typing, or finds out why not and says so.
func (s *sitting) one(ctx context.Context) error {
	s.page()
	sample, err := s.d.Type(ctx, s.next.Phrase, idle, live)
	if err != nil {
		return err
	}
	if s.channel == keystroke.Full && sample.Channel == keystroke.Press {
		return s.withoutReleases(ctx)
	}
	if s.channel == keystroke.Press && sample.Channel == keystroke.Full {
		sample = sample.PressOnly()
	}
	got, err := s.send(ctx, wire.Typing{Sample: sample, JitterMS: s.d.JitterMS()})
	if err != nil {
		return err
	}
	if !got.Kept && got.Reason == wire.ReasonUnlike {
		answer, err := s.d.Choose(ctx, cli.ReasonText(got.Reason)+" Type it again, or keep it?", "again", "keep")
		if err != nil {
			return err
		}
		if answer == "keep" {
			if got, err = s.send(ctx, wire.Typing{Sample: sample, JitterMS: s.d.JitterMS(), Insist: true}); err != nil {
				return err
			}
		}
	}
	s.take(got, sample)
	return nil
}

// withoutReleases goes on with a terminal that no longer tells releases. A
// sitting has one channel: what has been kept so far stays for another time.
func (s *sitting) withoutReleases(ctx context.Context) error {
	s.channel = keystroke.Press
	_, err := s.open(ctx)
	s.note = "This terminal has stopped telling when keys go up. " + s.d.Captured(s.channel) + " These typings count by themselves."
	return err
}

// take notes what came of a typing.
func (s *sitting) take(got wire.TypingResult, sample keystroke.Sample) {
	warmup := s.next.Warmup
	s.next = got.Next
	switch {
	case got.Kept && warmup:
		s.lost, s.note = 0, "Warmed up a little: "+metrics(got.Stats, sample)+"."
	case got.Kept:
		s.lost, s.note = 0, "Kept: "+metrics(got.Stats, sample)+"."
	case got.Reason != "":
		s.note = cli.ReasonText(got.Reason) + " Once more, please."
	default:
		s.note = "The talk with the daemon broke off. What was kept is kept; that one, please, once more."
	}
}

// send brings one typing to the daemon. If the sitting is gone, because the
// daemon was started anew or the connection closed, it is opened again and the
// result is a typing that was not kept, for no reason.
func (s *sitting) send(ctx context.Context, t wire.Typing) (wire.TypingResult, error) {
	got, err := s.c.Type(ctx, s.id, t)
	if err == nil || !gone(err) || ctx.Err() != nil || s.lost == maxLost {
		return got, err
	}
	s.lost++
	opened, err := s.open(ctx)
	return wire.TypingResult{Next: opened.Next}, err
}

// gone reports whether an error means that the sitting is no longer known on
// this connection, while another might still be had.
func gone(err error) bool {
	var refused *wire.Error
	if errors.As(err, &refused) {
		return refused.Code == wire.CodeNotFound || refused.Code == wire.CodeExpired
	}
	return !errors.Is(err, wire.ErrNoDaemon) && !errors.Is(err, wire.ErrServer)
}

// check has the new profile recognise its owner.
func (s *sitting) check(ctx context.Context, p wire.Person) error {
	s.header("step 3 of 3: check")
	s.d.Say("%s", s.note)
	if !p.Enrolled {
		s.d.Say("Thank you: %d typings are kept. That is not enough yet to be challenged with. "+
			"Run ksd-enroll once more, best on another day.", p.Samples)
		return nil
	}
	s.d.Say("Thank you: %d typings are kept. Now the check that the new profile knows you: "+
		"type this line, then press Enter.", p.Samples)
	a, err := s.d.Challenge(ctx, s.c, wire.ChallengeRequest{User: s.user, Service: service})
	if err != nil {
		return err
	}
	s.d.Lines("")
	if a.Code != wire.Accept {
		s.d.Say("The profile did not know you this time. All typings are kept. Try \"ksd-enroll verify\" in a " +
			"minute; if it fails again, add a sitting with \"ksd-enroll\", best on another day and at the keyboard " +
			"you use most.")
		return fmt.Errorf("check of the new profile: %w", cli.ErrNotRecognised)
	}
	s.d.Say("%s", cli.VerdictText(a.Code))
	return nil
}

// prove passes a challenge on the connection of c.
func prove(ctx context.Context, d *cli.Dialogue, c *wire.Client, user string) error {
	a, err := d.Challenge(ctx, c, wire.ChallengeRequest{User: user, Service: service})
	if err != nil {
		return err
	}
	if a.Code != wire.Accept {
		d.Say("%s", cli.VerdictText(a.Code))
		return cli.ErrNotRecognised
	}
	return nil
}

// live is the line below what is being typed.
func live(s keystroke.Sample) string {
	m := feature.Summarise(s)
	return fmt.Sprintf("  %3.0f wpm   accuracy %3.0f %%   %4.1f s", m.WPM, 100*(1-m.ErrorRate), m.DurationMS/1000)
}

// metrics are the daemon's figures of a typing, or ours where it gave none.
func metrics(m *wire.Metrics, s keystroke.Sample) string {
	if m == nil {
		own := feature.Summarise(s)
		m = &wire.Metrics{WPM: own.WPM, Accuracy: 1 - own.ErrorRate, DurationMS: own.DurationMS}
	}
	return fmt.Sprintf("%.0f wpm, accuracy %.0f %%, %.1f s", m.WPM, 100*m.Accuracy, m.DurationMS/1000)
}
