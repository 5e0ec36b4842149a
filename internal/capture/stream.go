package capture

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// Stream is a terminal that is no tty: the channel of an SSH session.
type Stream interface {
	// Read waits for input until ctx is done and returns n > 0 bytes, with the
	// time at which the last of them was taken off the connection, on the clock
	// given to Over. With a context that is done already it returns what is
	// there, if anything. Errors other than the context's mean that the other end
	// is gone.
	Read(ctx context.Context, b []byte) (n int, at time.Duration, err error)

	// Write sends all of b, or fails. With a context that is done already it
	// never waits: it sends b if there is room, or nothing.
	Write(ctx context.Context, b []byte) error

	// Width returns the columns of the window as it is now, 0 if unknown. Any
	// goroutine may change it meanwhile.
	Width() int
}

// Over makes a Terminal of a stream. There are no settings to change there:
// whoever set up the stream does not edit, echo or signal what comes. Output
// goes out with CR LF for LF. term and clock are as for Open.
func Over(s Stream, term string, clock func() time.Duration) *Terminal {
	return newTerminal(&stream{s}, term, clock)
}

type stream struct{ s Stream }

// atOnce is a context that is done: with it nothing waits.
var atOnce = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

func (s *stream) take() (link, error) {
	l := &streamLink{s: s.s}
	l.open, l.end = context.WithCancel(context.Background())
	return l, s.flush()
}

func (s *stream) give(last string) error {
	if last != "" {
		s.try(last)
	}
	return s.flush()
}

func (s *stream) try(b string) bool { return s.s.Write(atOnce, []byte(b)) == nil }

// flush drops at most what a tty would have kept.
func (s *stream) flush() error {
	var b [256]byte
	for range dropLimit / len(b) {
		if n, _, err := s.s.Read(atOnce, b[:]); n == 0 || err != nil {
			break
		}
	}
	return nil
}

func (s *stream) width() int { return s.s.Width() }

func (s *stream) seat() seat { return nil }

// streamLink is a stream while it is held.
type streamLink struct {
	s    Stream
	open context.Context // done once the link is closed
	end  context.CancelFunc
}

func (l *streamLink) close() { l.end() }

// within calls f with a context that ends with ctx or with the link.
func (l *streamLink) within(ctx context.Context, f func(context.Context) error) error {
	if l.open.Err() != nil {
		return ErrNotRaw
	}
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.open, cancel)()
	err := f(both)
	switch {
	case err == nil:
		return nil
	case l.open.Err() != nil:
		return ErrNotRaw
	case ctx.Err() != nil:
		return contextError(ctx)
	}
	return fmt.Errorf("%w: %w", ErrHangup, err)
}

func (l *streamLink) read(ctx context.Context, b []byte) (n int, at time.Duration, err error) {
	err = l.within(ctx, func(ctx context.Context) error {
		n, at, err = l.s.Read(ctx, b)
		return err
	})
	return n, at, err
}

func (l *streamLink) poll(b []byte) (int, error) {
	if l.open.Err() != nil {
		return 0, ErrNotRaw
	}
	n, _, err := l.s.Read(atOnce, b)
	if n > 0 || atOnce.Err() == err {
		err = nil
	}
	return n, err
}

func (l *streamLink) write(ctx context.Context, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return l.within(ctx, func(ctx context.Context) error {
		return l.s.Write(ctx, bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")))
	})
}
