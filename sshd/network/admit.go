package network

import (
	"context"
	"strings"

	"golang.org/x/crypto/ssh"

	"ksd/internal/cli"
	"ksd/internal/wire"
	"ksd/sshd/link"
)

// maxAdmits is how often a connection may ask in vain to be let in without a
// challenge.
const maxAdmits = 3

// noTerminal is what to do where the monitor does not say.
const noTerminal = `ksd: there is no terminal to type at: connect with one ("ssh -t"), or set KSD_TOKEN to a one-time token from your administrator ("ksdctl token").`

// admit asks the monitor to let in without a challenge: the connection, or with a
// token one process of whoever has the place at the gate. It returns "" where it
// does, and what to tell the person where it does not.
func (c *connection) admit(ctx context.Context, token string) (text string) {
	if c.admits.Add(1) > maxAdmits {
		c.gate.become(gateShut)
		c.endSoon(errNotPassed)
		return "ksd: " + cli.VerdictText(wire.Refuse)
	}
	ctx, cancel := both(ctx, c.waiting)
	defer cancel(nil)
	j, err := c.monitor.Admit(ctx, link.Admit{Token: token})
	switch {
	case err != nil:
		c.env.Log.Warn("admit", "error", err)
		return "ksd: " + cli.VerdictText(wire.Failed)
	case j.Code == wire.Accept:
		c.admits.Add(-1)
		if j.Once {
			c.gate.become(gateOnce)
		} else {
			c.gate.become(gateAdmitted)
		}
		return ""
	case j.Text != "":
		return j.Text
	case j.Code == wire.Refuse || j.Code == "":
		return noTerminal
	}
	return "ksd: " + cli.VerdictText(j.Code)
}

// both returns a context that ends with either, for the reason that it does.
func both(a, b context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(a)
	stop := context.AfterFunc(b, func() { cancel(context.Cause(b)) })
	return ctx, func(err error) {
		stop()
		cancel(err)
	}
}

// refuse ends a session that was not let in: a text on stderr, which is the
// terminal where there is one, and exit status 1.
func (s *session) refuse(text string) {
	end := "\n"
	if s.pty != nil {
		end = "\r\n"
	}
	_, _ = s.ch.Stderr().Write([]byte(cli.Clean(text) + end))
	s.exit(link.Exited{Status: 1})
}

// exit tells the client how its process ended (RFC 4254, 6.10).
func (s *session) exit(e link.Exited) {
	if e.Signal == "" {
		_, _ = s.ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{e.Status}))
		return
	}
	_, _ = s.ch.SendRequest("exit-signal", false, ssh.Marshal(struct {
		Signal  string
		Core    bool
		Message string
		Lang    string
	}{e.Signal, e.Core, "", ""}))
}

// lines joins the monitor's texts, each of one line or more. They are shown as
// they are: a message of the day may have colours.
func lines(texts []string, end string) string {
	var b strings.Builder
	for _, t := range texts {
		t = strings.TrimSuffix(strings.ReplaceAll(t, "\r\n", "\n"), "\n")
		b.WriteString(strings.ReplaceAll(t, "\n", end) + end)
	}
	return b.String()
}
