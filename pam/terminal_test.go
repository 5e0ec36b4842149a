//go:build cgo

package pam

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// leader is the script of the session's leader, which outlives the program
// under test, as a shell does: a terminal's settings are lost with its leader.
// It reports on descriptor 3: the settings, the exit status, the settings.
const leader = `stty -ixon kill ^X; stty -g >&3; "$@" 3>&-; echo $? >&3; stty -g >&3`

// led returns the words that run argv below the leader.
func led(argv ...string) []string {
	return append([]string{"sh", "-c", leader, "sh"}, argv...)
}

// terminal is a program at a pseudo-terminal.
type terminal struct {
	t      testing.TB
	cmd    *exec.Cmd
	ptmx   *os.File
	report *os.File
	start  time.Time

	mu     sync.Mutex
	more   *sync.Cond
	output []byte
	eof    bool
}

// result is what the leader reported.
type result struct {
	status        int
	before, after string // stty -g
	output        string // what was on the screen
	took          time.Duration
}

// open starts cmd, which runs a leader, at a terminal of its own.
func open(t testing.TB, cmd *exec.Cmd) *terminal {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	cmd.ExtraFiles = []*os.File{w}
	x := &terminal{t: t, cmd: cmd, report: r, start: time.Now()}
	x.more = sync.NewCond(&x.mu)
	if x.ptmx, err = pty.Start(cmd); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		x.read()
	}()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
		x.ptmx.Close()
		r.Close()
		<-read
	})
	return x
}

func (x *terminal) read() {
	for buf := make([]byte, 4096); ; {
		n, err := x.ptmx.Read(buf)
		x.mu.Lock()
		x.output = append(x.output, buf[:n]...)
		x.eof = err != nil
		x.more.Broadcast()
		x.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// expect waits until the screen has shown text and forgets everything up to it.
func (x *terminal) expect(text string) {
	x.t.Helper()
	late := time.AfterFunc(patience, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.eof = true
		x.more.Broadcast()
	})
	defer late.Stop()
	x.mu.Lock()
	defer x.mu.Unlock()
	for {
		if i := bytes.Index(x.output, []byte(text)); i >= 0 {
			x.output = x.output[i+len(text):]
			return
		}
		if x.eof {
			x.t.Fatalf("no %q on the screen, but %q", text, x.output)
		}
		x.more.Wait()
	}
}

func (x *terminal) typeLine(line string) {
	x.t.Helper()
	if _, err := x.ptmx.WriteString(line + "\n"); err != nil {
		x.t.Fatal(err)
	}
}

// wait waits for the leader's report.
func (x *terminal) wait() result {
	x.t.Helper()
	x.report.SetReadDeadline(time.Now().Add(patience))
	var b bytes.Buffer
	if _, err := b.ReadFrom(x.report); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		x.t.Fatal(err)
	}
	r := result{took: time.Since(x.start)}
	lines := strings.Split(b.String(), "\n")
	if len(lines) != 4 {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.t.Fatalf("the leader reported %q; on the screen: %q", b.String(), x.output)
	}
	var err error
	if r.status, err = strconv.Atoi(lines[1]); err != nil {
		x.t.Fatal(err)
	}
	r.before, r.after = lines[0], lines[2]
	x.cmd.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	for !x.eof {
		x.more.Wait()
	}
	r.output = string(x.output)
	return r
}

// sameSettings fails the test if the terminal's settings changed.
func (r result) sameSettings(t testing.TB) {
	t.Helper()
	if r.before != r.after {
		t.Errorf("the terminal's settings were %s and are %s", r.before, r.after)
	}
}
