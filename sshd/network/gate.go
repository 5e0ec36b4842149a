package network

import "sync"

// gate stands between the first factor and everything else. Until a second one
// is proven there is room for one visitor: the session that asks for the
// challenge, or one request that asks to be let in without. It decides nothing:
// what is told to it is what the monitor said, which keeps the same order again.
// The zero value is closed.
type gate struct {
	mu      sync.Mutex
	state   gateState
	visitor bool
	asking  bool // a challenge is going on
	decided chan struct{}
}

type gateState uint8

const (
	gateClosed     gateState = iota // no second factor was proven
	gateOnce                        // one process was let in by a token, nothing else is
	gateAdmitted                    // let in without the rhythm: no terminals
	gateRecognised                  // by the rhythm, or none is asked of the account
	gateShut                        // refused: nothing more, for this connection
)

// enter asks for a place. Where ok, leave must be called, once. There is room
// for one while the gate is not open, and for nobody once it is shut.
func (g *gate) enter() (leave func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.state == gateAdmitted || g.state == gateRecognised:
		return func() {}, true
	case g.state == gateShut || g.visitor:
		return nil, false
	}
	g.visitor = true
	return g.once(&g.visitor), true
}

// challenge asks to be the one challenge of the connection, which only somebody
// with a place may do. Where ok, done must be called, once.
func (g *gate) challenge() (done func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asking || g.state == gateRecognised || g.state == gateShut {
		return nil, false
	}
	g.asking = true
	return g.once(&g.asking), true
}

// once returns what takes a mark away.
func (g *gate) once(mark *bool) func() {
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		*mark = false
	})
}

// opens reports whether a process may be started, on a terminal or without one.
func (g *gate) opens(terminal bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state == gateRecognised || g.state == gateAdmitted && !terminal
}

// passed reports whether a second factor has let in anything at all.
func (g *gate) passed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state != gateClosed && g.state != gateShut
}

// busy reports whether there is a visitor while the gate is closed.
func (g *gate) busy() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state == gateClosed && g.visitor
}

// become sets the state. There is no way back: none from shut, and from
// recognised only to shut.
func (g *gate) become(s gateState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s <= g.state {
		return
	}
	if g.state == gateClosed && g.decided != nil {
		close(g.decided)
	}
	g.state = s
}

// settled is closed once the gate is no longer closed.
func (g *gate) settled() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.decided == nil {
		g.decided = make(chan struct{})
		if g.state != gateClosed {
			close(g.decided)
		}
	}
	return g.decided
}
