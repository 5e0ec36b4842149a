package network

import (
	"context"
	"io"
	"time"
)

// input is what a client sends into a channel, with the times at which it came.
// A read of a channel cannot be called off, so one goroutine reads for as long
// as the channel lives, one buffer ahead; whoever holds the terminal takes from
// it: first the challenge, then the process. What nobody takes stays with the
// client, by SSH's own flow control.
type input struct {
	chunks chan chunk
	taken  chan struct{}
	rest   []byte // of the chunk that was begun
	at     time.Duration
}

type chunk struct {
	data []byte
	at   time.Duration
}

// newInput reads src, in a goroutine that ends with it or with ctx.
func newInput(ctx context.Context, src io.Reader, last func() time.Duration) *input {
	in := &input{chunks: make(chan chunk), taken: make(chan struct{}, 1)}
	go in.pump(ctx, src, last)
	return in
}

func (in *input) pump(ctx context.Context, src io.Reader, last func() time.Duration) {
	defer close(in.chunks)
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		at := last()
		if n > 0 {
			select {
			case in.chunks <- chunk{buf[:n], at}:
			case <-ctx.Done():
				return
			}
			select {
			case <-in.taken:
			case <-ctx.Done():
				return
			}
			clear(buf[:n])
		}
		if err != nil {
			return
		}
	}
}

// read waits for input and returns it with its time. The error is io.EOF after
// the last, or the context's. With a context that is done already it returns
// what is there, if anything.
func (in *input) read(ctx context.Context, b []byte) (n int, at time.Duration, err error) {
	if len(in.rest) == 0 {
		c, ok, err := in.next(ctx)
		switch {
		case err != nil:
			return 0, 0, err
		case !ok:
			return 0, 0, io.EOF
		}
		in.rest, in.at = c.data, c.at
	}
	n = copy(b, in.rest)
	in.rest = in.rest[n:]
	if len(in.rest) == 0 {
		in.taken <- struct{}{}
	}
	return n, in.at, nil
}

func (in *input) next(ctx context.Context) (c chunk, ok bool, err error) {
	select {
	case c, ok = <-in.chunks:
		return c, ok, nil
	default:
	}
	select {
	case c, ok = <-in.chunks:
		return c, ok, nil
	case <-ctx.Done():
		return c, false, ctx.Err()
	}
}

// discard drops all that comes until the end.
func (in *input) discard(ctx context.Context) {
	var b [4 << 10]byte
	for {
		if _, _, err := in.read(ctx, b[:]); err != nil {
			return
		}
	}
}
