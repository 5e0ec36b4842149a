package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	startTime = 20 * time.Second // in which the daemon must be ready
	stopTime  = 10 * time.Second // in which it must end after SIGTERM
)

// daemon is a ksdd of our own, in a folder of its own.
type daemon struct {
	folder string
	socket string // of the API
	cmd    *exec.Cmd
	ended  chan error // closed after cmd.Wait
}

// settings are the keys of ksd.toml that a private daemon has its own way.
type settings struct {
	phrases          []string
	typings, warmups int
}

// startDaemon starts program and returns once it is ready. The caller must stop
// it. The daemon is in a process group of its own, so that a Ctrl-C reaches it
// through us alone.
func startDaemon(ctx context.Context, program string, s settings) (_ *daemon, err error) {
	folder, err := os.MkdirTemp("", "ksd-try-")
	if err != nil {
		return nil, err
	}
	d := &daemon{folder: folder, socket: filepath.Join(folder, "ksd.sock"), ended: make(chan error, 1)}
	defer func() {
		if err != nil {
			d.stop()
		}
	}()
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(folder, "notify"), Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	defer ready.Close()
	if err := d.start(program, s); err != nil {
		return nil, err
	}
	return d, d.await(ctx, ready)
}

// start writes the configuration and starts the process.
func (d *daemon) start(program string, s settings) error {
	config := filepath.Join(d.folder, "ksd.toml")
	if err := os.WriteFile(config, []byte(d.config(s)), 0o600); err != nil {
		return err
	}
	log, err := os.OpenFile(d.log(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(program, "-config", config)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(d.folder, "notify"))
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	// The kernel counts the death of the thread that forked as the parent's.
	runtime.LockOSThread()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("the daemon does not start: %w", err)
	}
	d.cmd = cmd
	go func() { d.ended <- cmd.Wait(); close(d.ended) }()
	return nil
}

func (d *daemon) log() string { return filepath.Join(d.folder, "log") }

// config leaves time enough to hand the keyboard to somebody else.
func (d *daemon) config(s settings) string {
	quoted := make([]string, len(s.phrases))
	for i, p := range s.phrases {
		quoted[i] = fmt.Sprintf("%q", p)
	}
	return fmt.Sprintf(`[daemon]
state = %q
login_socket = %q
api_socket = %q

[challenge]
phrases = [%s]
typings = %d
warmups = %d
typing_time = "5m"
expire = "10m"

[lockout]
failures = 50

[training]
automatic = false
settle = "0s"
`, filepath.Join(d.folder, "state"), filepath.Join(d.folder, "login.sock"), d.socket,
		strings.Join(quoted, ", "), s.typings, s.warmups)
}

// await reads what the daemon tells its service manager, until it is ready
// (sd_notify(3)).
func (d *daemon) await(ctx context.Context, ready *net.UnixConn) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	told := make(chan struct{})
	go func() {
		defer close(told)
		b := make([]byte, 4096)
		for {
			n, err := ready.Read(b)
			if err != nil || strings.Contains("\n"+string(b[:n])+"\n", "\nREADY=1\n") {
				return
			}
		}
	}()
	select {
	case <-told:
		return nil
	case err := <-d.ended:
		return fmt.Errorf("the daemon ended at once (%v):\n%s", err, d.lastWords())
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("the daemon is not ready after %v:\n%s", startTime, d.lastWords())
		}
		return ctx.Err()
	}
}

// lastWords is the end of the daemon's log.
func (d *daemon) lastWords() string {
	b, err := os.ReadFile(d.log())
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b[max(0, len(b)-2000):]))
}

// stop ends the daemon, by force if it must be, and removes the folder.
func (d *daemon) stop() error {
	if d.cmd != nil {
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-d.ended:
		case <-time.After(stopTime):
			_ = d.cmd.Process.Kill()
			<-d.ended
		}
		runtime.UnlockOSThread()
	}
	return os.RemoveAll(d.folder)
}
