package sshd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"ksd/conf"
	"ksd/sshd/link"
	"ksd/sshd/listener"
	"ksd/sshd/monitor"
	"ksd/sshd/network"
)

// The descriptors of a monitor, beside standard ones.
const (
	monitorConn   = 3
	monitorStatus = 4
	monitorConfig = 5
)

// patience is how long a monitor whose connection has ended may still need, in
// a PAM module for example, before it is ended itself.
const patience = 15 * time.Second

// linger is how long a network half may take for a client's last words.
const linger = 4 * time.Second

// runMonitor is the monitor's role.
func runMonitor(ctx context.Context, env Env) int {
	// Whatever else was left open is no child's business.
	if err := unix.CloseRange(3, 1<<31-1, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		fmt.Fprintf(env.Stderr, "ksd-sshd: monitor: %v\n", err)
		return exitFailed
	}
	c, err := configuration(os.NewFile(monitorConfig, "configuration"))
	if err != nil {
		fmt.Fprintf(env.Stderr, "ksd-sshd: monitor: %v\n", err)
		return exitFailed
	}
	log := newLog(env, c.Daemon.LogLevel)
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		log.Error("monitor", "error", err)
		return exitFailed
	}
	conn := os.NewFile(monitorConn, "connection")
	status, err := listener.Polled(monitorStatus)
	if err != nil {
		log.Error("monitor", "error", err)
		return exitFailed
	}
	defer status.Close() // its end says that this process has ended
	if err := attend(ctx, env, c, conn, status, log); err != nil {
		log.Error("connection", "error", err)
		return exitFailed
	}
	return exitOK
}

// configuration reads what the listener has read and checked.
func configuration(f *os.File) (conf.Config, error) {
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, conf.MaxSize+1))
	if err != nil {
		return conf.Config{}, fmt.Errorf("configuration: %w", err)
	}
	return conf.Parse("configuration", text)
}

// attend serves one connection to its end.
func attend(ctx context.Context, env Env, c conf.Config, conn, status *os.File, log *slog.Logger) error {
	remote, local, err := ends(conn)
	if err != nil {
		return nil // it has ended already
	}
	keys, err := monitor.LoadHostKeys(c.SSHD.HostKeys)
	if err != nil {
		return err
	}
	uid, gid, err := monitor.Nobody()
	if err != nil {
		return err
	}
	theirs, ours, err := link.Pair()
	if err != nil {
		return err
	}
	argv := []string{"ksd-sshd", "network", strconv.Itoa(int(uid)), strconv.Itoa(int(gid))}
	pid, stderr, err := monitor.Spawn(selfExe, argv, conn, theirs)
	_, _ = conn.Close(), theirs.Close()
	if err != nil {
		_ = ours.Close()
		return err
	}
	log = log.With("source", remote.Addr().Unmap().String(), "port", remote.Port())
	half := watch(pid, stderr, log)
	defer half.end(env)
	end, err := link.NewConn(ours)
	if err != nil {
		return err
	}
	log.Debug("connected")

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // without it nobody waits for what is under way
		<-half.gone
		cancel(nil)
	}()
	grace := env.AfterFunc(c.SSHD.LoginGrace, func() { cancel(errGrace) })
	defer grace()
	context.AfterFunc(ctx, func() { env.AfterFunc(patience, func() { env.Exit(exitFailed) }) })

	main := monitor.NewThread()
	m := monitor.New(monitor.Options{
		Config: c, HostKeys: keys, Remote: remote, Local: local, Main: main.Do, Now: env.Now, Log: log,
		Sleep:  func(ctx context.Context, d time.Duration) { sleep(ctx, env, d) },
		Passed: func() { grace() },
		Claim:  func(ctx context.Context, uid uint32) bool { return claim(ctx, status, uid, log) },
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = over(ctx, link.Serve(ctx, end, m), log)
		cancel(nil) // from here on patience is limited
		m.Close()
	}()
	main.Run(done)
	return err
}

// claim asks the listener whether a person may have one more connection. Where
// the listener is gone, as it may be, nobody counts.
func claim(ctx context.Context, status *os.File, uid uint32, log *slog.Logger) bool {
	ok, err := listener.Claim(ctx, status, uid)
	if err != nil && ctx.Err() == nil {
		log.Warn("the listener is gone", "error", err)
		return true
	}
	return ok
}

// half is a network half that runs.
type half struct {
	process *os.Process
	gone    chan struct{}
}

// watch relays what a network half says, and waits for its end.
func watch(pid int, stderr *os.File, log *slog.Logger) half {
	p, _ := os.FindProcess(pid) // never fails here
	h := half{p, make(chan struct{})}
	go func() {
		defer close(h.gone)
		monitor.Relay(stderr, log)
		_, _ = p.Wait()
	}()
	return h
}

// end waits for a network half to end by itself, which it does without its link,
// and not for long.
func (h half) end(env Env) {
	defer env.AfterFunc(linger, func() { _ = h.process.Kill() })()
	<-h.gone
}

var errGrace = errors.New("the time to log in is over")

// over says how a connection ended, and returns what an administrator should
// look after.
func over(ctx context.Context, err error, log *slog.Logger) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errGrace):
		log.Info("connection ended", "reason", cause)
	case errors.Is(err, link.ErrProtocol):
		log.Warn("connection ended", "reason", err)
	case err != nil && cause == nil:
		return err
	default:
		log.Debug("connection ended")
	}
	return nil
}

// sleep waits for d, or for the end of ctx.
func sleep(ctx context.Context, env Env, d time.Duration) {
	c := make(chan struct{})
	defer env.AfterFunc(d, func() { close(c) })()
	select {
	case <-c:
	case <-ctx.Done():
	}
}

// ends returns the addresses of both ends of a connection.
func ends(conn *os.File) (remote, local netip.AddrPort, err error) {
	c, err := net.FileConn(conn)
	if err != nil {
		return remote, local, err
	}
	defer c.Close()
	if remote, err = netip.ParseAddrPort(c.RemoteAddr().String()); err != nil {
		return remote, local, err
	}
	local, err = netip.ParseAddrPort(c.LocalAddr().String())
	return remote, local, err
}

// runNetwork is the network half's role.
func runNetwork(ctx context.Context, env Env) int {
	log := slog.New(slog.NewTextHandler(env.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	if err := halve(ctx, env, log); err != nil {
		log.Info("connection ended", "reason", err)
		return exitFailed
	}
	return exitOK
}

// halve gives all rights up and serves the connection.
func halve(ctx context.Context, env Env, log *slog.Logger) error {
	if len(env.Args) != 3 {
		return errors.New("this role is for ksd-sshd alone")
	}
	uid, err := strconv.Atoi(env.Args[1])
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(env.Args[2])
	if err != nil {
		return err
	}
	if err := monitor.Confine(monitor.Empty, uid, gid); err != nil {
		return err
	}
	env.Unlock() // keys are stamped sooner by a goroutine that may run anywhere
	f := os.NewFile(monitor.NetworkConn, "connection")
	conn, err := net.FileConn(f)
	_ = f.Close()
	if err != nil {
		return err
	}
	end, err := link.NewConn(os.NewFile(monitor.NetworkLink, "link"))
	if err != nil {
		return err
	}
	client := link.NewClient(end)
	defer client.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // nothing goes on without a monitor, forwards neither
		<-client.Done()
		cancel()
	}()
	return network.Serve(ctx, conn, client, network.Env{Clock: env.Monotonic, AfterFunc: env.AfterFunc, Log: log})
}
