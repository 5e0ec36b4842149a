package evdev_test

import (
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ksd/internal/evdev"
	"ksd/internal/evdev/evdevtest"
)

const patience = 10 * time.Second

// bench is a Recorder of pipes, with a clock and a console of the test's.
type bench struct {
	t      *testing.T
	rec    *evdev.Recorder
	boards []*evdevtest.Pipe
	reads  []*os.File // copies of the ends that the Recorder reads
	now    atomic.Int64
	ours   atomic.Value // of func() bool
}

func newBench(t *testing.T, boards int) *bench {
	t.Helper()
	b := &bench{t: t}
	b.now.Store(int64(time.Hour))
	b.ours.Store(func() bool { return true })
	var files []*os.File
	for range boards {
		p, f := evdevtest.NewPipe(t, b.clock)
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.SetNonblock(fd, true); err != nil { // Fd made it block
			t.Fatal(err)
		}
		b.boards, b.reads = append(b.boards, p), append(b.reads, f)
		files = append(files, os.NewFile(uintptr(fd), "keyboard"))
	}
	b.rec = evdev.Record(files, func() bool { return b.ours.Load().(func() bool)() }, b.clock)
	t.Cleanup(b.rec.Close)
	return b
}

func (b *bench) clock() time.Duration { return time.Duration(b.now.Load()) }

// heard waits until there are n events.
func (b *bench) heard(n int) []evdev.Event {
	b.t.Helper()
	late := time.After(patience)
	for {
		got, err := b.rec.Events(nil)
		if err != nil {
			b.t.Fatal(err)
		}
		if len(got) >= n {
			return got
		}
		select {
		case <-b.rec.More():
		case <-late:
			b.t.Fatalf("%d events, want %d", len(got), n)
		}
	}
}

// ends waits until it ends, which it must for this reason, closing everything.
func (b *bench) ends(want error) {
	b.t.Helper()
	late := time.After(patience)
	for {
		got, err := b.rec.Events(nil)
		if err != nil {
			if !errors.Is(err, want) || len(got) > 0 {
				b.t.Errorf("%d events, %v, want %v", len(got), err, want)
			}
			break
		}
		select {
		case <-b.rec.More():
		case <-late:
			b.t.Fatal("it does not end")
		}
	}
	b.rec.Close() // waits until nobody reads
	for i, p := range b.boards {
		b.reads[i].Close()
		if !p.Closed() {
			b.t.Errorf("keyboard %d is still open", i)
		}
	}
	if _, err := b.rec.Events(nil); !errors.Is(err, want) {
		b.t.Errorf("after Close: %v, want %v", err, want)
	}
}

// unread is how many bytes of a keyboard nobody has read.
func (b *bench) unread(i int) int {
	b.t.Helper()
	n, err := unix.IoctlGetInt(int(b.reads[i].Fd()), unix.TIOCINQ)
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

func TestRecorderRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		want error
		do   func(b *bench)
	}{
		{"dropped", evdev.ErrDropped, func(b *bench) { b.boards[1].Write(evdevtest.Dropped()) }},
		{"half an event", evdev.ErrMalformed, func(b *bench) { b.boards[1].Write([]byte("half")) }},
		{"unplugged", evdev.ErrMalformed, func(b *bench) { b.boards[1].Close() }},
		{"older than it may be", evdev.ErrLate, func(b *bench) {
			b.boards[1].Write(evdevtest.Packet(evdev.Event{Code: 30, At: b.clock() - evdev.MaxAge - time.Microsecond}))
		}},
		{"of the future", evdev.ErrLate, func(b *bench) {
			b.boards[1].Write(evdevtest.Packet(evdev.Event{Code: 30, At: b.clock() + time.Microsecond}))
		}},
		{"closed", evdev.ErrClosed, func(b *bench) { b.rec.Close() }},
		{"too many", evdev.ErrTooMany, func(b *bench) {
			for range evdev.MaxEvents {
				b.boards[1].Does(30, evdev.Repeat)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, 2)
			b.boards[0].Does(30, evdev.Down)
			b.heard(1)
			c.do(b)
			b.ends(c.want)
		})
	}
}

// TestElsewhere leaves unread what is typed once the keyboards are somebody
// else's, and forgets all that came before.
func TestElsewhere(t *testing.T) {
	b := newBench(t, 2)
	b.boards[0].Does(30, evdev.Down)
	b.boards[1].Does(31, evdev.Down)
	b.heard(2)
	b.ours.Store(func() bool { return false })
	b.boards[1].Does(32, evdev.Down)
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if _, err := b.rec.Events(nil); err != nil {
			break
		}
		if time.Now().After(late) {
			t.Fatal("it does not end")
		}
	}
	b.boards[0].Does(33, evdev.Down)
	if n, m := b.unread(0), b.unread(1); n != 3*evdev.EventSize || m != 3*evdev.EventSize {
		t.Errorf("%d and %d bytes unread, want an event each", n, m)
	}
	b.ends(evdev.ErrElsewhere)
}

// TestElsewhereMeanwhile switches away between the wake-up and the end of the
// read: what was read is forgotten.
func TestElsewhereMeanwhile(t *testing.T) {
	b := newBench(t, 1)
	b.boards[0].Does(30, evdev.Down)
	b.heard(1)
	b.boards[0].Does(31, evdev.Down)
	b.heard(2)
	var asked atomic.Int32
	b.ours.Store(func() bool {
		n := asked.Add(1)
		if got, _ := b.rec.Events(nil); n == 2 && len(got) != 2 {
			t.Errorf("%d events are kept before that is known", len(got))
		}
		return n == 1
	})
	b.boards[0].Does(32, evdev.Down)
	b.ends(evdev.ErrElsewhere)
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times, want before and after the read", n)
	}
}

// TestNeverOurs reads nothing at all where the keyboards were somebody else's
// from the beginning.
func TestNeverOurs(t *testing.T) {
	p, f := evdevtest.NewPipe(t, func() time.Duration { return time.Hour })
	p.Does(30, evdev.Down)
	rec := evdev.Record([]*os.File{f}, func() bool { return false }, func() time.Duration { return time.Hour })
	<-rec.More()
	if _, err := rec.Events(nil); !errors.Is(err, evdev.ErrElsewhere) {
		t.Errorf("%v", err)
	}
	rec.Close()
	if !p.Closed() {
		t.Error("the keyboard is still open")
	}
}

// TestTwoKeyboards brings the events of two keyboards into the order of their
// stamps, and leaves those of one in the order in which they came.
func TestTwoKeyboards(t *testing.T) {
	b := newBench(t, 2)
	at := b.clock()
	event := func(board int, code uint16, ms int) evdev.Event {
		return evdev.Event{Keyboard: board, Code: code, Action: evdev.Down, At: at + time.Duration(ms)*time.Millisecond}
	}
	want := []evdev.Event{event(0, 1, 0), event(1, 2, 10), event(0, 3, 20), event(0, 4, 20), event(1, 5, 30)}
	b.now.Add(int64(50 * time.Millisecond))
	for _, board := range []int{1, 0} {
		for _, e := range want {
			if e.Keyboard == board {
				b.boards[board].Write(evdevtest.Packet(e))
			}
		}
		b.heard(2)
	}
	before := evdev.Event{Code: 99}
	b.heard(len(want))
	got, err := b.rec.Events([]evdev.Event{before})
	if err != nil || !slices.Equal(got, append([]evdev.Event{before}, want...)) {
		t.Errorf("%v, %v", got, err)
	}
}

// TestCloseAnywhere closes from several goroutines while keys come.
func TestCloseAnywhere(t *testing.T) {
	for range 50 {
		b := newBench(t, 3)
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(b.rec.Close)
			wg.Go(func() {
				err := b.boards[i].Try(evdevtest.Raw(1, 30, 1, 3600, 0))
				if err != nil && !errors.Is(err, syscall.EPIPE) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		b.ends(evdev.ErrClosed)
	}
}
