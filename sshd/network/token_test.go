package network

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// TestTokenIsForOne has a token let in one session, with nothing beside it, and
// each other session bring one of its own.
func TestTokenIsForOne(t *testing.T) {
	m := newMonitor(t)
	env, clock := stillEnv()
	r := serve(t, m, env)
	c := r.dial()
	session := func(token string) *ssh.Session {
		t.Helper()
		s, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			if err := s.Setenv(tokenName, token); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	refused := func(when, why string) {
		t.Helper()
		if _, _, err := c.OpenChannel("direct-tcpip", marshal(direct{"127.0.0.1", 22, "", 0})); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s, a forward: %v", when, err)
		}
	}
	first := session(goodToken)
	in, err := first.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start("cat"); err != nil {
		t.Fatal(err)
	}
	m.session(0)
	if _, err := c.NewSession(); err == nil || !strings.Contains(err.Error(), "prohibited") {
		t.Errorf("a second session beside the first: %v", err)
	}
	refused("while it runs", "not before")
	clock.Advance(2 * time.Minute) // the time to log in is over, and they have
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := first.Wait(); err != nil {
		t.Errorf("the first: %v", err)
	}
	refused("after it", "no terminal, no login")
	var status *ssh.ExitError
	if err := session("").Run("exit 0"); !errors.As(err, &status) || status.ExitStatus() != 1 {
		t.Errorf("a second session without a token: %v", err)
	}
	for range maxAdmits + 2 {
		if err := session(goodToken).Run("exit 0"); err != nil {
			t.Errorf("another session with a token: %v", err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.starts) != maxAdmits+3 {
		t.Errorf("%d were started", len(m.starts))
	}
}
