package monitor

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"ksd/conf"
	"ksd/sshd/link"
)

// asMonitor has this program be a monitor: its link is descriptor 3, its
// configuration at the path that the variable holds.
const asMonitor = "KSD_TEST_MONITOR"

// full is a file that is there when everybody has enough connections.
const full = "/run/full"

// PAM wants the main thread.
func init() {
	if os.Getenv(asMonitor) != "" {
		runtime.LockOSThread()
	}
}

func TestMain(m *testing.M) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // below nohup children would ignore it
	if path := os.Getenv(asMonitor); path != "" {
		os.Exit(beMonitor(path))
	}
	os.Exit(m.Run())
}

// report is what a monitor's process says of itself in the end.
type report struct {
	Error    string // what link.Serve returned
	Passed   int    // how often Options.Passed was called
	Claimed  []uint32
	Routines int // goroutines left, beyond those before
	Files    int // descriptors likewise
	Children int
}

// beMonitor serves the link and prints a report.
func beMonitor(path string) int {
	c, err := conf.Load(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return 1
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return 1
	}
	conn, err := link.NewConn(os.NewFile(3, "link"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var r report
	main := NewThread()
	done := make(chan struct{})
	before := left(report{})
	go func() {
		defer close(done)
		m := New(Options{
			Config: c, HostKeys: []ssh.Signer{signer}, Main: main.Do, Now: time.Now, Sleep: func(context.Context, time.Duration) {},
			Remote: netip.MustParseAddrPort("192.0.2.7:50000"), Local: netip.MustParseAddrPort("192.0.2.1:22"),
			Claim: func(_ context.Context, uid uint32) bool {
				r.Claimed = append(r.Claimed, uid)
				_, err := os.Stat(full)
				return err != nil
			},
			Passed: func() { r.Passed++ }, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		if err := link.Serve(context.Background(), conn, m); err != nil {
			r.Error = err.Error()
		}
		m.Close()
	}()
	main.Run(done)
	// Processes that were hung up on need a moment to go.
	for range 500 {
		now := left(r)
		r.Routines, r.Files, r.Children = now.Routines-before.Routines, now.Files-before.Files, now.Children
		if r.Routines <= 0 && r.Files <= 0 && r.Children == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return 1
	}
	return 0
}

// left counts what this process has.
func left(r report) report {
	files, _ := os.ReadDir("/proc/self/fd")
	r.Routines, r.Files, r.Children = runtime.NumGoroutine(), len(files), 1
	var info unix.Siginfo
	if unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) == unix.ECHILD {
		r.Children = 0
	}
	return r
}
