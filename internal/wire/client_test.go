package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"ksd/internal/keystroke"
)

// serveAPI serves h on a socket of its own and returns a Client of it and the
// number of connections made so far.
func serveAPI(t *testing.T, h http.Handler) (*Client, *atomic.Int32) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ksd.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conns := new(atomic.Int32)
	srv := &http.Server{Handler: h, ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
		conns.Add(1)
		return ctx
	}}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, conns
}

func TestDialRefusals(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead")
	l, err := net.Listen("unix", dead)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()
	for _, path := range []string{filepath.Join(dir, "missing"), dead} {
		if _, err := Dial(t.Context(), path); !errors.Is(err, ErrNoDaemon) {
			t.Errorf("%s: %v, want ErrNoDaemon", filepath.Base(path), err)
		}
	}
	if _, err := Dial(t.Context(), filepath.Join(dir, strings.Repeat("x", 200))); err == nil || errors.Is(err, ErrNoDaemon) {
		t.Errorf("a path too long for a socket: %v", err)
	}
}

// TestClientRefusals walks every way a request can fail.
func TestClientRefusals(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for _, c := range []struct {
		name string
		h    http.HandlerFunc
		want string
		code ErrorCode
	}{
		{"typed error", answer(429, `{"error":{"code":"locked","message":"locked until noon"}}`), "locked until noon", CodeLocked},
		{"error without a code", answer(500, `{"error":{}}`), "500 Internal Server Error", ""},
		{"error that is not JSON", answer(502, `<html>`), "502 Bad Gateway", ""},
		{"a redirect is not followed", answer(301, ``), "301 Moved", ""},
		{"answer that is not JSON", answer(200, `hello`), "invalid character", ""},
		{"answer of another shape", answer(200, `[]`), "cannot unmarshal", ""},
		{"answer too large", answer(200, `"`+strings.Repeat("x", MaxBody)+`"`), "above", ""},
		{"hang up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, _ := serveAPI(t, c.h)
			_, err := client.Status(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			var e *Error
			if errors.As(err, &e) != (c.code != "") || (e != nil && e.Code != c.code) {
				t.Errorf("error %#v, want code %q", err, c.code)
			}
		})
	}
}

func TestClientRefusesLargeRequest(t *testing.T) {
	client, _ := serveAPI(t, http.NotFoundHandler())
	_, err := client.Challenge(t.Context(), ChallengeRequest{User: strings.Repeat("x", MaxBody)})
	if !errors.Is(err, &Error{Code: CodeBadRequest}) {
		t.Errorf("error %v, want %s", err, CodeBadRequest)
	}
}

// TestCalls makes every call once and looks at what arrives: method, path and
// body of the routes in api.go.
func TestCalls(t *testing.T) {
	var got string
	client, conns := serveAPI(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body json.RawMessage
		_ = json.NewDecoder(r.Body).Decode(&body)
		got = fmt.Sprintf("%s %s %s", r.Method, r.URL.RequestURI(), body)
		if strings.Contains(got, "GET /v1/users ") || strings.Contains(got, "/v1/audit") {
			_, _ = w.Write([]byte("[]"))
			return
		}
		_, _ = w.Write([]byte(`{}`))
	}))
	ctx := t.Context()
	s := keystroke.Sample{Phrase: "ab", Channel: keystroke.Press, Events: []keystroke.Event{{Key: 'a', Rune: 'a'}}}
	sample := `{"sample":{"phrase":"ab","channel":"press","events":[{"key":"a","text":"a","down_ns":0}]}`
	for _, c := range []struct {
		do   func() error
		want string
	}{
		{func() error { _, err := client.Status(ctx); return err }, "GET /v1/status "},
		{func() error { _, err := client.Users(ctx); return err }, "GET /v1/users "},
		{func() error { _, err := client.User(ctx, "ana"); return err }, "GET /v1/users/ana "},
		{func() error { _, err := client.User(ctx, "a/b c"); return err }, "GET /v1/users/a%2Fb%20c "},
		{func() error { _, err := client.Delete(ctx, "ana"); return err }, "DELETE /v1/users/ana "},
		{func() error { _, err := client.Unlock(ctx, "ana"); return err }, "POST /v1/users/ana/unlock "},
		{func() error {
			_, err := client.OpenSitting(ctx, SittingRequest{User: "ana", Channel: keystroke.Press})
			return err
		}, `POST /v1/sittings {"user":"ana","channel":"press"}`},
		{func() error { _, err := client.Type(ctx, "x1", Typing{Sample: s, Insist: true}); return err }, "POST /v1/sittings/x1/typing " + sample + `,"insist":true}`},
		{func() error { _, err := client.Finish(ctx, "x1"); return err }, "POST /v1/sittings/x1/finish "},
		{func() error {
			_, err := client.Challenge(ctx, ChallengeRequest{User: "ana", Service: "su"})
			return err
		}, `POST /v1/challenges {"user":"ana","service":"su"}`},
		{func() error { _, err := client.Answer(ctx, "c1", Typing{Sample: s}); return err }, "POST /v1/challenges/c1 " + sample + "}"},
		{func() error { _, err := client.Model(ctx); return err }, "GET /v1/model "},
		{func() error { _, err := client.Audit(ctx, "ana", 3); return err }, "GET /v1/audit?limit=3&user=ana "},
		{func() error { _, err := client.Import(ctx, Import{}); return err }, `POST /v1/import {"people":null}`},
	} {
		if err := c.do(); err != nil {
			t.Errorf("%s: %v", c.want, err)
		}
		if got != c.want {
			t.Errorf("sent %q, want %q", got, c.want)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestRetrainStream(t *testing.T) {
	for _, c := range []struct {
		name, body string
		lines      int
		report     bool
		err        string
	}{
		{"cut off", `{"stage":"training","done":0.5}` + "\n", 1, false, "without a report"},
		{"not JSON", "nonsense", 0, false, "invalid character"},
		{"error at the end", `{"stage":"training","done":0.5}` + "\n" + `{"error":{"code":"too-few","message":"two people"}}`, 1, false, "two people"},
		{"report", `{"stage":"training","done":0.5}` + "\n" + `{"stage":"validation","done":1,"report":{"people":3}}` + "\n", 2, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, conns := serveAPI(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(c.body))
			}))
			lines := 0
			report, err := client.Retrain(t.Context(), RetrainRequest{}, func(Progress) { lines++ })
			if lines != c.lines || (report != nil) != c.report {
				t.Errorf("%d lines, report %v", lines, report)
			}
			if (err == nil) != (c.err == "") || (err != nil && !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if c.report {
				_, _ = client.Status(t.Context())
				if conns.Load() != 1 {
					t.Error("the connection was lost after the report")
				}
			}
		})
	}
}

func TestRetrainRefusedAndCancelled(t *testing.T) {
	client, _ := serveAPI(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write([]byte(`{"error":{"code":"busy","message":"a run is under way"}}`))
	}))
	if _, err := client.Retrain(t.Context(), RetrainRequest{}, nil); !errors.Is(err, &Error{Code: CodeBusy}) {
		t.Errorf("error %v, want busy", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	client, _ = serveAPI(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"stage":"training"}` + "\n"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(gone)
	}))
	_, err := client.Retrain(ctx, RetrainRequest{}, func(Progress) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	<-gone
}

// TestReconnect checks that a call after the daemon closed the connection
// opens another one.
func TestReconnect(t *testing.T) {
	client, conns := serveAPI(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		_, _ = w.Write([]byte(`{}`))
	}))
	for range 3 {
		if _, err := client.Status(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := conns.Load(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

func TestErrorCodes(t *testing.T) {
	for _, c := range []ErrorCode{
		CodeBadRequest, CodeForbidden, CodeNotFound, CodeUnenrolled, CodeLocked,
		CodeProof, CodeExpired, CodeBusy, CodeTooFew, CodeCancelled,
	} {
		if s := c.Status(); s < 400 || s > 499 {
			t.Errorf("%s: status %d", c, s)
		}
	}
	for _, c := range []ErrorCode{CodeInternal, "", "made up"} {
		if s := c.Status(); s != 500 {
			t.Errorf("%q: status %d, want 500", c, s)
		}
	}
	if errors.Is(&Error{Code: CodeBusy}, &Error{Code: CodeLocked}) {
		t.Error("busy is locked")
	}
}
