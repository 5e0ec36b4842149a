package daemon

import (
	"sync"
	"time"
)

// later runs one function after a delay, once, however often it is asked for
// meanwhile.
type later struct {
	world World
	do    func()

	mu      sync.Mutex
	closed  bool
	pending func() bool // stops the timer; nil if none runs
	running sync.WaitGroup
}

// ask has do run after a delay, unless it is to run already.
func (l *later) ask(delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed && l.pending == nil {
		l.pending = l.world.AfterFunc(delay, l.fire)
	}
}

func (l *later) fire() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.pending = nil
	l.running.Add(1)
	l.mu.Unlock()
	defer l.running.Done()
	l.do()
}

// close lets do run no more, and waits for it where it does.
func (l *later) close() {
	l.mu.Lock()
	l.closed = true
	if l.pending != nil {
		l.pending()
	}
	l.mu.Unlock()
	l.running.Wait()
}
