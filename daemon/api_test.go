package daemon_test

import (
	"errors"
	"testing"
	"time"

	"ksd/internal/keystroke"
	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

// tempo is that of people in these tests, unless they type at a terminal.
const tempo = 120 * time.Millisecond

// wantCode fails unless err is a refusal with that code.
func wantCode(t *testing.T, what string, err error, code wire.ErrorCode) {
	t.Helper()
	var e *wire.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

// must returns the value of a call that has to succeed: must(call(…))(t).
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestRoutesByPeer asks every route as nobody in particular, as another
// account, as the account itself, and as both administrators.
func TestRoutesByPeer(t *testing.T) {
	d := ksdtest.Start(t)
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	peers := []struct {
		name string
		uid  uint32
	}{{"other", d.UID("bob")}, {"self", d.UID("ana")}, {"root", 0}, {"admin", ksdtest.AdminUID}}
	const no = wire.CodeForbidden
	for _, route := range []struct {
		name string
		call func(c *wire.Client) error
		want [4]wire.ErrorCode // other, self, root, admin
	}{
		{"status", func(c *wire.Client) error { _, err := c.Status(t.Context()); return err }, [4]wire.ErrorCode{}},
		{"users", func(c *wire.Client) error { _, err := c.Users(t.Context()); return err }, [4]wire.ErrorCode{no, no}},
		{"user", func(c *wire.Client) error { _, err := c.User(t.Context(), "ana"); return err }, [4]wire.ErrorCode{no}},
		{"unknown user", func(c *wire.Client) error { _, err := c.User(t.Context(), "zoe"); return err }, [4]wire.ErrorCode{no, no}},
		{
			"bad user", func(c *wire.Client) error { _, err := c.User(t.Context(), "a\nb"); return err },
			[4]wire.ErrorCode{wire.CodeBadRequest, wire.CodeBadRequest, wire.CodeBadRequest, wire.CodeBadRequest},
		},
		{"unlock", func(c *wire.Client) error { _, err := c.Unlock(t.Context(), "ana"); return err }, [4]wire.ErrorCode{no, no}},
		{"sitting", func(c *wire.Client) error {
			_, err := c.OpenSitting(t.Context(), wire.SittingRequest{User: "ana", Channel: keystroke.Press})
			return err
		}, [4]wire.ErrorCode{no, wire.CodeProof}},
		{"typing", func(c *wire.Client) error {
			_, err := c.Type(t.Context(), "x", wire.Typing{Sample: ana.Sample("x")})
			return err
		}, [4]wire.ErrorCode{wire.CodeNotFound, wire.CodeNotFound, wire.CodeNotFound, wire.CodeNotFound}},
		{
			"finish", func(c *wire.Client) error { _, err := c.Finish(t.Context(), "x"); return err },
			[4]wire.ErrorCode{wire.CodeNotFound, wire.CodeNotFound, wire.CodeNotFound, wire.CodeNotFound},
		},
		{"challenge", func(c *wire.Client) error {
			_, err := c.Challenge(t.Context(), wire.ChallengeRequest{User: "ana", Service: "test"})
			return err
		}, [4]wire.ErrorCode{no}},
		{"answer", func(c *wire.Client) error {
			_, err := c.Answer(t.Context(), "x", wire.Typing{Sample: ana.Sample("x")})
			return err
		}, [4]wire.ErrorCode{wire.CodeNotFound, wire.CodeNotFound, wire.CodeNotFound, wire.CodeNotFound}},
		{"model", func(c *wire.Client) error { _, err := c.Model(t.Context()); return err }, [4]wire.ErrorCode{no, no}},
		{"audit", func(c *wire.Client) error { _, err := c.Audit(t.Context(), "", 0); return err }, [4]wire.ErrorCode{no, no}},
		{"import", func(c *wire.Client) error { _, err := c.Import(t.Context(), wire.Import{}); return err }, [4]wire.ErrorCode{no, no}},
		{"retrain", func(c *wire.Client) error {
			_, err := c.Retrain(t.Context(), wire.RetrainRequest{DryRun: true}, nil)
			return err
		}, [4]wire.ErrorCode{no, no}},
		{
			"delete", func(c *wire.Client) error { _, err := c.Delete(t.Context(), "ana"); return err },
			[4]wire.ErrorCode{no, wire.CodeProof, "", wire.CodeUnenrolled},
		}, // root deleted her
	} {
		for i, p := range peers {
			d.As(p.uid)
			c := d.Client()
			err := route.call(c)
			_ = c.Close()
			if what := route.name + " as " + p.name; route.want[i] != "" {
				wantCode(t, what, err, route.want[i])
			} else if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

// TestStatus shows what each kind of caller is told.
func TestStatus(t *testing.T) {
	d := ksdtest.Start(t)
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	d.Clock.Advance(time.Second)
	d.As(d.UID("ana"))
	if s := must(d.Client().Status(t.Context()))(t); s != (wire.Status{Version: "test", Uptime: 1, User: "ana"}) {
		t.Errorf("ana is told %+v", s)
	}
	d.As(0)
	if s := must(d.Client().Status(t.Context()))(t); !s.Admin || s.People != 1 || s.Model == nil || s.Job == "" {
		t.Errorf("root is told %+v", s)
	}
}

// TestVerify enrols a person as itself and has it challenged as itself, as a
// stranger's hands, and as an administrator, who alone sees scores.
func TestVerify(t *testing.T) {
	d := ksdtest.Start(t)
	ana, stranger := ksdtest.NewTypist(1, tempo), ksdtest.NewTypist(2, 3*tempo)
	d.As(d.UID("ana"))
	c := d.Client()
	if err := ksdtest.Enrol(t.Context(), c, "ana", ana); err != nil {
		t.Fatal(err)
	}
	p := must(c.User(t.Context(), "ana"))(t)
	if !p.Enrolled || p.Sittings != 1 || p.Samples != 25 || len(p.Phrases) != 5 || p.Channel != "press" {
		t.Errorf("person %+v", p)
	}
	if code, a := verify(t, c, "ana", ana); code != wire.Accept || a.Detail != nil {
		t.Errorf("ana: %s, detail %v", code, a.Detail)
	}
	if code, a := verify(t, c, "ana", stranger); code != wire.Refuse || a.Detail != nil {
		t.Errorf("a stranger: %s, detail %v", code, a.Detail)
	}
	d.As(ksdtest.AdminUID)
	if code, a := verify(t, d.Client(), "ana", ana); code != wire.Accept || a.Detail == nil || a.Detail.Sum < a.Detail.Accept {
		t.Errorf("as an administrator: %s, detail %+v", code, a.Detail)
	}
}

// verify answers challenges until the last word.
func verify(t *testing.T, c *wire.Client, user string, hands *ksdtest.Typist) (wire.Code, wire.Answer) {
	t.Helper()
	next := must(c.Challenge(t.Context(), wire.ChallengeRequest{User: user, Service: "test"}))(t)
	for {
		a := must(c.Answer(t.Context(), next.ID, wire.Typing{Sample: hands.Sample(next.Phrase)}))(t)
		if a.Next == nil {
			return a.Code, a
		}
		next = *a.Next
	}
}
