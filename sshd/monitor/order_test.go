package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"ksd/conf"
	"ksd/internal/ksdtest"
	"ksd/internal/wire"
	"ksd/sshd/link"
)

// stages are how far a connection may have come.
var stages = []struct {
	name  string
	reach func(*testing.T, *rig, *running)
	may   []string // operations that do not end the connection
}{
	{"connected", func(*testing.T, *rig, *running) {}, []string{"hello", "sign", "key", "password"}},
	{"proven", func(t *testing.T, r *rig, m *running) { r.prove(t, m, "ana") }, []string{"hello", "sign", "open"}},
	{"opened", func(t *testing.T, r *rig, m *running) { r.open(t, m, "ana") }, []string{"hello", "sign", "challenge", "admit"}},
	{"challenged", func(t *testing.T, r *rig, m *running) {
		r.open(t, m, "ana")
		if _, err := m.Challenge(t.Context(), link.Challenge{}); err != nil {
			t.Fatal(err)
		}
	}, []string{"hello", "sign", "challenge", "answer", "admit"}},
	{"admitted", func(t *testing.T, r *rig, m *running) {
		r.open(t, m, "ana")
		if j, err := m.Admit(t.Context(), link.Admit{}); err != nil || j.Code != wire.Accept {
			t.Fatalf("%+v, %v", j, err)
		}
	}, []string{"hello", "sign", "challenge", "start", "wait", "signal", "dial", "listen"}},
	{"admitted by a token, which is spent", func(t *testing.T, r *rig, m *running) {
		r.open(t, m, "ana")
		r.present(t, m)
		if err := operations["start"](t.Context(), r, m); err != nil {
			t.Fatal(err)
		}
	}, []string{"hello", "sign", "challenge", "admit", "start", "wait", "signal", "dial", "listen"}},
	{"recognised", func(t *testing.T, r *rig, m *running) {
		r.open(t, m, "ana")
		r.recognise(t, m)
	}, []string{"hello", "sign", "start", "wait", "signal", "dial", "listen"}},
	{"refused", func(t *testing.T, r *rig, m *running) {
		r.open(t, m, "ana")
		if j := m.challenge(t, ksdtest.NewTypist(2, 300*time.Millisecond)); j.Code != wire.Refuse {
			t.Fatalf("%+v", j)
		}
	}, []string{"hello", "sign"}},
	{"an account that is shut", func(t *testing.T, r *rig, m *running) {
		r.write(t, "/etc/nologin", "closed for today\n", 0)
		t.Cleanup(func() { os.Remove(r.Path("/etc/nologin")) })
		r.prove(t, m, "ana")
		o, err := m.Open(t.Context(), link.Open{User: "ana"})
		if err != nil || o.OK || !strings.Contains(strings.Join(o.Texts, ""), "closed for today") {
			t.Fatalf("%+v, %v", o, err)
		}
	}, []string{"hello", "sign"}},
}

// operations are all of them, as a hostile network half would try each.
var operations = map[string]func(context.Context, *rig, *running) error{
	"hello": func(ctx context.Context, _ *rig, m *running) error { _, err := m.Hello(ctx); return err },
	"sign": func(ctx context.Context, _ *rig, m *running) error {
		_, err := m.Sign(ctx, link.Sign{Data: make([]byte, 32), Algorithm: "ssh-ed25519"})
		return err
	},
	"key": func(ctx context.Context, r *rig, m *running) error {
		_, err := m.Key(ctx, link.Key{User: "bob", Key: r.key.Marshal(), Proven: true})
		return err
	},
	"password": func(ctx context.Context, _ *rig, m *running) error {
		_, err := m.Password(ctx, link.Password{User: "bob", Password: "wrong"})
		return err
	},
	"open": func(ctx context.Context, _ *rig, m *running) error {
		_, err := m.Open(ctx, link.Open{User: "ana"})
		return err
	},
	"challenge": func(ctx context.Context, _ *rig, m *running) error {
		_, err := m.Challenge(ctx, link.Challenge{})
		return err
	},
	"answer": func(ctx context.Context, r *rig, m *running) error {
		_, err := m.Answer(ctx, link.Answer{Sample: r.hands.Sample("not what was asked for")})
		return err
	},
	"admit": func(ctx context.Context, _ *rig, m *running) error {
		_, err := m.Admit(ctx, link.Admit{})
		return err
	},
	"start": func(ctx context.Context, _ *rig, m *running) error {
		_, files, err := m.Start(ctx, link.Start{Command: []byte("sleep 1000")})
		for _, f := range files {
			f.Close()
		}
		return err
	},
	"wait": func(ctx context.Context, _ *rig, m *running) error {
		_, err := m.Wait(ctx, link.Wait{Session: 99})
		return err
	},
	"signal": func(ctx context.Context, _ *rig, m *running) error {
		return m.Signal(ctx, link.Signal{Session: 99, Signal: "TERM"})
	},
	"dial": func(ctx context.Context, _ *rig, m *running) error {
		f, err := m.Dial(ctx, link.Dial{Host: "127.0.0.1", Port: 1})
		if f != nil {
			f.Close()
		}
		return err
	},
	"listen": func(ctx context.Context, _ *rig, m *running) error {
		_, f, err := m.Listen(ctx, link.Listen{})
		if f != nil {
			f.Close()
		}
		return err
	},
}

// Whatever the network half asks for out of its turn ends the connection, and it
// gets nothing.
func TestOrder(t *testing.T) {
	r := newRig(t, "forwarding = true\n", func(c *conf.Config) {
		c.Login.NonInteractive = conf.Allow
		c.Lockout.Failures, c.Lockout.SourceFailures = 100, 1000
	})
	for _, s := range stages {
		for op, try := range operations {
			t.Run(s.name+"/"+op, func(t *testing.T) {
				m := r.start(t, false)
				s.reach(t, r, m)
				err := try(t.Context(), r, m)
				ended := errors.Is(err, link.ErrEnded)
				may := strings.Contains(" "+strings.Join(s.may, " ")+" ", " "+op+" ")
				if ended == may {
					t.Errorf("%v; ends the connection: %v, want %v", err, ended, !may)
					m.end(t)
					return
				}
				if !may {
					if got := m.ended(t); !strings.Contains(got.Error, "out of order") && !strings.Contains(got.Error, link.ErrProtocol.Error()) {
						t.Errorf("the monitor ended with %q", got.Error)
					}
					return
				}
				got := m.end(t)
				if want := strings.HasPrefix(s.name, "admitted") || s.name == "recognised" || op == "admit"; (got.Passed == 1) != want {
					t.Errorf("let in %d times, want %v", got.Passed, want)
				}
			})
		}
	}
}

// Who has proven to be ana may not go on as bob.
func TestOtherUser(t *testing.T) {
	r := newRig(t, "")
	m := r.start(t, false)
	r.prove(t, m, "ana")
	if _, err := m.Open(t.Context(), link.Open{User: "bob"}); !errors.Is(err, link.ErrEnded) {
		t.Errorf("bob is opened: %v", err)
	}
	m.ended(t)
}

// A host key signs what can be an exchange hash and nothing else.
func TestSign(t *testing.T) {
	r := newRig(t, "")
	for n, want := range map[int]bool{0: false, 31: false, 32: true, 33: false, 48: true, 63: false, 64: true, 65: false, 4096: false} {
		m := r.start(t, false)
		_, err := m.Sign(t.Context(), link.Sign{Data: make([]byte, n), Algorithm: "ssh-ed25519"})
		if (err == nil) != want {
			t.Errorf("%d bytes: %v", n, err)
		}
		m.end(t)
	}
	for _, s := range []link.Sign{{Key: 1, Data: make([]byte, 32)}, {Key: -1, Data: make([]byte, 32)}, {Data: make([]byte, 32), Algorithm: "ssh-rsa"}} {
		m := r.start(t, false)
		if _, err := m.Sign(t.Context(), s); err == nil {
			t.Errorf("%+v is signed", s)
		}
		m.end(t)
	}
}

// A flood ends the connection where it cannot be served at once, and nothing is
// left of it.
func TestFlood(t *testing.T) {
	r := newRig(t, "", func(c *conf.Config) { c.Login.NonInteractive = conf.Allow })
	for _, op := range []string{"hello", "sign", "wait"} {
		t.Run(op, func(t *testing.T) {
			m := r.start(t, false)
			flood := operations[op]
			if op == "wait" {
				r.open(t, m, "ana")
				for _, first := range []string{"admit", "start"} {
					if err := operations[first](t.Context(), r, m); err != nil {
						t.Fatal(err)
					}
				}
				flood = func(ctx context.Context, _ *rig, m *running) error {
					_, err := m.Wait(ctx, link.Wait{Session: 1})
					return err
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // ask, and do not wait for the answer
			for range 10000 {
				_ = flood(ctx, r, m)
			}
			if op != "wait" {
				m.end(t)
			} else if got := m.ended(t); !strings.Contains(got.Error, "at once") {
				t.Errorf("the monitor ended with %q", got.Error)
			}
		})
	}
}

// Rubbish and descriptors end a connection that has come all the way, with what
// runs in it.
func TestRubbish(t *testing.T) {
	r := newRig(t, "", func(c *conf.Config) { c.Login.NonInteractive = conf.Allow })
	for name, send := range map[string]func(*link.Conn) error{
		"rubbish": func(c *link.Conn) error { return c.Send("rubbish") },
		"descriptors": func(c *link.Conn) error {
			return c.Send(map[string]any{"id": 1, "op": "hello", "body": struct{}{}}, os.Stdin)
		},
		"reboot": func(c *link.Conn) error { return c.Send(map[string]any{"id": 1, "op": "reboot", "body": struct{}{}}) },
		"a key of rubbish": func(c *link.Conn) error {
			return c.Send(map[string]any{"id": 9, "op": "key", "body": link.Key{User: "ana", Key: []byte("x")}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := r.start(t, false)
			if name != "a key of rubbish" {
				r.open(t, m, "ana")
				for _, op := range []string{"admit", "start", "start"} {
					if err := operations[op](t.Context(), r, m); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := send(m.conn); err != nil {
				t.Fatal(err)
			}
			if got := m.ended(t); !strings.Contains(got.Error, link.ErrProtocol.Error()) {
				t.Errorf("the monitor ended with %q", got.Error)
			}
		})
	}
}

// First factors are counted, whatever the network half counts.
func TestTries(t *testing.T) {
	r := newRig(t, "max_tries = 3\n")
	for op, ask := range map[string]func(*running) (link.Proof, error){
		"password": func(m *running) (link.Proof, error) {
			return m.Password(t.Context(), link.Password{User: "ana", Password: "wrong"})
		},
		"key": func(m *running) (link.Proof, error) {
			return m.Key(t.Context(), link.Key{User: "nobody-here", Key: r.key.Marshal(), Proven: true})
		},
		"question": func(m *running) (link.Proof, error) {
			return m.Key(t.Context(), link.Key{User: "ana", Key: r.key.Marshal()})
		},
	} {
		m := r.start(t, false)
		n := 0
		for ; n < 100; n++ {
			p, err := ask(m)
			if err != nil {
				break
			}
			if p.OK != (op == "question") {
				t.Errorf("%s: %+v", op, p)
			}
		}
		if want := map[bool]int{false: 3, true: 9}[op == "question"]; n != want {
			t.Errorf("%s: %d answers, want %d", op, n, want)
		}
		m.ended(t)
	}
}

// Nothing that an administrator alone may see goes to the network half.
func TestStripped(t *testing.T) {
	r := newRig(t, "")
	m := r.start(t, false)
	r.open(t, m, "ana")
	j, err := m.Challenge(t.Context(), link.Challenge{})
	if err != nil || j.Next == nil || j.Next.Phrase == "" || j.Next.ID != "" {
		t.Fatalf("%+v, %v", j, err)
	}
	j, err = m.Answer(t.Context(), link.Answer{Sample: r.hands.Sample(j.Next.Phrase)})
	b, _ := json.Marshal(j)
	if err != nil || j.Code != wire.Accept || strings.Contains(string(b), "score") || strings.Contains(string(b), "detail") {
		t.Errorf("%s, %v", b, err)
	}
	m.end(t)
}
