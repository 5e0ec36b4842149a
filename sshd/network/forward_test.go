package network

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// echo is a server that sends back what it gets, and then says so.
func echo(t *testing.T) (host string, port uint32) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				n, _ := io.Copy(c, c)
				fmt.Fprintf(c, "%d bytes", n)
			}()
		}
	}()
	return "127.0.0.1", uint32(l.Addr().(*net.TCPAddr).Port)
}

// roundTrip sends through a connection, ends its half, and reads the rest.
func roundTrip(t *testing.T, c io.ReadWriter, end func() error) {
	t.Helper()
	in := bytes.Repeat([]byte("0123456789"), 100_000)
	go func() {
		_, _ = c.Write(in)
		_ = end()
	}()
	got, err := io.ReadAll(c)
	if want := append(in, fmt.Sprintf("%d bytes", len(in))...); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes back, %v", len(got), err)
	}
}

func TestDirect(t *testing.T) {
	_, c := passed(t)
	host, port := echo(t)
	for range 3 {
		ch, requests, err := c.OpenChannel("direct-tcpip", marshal(direct{host, port, "127.0.0.1", 1}))
		if err != nil {
			t.Fatal(err)
		}
		go ssh.DiscardRequests(requests)
		roundTrip(t, ch, ch.CloseWrite)
		ch.Close()
	}
	for name, extra := range map[string][]byte{
		"nobody listens": marshal(direct{host, 1, "", 0}), "malformed": {1, 2, 3},
	} {
		if _, _, err := c.OpenChannel("direct-tcpip", extra); err == nil || !strings.Contains(err.Error(), "connect failed") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestListen has a listener of the client's, by a port of its own choice and of
// the client's.
func TestListen(t *testing.T) {
	r, c := passed(t)
	chosen := uint32(0)
	for _, ask := range []string{"any", "that one"} {
		l, err := c.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", chosen))
		if err != nil {
			t.Fatal(ask, err)
		}
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n, _ := io.Copy(conn, conn)
			fmt.Fprintf(conn, "%d bytes", n)
			conn.Close()
		}()
		chosen = uint32(l.Addr().(*net.TCPAddr).Port)
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, conn, conn.(*net.TCPConn).CloseWrite)
		conn.Close()
		if ok, _, err := c.SendRequest("tcpip-forward", true, marshal(hostPort{"127.0.0.1", chosen})); ok || err != nil {
			t.Errorf("twice the same: %v, %v", ok, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
			t.Error("it listens on after cancel-tcpip-forward")
		}
	}
	if ok, _, _ := c.SendRequest("cancel-tcpip-forward", true, marshal(hostPort{"127.0.0.1", chosen})); ok {
		t.Error("cancelled twice")
	}
	if ok, _, _ := c.SendRequest("tcpip-forward", true, []byte{1}); ok {
		t.Error("a malformed request is granted")
	}
	for i := range maxListeners + 1 {
		if ok, _, err := c.SendRequest("tcpip-forward", true, marshal(hostPort{"localhost", 0})); ok != (i < maxListeners) || err != nil {
			t.Errorf("listener %d: %v, %v", i, ok, err)
		}
	}
	c.Close()
	r.end()
}

// TestForwardingOff has it forbidden by either of the two who may.
func TestForwardingOff(t *testing.T) {
	for _, by := range []string{"the configuration", "the key"} {
		m := newMonitor(t)
		m.opened.Passed = true
		if by == "the key" {
			m.opened.Forwarding, m.opened.Agent, m.opened.Pty = false, false, false
		} else {
			m.hello.Forwarding, m.hello.Agent = false, false
		}
		r := serve(t, m, realEnv())
		c := r.dial()
		if _, _, err := c.OpenChannel("direct-tcpip", marshal(direct{"127.0.0.1", 22, "", 0})); err == nil {
			t.Errorf("%s: a direct channel", by)
		}
		if ok, _, _ := c.SendRequest("tcpip-forward", true, marshal(hostPort{"localhost", 0})); ok {
			t.Errorf("%s: a listener", by)
		}
		p := r.at(c)
		if ok, _ := p.s.SendRequest("auth-agent-req@openssh.com", true, nil); ok {
			t.Errorf("%s: an agent", by)
		}
		if err := p.s.RequestPty("xterm", 24, 80, nil); (err == nil) == (by == "the key") {
			t.Errorf("%s: a terminal: %v", by, err)
		}
	}
}

// TestListenWaits has "ssh -R" with a terminal: the listener is asked for first,
// and granted once the challenge is passed. Without a session it is refused
// after a while.
func TestListenWaits(t *testing.T) {
	m := newMonitor(t)
	r := serve(t, m, realEnv())
	c := r.dial()
	granted := make(chan bool, 1)
	go func() {
		ok, _, _ := c.SendRequest("tcpip-forward", true, marshal(hostPort{"localhost", 0}))
		granted <- ok
	}()
	p := r.at(c).shell()
	p.expect("> ")
	time.Sleep(2 * patience)
	select {
	case ok := <-granted:
		t.Fatalf("answered before the challenge: %v", ok)
	default:
	}
	p.press("")
	for _, k := range phrase {
		p.press(string(k))
		p.expect(string(k))
	}
	p.press("\r")
	if !<-granted {
		t.Error("refused though the challenge was passed")
	}

	m = newMonitor(t)
	r = serve(t, m, realEnv())
	c = r.dial()
	if ok, _, err := c.SendRequest("tcpip-forward", true, marshal(hostPort{"localhost", 0})); ok || err != nil {
		t.Errorf("without a session: %v, %v", ok, err)
	}
	p = r.at(c).shell() // the way in is open still
	p.types(phrase)
	p.expect("$ ")
}

// TestAgent brings a connection to the process's socket to the client's agent.
func TestAgent(t *testing.T) {
	r, c := passed(t)
	agents := c.HandleChannelOpen("auth-agent@openssh.com")
	p := r.at(c)
	if ok, err := p.s.SendRequest("auth-agent-req@openssh.com", true, nil); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := p.s.Start("cat"); err != nil {
		t.Fatal(err)
	}
	p.press("up")
	p.expect("up")
	conn, err := net.Dial("unix", r.m.agent())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	n := <-agents
	ch, requests, err := n.Accept()
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	go func() {
		n, _ := io.Copy(ch, ch)
		fmt.Fprintf(ch, "%d bytes", n)
		ch.Close()
	}()
	roundTrip(t, conn, conn.(*net.UnixConn).CloseWrite)
	p.keys.Close()
	if _, err := p.wait(); err != nil {
		t.Error(err)
	}
	c.Close()
	r.end()
	if _, err := net.Dial("unix", r.m.agent()); err == nil {
		t.Error("the agent's socket is served after the session")
	}
}
