package monitor

import (
	"errors"
	"testing"
	"time"

	"ksd/internal/wire"
	"ksd/sshd/link"
)

// present has ana let in by a new token.
func (r *rig) present(t *testing.T, m *running) (token string) {
	t.Helper()
	made, err := r.daemon.Client().Token(t.Context(), "ana", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if j, err := m.Admit(t.Context(), link.Admit{Token: made.Token}); err != nil || j.Code != wire.Accept || !j.Once {
		t.Fatalf("with a token: %+v, %v", j, err)
	}
	return made.Token
}

// A token lets in one process, once; another one, one more. The rhythm lets in
// all the rest.
func TestToken(t *testing.T) {
	r := newRig(t, "forwarding = true\n")
	m := r.start(t, false)
	r.open(t, m, "ana")
	token := r.present(t, m)
	refused := func(when string, ops ...string) {
		t.Helper()
		for _, op := range ops {
			if err := operations[op](t.Context(), r, m); !errors.Is(err, link.Refused) {
				t.Errorf("%s, %s: %v, want %v", when, op, err, link.Refused)
			}
		}
	}
	refused("before the process", "dial", "listen")
	if _, _, err := m.Start(t.Context(), link.Start{Pty: &link.Pty{Term: "x"}}); !errors.Is(err, link.Refused) {
		t.Errorf("a terminal: %v", err)
	}
	run := func(want string) {
		t.Helper()
		if out, e := m.command(t, link.Start{Command: []byte("echo " + want)}); out != want+"\n" || e.Status != 0 {
			t.Errorf("%q, %+v", out, e)
		}
	}
	run("one")
	refused("after it", "start", "dial", "listen")
	if j, err := m.Admit(t.Context(), link.Admit{Token: token}); err != nil || j.Code != wire.Refuse || j.Once {
		t.Errorf("the same token again: %+v, %v", j, err)
	}
	refused("after a token that is no good", "start")
	for range maxAdmissions + 1 {
		r.present(t, m)
		run("another")
	}
	refused("after the last", "start")
	r.recognise(t, m)
	run("three")
	run("four")
	if err := operations["listen"](t.Context(), r, m); err != nil {
		t.Error(err)
	}
	m.end(t)
}

// Questions to be let in that are answered with no are counted.
func TestAdmissions(t *testing.T) {
	r := newRig(t, "")
	m := r.start(t, false)
	r.open(t, m, "ana")
	for range maxAdmissions {
		if j, err := m.Admit(t.Context(), link.Admit{}); err != nil || j.Code != wire.Refuse {
			t.Fatalf("%+v, %v", j, err)
		}
	}
	if _, err := m.Admit(t.Context(), link.Admit{}); !errors.Is(err, link.ErrEnded) {
		t.Errorf("one more: %v", err)
	}
	m.ended(t)
}
