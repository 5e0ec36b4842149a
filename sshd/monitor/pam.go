package monitor

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/msteinert/pam/v2"
)

// stack is one person's way through PAM. All of its methods must run on the main
// thread.
type stack struct {
	t       *pam.Transaction
	talk    *talk
	cred    bool
	session bool
}

// talk is the program's side of PAM's conversation: one password, and texts.
type talk struct {
	password []byte // nil: none to give
	texts    []string
}

// Limits of what modules say.
const (
	maxTexts = 100
	maxText  = 1 << 14 // bytes of one
)

// RespondPAM gives the password once. Whatever else a module asks cannot be
// answered here, which fails it.
func (t *talk) RespondPAM(style pam.Style, message string) (string, error) {
	switch style {
	case pam.TextInfo, pam.ErrorMsg:
		// As it is: a message of the day may have colours, and is root's to write.
		if len(t.texts) < maxTexts {
			t.texts = append(t.texts, strings.ToValidUTF8(message[:min(len(message), maxText)], "?"))
		}
		return "", nil
	case pam.PromptEchoOff:
		if t.password != nil {
			p := string(t.password)
			clear(t.password)
			t.password = nil
			return p, nil
		}
	}
	return "", errors.New("a question that nobody can answer here")
}

// take returns what was said since the last call.
func (t *talk) take() []string {
	texts := t.texts
	t.texts = nil
	return texts
}

// begin starts PAM for a name. connection is as in SSH_CONNECTION.
func begin(user, rhost, connection string) (*stack, error) {
	s := &stack{talk: &talk{}}
	var err error
	if s.t, err = pam.Start(Service, user, s.talk); err != nil {
		return nil, fmt.Errorf("PAM: %w", err)
	}
	// There is no terminal yet; sshd says the same.
	err = errors.Join(s.t.SetItem(pam.Rhost, rhost), s.t.SetItem(pam.Tty, "ssh"), s.t.PutEnv("SSH_CONNECTION="+connection))
	if err != nil {
		_ = s.t.End()
		return nil, fmt.Errorf("PAM: %w", err)
	}
	return s, nil
}

// authenticate tries a password, which it wipes.
func (s *stack) authenticate(password []byte) error {
	s.talk.password = password
	err := s.t.Authenticate(pam.DisallowNullAuthtok)
	clear(password)
	s.talk.password = nil
	return err
}

// account asks for the account phase. The error of an expired password is
// pam.ErrNewAuthtokReqd.
func (s *stack) account(name string) error {
	if err := s.t.AcctMgmt(pam.DisallowNullAuthtok); err != nil {
		return err
	}
	// A module may have made somebody else of the name.
	if now, err := s.t.GetItem(pam.User); err != nil || now != name {
		return fmt.Errorf("PAM turned the name %q into %q", name, now)
	}
	return nil
}

// openSession establishes credentials and opens the session. env is what PAM
// wants in the environment of its processes.
func (s *stack) openSession(tty string) (env map[string]string, err error) {
	if err := s.t.SetItem(pam.Tty, tty); err != nil {
		return nil, err
	}
	if err := s.t.SetCred(pam.EstablishCred); err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	s.cred = true
	if err := s.t.OpenSession(0); err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	s.session = true
	return s.t.GetEnvList()
}

// close closes what is open, in the order of pam(3).
func (s *stack) close(log *slog.Logger) {
	if s.session {
		if err := s.t.CloseSession(0); err != nil {
			log.Warn("PAM: closing the session", "error", err)
		}
	}
	if s.cred {
		if err := s.t.SetCred(pam.DeleteCred); err != nil {
			log.Warn("PAM: deleting credentials", "error", err)
		}
	}
	_ = s.t.End()
	*s = stack{}
}
