package evdev

import (
	"cmp"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// MaxEvents is how many events a Recorder keeps: more than any line of typing
// has. One more is ErrTooMany.
const MaxEvents = 2048

// MaxAge is how old an event may be when it is read. What is older may have been
// typed at another console since left.
const MaxAge = 100 * time.Millisecond

// Recorder hears keyboards until it is closed or in doubt.
type Recorder struct {
	ours  func() bool
	clock func() time.Duration

	wg   sync.WaitGroup
	more chan struct{} // holds one where something came since it was last taken

	mu     sync.Mutex
	files  []*os.File // nil once closed
	events []Event    // in the order they were read
	err    error      // why it is closed
}

// Record begins to hear keyboards, which are in non-blocking mode and the
// Recorder's from now on. ours says whether the keyboards belong to this prompt
// at that moment; it is called by several goroutines, must not wait, and the
// first no is the end. clock is CLOCK_MONOTONIC itself.
func Record(keyboards []*os.File, ours func() bool, clock func() time.Duration) *Recorder {
	r := &Recorder{ours: ours, clock: clock, files: keyboards, more: make(chan struct{}, 1), events: make([]Event, 0, MaxEvents)}
	for i, f := range slices.Clone(keyboards) {
		r.wg.Go(func() { r.end(r.hear(i, f)) })
	}
	return r
}

// More says by one value that events came, or the end, since it last did.
func (r *Recorder) More() <-chan struct{} { return r.more }

// Events appends what was heard so far to dst, in the order of the stamps. Once
// there was a doubt the error says which, and there are none; it is ErrClosed
// after Close.
func (r *Recorder) Events(dst []Event) ([]Event, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return dst, r.err
	}
	was := len(dst)
	dst = append(dst, r.events...)
	slices.SortStableFunc(dst[was:], func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	return dst, nil
}

// Close ends it: the devices are closed and what was heard is wiped. It may be
// called from any goroutine, any number of times.
func (r *Recorder) Close() {
	r.end(ErrClosed)
	r.wg.Wait()
}

// end closes and wipes, and keeps the first reason.
func (r *Recorder) end(err error) {
	r.mu.Lock()
	if r.err == nil {
		r.err = err
		closeAll(r.files)
		r.files = nil
		clear(r.events[:cap(r.events)])
		r.events = nil
	}
	r.mu.Unlock()
	r.tell()
}

func (r *Recorder) tell() {
	select {
	case r.more <- struct{}{}:
	default:
	}
}

// hear reads one keyboard until there is a reason to stop.
func (r *Recorder) hear(keyboard int, f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return ErrClosed
	}
	var b [64 * EventSize]byte
	var got [64]Event
	for {
		n, err := r.read(conn, b[:])
		if err == nil {
			err = r.take(got[:0], keyboard, b[:n])
		}
		clear(b[:])
		clear(got[:])
		if err != nil {
			return err
		}
	}
}

// read waits for events and fetches them, unless the keyboards are somebody
// else's by then.
func (r *Recorder) read(conn syscall.RawConn, b []byte) (n int, err error) {
	parked := conn.Read(func(fd uintptr) bool {
		if !r.ours() {
			err = ErrElsewhere
			return true
		}
		for err = unix.EINTR; err == unix.EINTR; {
			n, err = unix.Read(int(fd), b)
		}
		return err != unix.EAGAIN
	})
	switch {
	case parked != nil:
		return 0, ErrClosed
	case err == nil && n <= 0:
		return 0, ErrMalformed // a device has no end
	}
	return max(n, 0), err
}

// take keeps the events of one read, if they are still the prompt's.
func (r *Recorder) take(got []Event, keyboard int, b []byte) error {
	got, err := Decode(got, keyboard, b)
	if err != nil {
		return err
	}
	now := r.clock()
	for _, e := range got {
		if age := now - e.At; age < 0 || age > MaxAge {
			return ErrLate
		}
	}
	// After the read: the switch may have come in between.
	if !r.ours() {
		return ErrElsewhere
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.err != nil:
		return r.err
	case len(r.events)+len(got) > MaxEvents:
		return ErrTooMany
	case len(got) == 0:
		return nil
	}
	r.events = append(r.events, got...)
	r.tell()
	return nil
}
