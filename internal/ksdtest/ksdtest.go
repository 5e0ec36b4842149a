// Package ksdtest holds what tests of several packages share: a daemon in
// memory with a folder and a clock of its own, a model that hears only tempo, a
// terminal, and a typist with a rhythm.
//
//	d := ksdtest.Start(t)                     // stopped, and looked after, by t
//	ana := ksdtest.NewTypist(1, 100*time.Millisecond)
//	d.Enrol("ana", ana)
//	c := d.Client()                           // as an administrator
//	d.As(d.UID("ana"))                        // connections from now on are hers
//
// Accounts are those of the test: every name has a uid from 1000 on.
package ksdtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ksd/conf"
	"ksd/daemon"
	"ksd/internal/keystroke"
	"ksd/internal/service"
	"ksd/internal/wire"
)

// AdminUID is the uid of a daemon in memory, and of its callers unless As says
// otherwise.
const AdminUID = 900

// Daemon is a daemon in memory.
type Daemon struct {
	Config conf.Config
	Clock  *Clock
	Ear    *Ear
	Log    *Buffer

	tb     testing.TB
	daemon *daemon.Daemon
	peer   atomic.Int64
	cancel context.CancelFunc
	done   chan error

	mu       sync.Mutex
	accounts []string
	aliases  map[string]string
	members  func(user string, groups []string) (bool, error)
	next     func() (conf.Config, error)
}

// Start starts a daemon in a folder of its own. Each change is made to its
// configuration first.
func Start(tb testing.TB, changes ...func(*conf.Config)) *Daemon {
	tb.Helper()
	dir, err := os.MkdirTemp("", "ksd") // t.TempDir is too long for a socket
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	c := conf.Default()
	c.Daemon.State = filepath.Join(dir, "state")
	c.Daemon.LoginSocket = filepath.Join(dir, "login.sock")
	c.Daemon.APISocket = filepath.Join(dir, "ksd.sock")
	c.Challenge.Jitter = time.Second // a test machine with much to do may be rougher than any line
	for _, change := range changes {
		change(&c)
	}
	d := &Daemon{Config: c, Clock: NewClock(), Ear: new(Ear), Log: new(Buffer), tb: tb, aliases: map[string]string{}}
	d.As(AdminUID)
	d.Start()
	tb.Cleanup(func() {
		if err := d.Stop(); err != nil {
			tb.Errorf("daemon: %v", err)
		}
		if tb.Failed() {
			tb.Logf("the daemon's log:\n%s", d.Log)
		}
	})
	return d
}

// Start starts the daemon again after Stop, in the same folder.
func (d *Daemon) Start() {
	d.tb.Helper()
	if err := d.TryStart(); err != nil {
		d.tb.Fatalf("daemon: %v\n%s", err, d.Log)
	}
}

// TryStart is Start with the error.
func (d *Daemon) TryStart() error {
	one, err := daemon.New(context.Background(), d.Options())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.daemon, d.cancel, d.done = one, cancel, make(chan error, 1)
	go func() { d.done <- one.Serve(ctx) }()
	<-one.Ready()
	return nil
}

// Options returns what the daemon is made of, for a second one in the same
// folder.
func (d *Daemon) Options() daemon.Options {
	return daemon.Options{
		Config: d.Config, World: d.World(), Model: d.Ear.Model(), Version: "test",
		Reload: func() (conf.Config, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.next()
		},
	}
}

// World returns the daemon's surroundings: this test's clock, accounts and
// peers.
func (d *Daemon) World() daemon.World {
	w := daemon.Real(AdminUID, service.NewLog(d.Log, slog.LevelDebug, true))
	w.Now, w.AfterFunc = d.Clock.Now, d.Clock.AfterFunc
	w.Account = func(name string) (string, uint32, error) {
		name = d.alias(name)
		if uid, ok := d.account(name); ok {
			return name, uid, nil
		}
		return "", 0, errNoAccount
	}
	w.Name = d.name
	w.Member = func(user string, groups []string) (bool, error) {
		d.mu.Lock()
		members := d.members
		d.mu.Unlock()
		if members == nil {
			return false, nil
		}
		return members(user, groups)
	}
	w.Peer = func(syscall.Conn) (wire.Peer, error) { return wire.Peer{UID: uint32(d.peer.Load())}, nil }
	return w
}

// Stop stops the daemon and waits for its end. A second call does nothing.
func (d *Daemon) Stop() error {
	if d.cancel == nil {
		return nil
	}
	d.Quit()
	err := <-d.done
	d.cancel = nil
	return err
}

// Quit tells the daemon to stop and does not wait.
func (d *Daemon) Quit() { d.cancel() }

// Reload has the daemon take up another configuration, or meet an error.
func (d *Daemon) Reload(c conf.Config, err error) {
	d.mu.Lock()
	d.next = func() (conf.Config, error) { return c, err }
	d.mu.Unlock()
	d.daemon.Reload()
}

// As makes every connection from now on come from uid.
func (d *Daemon) As(uid uint32) { d.peer.Store(int64(uid)) }

// firstUID is the uid of the first account of a test.
const firstUID = 1000

var errNoAccount = errors.New("no such account")

// UID returns the uid of an account, which is made where it is new.
func (d *Daemon) UID(name string) uint32 {
	if uid, ok := d.account(name); ok {
		return uid
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.accounts = append(d.accounts, name)
	return uint32(firstUID + len(d.accounts) - 1)
}

// Rename gives an account another name. The uid stays.
func (d *Daemon) Rename(from, to string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.Index(d.accounts, from); i >= 0 {
		d.accounts[i] = to
	}
}

// Alias makes an account known by another name as well, as some account
// databases do.
func (d *Daemon) Alias(name, account string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.aliases[name] = account
}

// Members has the group database answer as f does; without it nobody is in any
// group.
func (d *Daemon) Members(f func(user string, groups []string) (bool, error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.members = f
}

func (d *Daemon) alias(name string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if account, ok := d.aliases[name]; ok {
		return account
	}
	return name
}

func (d *Daemon) account(name string) (uint32, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.Index(d.accounts, name)
	return uint32(firstUID + max(i, 0)), i >= 0
}

func (d *Daemon) name(uid uint32) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := int(uid) - firstUID; i >= 0 && i < len(d.accounts) {
		return d.accounts[i], nil
	}
	return "", errNoAccount
}

// Client connects to ksd.sock. The test closes it.
func (d *Daemon) Client() *wire.Client {
	d.tb.Helper()
	c, err := wire.Dial(context.Background(), d.Config.Daemon.APISocket)
	if err != nil {
		d.tb.Fatal(err)
	}
	d.tb.Cleanup(func() { _ = c.Close() })
	return c
}

// Enrol takes a person through one sitting on channel Press, as an administrator
// would.
func (d *Daemon) Enrol(user string, hands *Typist) {
	d.tb.Helper()
	d.EnrolOn(user, hands, keystroke.Press)
}

// EnrolOn is Enrol on channel Press or Full.
func (d *Daemon) EnrolOn(user string, hands *Typist, ch keystroke.Channel) {
	d.tb.Helper()
	d.UID(user)
	before := d.peer.Swap(AdminUID)
	defer d.peer.Store(before)
	c := d.Client()
	defer c.Close()
	if err := EnrolOn(context.Background(), c, user, hands, ch); err != nil {
		d.tb.Fatalf("enrol %s: %v", user, err)
	}
}

// Enrol takes a person through one sitting on channel Press over c.
func Enrol(ctx context.Context, c *wire.Client, user string, hands *Typist) error {
	return EnrolOn(ctx, c, user, hands, keystroke.Press)
}

// EnrolOn is Enrol on channel Press or Full.
func EnrolOn(ctx context.Context, c *wire.Client, user string, hands *Typist, ch keystroke.Channel) error {
	typing := hands.Sample
	if ch == keystroke.Full {
		typing = hands.FullSample
	}
	s, err := c.OpenSitting(ctx, wire.SittingRequest{User: user, Channel: ch})
	if err != nil {
		return err
	}
	for next := s.Next; next.Phrase != ""; {
		r, err := c.Type(ctx, s.ID, wire.Typing{Sample: typing(next.Phrase), Insist: true})
		if err != nil {
			return err
		}
		if !r.Kept {
			return fmt.Errorf("typing not kept: %s", r.Reason)
		}
		next = r.Next
	}
	_, err = c.Finish(ctx, s.ID)
	return err
}

// Buffer is a bytes.Buffer that several goroutines may use.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends p.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String returns what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
