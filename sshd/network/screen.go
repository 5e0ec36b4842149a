package network

import (
	"context"
	"errors"
	"io"
	"time"

	"ksd/internal/capture"
)

// screen is the terminal behind a session channel, as package capture takes it.
// Output goes through a queue of its own, so that whoever writes can be called
// off although a channel's Write cannot.
type screen struct {
	s     *session
	queue chan []byte
	done  chan struct{} // closed when all was sent, or the channel is
}

var _ capture.Stream = (*screen)(nil)

// errStuck is the fact that the client does not read what it is sent.
var errStuck = errors.New("the client does not read")

// A prompt is a few short writes. A client that reads never has more than this
// outstanding.
const (
	maxQueue = 256
	maxWrite = 4 << 10
)

func newScreen(s *session) *screen {
	sc := &screen{s: s, queue: make(chan []byte, maxQueue), done: make(chan struct{})}
	go sc.send()
	return sc
}

func (sc *screen) send() {
	defer close(sc.done)
	failed := false
	for b := range sc.queue {
		if !failed {
			_, err := sc.s.ch.Write(b)
			failed = err != nil
		}
	}
}

// close waits until all was sent, unless ctx ends before. Nothing may be written
// after it.
func (sc *screen) close(ctx context.Context) {
	close(sc.queue)
	select {
	case <-sc.done:
	case <-ctx.Done():
	}
}

// Read returns the client's input and when it came.
func (sc *screen) Read(ctx context.Context, b []byte) (int, time.Duration, error) {
	n, at, err := sc.s.in.read(ctx, b)
	if n > 0 {
		sc.s.c.moved.Add(1)
	}
	return n, at, err
}

// Write queues b.
func (sc *screen) Write(ctx context.Context, b []byte) error {
	for len(b) > 0 {
		part := append([]byte(nil), b[:min(len(b), maxWrite)]...)
		select {
		case sc.queue <- part:
			b = b[len(part):]
			continue
		case <-sc.done:
			return io.ErrClosedPipe
		default:
		}
		select {
		case sc.queue <- part:
			b = b[len(part):]
		case <-sc.done:
			return io.ErrClosedPipe
		case <-ctx.Done():
			return errStuck
		}
	}
	return nil
}

// Width returns the columns of the window as it is now.
func (sc *screen) Width() int { return sc.s.window.Load().Columns }
