package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

// ErrNoDaemon is the fact that nobody answers at the socket: there is no such
// file, or nobody listens to it.
var ErrNoDaemon = errors.New("the ksd daemon does not answer")

// requestTimeout bounds one request that is not a stream.
const requestTimeout = 30 * time.Second

// Client speaks to ksd.sock over one connection. Challenges, sittings and
// proofs belong to that connection, so one Client is one person's session; if
// the daemon closes it, the next call opens another, and what the daemon had
// bound to the old one is answered with CodeNotFound or CodeProof.
//
// A Client is safe for concurrent use, but requests wait for each other.
//
// Every method returns a *Error if the daemon refused, and otherwise an error
// that wraps ErrNoDaemon, ErrServer, ctx.Err() or says what broke.
type Client struct {
	http  *http.Client
	first chan net.Conn // the connection of Dial, until a request takes it
}

// Dial connects to the daemon behind the socket at path and checks that it is
// one to be trusted. Errors: ErrNoDaemon, ErrServer.
func Dial(ctx context.Context, path string) (*Client, error) {
	first, err := dialServer(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	ready := make(chan net.Conn, 1)
	ready <- first
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		select {
		case c := <-ready:
			return c, nil
		default:
			return dialServer(ctx, "unix", path)
		}
	}
	return &Client{first: ready, http: &http.Client{
		Transport: &http.Transport{
			DialContext:        dial,
			MaxConnsPerHost:    1,
			DisableCompression: true,
			Proxy:              nil, // the environment has no say in where keystrokes go
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close ends the session. The daemon forgets what was bound to it.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	select {
	case unused := <-c.first:
		return unused.Close()
	default:
		return nil
	}
}

// dialServer connects to path and checks who listens there.
func dialServer(ctx context.Context, network, path string) (*net.UnixConn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, path)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w: %w", ErrNoDaemon, err)
	}
	if err != nil {
		return nil, err
	}
	u := conn.(*net.UnixConn)
	if err := checkServer(u, os.Geteuid()); err != nil {
		_ = u.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return u, nil
}

// call sends in (nil for none) to a route and reads the answer into out (nil
// for none). path is the route's, with its braces filled in.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resp, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if len(body) > MaxBody {
		return fmt.Errorf("%s %s: answer above %d bytes", method, path, MaxBody)
	}
	if resp.StatusCode/100 != 2 {
		return refusal(resp.StatusCode, body)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// send sends one request and returns the answer with its body open.
func (c *Client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, path, err)
		}
		if len(b) > MaxBody {
			return nil, &Error{CodeBadRequest, fmt.Sprintf("request of %d bytes, at most %d", len(b), MaxBody)}
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://ksd"+path, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.http.Do(req)
}

// refusal reads the body of an answer that is not 2xx.
func refusal(status int, body []byte) error {
	var e struct {
		Error *Error `json:"error"`
	}
	if err := json.Unmarshal(body, &e); err != nil || e.Error == nil || e.Error.Code == "" {
		return fmt.Errorf("the daemon answered %d %s", status, http.StatusText(status))
	}
	return e.Error
}

// fill puts one escaped word into the braces of a route and cuts it into
// method and path.
func fill(route, word string) (method, path string) {
	method, path, _ = strings.Cut(route, " ")
	open, end := strings.IndexByte(path, '{'), strings.IndexByte(path, '}')
	if open < 0 {
		return method, path
	}
	return method, path[:open] + url.PathEscape(word) + path[end+1:]
}
