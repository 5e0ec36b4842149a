// Ksdd is the keystroke dynamics daemon. See package daemon.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"ksd/daemon"
)

// version is set by the linker.
var version = "devel"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // a log that went away is no reason to end
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	os.Exit(daemon.Main(ctx, daemon.Env{
		Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
		PID: os.Getpid(), UID: os.Geteuid(), Reload: reload, Version: version,
	}, os.Args[1:]))
}
