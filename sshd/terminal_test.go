package sshd_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"ksd/internal/ksdtest"
)

// screen is a client at a pseudo-terminal.
type screen struct {
	*os.File
	cmd   *exec.Cmd
	shown *ksdtest.Buffer
	typed int // phrases
}

// open starts a client at a terminal of 100 columns and 30 rows.
func (r *rig) open(t *testing.T, argv ...string) *screen {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "TERM=vt100")
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: 100, Rows: 30})
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{File: f, cmd: cmd, shown: new(ksdtest.Buffer)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for b := make([]byte, 4096); ; {
			n, err := f.Read(b)
			_, _ = s.shown.Write(b[:n])
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		f.Close()
		<-read
		if t.Failed() {
			t.Logf("the screen: %q", s.shown)
		}
	})
	return s
}

// await waits until the screen has what re matches, and returns the groups.
func (s *screen) await(t *testing.T, re string) []string {
	t.Helper()
	want := regexp.MustCompile(re)
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if m := want.FindStringSubmatch(s.shown.String()); m != nil {
			return m
		}
		if time.Now().After(end) {
			t.Fatalf("the screen has no %q: %q", re, s.shown)
		}
	}
}

// recognise types what is asked for.
func (s *screen) recognise(t *testing.T, hands *ksdtest.Typist) {
	t.Helper()
	// What is asked for stands two spaces in, and a prompt below it.
	const asked = `  ([a-z ]{12,})\r\n> `
	s.await(t, fmt.Sprintf(`(?s)(%s.*){%d}`, asked, s.typed+1))
	m := regexp.MustCompile(asked).FindAllStringSubmatch(s.shown.String(), -1)
	s.typed++
	phrase := m[len(m)-1][1]
	if err := ksdtest.Type(s, phrase+"\r", hands.Downs(phrase+"\r")); err != nil {
		t.Fatal(err)
	}
}

// A person at a terminal types the challenge and gets a login shell.
func TestTerminal(t *testing.T) {
	r := start(t, setup{})
	argv := slices.Insert(r.ssh("ana"), 1, "-tt")
	if exec.Command("ssh", "-o", "ObscureKeystrokeTiming=no", "-G", "x").Run() == nil { // newer clients hold keys back
		argv = slices.Insert(argv, 1, "-o", "ObscureKeystrokeTiming=no")
	}
	s := r.open(t, argv...)
	s.recognise(t, ksdtest.NewTypist(7, 100*time.Millisecond)) // ana's tempo; her very typings would be a replay
	s.await(t, `Be kind\.`)
	ask := func(command, want string) []string {
		t.Helper()
		if _, err := s.WriteString(command + "\r"); err != nil {
			t.Fatal(err)
		}
		return s.await(t, want)
	}
	ask("echo A:$0:$TERM:$(stty size):$(tty):$SSH_TTY:B", `A:-bash:vt100:30 100:(/dev/pts/\d+):/dev/pts/\d+:B`)
	ask("echo C$(ps -o pid=,sid=,tpgid= -p $$ | tr -s ' ')D", `C ?(\d+) \d+ \d+D`)
	ask("stat -c 'mode %a of %U:%G.' $(tty)", `mode 620 of ana:tty\.`)
	if err := pty.Setsize(s.File, &pty.Winsize{Cols: 90, Rows: 20}); err != nil {
		t.Fatal(err)
	}
	s.cmd.Process.Signal(syscall.SIGWINCH)
	ask("sleep 0.3; echo E$(stty size)F", `E20 90F`)
	ask("exit 9", `logout`)
	if err := s.cmd.Wait(); s.cmd.ProcessState.ExitCode() != 9 {
		t.Errorf("%v, want status 9", err)
	}
}

// The wrong hands get nothing.
func TestWrongHands(t *testing.T) {
	r := start(t, setup{})
	s := r.open(t, slices.Insert(r.ssh("ana"), 1, "-tt")...)
	for range r.daemon.Config.Policy.Attempts {
		s.recognise(t, ksdtest.NewTypist(7, 300*time.Millisecond))
	}
	s.cmd.Wait()
	if strings.Contains(s.shown.String(), "Be kind") || s.cmd.ProcessState.ExitCode() == 0 {
		t.Errorf("status %d, screen %q", s.cmd.ProcessState.ExitCode(), s.shown)
	}
	if !strings.Contains(r.log.String(), `msg="second factor refused"`) {
		t.Error("the log does not say so")
	}
}

// When the client goes, what it started is hung up on, and nothing is left.
func TestHangUp(t *testing.T) {
	r := start(t, setup{change: allow})
	out := filepath.Join(r.Path("/run"), "pid")
	_ = os.WriteFile(out, nil, 0o666)
	_ = os.Chmod(out, 0o666)
	cmd := exec.Command("ssh", r.ssh("ana", "echo $$ >/run/pid; exec sleep 1000")[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	wait(t, "the command to run", func() bool {
		b, _ := os.ReadFile(out)
		pid, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		return pid > 0
	})
	cmd.Process.Kill()
	cmd.Wait()
	wait(t, "the command to be gone", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
	wait(t, "the monitor to be gone", func() bool { return len(children(t, r.cmd.Process.Pid)) == 0 })
}

// wait waits for something that another process does.
func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waiting for %s", what)
		}
	}
}

// children returns the processes that pid has started.
func children(t *testing.T, pid int) (out []int) {
	t.Helper()
	tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	for _, path := range tasks {
		b, _ := os.ReadFile(path)
		for _, word := range strings.Fields(string(b)) {
			n, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, n)
		}
	}
	return out
}
