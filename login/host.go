package login

import (
	"context"
	"errors"
	"fmt"
	"log/syslog"
	"os"
	"os/signal"
	"syscall"
)

// The files that decide, in a place that only root can write to. There is no
// flag and no variable for them: both are the caller's.
const (
	configFile = "/etc/ksd/ksd.toml"
	shellsFile = "/etc/shells"
)

// Main is the program. It returns the exit code of somebody not let in; whoever
// is let in never comes back.
func Main() (exit int) {
	defer func() {
		if bug := recover(); bug != nil {
			fmt.Fprintf(os.Stderr, "%s: it broke (%v); tell your administrator\n", Name, bug)
			exit = 1
		}
	}()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	defer stop()
	// Stopped half-way, it would leave its terminal in raw mode to whoever runs
	// next. Caught, and not ignored, because exec undoes that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU)
	return Run(ctx, World{
		Args: os.Args, Environ: os.Environ(), UID: os.Getuid(),
		Stdin: os.Stdin, Stderr: os.Stderr, Terminal: Terminal, Account: ownAccount,
		Config: configFile, Shells: shellsFile, Log: logLine,
		// syscall.Exec puts back the limit of open files that Go raises.
		Exec: syscall.Exec,
	})
}

// ErrPrivileges is the fact that the program has rights that its caller has not.
// A shell must not.
var ErrPrivileges = errors.New("it is installed set-user-ID or set-group-ID, which it must not be")

// ownAccount is Account for a process that is one account alone.
func ownAccount(ctx context.Context, uid int) (string, error) {
	if os.Geteuid() != uid || os.Getegid() != os.Getgid() {
		return "", ErrPrivileges
	}
	return Account(ctx, uid)
}

// logLine sends a line to the system's log, where logins are told of.
func logLine(line string) error {
	w, err := syslog.New(syslog.LOG_AUTHPRIV|syslog.LOG_WARNING, Name)
	if err != nil {
		return err
	}
	defer w.Close()
	_, err = fmt.Fprint(w, line)
	return err
}
