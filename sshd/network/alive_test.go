package network

import (
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"ksd/internal/ksdtest"
)

// stillEnv has timers that a test moves.
func stillEnv() (Env, *ksdtest.Clock) {
	clock, e := ksdtest.NewClock(), realEnv()
	e.AfterFunc = clock.AfterFunc
	return e, clock
}

// mute is a client's connection that can be made to lose all it is sent, as one
// whose cable was pulled does.
type mute struct {
	net.Conn
	pulled chan struct{}
}

func (m *mute) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	select {
	case <-m.pulled:
		select {} // the goroutine is the price of a test
	default:
		return n, err
	}
}

// TestKeepAlive ends a connection whose client has gone, and none whose client
// answers.
func TestKeepAlive(t *testing.T) {
	for name, pull := range map[string]bool{"there": false, "gone": true} {
		t.Run(name, func(t *testing.T) {
			m := newMonitor(t)
			m.opened.Passed, m.hello.LoginGrace = true, 0
			m.hello.KeepAlive, m.hello.KeepAlives = 15*time.Second, 2
			env, clock := stillEnv()
			r := serve(t, m, env)
			conn, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			wire := &mute{conn, make(chan struct{})}
			c, chans, requests, err := ssh.NewClientConn(wire, "", clientConfig())
			if err != nil {
				t.Fatal(err)
			}
			asked := make(chan string, 100)
			go func() {
				for r := range requests {
					asked <- r.Type
					_ = r.Reply(false, nil)
				}
			}()
			go func() {
				for range chans {
				}
			}()
			if pull {
				close(wire.pulled)
			}
			for questions := 0; questions < 4; {
				clock.AwaitTimer(15 * time.Second)
				clock.Advance(15 * time.Second)
				if pull {
					questions++
					continue
				}
				select {
				case kind := <-asked:
					questions++
					if kind != "keepalive@openssh.com" {
						t.Errorf("asked %q", kind)
					}
				case <-time.After(50 * time.Millisecond): // an answer came in meanwhile, so none was asked
				}
			}
			if pull {
				if err := r.end(); !errors.Is(err, errSilent) {
					t.Errorf("Serve: %v", err)
				}
				return
			}
			if _, _, err := c.SendRequest("still there?", true, nil); err != nil {
				t.Error(err)
			}
			c.Close()
			if err := r.end(); err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
	}
}

// TestIdle ends a connection over which nothing moves, and not one that is used.
func TestIdle(t *testing.T) {
	m := newMonitor(t)
	m.opened.Passed, m.hello.LoginGrace = true, 0
	m.hello.IdleTimeout = 10 * time.Minute
	env, clock := stillEnv()
	r := serve(t, m, env)
	p := r.at(r.dial())
	if err := p.s.Start("cat"); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		p.press("x")
		p.expect("x")
		clock.AwaitTimer(5 * time.Minute)
		clock.Advance(5 * time.Minute)
	}
	select {
	case err := <-r.ended:
		t.Fatalf("ended while in use: %v", err)
	default:
	}
	for range 3 {
		clock.AwaitTimer(5 * time.Minute)
		clock.Advance(5 * time.Minute)
		select {
		case err := <-r.ended:
			if !errors.Is(err, errIdle) {
				t.Errorf("Serve: %v", err)
			}
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err := r.end(); !errors.Is(err, errIdle) {
		t.Errorf("Serve: %v", err)
	}
}
