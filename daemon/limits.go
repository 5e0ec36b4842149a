package daemon

import (
	"sync"
	"time"

	"ksd/internal/wire"
)

// How much of the daemon callers can hold at once. Root has an allowance of its
// own, so that nobody else can keep it out. su, sudo and login call as root,
// whoever stands before them. A conversation takes three descriptors, and the
// unit grants them all.
const (
	maxConversations        = 1024 // on login.sock: of root, and of all others together
	maxConversationsPerUser = 8    // of one account other than root
	maxConnections          = 512  // on ksd.sock: of root, and of all others together
	maxConnectionsPerUser   = 16   // of one account other than root
	maxRecordsPerMinute     = 60   // of one account that is no administrator
)

// limits counts what is held at each socket.
type limits struct {
	conversations, connections allowance
	records                    pace
}

func newLimits() *limits {
	return &limits{
		conversations: allowance{most: maxConversations, each: maxConversationsPerUser},
		connections:   allowance{most: maxConnections, each: maxConnectionsPerUser},
		records:       pace{most: maxRecordsPerMinute, window: time.Minute},
	}
}

// pace bounds how often each caller may do in one window what stays in the
// audit log: else anybody could fill the disk, and without an audit log nobody
// gets in.
type pace struct {
	most   int
	window time.Duration

	mu    sync.Mutex
	since time.Time
	done  map[uint32]int
}

// take asks for one more at now.
func (p *pace) take(uid uint32, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.since).Abs() >= p.window { // also where the clock was set back
		p.since, p.done = now, map[uint32]int{}
	}
	if p.done[uid] >= p.most {
		return false
	}
	p.done[uid]++
	return true
}

// errHurry is the fact that a caller does too much at once.
var errHurry = &wire.Error{Code: wire.CodeBusy, Message: "too much at once"}

// mayRecord returns errHurry where p has filled enough of the audit log for
// now.
func (d *Daemon) mayRecord(p wire.Peer) error {
	if !d.admin(p) && !d.limits.records.take(p.UID, d.world.Now()) {
		return errHurry
	}
	return nil
}

// allowance counts what callers hold of one thing.
type allowance struct {
	most, each int

	mu     sync.Mutex
	held   map[uint32]int
	others int // held by all but root
}

// take asks for one more. Where it is granted, release must be called once.
func (a *allowance) take(p wire.Peer) (release func(), ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held == nil {
		a.held = map[uint32]int{}
	}
	root := p.UID == 0
	switch {
	case root && a.held[0] >= a.most,
		!root && (a.others >= a.most || a.held[p.UID] >= a.each):
		return nil, false
	}
	a.add(p.UID, 1)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.add(p.UID, -1)
	}, true
}

// add changes the counts. a.mu must be held.
func (a *allowance) add(uid uint32, n int) {
	if a.held[uid] += n; a.held[uid] == 0 {
		delete(a.held, uid)
	}
	if uid != 0 {
		a.others += n
	}
}
