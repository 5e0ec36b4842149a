//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Ksd-sshd is an ssh server that asks for typing. See package sshd. Without the
// settings above, the runtime would hold files open in the network half.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"ksd/sshd"
)

// version is set by the linker.
var version = "devel"

// PAM and what it leaves behind want the main thread.
func init() { runtime.LockOSThread() }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	os.Exit(sshd.Main(ctx, sshd.Real(version)))
}
