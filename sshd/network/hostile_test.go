package network

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"ksd/sshd/link"
)

// TestNothingBeforeTheGate has a client with a first factor ask for everything
// while the challenge goes on. The fake monitor fails the test where anything
// reaches it out of order.
func TestNothingBeforeTheGate(t *testing.T) {
	m := newMonitor(t)
	r := serve(t, m, realEnv())
	c := r.dial()
	ch, requests, err := c.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	p := &person{tb: t, keys: ch, out: newScreenful()}
	go func() { _, _ = io.Copy(p.out, ch) }()
	for _, kind := range []string{"session", "direct-tcpip", "x11", "direct-streamlocal@openssh.com", "tun@openssh.com", "auth-agent@openssh.com", "forwarded-tcpip"} {
		for range 100 {
			extra := []byte(nil)
			if kind == "direct-tcpip" {
				extra = marshal(direct{"127.0.0.1", 22, "", 0})
			}
			if _, _, err := c.OpenChannel(kind, extra); err == nil {
				t.Fatalf("a %s channel is open", kind)
			}
		}
	}
	for _, kind := range []string{"streamlocal-forward@openssh.com", "cancel-tcpip-forward", "no-more-sessions@openssh.com", "keepalive@openssh.com"} {
		if ok, _, err := c.SendRequest(kind, true, marshal(hostPort{"localhost", 0})); ok || err != nil {
			t.Errorf("%s: %v, %v", kind, ok, err)
		}
	}
	if ok, err := ch.SendRequest("auth-agent-req@openssh.com", true, nil); !ok || err != nil {
		t.Errorf("%v, %v", ok, err) // written down, no more
	}
	if ok, err := ch.SendRequest("pty-req", true, marshal(ptyReq{"dumb", 80, 24, 0, 0, ""})); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if ok, err := ch.SendRequest("exec", true, marshal(oneString{"echo $((20+1))"})); !ok || err != nil {
		t.Fatal(ok, err)
	}
	p.expect("> ")
	for _, kind := range []string{"shell", "exec", "subsystem", "pty-req", "env", "x11-req"} {
		if ok, err := ch.SendRequest(kind, true, marshal(oneString{"sftp"})); ok || err != nil {
			t.Errorf("%s: %v, %v", kind, ok, err)
		}
	}
	if _, err := c.NewSession(); err == nil {
		t.Error("a second session during the challenge")
	}
	if n := len(m.starts) + len(m.sessions); n != 0 {
		t.Errorf("%d things were started", n)
	}
	for _, k := range phrase {
		p.press(string(k))
		p.expect(string(k))
	}
	p.press("\r")
	p.expect("21")
}

// TestAdmit goes without a terminal: refused, admitted, with a token.
func TestAdmit(t *testing.T) {
	for name, c := range map[string]struct {
		token string
		admit bool
		ok    bool
	}{
		"no token":    {"", false, false},
		"a wrong one": {"guess", false, false},
		"a token":     {goodToken, false, true},
		"the policy":  {"", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMonitor(t)
			m.admit = c.admit
			r := serve(t, m, realEnv())
			client := r.dial()
			p := r.at(client)
			if c.token != "" {
				if err := p.s.Setenv("KSD_TOKEN", c.token); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.s.Start("echo \"[$KSD_TOKEN]\""); err != nil {
				t.Fatal(err)
			}
			if c.ok {
				p.expect("[]\n")
			} else {
				p.expect("ksd: no terminal, no login\n")
			}
			if status, err := p.wait(); (status == 0) != c.ok || !c.ok && status != 1 {
				t.Errorf("status %d, %v", status, err)
			}
			// A terminal takes the rhythm all the same, and is asked for it.
			p = r.at(client).shell()
			p.types(phrase)
			p.expect("$ ")
			p.press("exit\n")
			if _, err := p.wait(); err != nil {
				t.Error(err)
			}
			if err := r.at(client).s.Run("exit 0"); err != nil {
				t.Errorf("a command after the challenge: %v", err)
			}
		})
	}
}

// TestAdmitsAreCounted ends a connection that goes on asking.
func TestAdmitsAreCounted(t *testing.T) {
	m := newMonitor(t)
	r := serve(t, m, realEnv())
	c := r.dial()
	for range maxAdmits + 1 {
		if _, _, err := c.OpenChannel("direct-tcpip", marshal(direct{"127.0.0.1", 22, "", 0})); err == nil || !strings.Contains(err.Error(), "prohibited") {
			t.Errorf("a forward as the first thing: %v", err)
		}
	}
	if _, err := c.NewSession(); err == nil {
		t.Error("a session after all that")
	}
	if err := r.end(); err == nil || len(m.asked) != maxAdmits+3 { // key, key, open
		t.Errorf("%v; asked %v", err, m.asked)
	}
}

// TestTwoAsk has a second terminal while the first is at the challenge, on a
// connection that was let in without.
func TestTwoAsk(t *testing.T) {
	m := newMonitor(t)
	m.admit = true
	r := serve(t, m, realEnv())
	c := r.dial()
	if err := r.at(c).s.Run("exit 0"); err != nil {
		t.Fatal(err)
	}
	first, second := r.at(c).shell(), r.at(c)
	first.expect("> ")
	second.shell()
	second.expect("another session")
	if status, _ := second.wait(); status != 1 {
		t.Errorf("status %d", status)
	}
	first.press("\x03")
	if status, _ := first.wait(); status != 1 {
		t.Errorf("status %d", status)
	}
}

// TestFloods sends too much of everything. The connection ends or goes on, and
// nothing hangs.
func TestFloods(t *testing.T) {
	floods := map[string]func(c *ssh.Client, ch ssh.Channel) error{
		"environment": func(_ *ssh.Client, ch ssh.Channel) error {
			for i := range 1000 {
				if ok, err := ch.SendRequest("env", true, marshal(twoString{fmt.Sprintf("LC_%d", i), strings.Repeat("x", maxValue)})); err != nil || ok && i > 3 {
					return fmt.Errorf("%d: %v, %w", i, ok, err)
				}
			}
			return nil
		},
		"windows": func(_ *ssh.Client, ch ssh.Channel) error {
			for i := range uint32(20000) {
				if _, err := ch.SendRequest("window-change", false, marshal(sizes{i, i, i, i})); err != nil {
					return err
				}
			}
			_, err := ch.SendRequest("window-change", true, marshal(sizes{80, 24, 0, 0}))
			return err
		},
		"signals": func(_ *ssh.Client, ch ssh.Channel) error {
			for range 20000 {
				if _, err := ch.SendRequest("signal", false, marshal(oneString{"HUP"})); err != nil {
					return err
				}
			}
			_, err := ch.SendRequest("signal", true, marshal(oneString{"HUP"}))
			return err
		},
		"global requests": func(c *ssh.Client, _ ssh.Channel) error {
			for range 200 {
				if _, _, err := c.SendRequest("keepalive@openssh.com", true, nil); err != nil {
					return err
				}
			}
			return nil
		},
		"stderr, which nobody reads": func(_ *ssh.Client, ch ssh.Channel) error {
			_, err := ch.Stderr().Write(make([]byte, 1<<20))
			return err
		},
	}
	for name, flood := range floods {
		for _, terminal := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, terminal %v", name, terminal), func(t *testing.T) {
				m := newMonitor(t)
				m.opened.Passed = true
				r := serve(t, m, realEnv())
				c := r.dial()
				ch, requests, err := c.OpenChannel("session", nil)
				if err != nil {
					t.Fatal(err)
				}
				go ssh.DiscardRequests(requests)
				if terminal {
					_, _ = ch.SendRequest("pty-req", true, marshal(ptyReq{"xterm", 80, 24, 0, 0, ""}))
				}
				if err := flood(c, ch); err != nil {
					t.Error(err)
				}
				if _, err := ch.SendRequest("exec", true, marshal(oneString{"sleep 300"})); err != nil {
					t.Fatal(err)
				}
				if err := flood(c, ch); name != "environment" && err != nil {
					t.Error(err)
				}
				c.Close()
				r.end()
			})
		}
	}
}

// TestNeverReads has a client that reads nothing: what waits for it stays
// small, and the connection can be ended.
func TestNeverReads(t *testing.T) {
	r, c := passed(t)
	ch, requests, err := c.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if ok, err := ch.SendRequest("exec", true, marshal(oneString{"cat /dev/zero"})); !ok || err != nil {
		t.Fatal(ok, err)
	}
	time.Sleep(300 * time.Millisecond) // for as much as it can send
	if err := r.at(c).s.Run("exit 0"); err != nil {
		t.Errorf("another session beside it: %v", err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("%d MB are kept for it", grown>>20)
	}
	c.Close()
	r.end()
	select {
	case <-r.m.session(0).done: // a broken pipe
	case <-time.After(patient):
		t.Error("cat goes on")
	}
}

// leftovers counts what a process must not gather.
func leftovers(t *testing.T) (goroutines, descriptors int) {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here:", err)
	}
	return runtime.NumGoroutine(), len(fds)
}

// TestBroken breaks 1,000 connections off, each at another place, and looks what
// is left of them.
func TestBroken(t *testing.T) {
	const connections = 1000
	var mu sync.Mutex
	var monitors []*monitor
	r := serveEach(t, func() *monitor {
		m := newMonitor(t)
		mu.Lock()
		defer mu.Unlock()
		m.opened.Passed = len(monitors)%2 == 0
		m.start = func(link.Start) error { return nil }
		monitors = append(monitors, m)
		return m
	}, realEnv())
	breakOne(t, r, 0)
	<-r.ended
	goroutines, descriptors := leftovers(t)
	work := make(chan int)
	var breaking sync.WaitGroup
	for range 8 {
		breaking.Go(func() {
			for i := range work {
				breakOne(t, r, i)
			}
		})
	}
	for i := range connections {
		work <- i
	}
	close(work)
	breaking.Wait()
	for range connections {
		r.end()
	}
	for _, m := range monitors {
		m.reap()
	}
	for deadline := time.Now().Add(patient); ; time.Sleep(20 * time.Millisecond) {
		g, d := leftovers(t)
		if g <= goroutines+2 && d <= descriptors+2 {
			break
		}
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines and %d descriptors, before %d and %d\n%s", g, d, goroutines, descriptors, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// breakOne makes a connection and breaks it off at one of several places, or
// after so many bytes.
func breakOne(t *testing.T, r *rig, i int) {
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	if i%4 == 0 { // in the middle of anything
		conn = &limited{Conn: conn, left: i * 7}
	}
	c, chans, requests, err := ssh.NewClientConn(conn, "", clientConfig())
	if err != nil {
		return
	}
	client := ssh.NewClient(c, chans, requests)
	defer client.Close()
	if i%4 == 1 {
		return
	}
	ch, reqs, err := client.OpenChannel("session", nil)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(reqs)
	_, _ = ch.SendRequest("auth-agent-req@openssh.com", true, nil)
	if i%3 > 0 {
		_, _ = ch.SendRequest("pty-req", true, marshal(ptyReq{"xterm", 80, 24, 0, 0, ""}))
	}
	_, _ = ch.SendRequest("exec", true, marshal(oneString{"cat /dev/zero"}))
	_, _, _ = client.SendRequest("tcpip-forward", false, marshal(hostPort{"localhost", 0}))
	_, _ = ch.Write([]byte("abc"))
	switch i % 5 {
	case 1:
		_ = ch.Close()
	case 2:
		_ = ch.CloseWrite()
	case 3:
		_, _ = ch.Read(make([]byte, 100))
	}
}

// limited is a connection that breaks after so many bytes were sent.
type limited struct {
	net.Conn
	mu   sync.Mutex
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left -= len(b); l.left < 0 {
		_ = l.Conn.Close()
		return 0, net.ErrClosed
	}
	return l.Conn.Write(b)
}
