package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"ksd/internal/model"
	"ksd/internal/store"
	"ksd/internal/wire"
)

// The timeouts of ksd.sock. A connection may idle as long as a person may think
// between two typings.
const (
	headerTimeout = 10 * time.Second
	bodyTimeout   = 30 * time.Second
	answerTimeout = 30 * time.Second
	idleTimeout   = 15 * time.Minute
	maxHeader     = 16 << 10 // bytes
)

// apiServer answers at ksd.sock.
type apiServer struct {
	d        *Daemon
	http     *http.Server
	sessions sync.WaitGroup
	ended    chan struct{} // shutdown is over
}

// session is what the daemon knows about one connection of ksd.sock. Requests
// of a connection come one after the other.
type session struct {
	peer    wire.Peer
	admin   bool
	release func()

	challenge *challenge
	sitting   *sitting
	proof     map[string]time.Time // when a challenge was passed, by account
}

type sessionKey struct{}

// newAPIServer returns a server whose requests are told to stop when ctx ends.
func newAPIServer(ctx context.Context, d *Daemon) *apiServer {
	s := &apiServer{d: d, ended: make(chan struct{})}
	s.http = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       s.open,
		ConnState:         s.closed,
		ErrorLog:          slog.NewLogLogger(d.world.Log.Handler(), slog.LevelWarn),
	}
	return s
}

// serve answers until shutdown, and returns when every session has ended.
func (s *apiServer) serve(l net.Listener) {
	if err := s.http.Serve(&admitting{Listener: l, s: s}); !errors.Is(err, http.ErrServerClosed) {
		s.d.world.Log.Error("ksd.sock", slog.Any("error", err))
	}
	<-s.ended
	s.sessions.Wait()
}

// shutdown lets requests under way finish until ctx ends.
func (s *apiServer) shutdown(ctx context.Context) {
	defer close(s.ended)
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
	}
}

// admitting is a listener that finds out who calls.
type admitting struct {
	net.Listener
	s *apiServer
}

// apiConn is a connection with its session.
type apiConn struct {
	net.Conn
	session *session
}

// Accept returns the next connection whose caller can be told.
func (a *admitting) Accept() (net.Conn, error) {
	for {
		c, err := a.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer, err := a.s.d.world.Peer(c.(*net.UnixConn))
		if err != nil {
			a.s.d.world.Log.Error("ksd.sock", slog.Any("error", err))
			a.s.d.turnAway(c)
			continue
		}
		release, ok := a.s.d.limits.connections.take(peer)
		if !ok {
			a.s.d.world.Log.Warn("too many connections", slog.String("actor", peer.String()))
			a.s.d.turnAway(c)
			continue
		}
		a.s.sessions.Add(1)
		return &apiConn{Conn: c, session: &session{
			peer: peer, admin: a.s.d.admin(peer), release: release, proof: map[string]time.Time{},
		}}, nil
	}
}

// open makes the session of a connection known to its requests.
func (s *apiServer) open(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, sessionKey{}, c.(*apiConn).session)
}

// closed ends the session of a connection that has ended. It runs in the
// goroutine that ran the connection's requests, after the last of them.
func (s *apiServer) closed(c net.Conn, state http.ConnState) {
	if state != http.StateClosed {
		return
	}
	defer s.sessions.Done()
	one := c.(*apiConn).session
	defer one.release()
	one.challenge.abandon(wire.Cancelled)
}

// request is one request with its session.
type request struct {
	*http.Request
	*session
}

// routes lists every route of the API. Whatever else is asked for is not found.
func (s *apiServer) routes() http.Handler {
	d, mux := s.d, http.NewServeMux()
	for route, f := range map[string]func(request) (any, error){
		wire.RouteStatus:    d.status,
		wire.RouteUsers:     d.users,
		wire.RouteUser:      d.user,
		wire.RouteDelete:    d.deleteUser,
		wire.RouteUnlock:    d.unlock,
		wire.RouteConfirm:   d.confirmUser,
		wire.RouteRevert:    d.revertUser,
		wire.RouteToken:     d.newToken,
		wire.RouteSitting:   d.openSitting,
		wire.RouteTyping:    d.typing,
		wire.RouteFinish:    d.finish,
		wire.RouteChallenge: d.newChallenge,
		wire.RouteAnswer:    d.answerChallenge,
		wire.RouteModel:     d.modelInfo,
		wire.RouteAudit:     d.auditEntries,
		wire.RouteImport:    d.importPeople,
	} {
		mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) {
			out, err := f(request{r, sessionOf(r)})
			d.respond(w, out, err)
		})
	}
	mux.HandleFunc(wire.RouteRetrain, func(w http.ResponseWriter, r *http.Request) {
		d.retrain(w, request{r, sessionOf(r)})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		d.respond(w, nil, errNotFound)
	})
	return mux
}

func sessionOf(r *http.Request) *session { return r.Context().Value(sessionKey{}).(*session) }

// The refusals that need no further words.
var (
	errNotFound  = &wire.Error{Code: wire.CodeNotFound, Message: "there is no such thing on this connection"}
	errAdminOnly = &wire.Error{Code: wire.CodeForbidden, Message: "administrators only"}
	errOther     = &wire.Error{Code: wire.CodeForbidden, Message: errForbidden.Error()}
	errInternal  = &wire.Error{Code: wire.CodeInternal, Message: "the daemon could not do its work; its log says why"}
)

// respond writes an answer or a refusal.
func (d *Daemon) respond(w http.ResponseWriter, out any, err error) {
	status := http.StatusOK
	if err != nil {
		e := d.refusal(err)
		status, out = e.Code.Status(), map[string]*wire.Error{"error": e}
	}
	b, err := json.Marshal(out)
	if err != nil {
		d.world.Log.Error("answer", slog.Any("error", err))
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// refusal turns an error into what a caller is told of it. What is not for
// callers goes to the log.
func (d *Daemon) refusal(err error) *wire.Error {
	var e *wire.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, store.ErrNotFound):
		return &wire.Error{Code: wire.CodeUnenrolled, Message: "nothing is known of this person"}
	case errors.Is(err, store.ErrClosed):
		return errNotFound
	case errors.Is(err, store.ErrOtherUID):
		return &wire.Error{Code: wire.CodeForbidden, Message: store.ErrOtherUID.Error()}
	case errors.Is(err, model.ErrTooFew):
		return &wire.Error{Code: wire.CodeTooFew, Message: err.Error()}
	case errors.Is(err, context.Canceled):
		return &wire.Error{Code: wire.CodeCancelled, Message: "the run was stopped"}
	}
	d.world.Log.Error("request failed", slog.Any("error", err))
	return errInternal
}

// read decodes the body of a request: one JSON value of at most wire.MaxBody
// bytes without unknown fields.
func (r request) read(into any) error {
	dec := json.NewDecoder(http.MaxBytesReader(nil, r.Body, wire.MaxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return badRequest(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return &wire.Error{Code: wire.CodeBadRequest, Message: "more than one value"}
	}
	return nil
}

// badRequest names what is wrong with a body, and never quotes it: it could be
// somebody's typing.
func badRequest(err error) error {
	message := "not the JSON that was expected"
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		message = "body too large"
	}
	return &wire.Error{Code: wire.CodeBadRequest, Message: message}
}

// needAdmin refuses whoever does not administer the daemon.
func (r request) needAdmin() error {
	if !r.admin {
		return errAdminOnly
	}
	return nil
}

// needSelf refuses whoever may not act for user, and returns the one name of
// that account.
func (d *Daemon) needSelf(r request, user string) (name string, err error) {
	if err := checkName("user", user, maxUser); err != nil {
		return "", &wire.Error{Code: wire.CodeBadRequest, Message: err.Error()}
	}
	name, ok := d.self(r.peer, user)
	if !ok {
		return "", errOther
	}
	return name, nil
}
