package sshd

import (
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"ksd/internal/capture"
)

// Real returns the environment of a program, which takes SIGHUP from now on.
func Real(version string) Env {
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	// A log that went away is no reason to end. Not ignored, or shells would be
	// started so.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	// Ignored until the new image asks for it: a reload in between would end it.
	exec := func(path string, argv, env []string) error {
		signal.Ignore(syscall.SIGHUP)
		err := syscall.Exec(path, argv, env)
		signal.Notify(reload, syscall.SIGHUP)
		return err
	}
	return Env{
		Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Environ: os.Environ,
		PID: os.Getpid(), UID: os.Geteuid(), Reload: reload, Version: version,
		Program: program(), Args: os.Args[1:], Exec: exec, Exit: os.Exit, Unlock: runtime.UnlockOSThread,
		Now: time.Now, Monotonic: capture.Monotonic, Random: rand.IntN,
		AfterFunc: func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop },
	}
}

// program returns where this program lies, also where it was replaced.
func program() string {
	path, err := os.Executable()
	if err != nil {
		return selfExe
	}
	return strings.TrimSuffix(path, " (deleted)")
}
