package network

import (
	"context"
	"errors"
	"io"
	"net"
	"os"

	"ksd/sshd/link"
)

// process starts what the session asked for and stands between it and the
// client until all is said.
//
// As with OpenSSH, the session ends when the process has ended and its output
// too. A process in the background that keeps a pipe open keeps the session; one
// that keeps the terminal does not, for the kernel hangs that up.
//
// The end of the output is told after the exit status, never before. A client
// that has nothing more to send closes the channel once it is told, and x/crypto
// closes this side in answer, when no status can be sent any more.
func (s *session) process(start link.Start) {
	started, files, err := s.c.monitor.Start(s.ctx, start)
	if err != nil {
		s.c.env.Log.Warn("start", "error", err)
		s.refuse("ksd: " + startText(err))
		return
	}
	// What is ours of the process is closed when the client has gone: it then
	// gets a hang-up or a broken pipe, as it would from a terminal.
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	if start.Agent {
		s.forwardAgent(ctx, files[len(files)-1])
		files = files[:len(files)-1]
	}
	for _, f := range files {
		defer f.Close()
		defer context.AfterFunc(ctx, func() { f.Close() })()
	}
	s.working.Go(func() { s.sendSignals(ctx, started.Session) })

	p := &process{s: s, session: started.Session}
	if start.Pty != nil {
		_, _ = s.ch.Write([]byte(lines(append(s.c.greeting(), started.Texts...), "\r\n")))
		p.terminal(ctx, files[0])
	} else {
		_, _ = s.ch.Stderr().Write([]byte(lines(started.Texts, "\n")))
		p.pipes(ctx, files[0], files[1], files[2])
	}
}

// startText tells a person why nothing was started.
func startText(err error) string {
	switch {
	case errors.Is(err, link.Exhausted):
		return "there are too many sessions; close one and try again"
	case errors.Is(err, link.NotFound), errors.Is(err, link.Refused):
		return "that is not available here"
	}
	return "it could not be started; please try again, or ask your administrator"
}

// process is a running one.
type process struct {
	s       *session
	session int
}

// pipes serves a process without a terminal. Its exit status goes out when it is
// known, even if something in the background has the pipes open still.
func (p *process) pipes(ctx context.Context, stdin, stdout, stderr *os.File) {
	s := p.s
	s.working.Go(func() {
		p.input(ctx, stdin)
		_ = stdin.Close()
		s.in.discard(ctx)
	})
	exited := make(chan struct{})
	s.working.Go(func() {
		defer close(exited)
		if e := p.wait(ctx); ctx.Err() == nil {
			s.exit(e)
		}
	})
	errorsDone := make(chan struct{})
	s.working.Go(func() {
		defer close(errorsDone)
		s.copy(s.ch.Stderr(), stderr)
	})
	s.copy(s.ch, stdout)
	_ = stdout.Close() // a writer to it learns that nobody reads
	<-errorsDone
	<-exited // or ctx is done
	_ = s.ch.CloseWrite()
}

// wait returns how the process ended. Where the monitor does not know, it
// failed.
func (p *process) wait(ctx context.Context) link.Exited {
	e, err := p.s.c.monitor.Wait(ctx, link.Wait{Session: p.session})
	if err != nil {
		return link.Exited{Status: 255}
	}
	return e
}

// input brings the client's input to f until either ends.
func (p *process) input(ctx context.Context, f *os.File) {
	defer p.s.full()
	buf := make([]byte, 32<<10)
	for {
		n, _, err := p.s.in.read(ctx, buf)
		if err != nil {
			return
		}
		p.s.c.moved.Add(1)
		if _, err := f.Write(buf[:n]); err != nil {
			return
		}
	}
}

// copy brings output to the client until either ends.
func (s *session) copy(to io.Writer, from *os.File) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !s.put(to, buf[:n]) || err != nil {
			return
		}
	}
}

// put sends output. It fails where the client wants no more.
func (s *session) put(to io.Writer, b []byte) bool {
	s.c.moved.Add(1)
	if s.noMore.Load() && to == io.Writer(s.ch) {
		return s.pty != nil // nobody reads it, but a terminal's process goes on
	}
	_, err := to.Write(b)
	return err == nil
}

// sendSignals brings signals to a process, one after the other.
func (s *session) sendSignals(ctx context.Context, session int) {
	for {
		select {
		case name := <-s.signals:
			_ = s.c.monitor.Signal(ctx, link.Signal{Session: session, Signal: name})
		case <-ctx.Done():
			return
		}
	}
}

// forwardAgent brings connections to the agent's socket to the client's agent.
// It closes f.
func (s *session) forwardAgent(ctx context.Context, f *os.File) {
	l, err := net.FileListener(f)
	_ = f.Close()
	if err != nil {
		s.c.env.Log.Warn("agent", "error", err)
		return
	}
	s.working.Go(func() { s.c.accept(ctx, l, "auth-agent@openssh.com", func(net.Conn) []byte { return nil }) })
}
