package monitor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ksd/internal/wire"
	"ksd/sshd/link"
)

// Limits of one connection, beside those the daemon keeps.
const (
	maxChallenges = 5
	maxAdmissions = 5                // that were refused
	admitPatience = 30 * time.Second // a directory's look-up of groups is in it
)

// textNoDaemon tells a person what is not their fault.
const textNoDaemon = `ksd: the typing check is not running, so nobody is let in; ask your administrator to look at "systemctl status ksdd ksdd.socket"`

// dial connects to the daemon, once for a connection: challenges are bound to it.
func (m *Monitor) dial(ctx context.Context) error {
	if m.daemon != nil {
		return nil
	}
	d, err := wire.Dial(ctx, m.o.Config.Daemon.APISocket)
	if err != nil {
		return err
	}
	m.daemon = d
	return nil
}

// hangUp lets the daemon go, of whose connections root has only so many.
func (m *Monitor) hangUp() {
	if m.daemon != nil {
		_ = m.daemon.Close()
		m.daemon = nil
	}
}

// unenrolled asks the daemon whether it holds no rhythm of the person. Where it
// does not answer, nobody is unenrolled.
func (m *Monitor) unenrolled(ctx context.Context) bool {
	if err := m.dial(ctx); err != nil {
		m.log(m.who.name).Error("the daemon", "error", err)
		return false
	}
	defer m.hangUp()
	p, err := m.daemon.User(ctx, m.who.name)
	if errors.Is(err, &wire.Error{Code: wire.CodeUnenrolled}) {
		return true
	}
	if err != nil {
		m.log(m.who.name).Error("the daemon", "error", err)
		return false
	}
	return !p.Enrolled
}

// Challenge asks the daemon for something to type. One that was not answered is
// given up.
func (m *Monitor) Challenge(ctx context.Context, c link.Challenge) (link.Judged, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.challenges++
	if !m.opened || m.shut || m.rhythm || m.challenges > maxChallenges {
		return link.Judged{}, errOrder
	}
	m.id = ""
	if err := m.dial(ctx); err != nil {
		return m.unjudged(err), nil
	}
	next, err := m.daemon.Challenge(ctx, wire.ChallengeRequest{User: m.who.name, Service: Service, Source: m.source(), Term: c.Term})
	if err != nil {
		return m.unjudged(err), nil
	}
	return link.Judged{Next: m.handOut(&next)}, nil
}

// handOut keeps the ID of a challenge to itself.
func (m *Monitor) handOut(c *wire.Challenge) *wire.Challenge {
	if c == nil {
		return nil
	}
	m.id = c.ID
	out := *c
	out.ID = ""
	return &out
}

// Answer has the daemon judge what was typed. What only administrators may see
// of it stays here.
func (m *Monitor) Answer(ctx context.Context, a link.Answer) (link.Judged, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.id == "" || m.shut || m.rhythm {
		return link.Judged{}, errOrder
	}
	id := m.id
	m.id = ""
	answer, err := m.daemon.Answer(ctx, id, wire.Typing{Sample: a.Sample, Silent: a.Silent, JitterMS: a.JitterMS})
	if err != nil {
		return m.unjudged(err), nil
	}
	out := link.Judged{Code: answer.Code, Reason: answer.Reason}
	switch answer.Code {
	case "":
		if answer.Next == nil {
			return m.unjudged(errors.New("the daemon neither decides nor asks")), nil
		}
		out.Next = m.handOut(answer.Next)
	case wire.Accept:
		m.rhythm = true
		m.hangUp()
		m.passed("rhythm")
	default:
		m.log(m.who.name).Info("second factor refused", "code", answer.Code)
		// The daemon has given all the attempts there are.
		m.shut = answer.Code == wire.Refuse || answer.Code == wire.Locked
		m.hangUp()
	}
	return out, nil
}

// unjudged makes the last word of an error of the daemon.
func (m *Monitor) unjudged(err error) link.Judged {
	out := link.Judged{Code: wire.Failed}
	if errors.Is(err, wire.ErrNoDaemon) {
		out.Text = textNoDaemon
	}
	var e *wire.Error
	if errors.As(err, &e) {
		switch e.Code {
		case wire.CodeUnenrolled:
			out.Code = wire.Unenrolled
		case wire.CodeLocked:
			out.Code, out.Text = wire.Locked, e.Message
		case wire.CodeExpired:
			out.Code = wire.Timeout
		case wire.CodeBadRequest:
			out.Code = wire.Unusable
		}
	}
	m.log(m.who.name).Info("second factor refused", "code", out.Code, "reason", err)
	m.hangUp() // root's places at the daemon are for those who type
	return out
}

// Admit asks the daemon to let somebody in without a terminal: for the whole
// connection, or with a token for one process. Then it may be asked again.
func (m *Monitor) Admit(ctx context.Context, a link.Admit) (link.Judged, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.opened || m.shut || m.rhythm || m.admitted && !m.byToken || m.admissions >= maxAdmissions {
		return link.Judged{}, errOrder
	}
	var texts []string
	ctx, cancel := context.WithTimeout(ctx, admitPatience)
	defer cancel()
	v, err := wire.Admit(ctx, m.o.Config.Daemon.LoginSocket,
		wire.Request{User: m.who.name, Service: Service, Source: m.source(), Token: a.Token},
		func(t wire.Text) { texts = append(texts, t.Text) })
	out := link.Judged{Code: v.Code, Text: strings.Join(texts, "\n")}
	if err != nil || v.Code != wire.Accept {
		m.admissions++
	}
	switch {
	case err != nil:
		out.Code = wire.Failed
		if errors.Is(err, wire.ErrNoDaemon) {
			out.Text = textNoDaemon
		}
		m.log(m.who.name).Error("the daemon", "error", err)
	case v.Code == wire.Accept && a.Token != "": // the daemon looks at nothing else then
		m.admitted, m.byToken, m.spent, out.Once = true, true, false, true
		m.passed("a token, for one process")
	case v.Code == wire.Accept:
		m.admitted, m.byToken, m.spent = true, false, false
		m.passed("admitted without a terminal")
	default:
		m.log(m.who.name).Info("second factor refused", "code", v.Code, "terminal", false)
	}
	return out, nil
}

// connection is SSH_CONNECTION: client address and port, server address and port.
func (m *Monitor) connection() string {
	r, l := m.o.Remote, m.o.Local
	return fmt.Sprintf("%s %d %s %d", r.Addr().Unmap(), r.Port(), l.Addr().Unmap(), l.Port())
}
