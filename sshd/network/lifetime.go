package network

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// graceOver ends a connection that has not passed. Somebody at the challenge is
// told first.
func (c *connection) graceOver(late context.CancelCauseFunc) {
	if c.gate.passed() {
		return
	}
	if c.ssh() == nil {
		c.end(errGrace)
		return
	}
	c.endSoon(errGrace)
	late(errGrace)
}

// end ends the connection now.
func (c *connection) end(cause error) { c.cancel(cause) }

// endSoon ends the connection when the client has had time to read what was
// said, unless it leaves before. The first reason counts.
func (c *connection) endSoon(cause error) {
	c.farewell.Do(func() {
		stop := c.after(linger, func() { c.end(cause) })
		context.AfterFunc(c.ctx, func() { stop() })
	})
}

// after calls f after d; 0 means never.
func (c *connection) after(d time.Duration, f func()) (stop func() bool) {
	if d <= 0 {
		return func() bool { return false }
	}
	return c.env.AfterFunc(d, f)
}

// every calls f each d until the connection ends; 0 means never.
func (c *connection) every(d time.Duration, f func()) {
	if d <= 0 {
		return
	}
	c.spawn(func() {
		for {
			due := make(chan struct{})
			stop := c.after(d, func() { close(due) })
			select {
			case <-due:
				f()
			case <-c.ctx.Done():
				stop()
				return
			}
		}
	})
}

// spawn runs f as a part of the connection. It does not where that is at its
// end.
func (c *connection) spawn(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ending {
		c.tasks.Go(f)
	}
	return !c.ending
}

// finish waits for all parts. None is begun any more.
func (c *connection) finish() {
	c.mu.Lock()
	c.ending = true
	c.mu.Unlock()
	c.tasks.Wait()
}

// counter bounds how many there are of a kind at a time.
type counter struct {
	most int64
	n    atomic.Int64
}

// take counts one more. Where ok, give must be called, once.
func (c *counter) take() (give func(), ok bool) {
	if c.n.Add(1) > c.most {
		c.n.Add(-1)
		return nil, false
	}
	return sync.OnceFunc(func() { c.n.Add(-1) }), true
}
