package cmd

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"ksd/internal/cli"
	"ksd/internal/ksdtest"
)

// TestTryCleansUp: however ksd-try is ended at its first prompt, neither its
// daemon nor its folder is left.
func TestTryCleansUp(t *testing.T) {
	bin := build(t)
	for name, c := range map[string]struct {
		end  func(cmd *exec.Cmd, keys *os.File) error
		exit int
	}{
		"Ctrl-C":  {func(_ *exec.Cmd, keys *os.File) error { _, err := keys.WriteString("\x03"); return err }, cli.ExitCancelled},
		"SIGINT":  {func(cmd *exec.Cmd, _ *os.File) error { return cmd.Process.Signal(os.Interrupt) }, cli.ExitCancelled},
		"SIGTERM": {func(cmd *exec.Cmd, _ *os.File) error { return cmd.Process.Signal(syscall.SIGTERM) }, cli.ExitCancelled},
		"hang-up": {func(_ *exec.Cmd, keys *os.File) error { return keys.Close() }, cli.ExitCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			folder, err := os.MkdirTemp("", "ksd")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(folder)
			cmd := exec.Command(filepath.Join(bin, "ksd-try"))
			cmd.Env = append(os.Environ(), "TERM=xterm", "TMPDIR="+folder)
			keys, err := pty.Start(cmd)
			if err != nil {
				t.Skipf("no pseudo-terminals here: %v", err)
			}
			defer keys.Close()
			awaitPrompt(t, keys)
			if daemons(t, folder) != 1 {
				t.Fatal("no daemon runs")
			}
			if err := c.end(cmd, keys); err != nil {
				t.Fatal(err)
			}
			if name != "hang-up" {
				go drain(keys)
			}
			ended := make(chan struct{})
			go func() { _ = cmd.Wait(); close(ended) }()
			select {
			case <-ended:
			case <-time.After(ksdtest.Patience):
				_ = cmd.Process.Kill()
				t.Fatal("ksd-try does not end")
			}
			if got := cmd.ProcessState.ExitCode(); got != c.exit {
				t.Errorf("exit code %d, want %d", got, c.exit)
			}
			left, err := os.ReadDir(folder)
			if err != nil || len(left) > 0 || daemons(t, folder) > 0 {
				t.Errorf("left: %v, %v, %d daemons", left, err, daemons(t, folder))
			}
		})
	}
}

// awaitPrompt reads until ksd-try asks for the first typing.
func awaitPrompt(t *testing.T, keys *os.File) {
	t.Helper()
	late := time.AfterFunc(ksdtest.Patience, func() { keys.Close() })
	defer late.Stop()
	var shown bytes.Buffer
	b := make([]byte, 4096)
	for !strings.HasSuffix(shown.String(), "\n> ") {
		n, err := keys.Read(b)
		if err != nil {
			t.Fatalf("no prompt: %v; the screen:\n%s", err, shown.String())
		}
		shown.Write(b[:n])
	}
}

func drain(keys *os.File) {
	b := make([]byte, 4096)
	for {
		if _, err := keys.Read(b); err != nil {
			return
		}
	}
}

// daemons counts the processes that were started with a path in folder.
func daemons(t *testing.T, folder string) int {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, l := range lines {
		if b, err := os.ReadFile(l); err == nil && bytes.Contains(b, []byte(folder)) {
			n++
		}
	}
	return n
}
