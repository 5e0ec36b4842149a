package listener

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"ksd/conf"
)

func TestDrop(t *testing.T) {
	s := conf.Startups{Start: 10, Rate: 30, Full: 100}
	for _, c := range []struct {
		waiting, random int
		want            bool
	}{
		{0, 0, false},
		{9, 0, false},
		{10, 29, true},
		{10, 30, false},
		{55, 64, true},
		{55, 65, false},
		{99, 98, true},
		{99, 99, false},
		{100, 99, true},
		{1000, 99, true},
	} {
		if got := drop(c.waiting, s, func(int) int { return c.random }); got != c.want {
			t.Errorf("%d waiting, %d drawn: %v", c.waiting, c.random, got)
		}
	}
	if !drop(10, conf.Startups{Start: 10, Rate: 100, Full: 20}, func(int) int { return 99 }) || !drop(5, conf.Startups{Start: 5, Rate: 1, Full: 5}, nil) {
		t.Error("a limit without chance lets one in")
	}
}

func TestSource(t *testing.T) {
	for a, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := source(netip.MustParseAddr(a)); got.String() != want {
			t.Errorf("%s: %v, want %s", a, got, want)
		}
	}
}

// rig is a listener whose monitors are this test's.
type rig struct {
	*Listener
	address string
	own     sync.Mutex
	status  []*os.File
	conns   []*os.File
	started chan struct{}
	reaped  chan int
}

func newRig(t *testing.T, c conf.SSHD, earlier ...*Monitor) *rig {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{address: l.Addr().String(), started: make(chan struct{}, 100), reaped: make(chan int, 100)}
	r.Listener = New(Options{
		Config: c, Random: func(int) int { return 0 }, After: time.After, Log: slog.New(slog.DiscardHandler),
		Start: r.begin, Reap: func(pid int) { r.reaped <- pid },
	}, []Socket{{l.(*net.TCPListener), "here"}}, earlier)
	t.Cleanup(r.Close)
	return r
}

func (r *rig) begin(conn, status *os.File) (int, error) {
	fd, err := dup(status)
	if err != nil {
		return 0, err
	}
	end, err := Polled(fd)
	if err != nil {
		return 0, err
	}
	held, err := dup(conn)
	r.own.Lock()
	defer r.own.Unlock()
	r.conns = append(r.conns, os.NewFile(uintptr(held), "conn")) // or the client would see its end
	r.status = append(r.status, end)
	r.started <- struct{}{}
	return len(r.status), err
}

// end is a monitor's end of its socket.
func (r *rig) end(i int) *os.File {
	r.own.Lock()
	defer r.own.Unlock()
	return r.status[i]
}

// claim has a monitor say whose connection it is.
func (r *rig) claim(t *testing.T, i int, uid uint32, want bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if ok, err := Claim(ctx, r.end(i), uid); err != nil || ok != want {
		t.Errorf("monitor %d of %d: %v, %v, want %v", i, uid, ok, err, want)
	}
}

func (r *rig) run(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Serve(ctx)
	}()
	return func() { cancel(); <-done }
}

// dial connects and returns what it is told, "" where a monitor takes it.
func (r *rig) dial(t *testing.T) string {
	t.Helper()
	c, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	told := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(c)
		told <- strings.TrimSpace(string(b))
	}()
	select {
	case <-r.started:
		return ""
	case text := <-told:
		return text
	}
}

var wide = conf.SSHD{MaxConnections: 100, PerPerson: 100, PerSource: 100, MaxStartups: conf.Startups{Start: 100, Rate: 100, Full: 100}}

// Each limit by itself, and how a connection stops counting.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		limit  func(*conf.SSHD)
		told   string
		known  bool // whether a connection whose person is known makes room
		ending bool // whether one that ends does
	}{
		{"connections", func(c *conf.SSHD) { c.MaxConnections = 2 }, "Too many connections", false, true},
		{"source", func(c *conf.SSHD) { c.PerSource = 2 }, "Too many connections from this source", true, true},
		{"startups", func(c *conf.SSHD) { c.MaxStartups = conf.Startups{Start: 2, Rate: 1, Full: 3} }, "Exceeded MaxStartups", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			limited := wide
			c.limit(&limited)
			r := newRig(t, limited)
			defer r.run(t)()
			for range 2 {
				if told := r.dial(t); told != "" {
					t.Fatalf("below the limit: %q", told)
				}
			}
			if told := r.dial(t); told != c.told {
				t.Errorf("at the limit: %q, want %q", told, c.told)
			}
			r.claim(t, 0, 2001, true)
			if c.known {
				if told := r.dial(t); told != "" {
					t.Errorf("after one was known: %q", told)
				}
			}
			open := 1
			if c.known {
				open = 2
			}
			r.end(1).Close()
			if pid := <-r.reaped; pid != 2 {
				t.Errorf("reaped %d", pid)
			}
			r.awaitOpen(open)
			if told := r.dial(t); told != "" {
				t.Errorf("after one ended: %q", told)
			}
			for i := range open + 1 {
				r.end(i).Close()
			}
		})
	}
}

// awaitOpen waits until the listener has heard which monitors have ended.
func (r *rig) awaitOpen(n int) {
	for {
		r.mu.Lock()
		ok := len(r.monitors) == n
		r.mu.Unlock()
		if ok {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// Sockets that a new configuration keeps stay open, others are closed.
func TestOpen(t *testing.T) {
	first, err := Open(t.Context(), []string{"127.0.0.1:0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Open(t.Context(), []string{"[::1]:0", "127.0.0.1:0"}, first)
	if err != nil && len(second) == 0 {
		t.Fatal(err)
	}
	if second[0].TCPListener != first[0].TCPListener {
		t.Error("a socket that stays was opened anew")
	}
	third, err := Open(t.Context(), []string{"127.0.0.2:0"}, second)
	if err != nil {
		t.Fatal(err)
	}
	defer third[0].Close()
	if _, err := first[0].Accept(); err == nil {
		t.Error("a socket that went is open")
	}
	if got, err := Open(t.Context(), []string{"127.0.0.1:0"}, []Socket{{third[0].TCPListener, ""}}); err != nil || len(got) != 1 || got[0].TCPListener != third[0].TCPListener {
		t.Errorf("systemd's socket: %v, %v", got, err)
	}
}
