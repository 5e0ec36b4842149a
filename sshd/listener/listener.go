// Package listener accepts connections for ksd-sshd and hands each to a process
// of its own, the monitor. It reads and writes none of them.
//
// A monitor holds one end of a socket pair. Over it, it says once whose connection
// it is, as soon as a first factor has told (Claim); its end says that the monitor
// has ended. So the listener knows how many connections there are, how many of
// them are strangers' still, and how many each person has, and limits all three:
// strangers for each source as well. A stranger over the limits is closed after a
// line that ssh shows; a person over theirs is refused by the monitor. What the
// network half believes counts for nothing here.
//
// A listener can hand its sockets and its knowledge of monitors to another
// program image in its place (State), so that a new configuration or a new
// version takes over with nobody noticing. Monitors live on when it ends.
package listener

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ksd/conf"
)

// pause is how long a listener waits that cannot accept, for descriptors to
// become free.
const pause = 100 * time.Millisecond

// Options is what a listener needs.
type Options struct {
	Config conf.SSHD
	// Start starts a monitor for a connection, which is to hold status, and
	// returns its number. The files stay the caller's.
	Start func(conn, status *os.File) (pid int, err error)
	// Reap waits for a monitor that is ending.
	Reap   func(pid int)
	Random func(n int) int
	// After returns a channel that says when d is over.
	After func(d time.Duration) <-chan time.Time
	Log   *slog.Logger
}

// Listener serves some sockets.
type Listener struct {
	o       Options
	sockets []Socket
	serving sync.WaitGroup
	hearing sync.WaitGroup // of what monitors say

	mu        sync.Mutex
	monitors  map[*Monitor]struct{}
	strangers int                  // of them, those whose person is not known
	from      map[netip.Prefix]int // of those, by source
	people    map[uint32]int       // the others, by person
	dropped   int                  // since the last that was not
}

// Socket is one socket to accept at.
type Socket struct {
	*net.TCPListener
	// Address is what the configuration calls it, "" where systemd gave it.
	Address string
}

// Monitor is one connection's process.
type Monitor struct {
	pid    int
	status *os.File // our end of its socket
	source netip.Prefix
	known  bool // who it is, which is person
	person uint32
}

// New returns a listener that watches over the monitors of an earlier image.
func New(o Options, sockets []Socket, earlier []*Monitor) *Listener {
	l := &Listener{o: o, sockets: sockets, monitors: map[*Monitor]struct{}{}, from: map[netip.Prefix]int{}, people: map[uint32]int{}}
	for _, m := range earlier {
		l.add(m)
	}
	return l
}

// Serve accepts until ctx ends. It may be called again then. Sockets stay open.
func (l *Listener) Serve(ctx context.Context) {
	for _, s := range l.sockets {
		_ = s.SetDeadline(time.Time{})
		l.serving.Go(func() { l.accept(ctx, s) })
	}
	<-ctx.Done()
	for _, s := range l.sockets {
		_ = s.SetDeadline(time.Unix(1, 0))
	}
	l.serving.Wait()
}

// Close closes the sockets.
func (l *Listener) Close() {
	for _, s := range l.sockets {
		_ = s.Close()
	}
}

// accept accepts at one socket.
func (l *Listener) accept(ctx context.Context, s Socket) {
	for {
		c, err := s.AcceptTCP()
		switch {
		case err == nil:
			l.take(c)
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default: // a client that has left already, or no descriptors
			l.o.Log.Warn("accept", "error", err)
			select {
			case <-l.o.After(pause):
			case <-ctx.Done():
			}
		}
	}
}

// take hands a connection to a monitor, or drops it.
func (l *Listener) take(c *net.TCPConn) {
	defer c.Close()
	remote, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return
	}
	m := &Monitor{source: source(remote.Addr())}
	if why := l.full(m.source); why != "" {
		_ = writeNow(c, why+"\r\n") // for a person to see; it need not arrive
		return
	}
	if err := l.start(m, c); err != nil {
		l.o.Log.Error("no monitor", "source", remote.Addr().Unmap().String(), "error", err)
	}
}

// full says why a connection from a source is dropped, "" where it is not.
func (l *Listener) full(from netip.Prefix) (why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch c := l.o.Config; {
	case len(l.monitors) >= c.MaxConnections:
		why = "Too many connections"
	case l.from[from] >= c.PerSource:
		why = "Too many connections from this source"
	case drop(l.strangers, c.MaxStartups, l.o.Random):
		why = "Exceeded MaxStartups"
	}
	switch {
	case why != "":
		if l.dropped++; l.dropped == 1 {
			l.o.Log.Warn("dropping connections", "reason", why, "source", from.Addr().String(),
				"open", len(l.monitors), "strangers", l.strangers)
		}
	case l.dropped > 0:
		l.o.Log.Warn("dropped connections", "number", l.dropped)
		l.dropped = 0
	}
	return why
}

// start starts a monitor.
func (l *Listener) start(m *Monitor, c *net.TCPConn) error {
	conn, err := c.File()
	if err != nil {
		return err
	}
	defer conn.Close()
	ours, theirs, err := pair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	if m.pid, err = l.o.Start(conn, theirs); err != nil {
		_ = ours.Close()
		return err
	}
	m.status = ours
	l.add(m)
	return nil
}

// add counts a monitor until it ends.
func (l *Listener) add(m *Monitor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.monitors[m] = struct{}{}
	l.count(m, 1)
	l.hearing.Go(func() { l.hear(m) })
}

// count counts a monitor. l.mu must be held.
func (l *Listener) count(m *Monitor, n int) {
	if m.known {
		tally(l.people, m.person, n)
		return
	}
	l.strangers += n
	tally(l.from, m.source, n)
}

// tally adds to a count of those that are not zero.
func tally[K comparable](counts map[K]int, k K, n int) {
	if counts[k] += n; counts[k] == 0 {
		delete(counts, k)
	}
}

// hear answers what a monitor says, to its end or until hush.
func (l *Listener) hear(m *Monitor) {
	for packet := make([]byte, claimSize+1); ; {
		n, err := m.status.Read(packet)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil {
			break
		}
		l.answer(m, packet[:n])
	}
	_ = m.status.Close()
	l.o.Reap(m.pid)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.monitors, m)
	l.count(m, -1)
}

// hush returns when nobody reads what monitors say: it waits in their sockets.
func (l *Listener) hush() {
	l.mu.Lock()
	for m := range l.monitors {
		_ = m.status.SetReadDeadline(time.Unix(1, 0)) // cannot fail: see Polled
	}
	l.mu.Unlock()
	l.hearing.Wait()
}

// resume undoes hush. l.mu must be held.
func (l *Listener) resume() {
	for m := range l.monitors {
		_ = m.status.SetReadDeadline(time.Time{})
		l.hearing.Go(func() { l.hear(m) })
	}
}

// writeNow writes what fits into the socket's buffer.
func writeNow(c *net.TCPConn, text string) (err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	failed := raw.Control(func(fd uintptr) { _, err = unix.Write(int(fd), []byte(text)) })
	return errors.Join(failed, err)
}
