package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// maxPending is how many requests may wait for their answers. More end the
// connection.
const maxPending = 256

// Serve answers the requests that come over c by asking m, several at a time,
// until ctx or the link ends. It returns nil where the network half has closed
// the link, and what ended it else: an error that wraps ErrProtocol where that
// half broke a rule, or where m says so. It closes c and returns when nobody
// works for it any more; their context ends with the link.
func Serve(ctx context.Context, c *Conn, m Monitor) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	var working sync.WaitGroup
	slots := make(chan struct{}, maxPending)
	for {
		var r request
		_, err := c.Receive(&r, 0)
		if err != nil {
			end(err)
			break
		}
		select {
		case slots <- struct{}{}:
		default:
			err = fmt.Errorf("%w: more than %d requests at once", ErrProtocol, maxPending)
		}
		if err != nil {
			end(err)
			break
		}
		working.Go(func() {
			defer func() { <-slots }()
			if err := serve(ctx, c, m, r); err != nil {
				end(err)
			}
		})
	}
	_ = c.Close()
	working.Wait()
	if err := context.Cause(ctx); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// serve answers one request. Its error ends the connection.
func serve(ctx context.Context, c *Conn, m Monitor, r request) error {
	out, files, err := dispatch(ctx, m, r)
	defer closeAll(files)
	a := answer{ID: r.ID}
	switch {
	case errors.As(err, &a.Error):
	case err != nil:
		return err
	default:
		if a.Body, err = json.Marshal(out); err != nil {
			return err
		}
	}
	if err := c.Send(a, files...); errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
		return io.EOF // the network half is gone
	} else if err != nil {
		return err
	}
	return nil
}

// dispatch asks m for what r asks for.
func dispatch(ctx context.Context, m Monitor, r request) (any, []*os.File, error) {
	switch r.Op {
	case OpHello:
		return one(ctx, r, func(ctx context.Context, _ Nothing) (Hello, error) { return m.Hello(ctx) })
	case OpSign:
		return one(ctx, r, m.Sign)
	case OpKey:
		return one(ctx, r, m.Key)
	case OpPassword:
		return one(ctx, r, m.Password)
	case OpOpen:
		return one(ctx, r, m.Open)
	case OpChallenge:
		return one(ctx, r, m.Challenge)
	case OpAnswer:
		return one(ctx, r, m.Answer)
	case OpAdmit:
		return one(ctx, r, m.Admit)
	case OpWait:
		return one(ctx, r, m.Wait)
	case OpSignal:
		return one(ctx, r, func(ctx context.Context, s Signal) (Nothing, error) { return Nothing{}, m.Signal(ctx, s) })
	case OpStart:
		return several(ctx, r, m.Start)
	case OpDial:
		return several(ctx, r, func(ctx context.Context, d Dial) (Nothing, []*os.File, error) {
			f, err := m.Dial(ctx, d)
			return Nothing{}, []*os.File{f}, err
		})
	case OpListen:
		return several(ctx, r, func(ctx context.Context, l Listen) (Listening, []*os.File, error) {
			out, f, err := m.Listen(ctx, l)
			return out, []*os.File{f}, err
		})
	}
	return nil, nil, fmt.Errorf("%w: no operation %.20q", ErrProtocol, r.Op)
}

// one asks for what brings no descriptors.
func one[In, Out any](ctx context.Context, r request, f func(context.Context, In) (Out, error)) (any, []*os.File, error) {
	return several(ctx, r, func(ctx context.Context, in In) (Out, []*os.File, error) {
		out, err := f(ctx, in)
		return out, nil, err
	})
}

// several reads a body, asks f, and hands over files only where it went well.
func several[In, Out any](ctx context.Context, r request, f func(context.Context, In) (Out, []*os.File, error)) (any, []*os.File, error) {
	var in In
	if err := decode(r.Body, &in); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", r.Op, err)
	}
	out, files, err := f(ctx, in)
	if err != nil {
		return nil, nil, err
	}
	return out, files, nil
}
