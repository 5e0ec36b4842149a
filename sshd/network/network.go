// Package network is the half of ksd-sshd that speaks SSH with strangers. It
// has no rights: it can read and write one TCP connection, and ask the monitor
// (package link) for all else, which the monitor grants or does not.
//
// gliderlabs/ssh keeps the connection and hands out what comes in. Sessions are
// served here, on the channels of golang.org/x/crypto/ssh: its own have no
// terminal modes, no exit-signal, and a request loop that a window-change can
// stop.
//
// # The way in
//
//	first factor     public key or password; the monitor says whether (auth)
//	the account      looked at as soon as it is proven
//	second factor    one challenge on the terminal of the first session, or, with
//	                 no terminal, a question to the monitor, with a one-time token
//	                 from the session's environment where there is one (gate)
//	everything else  what the configuration allows
//
// Until the second factor is proven there is one session channel at most, and
// nothing else. What it asked for (a variable, a terminal, an agent) is written
// down, and used when it begins. A challenge counts for its connection alone, and
// a token for its session: beside that, the gate stays closed.
//
// # What ends a connection
//
// The client; a refused challenge; the login grace while nothing is proven;
// questions whether the client is still there that stay without an answer;
// idleness; an error in what the client says. Whatever it is, all descriptors
// are closed and all goroutines have ended when Serve returns.
package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	gliderlabs "github.com/gliderlabs/ssh"
	"golang.org/x/crypto/ssh"

	"ksd/sshd/link"
)

// Env is what a connection takes from its surroundings.
type Env struct {
	// Clock is CLOCK_MONOTONIC, which keys are stamped with.
	Clock func() time.Duration
	// AfterFunc calls f once, after d, in a goroutine of its own, unless stop is
	// called before.
	AfterFunc func(d time.Duration, f func()) (stop func() bool)
	// Log takes what an administrator may want to know. No key, phrase or
	// password is in it.
	Log *slog.Logger
}

// linger is how long a client may take to read its last words.
const linger = 2 * time.Second

// The reasons for which this side ends a connection.
var (
	errGrace     = errors.New("the time to log in is over")
	errNotPassed = errors.New("the second factor was refused")
	errSilent    = errors.New("the client answers no more")
	errIdle      = errors.New("nothing was done for too long")
	errFlood     = errors.New("too many requests at once")
)

// connection is one client.
type connection struct {
	env     Env
	monitor link.Monitor
	hello   link.Hello
	conn    *stamped
	ctx     context.Context // until the connection ends
	cancel  context.CancelCauseFunc
	waiting context.Context // until then, or the login grace is over

	auth   auth
	gate   gate
	admits atomic.Int32 // questions to be let in without a challenge
	server atomic.Pointer[gliderlabs.Context]

	client   string      // the client's program, once the first factor is proven
	account  link.Opened // likewise
	greeted  atomic.Bool // the account's texts were shown
	moved    atomic.Uint64
	sessions counter
	forwards forwards
	globals  chan *ssh.Request

	farewell sync.Once // of endSoon
	mu       sync.Mutex
	ending   bool // no more tasks
	tasks    sync.WaitGroup
}

// Serve speaks SSH over conn until the connection ends, and returns why it did:
// nil where the client left. It closes conn. The link stays the caller's to
// close, and ctx should end with it: without the monitor nothing goes on.
func Serve(ctx context.Context, conn net.Conn, m link.Monitor, env Env) error {
	defer conn.Close()
	hello, err := m.Hello(ctx)
	if err != nil {
		return fmt.Errorf("monitor: %w", err)
	}
	c := &connection{
		env: env, monitor: m, hello: hello,
		conn:     &stamped{Conn: conn, clock: env.Clock},
		sessions: counter{most: int64(hello.MaxSessions)},
		globals:  make(chan *ssh.Request, maxGlobals),
	}
	c.auth.c, c.forwards.c, c.forwards.open.most = c, c, maxForwarded
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	defer c.cancel(nil)
	defer context.AfterFunc(c.ctx, func() { conn.Close() })()
	waiting, late := context.WithCancelCause(c.ctx)
	c.waiting = waiting
	defer c.after(hello.LoginGrace, func() { c.graceOver(late) })()

	server, err := c.newServer()
	if err != nil {
		return err
	}
	var failed error
	server.ConnectionFailedCallback = func(_ net.Conn, err error) { failed = err }
	server.HandleConn(c.conn)
	c.cancel(nil)
	c.finish()
	switch cause := context.Cause(c.ctx); {
	case cause != nil && !errors.Is(cause, context.Canceled):
		return cause
	case failed != nil && !errors.Is(failed, io.EOF):
		return failed
	}
	return ctx.Err()
}

// newServer sets gliderlabs/ssh up for this one connection.
func (c *connection) newServer() (*gliderlabs.Server, error) {
	signers, err := hostSigners(c.ctx, c.monitor, c.hello.HostKeys)
	if err != nil {
		return nil, err
	}
	s := &gliderlabs.Server{
		PublicKeyHandler: c.auth.publicKey,
		ServerConfigCallback: func(ctx gliderlabs.Context) *ssh.ServerConfig {
			c.server.Store(&ctx)
			cfg := config()
			c.auth.configure(cfg)
			return cfg
		},
		ChannelHandlers: map[string]gliderlabs.ChannelHandler{
			"session":      c.channel(c.openSession),
			"direct-tcpip": c.channel(c.openDirect),
			"default":      c.channel(refuseChannel),
		},
		RequestHandlers: map[string]gliderlabs.RequestHandler{"default": c.global},
	}
	for _, k := range signers {
		s.AddHostKey(k)
	}
	return s, nil
}

// channel makes a handler of one that may take as long as the channel lives.
func (c *connection) channel(open func(ssh.NewChannel)) gliderlabs.ChannelHandler {
	return func(_ *gliderlabs.Server, _ *ssh.ServerConn, n ssh.NewChannel, _ gliderlabs.Context) {
		c.spawn(func() { open(n) })
	}
}

// greeting returns the account's texts, once.
func (c *connection) greeting() []string {
	if c.greeted.Swap(true) {
		return nil
	}
	return c.account.Texts
}

// refuseChannel refuses kinds that are not served: x11, streamlocal, tunnels.
func refuseChannel(n ssh.NewChannel) {
	_ = n.Reject(ssh.UnknownChannelType, "not served here")
}

// opened is told that the first factor was proven and the account may be used.
func (c *connection) opened(o link.Opened, client string) {
	c.client, c.account = client, o
	if o.Passed {
		c.gate.become(gateRecognised)
	}
	c.spawn(c.answerGlobals)
	c.keepAlive()
	c.watchIdle()
}

// ssh returns the connection once the first factor is proven, else nil.
func (c *connection) ssh() *ssh.ServerConn {
	if ctx := c.server.Load(); ctx != nil {
		conn, _ := (*ctx).Value(gliderlabs.ContextKeyConn).(*ssh.ServerConn)
		return conn
	}
	return nil
}
