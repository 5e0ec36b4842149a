package daemon

import (
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxTurning = 32                    // connections that are closed aside at once
	wakeAfter  = 20 * time.Millisecond // how long the kernel may take for one
)

// turnAway closes a connection that is not taken. What it brought unread is
// dropped with it, and dropping a descriptor can wait for as long as its sender
// chose: a TCP socket with SO_LINGER and something to send. Whoever accepts
// must not wait with it, so that is done aside, on a thread of its own which
// signals wake from such waits. SIGURG does nothing else: the runtime uses it
// for the same.
func (d *Daemon) turnAway(c net.Conn) {
	d.turning <- struct{}{}
	closed := make(chan struct{})
	thread := make(chan int, 1)
	go func() {
		defer func() { <-d.turning }()
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread <- unix.Gettid()
		_ = c.Close()
		close(closed)
	}()
	go func() {
		tid := <-thread
		for {
			select {
			case <-closed:
				return
			case <-time.After(wakeAfter):
				_ = unix.Tgkill(os.Getpid(), tid, unix.SIGURG)
			}
		}
	}()
}
