// Package daemon is ksdd: it owns everything that must be trusted. It chooses
// what is to be typed, reads the terminals it is handed, judges, decides, locks
// out, writes the audit log, keeps the samples and trains the heads.
//
// # Who may do what
//
// Both sockets are open to everybody; the kernel's peer credentials decide.
// Root and the daemon's own account are administrators: they name any user, see
// scores, and tell where an attempt comes from. Everybody else reaches the
// account of its own uid and nothing more.
//
// # Claims, attempts, phrases
//
// Whoever wants in claims to be a person. A claim takes one attempt or more; an
// attempt takes one phrase or more, until the sum of what they say is clear
// (package policy). One function, Daemon.gate, decides and writes the audit
// entry; no entry, no yes.
//
// # What giving up costs
//
// An attempt is charged to the person when its first phrase is shown, not when
// it is refused, and the charge is taken back by an accept alone. So it makes no
// difference whether a stranger answers, presses Ctrl-C, hangs up, lets the time
// run out, kills the daemon, or opens many conversations at once to wait for the
// phrase it has a recording of: each phrase shown is paid for. An owner who
// cancels pays as well, and gets it back with the next accept; nothing is locked
// before lockout.failures attempts in a row.
//
// The source of a claim is charged for every attempt that ends without accept.
// Only the person's count protects the person: whoever has an account can clear
// the count of its own source by getting in as itself.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"ksd/conf"
	"ksd/internal/audit"
	"ksd/internal/service"
	"ksd/internal/store"
)

// stopGrace is how long people at a prompt may finish typing once the daemon
// was told to stop.
const stopGrace = 10 * time.Second

// Options are what a Daemon is made of.
type Options struct {
	Config    conf.Config
	World     World
	Model     Model
	Listeners Listeners // nil ones are opened at the paths of Config
	Version   string
	// Reload returns the configuration anew. It is called by Daemon.Reload.
	Reload func() (conf.Config, error)
	// Notify tells the service manager a state; nil tells nobody.
	Notify func(state ...string)
}

// Daemon is a running ksdd.
type Daemon struct {
	world   World
	model   Model
	version string
	started time.Time
	reload  func() (conf.Config, error)
	notify  func(state ...string)
	ready   chan struct{}

	config    atomic.Pointer[conf.Config]
	store     *store.Store
	audit     *audit.Log
	known     atomic.Pointer[knowledge]
	lock      *os.File
	listeners Listeners
	limits    *limits
	turning   chan struct{} // holds one for each connection being turned away
	lookups   chan struct{} // and for each look-up of groups under way
	trainer   *trainer
	renewal   *later // of the templates
	pruning   *later // of the audit log

	learning sync.Mutex // one change of known at a time
	judging  sync.Mutex // one typing is judged at a time, so that copies cannot race
	charging sync.Mutex // one lock-out is looked up and charged at a time
}

// New opens state folder and sockets. The daemon answers once Serve runs. The
// listeners of o are closed if New fails.
func New(ctx context.Context, o Options) (_ *Daemon, err error) {
	d := &Daemon{
		world: o.World, model: o.Model, version: o.Version, reload: o.Reload, notify: o.Notify,
		started: o.World.Now(), ready: make(chan struct{}), listeners: o.Listeners,
		limits: newLimits(), turning: make(chan struct{}, maxTurning), lookups: make(chan struct{}, maxLookups),
	}
	if d.notify == nil {
		d.notify = func(...string) {}
	}
	d.config.Store(&o.Config)
	d.trainer = &trainer{d: d}
	d.renewal = &later{world: d.world, do: d.renew}
	d.pruning = &later{world: d.world, do: d.prune}
	defer func() {
		if err != nil {
			_ = d.close()
		}
	}()
	if d.store, err = store.Open(ctx, o.Config.Daemon.State); err != nil {
		return nil, err
	}
	if d.lock, err = lockFolder(o.Config.Daemon.State); err != nil {
		return nil, err
	}
	d.audit = audit.New(d.store, d.world.Log)
	d.known.Store(&knowledge{file: d.loadModel()})
	if err := d.learn(ctx); err != nil {
		return nil, err
	}
	return d, d.listen()
}

// listen opens the sockets that were not passed in.
func (d *Daemon) listen() (err error) {
	c := d.config.Load().Daemon
	if d.listeners.Login == nil {
		if d.listeners.Login, err = listen("unixpacket", c.LoginSocket); err != nil {
			return fmt.Errorf("login socket: %w", err)
		}
	}
	if d.listeners.API == nil {
		if d.listeners.API, err = listen("unix", c.APISocket); err != nil {
			return fmt.Errorf("api socket: %w", err)
		}
	}
	return nil
}

// close gives back what New took. The lock goes last.
func (d *Daemon) close() error {
	errs := []error{d.listeners.Close()}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
}

// Ready is closed once both sockets are served.
func (d *Daemon) Ready() <-chan struct{} { return d.ready }

// Serve answers at both sockets until ctx ends. Then it takes no more callers,
// stops training, gives people at a prompt stopGrace to finish, puts every
// terminal back, and returns nil. A Daemon serves once.
func (d *Daemon) Serve(ctx context.Context) error {
	defer d.close()
	// hard ends when the grace is over.
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	login := &loginServer{d: d, l: d.listeners.Login}
	api := newAPIServer(hard, d)
	var wg sync.WaitGroup
	wg.Go(func() { login.serve(hard) })
	wg.Go(func() { api.serve(d.listeners.API) })
	d.pruning.ask(firstPrune)
	close(d.ready)
	d.notify(service.Ready)
	d.world.Log.Info("ready", slog.String("version", d.version))

	<-ctx.Done()
	d.notify(service.Stopping)
	d.world.Log.Info("stopping")
	stop := d.world.AfterFunc(stopGrace, cancel)
	defer stop()
	_ = d.listeners.Login.Close()
	d.trainer.close()
	api.shutdown(hard)
	wg.Wait()
	d.renewal.close()
	d.pruning.close()
	d.world.Log.Info("stopped")
	return nil
}

// Reload takes up a changed configuration. A bad one is logged and changes
// nothing.
func (d *Daemon) Reload() {
	d.notify(service.Reloading)
	defer d.notify(service.Ready)
	if d.reload == nil {
		return
	}
	c, err := d.reload()
	if err != nil {
		d.world.Log.Error("configuration refused, the old one stays", slog.Any("error", err))
		return
	}
	old := d.config.Load().Daemon
	if c.Daemon.State != old.State || c.Daemon.LoginSocket != old.LoginSocket || c.Daemon.APISocket != old.APISocket {
		d.world.Log.Warn("state folder and sockets change with a restart only")
	}
	d.config.Store(&c)
	d.world.Log.Info("configuration reloaded")
	if err := d.learn(context.Background()); err != nil { // min_samples or adapt may have changed
		d.world.Log.Error("cannot read the samples", slog.Any("error", err))
	}
}
