package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"ksd/conf"
	"ksd/internal/service"
	"ksd/internal/store"
)

// Env is what Main takes from the process it runs in.
type Env struct {
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	PID, UID       int
	Reload         <-chan os.Signal // SIGHUP
	Version        string
}

// DefaultConfig is the configuration file that is read where no other is named.
// It need not exist.
const DefaultConfig = "/etc/ksd/ksd.toml"

// The exit codes of ksdd.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `usage: ksdd [-config FILE] [-state FOLDER]
       ksdd [-config FILE] -check-config
       ksdd -version

  -config FILE     read FILE, not ` + DefaultConfig + `
  -state FOLDER    a daemon of one's own: keep everything, and both sockets,
                   in FOLDER, whatever the file says
  -check-config    say what is wrong with the configuration, and stop
  -version         print the version, and stop
`

// flags are the arguments of ksdd.
type flags struct {
	config, state  string
	check, version bool
}

// Main runs ksdd until ctx ends, and returns its exit code: 0, 1 if it could
// not do its work, 2 for a wrong command line or configuration.
func Main(ctx context.Context, env Env, args []string) int {
	f, err := parseFlags(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(env.Stdout, usage)
		return exitOK
	case err != nil:
		fmt.Fprintf(env.Stderr, "ksdd: %v\n%s", err, usage)
		return exitUsage
	case f.version:
		fmt.Fprintf(env.Stdout, "ksdd %s\n", env.Version)
		return exitOK
	}
	c, err := f.load()
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(env.Stderr, "ksdd: %s\n", strings.TrimSpace(line))
		}
		return exitUsage
	}
	if f.check {
		return exitOK
	}
	if err := run(ctx, env, f, c); err != nil {
		fmt.Fprintf(env.Stderr, "ksdd: %v\n", err)
		if fix := advice(err); fix != "" {
			fmt.Fprintf(env.Stderr, "ksdd: %s\n", fix)
		}
		return exitFailed
	}
	return exitOK
}

func parseFlags(args []string) (f flags, err error) {
	set := flag.NewFlagSet("ksdd", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.config, "config", "", "")
	set.StringVar(&f.state, "state", "", "")
	set.BoolVar(&f.check, "check-config", false, "")
	set.BoolVar(&f.version, "version", false, "")
	if err := set.Parse(args); err != nil {
		return f, err
	}
	if set.NArg() > 0 {
		return f, fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	return f, nil
}

// load reads the configuration that the flags name.
func (f flags) load() (conf.Config, error) {
	path := f.config
	if path == "" {
		path = DefaultConfig
	}
	c, err := conf.Load(path)
	if f.config == "" && errors.Is(err, fs.ErrNotExist) {
		c, err = conf.Default(), nil
	}
	if err != nil || f.state == "" {
		return c, err
	}
	folder, err := filepath.Abs(f.state)
	c.Daemon.State = folder
	c.Daemon.LoginSocket = filepath.Join(folder, filepath.Base(c.Daemon.LoginSocket))
	c.Daemon.APISocket = filepath.Join(folder, filepath.Base(c.Daemon.APISocket))
	return c, err
}

// run is Main after the command line.
func run(ctx context.Context, env Env, f flags, c conf.Config) error {
	// One more than there are processors: training keeps those busy, and a key
	// that waits for one is stamped 10 ms late.
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	// No core, also to a handler that is a pipe, and nobody but root looks into
	// the memory: templates and what was typed are in it.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("closing the memory to others: %w", err)
	}
	level := new(slog.LevelVar)
	level.Set(c.Daemon.LogLevel)
	log := service.NewLog(env.Stderr, level, env.Getenv("JOURNAL_STREAM") != "")
	passed, err := activated(env.Getenv, env.PID)
	if err != nil {
		return err
	}
	d, err := New(ctx, Options{
		Config: c, World: Real(env.UID, log), Model: RealModel(), Listeners: passed, Version: env.Version,
		Reload: func() (conf.Config, error) {
			c, err := f.load()
			if err == nil {
				level.Set(c.Daemon.LogLevel)
			}
			return c, err
		},
		Notify: func(state ...string) {
			if err := service.Notify(env.Getenv("NOTIFY_SOCKET"), state...); err != nil {
				log.Warn("service manager not told", slog.Any("error", err))
			}
		},
	})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-env.Reload:
				d.Reload()
			case <-ctx.Done():
				return
			}
		}
	})
	defer wg.Wait()
	return d.Serve(ctx)
}

// advice says what to do about an error that stops the daemon, "" if it does
// not know.
func advice(err error) string {
	var p *store.PermissionError
	switch {
	case errors.As(err, &p) && p.Fix != "":
		return "mend it with: " + p.Fix
	case errors.Is(err, errInUse):
		return "stop the other daemon first, or give this one a folder of its own with -state"
	case errors.Is(err, store.ErrNewer):
		return "this database was written by a newer ksdd: install that version again"
	case errors.Is(err, store.ErrCorrupt):
		return "put the folder's last backup in its place; the damaged file was left as it is"
	}
	return ""
}
