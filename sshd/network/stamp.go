package network

import (
	"net"
	"sync/atomic"
	"time"
)

// stamped is a connection that knows when something last came in.
//
// That time is what keys are stamped with, and it is as early as it can be had
// and never too late. A payload is handed to a channel's reader after the Read
// that brought its last byte has returned, on another goroutine: decrypting,
// unpacking and waking lie in between. The stamp is taken as that Read returns,
// before any of it. If another packet came in before the reader asked, it gets
// the time of that one: still no later than the time at which the reader runs,
// which is what it would have to take otherwise, and never before the payload
// was there. Packets that came in with one Read have one time, for nothing tells
// when each of them arrived.
type stamped struct {
	net.Conn
	clock func() time.Duration
	at    atomic.Int64
	reads atomic.Uint64
}

// Read reads, and remembers when it brought something.
func (c *stamped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.at.Store(int64(c.clock()))
		c.reads.Add(1)
	}
	return n, err
}

// SetDeadline does nothing. gliderlabs/ssh sets one at every Read and Write, and
// takes all away where it has none itself; deadlines here are the business of
// those who know what they wait for, and they close the connection.
func (c *stamped) SetDeadline(time.Time) error { return nil }

// last is when a Read last brought something.
func (c *stamped) last() time.Duration { return time.Duration(c.at.Load()) }

// count is how many Reads brought something: about as many as packets came in,
// where they come one by one, as keys and what hides them do.
func (c *stamped) count() uint64 { return c.reads.Load() }
