package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"ksd/internal/wire"
)

// helloTimeout is how long a caller of login.sock may take to say what it
// wants, and writeTimeout how long it may take to read one packet.
const (
	helloTimeout = 5 * time.Second
	writeTimeout = 5 * time.Second
)

// The longest names that are believed, in bytes.
const (
	maxUser    = 64
	maxService = 64
	maxSource  = 128
)

// loginServer answers at login.sock.
type loginServer struct {
	d *Daemon
	l *net.UnixListener
}

// serve takes callers until the listener is closed, and returns when the last
// of them has gone. ctx ends when those at a prompt must go.
func (s *loginServer) serve(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := s.l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.d.world.Log.Error("login.sock", slog.Any("error", err))
			if !s.d.pause(ctx) {
				return
			}
			continue
		}
		peer, release, ok := s.admit(conn)
		if !ok {
			continue
		}
		wg.Go(func() {
			defer release()
			defer conn.Close()
			s.converse(ctx, conn, peer)
		})
	}
}

// acceptPause is how long the daemon waits where it can take nobody more, for
// want of descriptors.
const acceptPause = 100 * time.Millisecond

// pause waits a little, or until ctx ends, which it reports as false.
func (d *Daemon) pause(ctx context.Context) bool {
	over := make(chan struct{})
	stop := d.world.AfterFunc(acceptPause, func() { close(over) })
	defer stop()
	select {
	case <-over:
		return true
	case <-ctx.Done():
		return false
	}
}

// admit looks at who calls. Whoever holds too much already is turned away.
func (s *loginServer) admit(conn *net.UnixConn) (peer wire.Peer, release func(), ok bool) {
	peer, err := s.d.world.Peer(conn)
	if err != nil {
		s.d.world.Log.Error("login.sock", slog.Any("error", err))
		s.d.turnAway(conn)
		return peer, nil, false
	}
	if release, ok = s.d.limits.conversations.take(peer); !ok {
		s.d.world.Log.Warn("too many conversations", slog.String("actor", peer.String()))
		s.d.verdict(conn, wire.Failed)
		s.d.turnAway(conn)
	}
	return peer, release, ok
}

// converse holds one conversation. A bug met in it ends this one alone: the
// answer is a denial, and everybody else can still log in.
func (s *loginServer) converse(ctx context.Context, conn *net.UnixConn, peer wire.Peer) {
	defer func() {
		if bug := recover(); bug != nil {
			s.d.world.Log.Error("conversation broke", slog.Any("panic", bug), slog.String("stack", string(debug.Stack())))
			s.d.verdict(conn, wire.Failed)
		}
	}()
	stopTimer := s.d.world.AfterFunc(helloTimeout, func() { _ = conn.SetReadDeadline(past) })
	stopWatch := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(past) })
	o, err := receiveOpening(conn)
	stopTimer()
	stopWatch()
	if err != nil {
		s.d.refuseOpening(peer, err)
		s.d.verdict(conn, wire.Failed)
		return
	}
	s.d.verdict(conn, s.answer(ctx, conn, peer, o))
}

// answer holds a conversation that was opened as it should be.
func (s *loginServer) answer(ctx context.Context, conn *net.UnixConn, peer wire.Peer, o opening) wire.Code {
	if o.tty != nil {
		defer o.tty.Close()
	}
	who, err := s.d.claimant(peer, o)
	if err == nil {
		err = s.d.mayRecord(peer)
	}
	if err != nil {
		s.d.world.Log.Warn("login.sock: caller refused", slog.String("actor", peer.String()), slog.Any("error", err))
		return wire.Failed
	}
	if o.request != nil {
		return s.d.admitUnattended(ctx, conn, who, *o.request)
	}
	v := &conversation{d: s.d, conn: conn, tty: o.tty, who: who, hello: *o.hello}
	return v.run(ctx)
}

// refuseOpening logs why a conversation did not come about. A program of another
// version is no attack, and what to do about it is known.
func (d *Daemon) refuseOpening(peer wire.Peer, err error) {
	text := "login.sock: conversation refused"
	if errors.Is(err, wire.ErrVersion) {
		text = "login.sock: the caller is of another version of ksd; install pam_ksd.so, the programs and the daemon together"
	}
	d.world.Log.Warn(text, slog.String("actor", peer.String()), slog.Any("error", err))
}

// errForbidden is the fact that a caller named somebody else.
var errForbidden = errors.New("only root may name another account")

// claimant checks who a first packet names. Where an attempt comes from is
// believed of administrators alone.
func (d *Daemon) claimant(peer wire.Peer, o opening) (claimant, error) {
	who := claimant{peer: peer}
	if o.request != nil {
		who.user, who.service, who.source = o.request.User, o.request.Service, o.request.Source
	} else {
		who.user, who.service, who.source = o.hello.User, o.hello.Service, o.hello.Source
	}
	err := errors.Join(
		checkName("user", who.user, maxUser),
		checkName("service", who.service, maxService),
		checkName("source", who.source, maxSource))
	if err != nil {
		return claimant{}, err
	}
	var ok bool
	if who.user, ok = d.self(peer, who.user); !ok {
		return claimant{}, errForbidden
	}
	if !d.admin(peer) {
		who.source = peer.String()
	}
	return who, nil
}

// admin reports whether p administers this daemon.
func (d *Daemon) admin(p wire.Peer) bool { return p.UID == 0 || p.UID == d.world.UID }

// self reports whether p may act for the account user, and the name that
// everything about that account is kept under. Under another name for it
// nobody would be enrolled, and somebody else could enrol.
func (d *Daemon) self(p wire.Peer, user string) (name string, ok bool) {
	name, uid, err := d.world.Account(user)
	if err != nil {
		return user, d.admin(p)
	}
	return name, d.admin(p) || uid == p.UID
}

// past is a deadline that is over: what waits for it ends.
var past = time.Unix(1, 0)

// reply sends one packet, if there is one, and gives up where the caller does
// not read: it has no verdict then, which is a denial.
func (d *Daemon) reply(conn *net.UnixConn, packet []byte, err error) {
	if err != nil {
		d.world.Log.Error("packet", slog.Any("error", err))
		return
	}
	stop := d.world.AfterFunc(writeTimeout, func() { _ = conn.SetWriteDeadline(past) })
	defer stop()
	_, _ = conn.Write(packet)
}

// say sends the person a text.
func (d *Daemon) say(conn *net.UnixConn, silent bool, t wire.Text) {
	if t.Text == "" || silent {
		return
	}
	p, err := wire.EncodeText(t)
	d.reply(conn, p, err)
}

// verdict sends the last packet of a conversation.
func (d *Daemon) verdict(conn *net.UnixConn, code wire.Code) {
	if !code.Valid() {
		code = wire.Failed
	}
	p, err := wire.EncodeVerdict(wire.Verdict{Code: code})
	d.reply(conn, p, err)
}
