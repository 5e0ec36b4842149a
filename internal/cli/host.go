package cli

import (
	"context"
	"os"
	"os/signal"
	"os/user"
	"syscall"
	"time"

	"golang.org/x/term"

	"ksd/internal/capture"
)

// Main runs a program in the real world and exits with the code it returns. It
// is the one place below main that knows the world. ctx ends at SIGINT, SIGTERM
// and SIGHUP; a second signal ends the process at once.
func Main(name string, run func(ctx context.Context, env Env) int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	env := Env{
		Name: name, Args: os.Args[1:],
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Tty: terminal(), Getenv: os.Getenv, Now: time.Now, Clock: capture.Monotonic, Width: width,
	}
	if u, err := user.Current(); err == nil {
		env.User = u.Username
	}
	os.Exit(run(ctx, env))
}

// terminal returns the person's terminal, nil if there is none: the controlling
// one or, as below "su -c", which has none, the one on standard input.
func terminal() *os.File {
	if tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0); err == nil {
		return tty
	}
	if term.IsTerminal(int(os.Stdin.Fd())) {
		return os.Stdin
	}
	return nil
}

// width asks the kernel how wide a terminal is; one that does not say counts as
// 80 columns.
func width(f *os.File) int {
	if !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	w, _, err := term.GetSize(int(f.Fd()))
	if err != nil || w <= 0 {
		return 80
	}
	return w
}
