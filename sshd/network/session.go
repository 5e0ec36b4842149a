package network

import (
	"context"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"

	"ksd/sshd/link"
)

// session is one session channel (RFC 4254, 6).
//
// Its request loop never waits for anything: a loop that does stops the whole
// connection, since all channels are read by one goroutine. So a shell or a
// command is answered as soon as it is well formed, which also keeps the replies
// in the order of the requests; what becomes of it shows on the channel.
type session struct {
	c   *connection
	ch  ssh.Channel
	ctx context.Context // until the channel is closed
	in  *input

	env     map[string][]byte
	envSize int
	token   string
	pty     *link.Pty
	agent   bool
	begun   bool   // a shell, command or subsystem was asked for
	next    func() // what runs it, once the request is answered
	free    func() // gives the session's places back

	window  atomic.Pointer[link.Window] // the newest
	resized chan struct{}               // holds a mark while the process has not seen it
	signals chan string
	noMore  atomic.Bool // the client reads no more output
	fed     chan struct{}
	full    func() // closes fed: nobody takes input any more
	working sync.WaitGroup
}

// openSession serves a session channel until it is closed.
func (c *connection) openSession(n ssh.NewChannel) {
	leave, ok := c.gate.enter()
	if !ok {
		_ = n.Reject(ssh.Prohibited, "not before the login is complete")
		return
	}
	defer leave()
	give, ok := c.sessions.take()
	if !ok || len(n.ExtraData()) > 0 {
		if ok {
			give()
		}
		_ = n.Reject(ssh.ResourceShortage, "no more sessions")
		return
	}
	defer give()
	ch, requests, err := n.Accept()
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(c.ctx)
	s := &session{
		c: c, ch: ch, ctx: ctx, env: map[string][]byte{},
		resized: make(chan struct{}, 1), signals: make(chan string, 16), fed: make(chan struct{}),
		free: func() { give(); leave() },
	}
	s.full = sync.OnceFunc(func() { close(s.fed) })
	s.in = newInput(ctx, ch, c.conn.last)
	for r := range requests {
		_ = r.Reply(s.request(r), nil)
		if s.next != nil { // not before the reply: it may close the channel
			s.working.Go(s.next)
			s.next = nil
		}
	}
	s.lastInput()
	cancel()
	_ = ch.Close()
	s.working.Wait()
}

// lastInput lets what a client sent before it closed the channel reach the
// process, for a while.
func (s *session) lastInput() {
	if !s.begun {
		return
	}
	late := make(chan struct{})
	defer s.c.after(linger, func() { close(late) })()
	select {
	case <-s.fed:
	case <-late:
	case <-s.ctx.Done():
	}
}

// run takes the session through the gate and runs its process. The channel is
// closed afterwards, whatever came of it. Its places are free before the client
// learns that, for it may want them at once.
func (s *session) run(start link.Start) {
	defer s.ch.Close()
	defer s.free()
	defer s.full()
	if !s.letIn() {
		return
	}
	if start.Pty != nil {
		p := *start.Pty
		p.Window = *s.window.Load()
		start.Pty = &p
	}
	s.process(start)
}

// letIn reports whether a process may be started, once that is known. If not,
// the person was told, and the exit status was sent.
func (s *session) letIn() bool {
	switch {
	case s.c.gate.opens(s.pty != nil):
		return true
	case s.pty != nil:
		return s.challenge()
	}
	if text := s.c.admit(s.ctx, s.token); text != "" {
		s.refuse(text)
		return false
	}
	return true
}
