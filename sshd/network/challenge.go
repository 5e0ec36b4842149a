package network

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ksd/internal/capture"
	"ksd/internal/channel"
	"ksd/internal/cli"
	"ksd/internal/keystroke"
	"ksd/internal/wire"
	"ksd/sshd/link"
)

// maxTypings is how often a person is asked again after a typing that could not
// be captured.
const maxTypings = 5

// leadFirst stands above the first phrase.
const leadFirst = "Type this in your usual rhythm, then press Enter (Ctrl-C gives up):"

// burstTicked is how many keys may share a tick of a client that holds keys
// back. Two fingers that roll over share a wake-up on any path; a tick is long
// enough for a third.
const burstTicked = 3

// challenge is the talk with the person at a session's terminal.
type challenge struct {
	s      *session
	ctx    context.Context // until the session is gone or the login grace is over
	term   *capture.Terminal
	burst  int
	silent *bool // whether the terminal answered nothing; nil: it was not asked
	ticked bool  // what was typed came in ticks
}

// challenge has the person at the session's terminal recognised. If not, they
// were told, the exit status was sent, and the connection ends.
func (s *session) challenge() bool {
	done, ok := s.c.gate.challenge()
	if !ok {
		s.refuse("ksd: another session of this connection is being recognised; try again after that")
		return false
	}
	defer done()
	ctx, cancel := both(s.ctx, s.c.waiting)
	defer cancel(nil)
	sc := newScreen(s)
	c := &challenge{s: s, ctx: ctx, term: capture.Over(sc, s.pty.Term, s.c.env.Clock)}
	if channel.MayTick(s.c.client) {
		c.burst = burstTicked
	}
	code, text := c.run()
	_ = c.term.Leave(s.ctx)
	if text != "" {
		_ = sc.Write(s.ctx, []byte(cli.Clean(text)+"\r\n"))
	}
	if code == wire.Accept {
		s.c.gate.become(gateRecognised)
		c.advise(sc)
		sc.close(s.ctx)
		return true
	}
	s.c.gate.become(gateShut)
	s.c.endSoon(errNotPassed)
	sc.close(s.ctx)
	s.exit(link.Exited{Status: 1})
	return false
}

// run takes the person through the challenge and returns its last word, with
// what to say.
func (c *challenge) run() (wire.Code, string) {
	if err := c.term.Raw(); err != nil {
		return c.ending(err)
	}
	for _, t := range c.s.c.greeting() {
		if err := c.term.Println(t); err != nil {
			return c.ending(err)
		}
	}
	j, err := c.s.c.monitor.Challenge(c.ctx, link.Challenge{Term: c.s.pty.Term})
	if err == nil && j.Next != nil && !j.Next.Silent {
		err = c.ask()
	}
	lead := leadFirst
	for err == nil && j.Code == "" && j.Next != nil {
		next := j.Next
		var sample keystroke.Sample
		if sample, err = c.typing(lead, next); err != nil {
			break
		}
		j, err = c.s.c.monitor.Answer(c.ctx, link.Answer{Sample: sample, Silent: c.silent, JitterMS: cli.JitterMS(c.term)})
		lead = leadAfter(next, j)
	}
	switch {
	case err != nil:
		return c.ending(err)
	case j.Code == "":
		return c.ending(errors.New("the monitor neither asks nor decides"))
	case j.Code == wire.Accept || j.Text != "":
		return j.Code, j.Text
	case j.Reason != "":
		return j.Code, cli.ReasonText(j.Reason) + " " + cli.VerdictText(j.Code)
	}
	return j.Code, cli.VerdictText(j.Code)
}

// ask has the terminal tell of releases, if it can.
func (c *challenge) ask() error {
	asked, err := c.term.Ask(c.ctx)
	c.s.c.env.Log.Debug("terminal", "mode", asked.Mode, "silent", asked.Silent, "took", asked.Took)
	if err == nil {
		c.silent = &asked.Silent
	}
	return err
}

// leadAfter returns what stands above the next phrase.
func leadAfter(last *wire.Challenge, j link.Judged) string {
	switch {
	case j.Reason != "":
		return cli.ReasonText(j.Reason)
	case j.Next != nil && j.Next.Try > last.Try:
		return "That was not recognised. Here is another try:"
	}
	return "Not clear yet. One more:"
}

// typing returns one typing of what is asked for. After a paste or bytes that
// are no typing it says so and asks again.
func (c *challenge) typing(lead string, next *wire.Challenge) (keystroke.Sample, error) {
	ctx := c.ctx
	if next.ExpireMS > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(next.ExpireMS)*time.Millisecond)
		defer cancel()
	}
	for try := 1; ; try++ {
		reads, began := c.s.c.conn.count(), c.s.c.env.Clock()
		s, err := c.term.Read(ctx, capture.Prompt{Lead: lead, Phrase: "  " + next.Phrase, Burst: c.burst})
		s.Phrase = next.Phrase
		switch {
		case err == nil:
			c.ticked = c.ticked || ticked(c.s.c.client, s, c.s.c.conn.count()-reads, c.s.c.env.Clock()-began)
			return s, nil
		case try == maxTypings:
			return s, err
		case errors.Is(err, capture.ErrPaste):
			lead = "That came in all at once, as a paste does. Please type it:"
		case errors.Is(err, capture.ErrUnusable):
			lead = "That was not typing I can read. Please type the line as it stands:"
		default:
			return s, err
		}
	}
}

// ending returns the last word where a challenge ended without a verdict. Who
// has gone is told nothing.
func (c *challenge) ending(err error) (wire.Code, string) {
	code := wire.Failed
	switch {
	case c.s.ctx.Err() != nil, errors.Is(err, capture.ErrHangup):
		return wire.Cancelled, ""
	case errors.Is(context.Cause(c.ctx), errGrace), errors.Is(err, capture.ErrTimeout):
		code = wire.Timeout
	case errors.Is(err, capture.ErrInterrupted), errors.Is(err, capture.ErrEOF):
		code = wire.Cancelled
	case errors.Is(err, capture.ErrPaste), errors.Is(err, capture.ErrUnusable):
		code = wire.Unusable
	default:
		c.s.c.env.Log.Warn("challenge", "error", err)
	}
	return code, cli.VerdictText(code)
}

// advise tells a person what their client does to the rhythm, and what not doing
// it would cost. It is told after they were recognised, which is once.
func (c *challenge) advise(sc *screen) {
	if !c.ticked {
		return
	}
	text := fmt.Sprintf("Your ssh client sends keys in ticks of %d ms, which hides their timing from\n"+
		"listeners on the line and blurs your rhythm for this server. It is recognised\n"+
		"better with these lines in ~/.ssh/config, at the cost of that protection:\n"+
		"  Host (this server)\n"+
		"    ObscureKeystrokeTiming no", tickMS)
	_ = sc.Write(c.s.ctx, []byte(lines([]string{text}, "\r\n")))
}
