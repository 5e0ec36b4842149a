package cli

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
)

// TestTerminal asks a child of its own which terminal it would use: one without
// a controlling terminal, as below "su -c", takes its standard input.
func TestTerminal(t *testing.T) {
	if os.Getenv("KSD_TEST_TERMINAL") != "" {
		name := "none"
		if f := terminal(); f != nil {
			name = f.Name()
		}
		fmt.Println("terminal:", name)
		return
	}
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()
	for _, c := range []struct {
		name       string
		stdin      *os.File
		controlled bool
		want       string
	}{
		{"no terminal at all", nil, false, "none"},
		{"on standard input alone", slave, false, "/dev/stdin"},
		{"a controlling one", slave, true, "/dev/tty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestTerminal$")
			cmd.Env = append(os.Environ(), "KSD_TEST_TERMINAL=1")
			if c.stdin != nil {
				cmd.Stdin = c.stdin
			}
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: c.controlled}
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if want := "terminal: " + c.want + "\n"; !strings.Contains(string(out), want) {
				t.Errorf("%q, want %q", out, want)
			}
		})
	}
}
