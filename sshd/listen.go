package sshd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ksd/conf"
	"ksd/internal/service"
	"ksd/sshd/listener"
	"ksd/sshd/monitor"
)

// stateVariable names the descriptor of what an earlier image left.
const stateVariable = "KSD_SSHD_STATE"

// selfExe is the running image of this program, whatever lies at its path now.
const selfExe = "/proc/self/exe"

// checkTime bounds how long a new image may take to look at its configuration.
const checkTime = 20 * time.Second

var (
	errNotRoot = errors.New("only root can start other people's shells")
	errNoPAM   = errors.New("PAM has no file for " + monitor.Service + ": install conf/pam.d/" + monitor.Service + " as /etc/pam.d/" + monitor.Service)
)

// server is the listener's role.
type server struct {
	env   Env
	flags flags
	text  []byte // of the configuration
	conf  conf.Config
	log   *slog.Logger
}

// serve checks that connections could be served, and serves them until ctx ends.
func serve(ctx context.Context, env Env, f flags, text []byte, c conf.Config) error {
	if env.UID != 0 {
		return errNotRoot
	}
	s := &server{env: env, flags: f, text: text, conf: c, log: newLog(env, c.Daemon.LogLevel)}
	if err := s.check(); err != nil || f.check {
		return err
	}
	if err := s.prepare(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("closing the memory to others: %w", err)
	}
	if err := monitor.Namespaces(); err != nil {
		s.log.Warn("this kernel gives no namespaces: network halves see the machine's network, though not its files", "error", err)
	}
	l, err := s.listen(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	s.notify(service.Ready)
	s.log.Info("serving", "version", env.Version)
	for {
		run, stop := context.WithCancel(ctx)
		reload := make(chan struct{})
		go func() {
			defer close(reload)
			select {
			case <-env.Reload:
				stop()
			case <-run.Done():
			}
		}()
		l.Serve(run)
		stop()
		<-reload
		if ctx.Err() != nil {
			s.notify(service.Stopping)
			s.log.Info("ending: open connections live on")
			return nil
		}
		if err := s.reload(ctx, l); err != nil {
			s.log.Error("not reloaded, serving as before", "error", err)
		}
	}
}

// check finds out what would keep every connection from being served. It changes
// nothing.
func (s *server) check() error {
	if _, _, err := monitor.Nobody(); err != nil {
		return err
	}
	if err := monitor.CheckEmpty(monitor.Empty); err != nil {
		return err
	}
	if err := checkPAM(); err != nil {
		return err
	}
	missing, err := monitor.CheckHostKeys(s.conf.SSHD.HostKeys)
	for _, path := range missing {
		if s.flags.check {
			fmt.Fprintf(s.env.Stdout, "ksd-sshd: there is no host key %s: the first start makes it\n", path)
		}
	}
	return err
}

// prepare makes what is not there yet, and logs what this server is known by.
func (s *server) prepare() error {
	if err := monitor.MakeEmpty(monitor.Empty); err != nil {
		return err
	}
	fresh, err := monitor.MakeHostKeys(s.conf.SSHD.HostKeys)
	if err != nil {
		return err
	}
	for _, path := range fresh {
		s.log.Info("host key made", "path", path)
	}
	keys, err := monitor.LoadHostKeys(s.conf.SSHD.HostKeys)
	for _, k := range keys {
		s.log.Info("host key", "type", k.PublicKey().Type(), "fingerprint", monitor.Fingerprint(k))
	}
	return err
}

// checkPAM fails where PAM would use the file named other, which may let in whom
// it should not.
func checkPAM() error {
	for _, dir := range []string{"/etc/pam.d", "/usr/etc/pam.d", "/usr/lib/pam.d"} {
		if _, err := os.Stat(filepath.Join(dir, monitor.Service)); err == nil {
			return nil
		}
	}
	return errNoPAM
}

// listen takes sockets over from an earlier image, or from systemd, or opens
// those of the configuration.
func (s *server) listen(ctx context.Context) (*listener.Listener, error) {
	var earlier []listener.Socket
	var monitors []*listener.Monitor
	var err error
	if fd, failed := strconv.Atoi(s.env.Getenv(stateVariable)); failed == nil {
		earlier, monitors, err = listener.Thaw(fd)
	} else {
		earlier, err = listener.Given(s.env.Getenv, s.env.PID)
	}
	switch {
	case errors.Is(err, listener.ErrVersion):
		s.log.Warn("connections from before this update live on and count for nobody", "reason", err)
	case err != nil:
		return nil, err
	}
	sockets, err := listener.Open(ctx, s.conf.SSHD.Listen, earlier)
	if len(sockets) == 0 {
		return nil, err
	}
	if err != nil {
		s.log.Error("not listening everywhere", "error", err)
	}
	for _, one := range sockets {
		s.log.Info("listening", "address", one.Addr().String())
	}
	return listener.New(listener.Options{
		Config: s.conf.SSHD, Start: s.start, Random: s.env.Random, Log: s.log, Reap: reap,
		After: func(d time.Duration) <-chan time.Time {
			c := make(chan time.Time, 1)
			s.env.AfterFunc(d, func() { c <- s.env.Now() })
			return c
		},
	}, sockets, monitors), nil
}

// start starts a monitor.
func (s *server) start(conn, status *os.File) (int, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	defer w.Close()
	// A pipe holds twice what a configuration may have.
	if _, err := w.Write(s.text); err != nil {
		return 0, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	return syscall.ForkExec(selfExe, []string{"ksd-sshd", "monitor"}, &syscall.ProcAttr{
		Dir: "/", Env: s.environment(),
		Files: []uintptr{null.Fd(), null.Fd(), 2, conn.Fd(), status.Fd(), r.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
}

// environment is what a monitor sees of the listener's: it ends in PAM modules
// and, of it, the time zone in shells.
func (s *server) environment() []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	for _, name := range []string{"TZ", "LANG", "JOURNAL_STREAM"} {
		if v := s.env.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// reap takes the status of a process that is ending.
func reap(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}

// reload puts the program that lies at our path now in our place, with our
// sockets, if it finds nothing wrong with the configuration.
func (s *server) reload(ctx context.Context, l *listener.Listener) error {
	s.notify(service.Reloading)
	defer s.notify(service.Ready)
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	check := exec.CommandContext(ctx, s.env.Program, append([]string{"-check-config"}, s.env.Args...)...)
	if out, err := check.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	}
	fd, undo, err := l.Freeze()
	if err != nil {
		return err
	}
	defer undo()
	var env []string
	for _, v := range s.env.Environ() {
		if name, _, _ := strings.Cut(v, "="); name != stateVariable && name != "LISTEN_PID" && name != "LISTEN_FDS" {
			env = append(env, v)
		}
	}
	s.log.Info("reloading")
	return s.env.Exec(s.env.Program, append([]string{"ksd-sshd"}, s.env.Args...), append(env, fmt.Sprintf("%s=%d", stateVariable, fd)))
}

func (s *server) notify(state string) {
	if err := service.Notify(s.env.Getenv("NOTIFY_SOCKET"), state); err != nil {
		s.log.Warn("service manager not told", "error", err)
	}
}
