package ksdtest

import (
	"sync"
	"time"
)

// Clock is a wall clock that stands still until a test moves it. Its timers run
// when it is moved past them.
type Clock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[*timer]struct{}
	moved  chan struct{} // closed and renewed whenever timers change
}

type timer struct {
	at time.Time
	f  func()
}

// NewClock returns a clock that stands at noon of a day in 2026.
func NewClock() *Clock {
	return &Clock{
		now:    time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC),
		timers: map[*timer]struct{}{}, moved: make(chan struct{}),
	}
}

// Now returns where the clock stands.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// AfterFunc has f run, in a goroutine of its own, once the clock was moved by d.
func (c *Clock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &timer{c.now.Add(d), f}
	c.timers[t] = struct{}{}
	c.changed()
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, pending := c.timers[t]
		delete(c.timers, t)
		c.changed()
		return pending
	}
}

// Advance moves the clock and starts what is due.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for t := range c.timers {
		if !t.at.After(c.now) {
			delete(c.timers, t)
			go t.f()
		}
	}
	c.changed()
}

// AwaitTimer returns once a timer is set that will be due when the clock is
// moved by d.
func (c *Clock) AwaitTimer(d time.Duration) {
	for {
		c.mu.Lock()
		until, moved := c.now.Add(d), c.moved
		for t := range c.timers {
			if !t.at.After(until) {
				c.mu.Unlock()
				return
			}
		}
		c.mu.Unlock()
		<-moved
	}
}

// changed wakes those who wait for timers. c.mu must be held.
func (c *Clock) changed() {
	close(c.moved)
	c.moved = make(chan struct{})
}
