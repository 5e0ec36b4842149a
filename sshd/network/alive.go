package network

import "sync"

// keepAlive asks the client now and then whether it is still there. As with
// OpenSSH, whatever comes in is as good as an answer, so one is asked for only
// where nothing did; KeepAlives questions in a row without any end the
// connection. They are asked by the clock, not by the one before being answered.
func (c *connection) keepAlive() {
	var seen uint64
	silent := 0
	var asking sync.Mutex // x/crypto has one question open at a time
	c.every(c.hello.KeepAlive, func() {
		now := c.conn.count()
		if now != seen {
			seen, silent = now, 0
			return
		}
		if silent++; silent > max(c.hello.KeepAlives, 1) {
			c.end(errSilent)
			return
		}
		conn := c.ssh()
		if conn == nil || !asking.TryLock() {
			return
		}
		if !c.spawn(func() {
			defer asking.Unlock()
			_, _, _ = conn.SendRequest("keepalive@openssh.com", true, nil)
		}) {
			asking.Unlock()
		}
	})
}

// watchIdle ends the connection when no data was moved over any channel for the
// idle timeout, or half as long again.
func (c *connection) watchIdle() {
	seen, still := c.moved.Load(), false
	c.every(c.hello.IdleTimeout/2, func() {
		now := c.moved.Load()
		switch {
		case now != seen:
			seen, still = now, false
		case still:
			c.end(errIdle)
		default:
			still = true
		}
	})
}
