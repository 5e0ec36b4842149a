package network

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"ksd/internal/capture"
	"ksd/sshd/link"
)

// patient is how long a test waits for what must come.
const patient = time.Minute

// realEnv is the world as a program would hand it in.
func realEnv() Env {
	return Env{
		Clock:     capture.Monotonic,
		AfterFunc: func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop },
		Log:       slog.New(slog.DiscardHandler),
	}
}

// rig is a server for one connection after the other, each with the monitor
// behind a real link.
type rig struct {
	tb      testing.TB
	m       *monitor
	addr    string
	ended   chan error // of each connection
	env     Env
	newOne  func() *monitor // for each connection
	serving sync.WaitGroup
}

// serve serves connections on loopback with m behind them until the test ends.
func serve(tb testing.TB, m *monitor, env Env) *rig {
	tb.Helper()
	r := serveEach(tb, func() *monitor { return m }, env)
	r.m = m
	return r
}

// serveEach has a monitor of its own for each connection.
func serveEach(tb testing.TB, newOne func() *monitor, env Env) *rig {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r := &rig{tb: tb, newOne: newOne, addr: l.Addr().String(), ended: make(chan error, 2000), env: env}
	ctx, cancel := context.WithCancel(context.Background())
	r.serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.serving.Go(func() { r.ended <- r.one(ctx, conn) })
		}
	})
	tb.Cleanup(func() {
		cancel()
		l.Close()
		r.serving.Wait()
		if r.m != nil {
			r.m.reap()
		}
	})
	return r
}

func (r *rig) one(ctx context.Context, conn net.Conn) error {
	m := r.newOne()
	near, far, err := link.Pair()
	if err != nil {
		r.tb.Error(err)
		return err
	}
	ours, err := link.NewConn(near)
	if err != nil {
		r.tb.Error(err)
		return err
	}
	theirs, err := link.NewConn(far)
	if err != nil {
		r.tb.Error(err)
		return err
	}
	client := link.NewClient(ours)
	served := make(chan error, 1)
	go func() { served <- link.Serve(ctx, theirs, m) }()
	err = Serve(ctx, conn, client, r.env)
	_ = client.Close()
	if err := <-served; err != nil && ctx.Err() == nil {
		r.tb.Errorf("the monitor's end: %v", err)
	}
	return err
}

// end returns how the connection ended.
func (r *rig) end() error {
	r.tb.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(patient):
		r.tb.Fatal("the connection does not end")
		return nil
	}
}

func clientConfig() *ssh.ClientConfig {
	return &ssh.ClientConfig{
		User: goodUser, Auth: []ssh.AuthMethod{ssh.PublicKeys(keys().client)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: patient,
	}
}

// dial logs in with the first factor.
func (r *rig) dial() *ssh.Client {
	r.tb.Helper()
	c, err := ssh.Dial("tcp", r.addr, clientConfig())
	if err != nil {
		r.tb.Fatal(err)
	}
	r.tb.Cleanup(func() { c.Close() })
	return c
}

// person is somebody at a session.
type person struct {
	tb   testing.TB
	s    *ssh.Session
	keys io.WriteCloser
	out  *screenful
}

// screenful is what a client was shown so far.
type screenful struct {
	mu   sync.Mutex
	cond *sync.Cond
	b    bytes.Buffer
	seen int
}

func newScreenful() *screenful {
	s := &screenful{}
	s.cond = sync.NewCond(&s.mu)
	return s
}

func (s *screenful) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.cond.Broadcast()
	return s.b.Write(b)
}

func (s *screenful) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// expect waits until text is shown, after what was expected last.
func (p *person) expect(text string) {
	p.tb.Helper()
	s := p.out
	over := false
	t := time.AfterFunc(patient, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		over = true
		s.cond.Broadcast()
	})
	defer t.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if i := strings.Index(s.b.String()[s.seen:], text); i >= 0 {
			s.seen += i + len(text)
			return
		}
		if over {
			p.tb.Fatalf("%q is not shown; shown is %q", text, s.b.String())
		}
		s.cond.Wait()
	}
}

// at opens a session of the client.
func (r *rig) at(c *ssh.Client) *person {
	r.tb.Helper()
	s, err := c.NewSession()
	if err != nil {
		r.tb.Fatal(err)
	}
	p := &person{tb: r.tb, s: s, out: newScreenful()}
	s.Stdout, s.Stderr = p.out, p.out
	if p.keys, err = s.StdinPipe(); err != nil {
		r.tb.Fatal(err)
	}
	return p
}

// terminal asks for a terminal of the type.
func (p *person) terminal(term string) *person {
	p.tb.Helper()
	if err := p.s.RequestPty(term, 24, 80, ssh.TerminalModes{ssh.ECHO: 1}); err != nil {
		p.tb.Fatal(err)
	}
	return p
}

// shell asks for a shell at a dumb terminal.
func (p *person) shell() *person {
	p.tb.Helper()
	p.terminal("dumb")
	if err := p.s.Shell(); err != nil {
		p.tb.Fatal(err)
	}
	return p
}

// press sends keys as they are.
func (p *person) press(keys string) {
	p.tb.Helper()
	if _, err := io.WriteString(p.keys, keys); err != nil {
		p.tb.Fatal(err)
	}
}

// types answers a challenge, each key once the one before stands there.
func (p *person) types(line string) {
	p.tb.Helper()
	p.expect(phrase)
	p.expect("> ")
	for _, c := range line {
		p.press(string(c))
		p.expect(string(c))
	}
	p.press("\r")
}

// wait returns how the session ended: 0, its status, or the error.
func (p *person) wait() (int, error) {
	done := make(chan error, 1)
	go func() { done <- p.s.Wait() }()
	select {
	case err := <-done:
		if e, ok := err.(*ssh.ExitError); ok {
			return e.ExitStatus(), err
		}
		return 0, err
	case <-time.After(patient):
		p.tb.Fatalf("the session does not end; shown is %q", p.out.all())
		return 0, nil
	}
}
