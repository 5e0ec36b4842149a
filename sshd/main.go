// Package sshd is ksd-sshd: an ssh server whose second factor is typing. One
// program has three roles, each a process of its own:
//
//	ksd-sshd            accepts connections (package listener)
//	  ksd-sshd monitor  root's part in one connection (package monitor)
//	    ksd-sshd network  the part that speaks SSH, without any rights (package network)
//
// The listener starts a monitor for each connection and the monitor a network
// half; nobody else may call these roles. What a role needs, it is given as
// descriptors:
//
//	monitor   3 the connection, 4 its socket to the listener, 5 the configuration
//	network   3 the connection, 4 its link to the monitor
package sshd

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"ksd/conf"
	"ksd/internal/service"
	"ksd/sshd/monitor"
)

// Env is what Main takes from the process it runs in. Main must be called on
// the main thread, locked.
type Env struct {
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Environ        func() []string
	PID, UID       int
	Reload         <-chan os.Signal // SIGHUP
	Version        string
	// Program is the path of the program, Args its arguments, to start it anew.
	Program string
	Args    []string
	Exec    func(path string, argv, env []string) error
	Exit    func(code int) // at once
	// Unlock lets the calling goroutine leave the main thread.
	Unlock func()
	Now    func() time.Time
	// Monotonic is the clock that keys are stamped with.
	Monotonic func() time.Duration
	AfterFunc func(d time.Duration, f func()) (stop func() bool)
	Random    func(n int) int
}

// DefaultConfig is the configuration file that is read where no other is named.
// It need not exist.
const DefaultConfig = "/etc/ksd/ksd.toml"

// The exit codes of ksd-sshd.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `usage: ksd-sshd [-config FILE]
       ksd-sshd [-config FILE] -check-config
       ksd-sshd -version

  -config FILE     read FILE, not ` + DefaultConfig + `
  -check-config    say what is wrong with the configuration, and stop; nothing is changed
  -version         print the version, and stop
`

// flags are the arguments of the listener.
type flags struct {
	config         string
	check, version bool
}

// Main runs ksd-sshd until ctx ends, and returns its exit code: 0, 1 if it could
// not do its work, 2 for a wrong command line or configuration.
func Main(ctx context.Context, env Env) int {
	if len(env.Args) > 0 {
		switch env.Args[0] {
		case "monitor":
			return runMonitor(ctx, env)
		case "network":
			return runNetwork(ctx, env)
		}
	}
	f, err := parseFlags(env.Args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(env.Stdout, usage)
		return exitOK
	case err != nil:
		fmt.Fprintf(env.Stderr, "ksd-sshd: %v\n%s", err, usage)
		return exitUsage
	case f.version:
		fmt.Fprintf(env.Stdout, "ksd-sshd %s\n", env.Version)
		return exitOK
	}
	text, c, err := f.load()
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(env.Stderr, "ksd-sshd: %s\n", strings.TrimSpace(line))
		}
		return exitUsage
	}
	err = serve(ctx, env, f, text, c)
	if err != nil {
		fmt.Fprintf(env.Stderr, "ksd-sshd: %v\n", err)
		if fix := advice(err); fix != "" {
			fmt.Fprintf(env.Stderr, "ksd-sshd: %s\n", fix)
		}
		return exitFailed
	}
	return exitOK
}

func parseFlags(args []string) (f flags, err error) {
	set := flag.NewFlagSet("ksd-sshd", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.config, "config", "", "")
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

// load reads the configuration that the flags name, and its text, which goes to
// the monitors: they serve by what the listener has read.
func (f flags) load() (text []byte, c conf.Config, err error) {
	path := f.config
	if path == "" {
		path = DefaultConfig
	}
	text, err = os.ReadFile(path)
	if f.config == "" && errors.Is(err, fs.ErrNotExist) {
		text, err = nil, nil
	}
	if err != nil {
		return nil, c, fmt.Errorf("configuration: %w", err)
	}
	c, err = conf.Parse(path, text)
	return text, c, err
}

// advice says what to do about an error that stops the listener, "" if it does
// not know.
func advice(err error) string {
	switch {
	case errors.Is(err, errNotRoot):
		return "start it as root, or with systemctl start ksd-sshd"
	case errors.Is(err, monitor.ErrNoAccount):
		return "make the account with: systemd-sysusers, or useradd --system --no-create-home --shell /usr/sbin/nologin " + monitor.Account
	}
	return ""
}

// newLog returns the log.
func newLog(env Env, level slog.Level) *slog.Logger {
	return service.NewLog(env.Stderr, level, env.Getenv("JOURNAL_STREAM") != "")
}
