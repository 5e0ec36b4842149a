package network

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

func TestStamp(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	now := time.Duration(5)
	c := &stamped{Conn: near, clock: func() time.Duration { now++; return now }}
	if c.last() != 0 || c.count() != 0 {
		t.Error("stamped before anything came")
	}
	go func() {
		_, _ = far.Write([]byte("ab"))
		_, _ = far.Write([]byte("c"))
		far.Close()
	}()
	var b [1]byte
	for i, want := range []time.Duration{6, 7, 8, 8} { // the end brings nothing, and has no time
		_, err := c.Read(b[:])
		if c.last() != want || (err != nil) != (i == 3) {
			t.Errorf("read %d: %v, %v", i, c.last(), err)
		}
	}
	if c.count() != 3 {
		t.Errorf("%d reads", c.count())
	}
	if err := c.SetDeadline(time.Unix(1, 0)); err != nil || now != 8 {
		t.Error(err)
	}
}

// TestInput hands out what came, piece by piece, with its time.
func TestInput(t *testing.T) {
	r, w := io.Pipe()
	at := time.Duration(0)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	in := newInput(ctx, r, func() time.Duration { at++; return at })
	done, stop := context.WithCancel(ctx)
	stop()
	var b [2]byte
	if n, _, err := in.read(done, b[:]); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("of nothing: %d, %v", n, err)
	}
	go func() {
		_, _ = w.Write([]byte("abc"))
		_, _ = w.Write([]byte("d"))
		w.Close()
	}()
	for _, want := range []struct {
		text string
		at   time.Duration
	}{{"ab", 1}, {"c", 1}, {"d", 2}} {
		n, when, err := in.read(ctx, b[:])
		if string(b[:n]) != want.text || when != want.at || err != nil {
			t.Errorf("%q at %v, %v; want %+v", b[:n], when, err, want)
		}
	}
	if _, _, err := in.read(ctx, b[:]); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// TestInputWaits takes no more from a client than one buffer while nobody reads.
func TestInputWaits(t *testing.T) {
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	newInput(ctx, r, func() time.Duration { return 0 })
	if _, err := w.Write([]byte("first")); err != nil {
		t.Fatal(err)
	}
	second := make(chan struct{})
	go func() {
		_, _ = w.Write([]byte("second"))
		close(second)
	}()
	select {
	case <-second:
		t.Error("a second buffer was read though the first lies there")
	case <-time.After(50 * time.Millisecond):
	}
	cancel()
	r.Close()
	<-second
}
