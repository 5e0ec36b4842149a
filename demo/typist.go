package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/creack/pty"

	"ksd/internal/keystroke"
)

// ErrRunOut is the fact that a program asked for more typing than was recorded.
var ErrRunOut = errors.New("no recorded typing is left")

// Typist sits at a pseudo-terminal and types what a program asks for, each key
// at its recorded time. The terminal is a dumb one, so what it shows is lines.
// It sits there once.
type Typist struct {
	Clock func() time.Duration                         // CLOCK_MONOTONIC
	Hands func(phrase string) (keystroke.Sample, bool) // the next typing of a phrase
	Watch func(line string)                            // sees each finished line; may be nil

	keys  *os.File
	lines []string // finished
	line  string   // the one the cursor is on
}

// The ends of a line that waits for somebody to type.
const (
	typePrompt   = "> "
	choosePrompt = "again or keep? "
)

// Run runs a program and returns what the screen showed and its exit code, -1 if
// a signal ended it. If the recorded typing runs out, or ctx ends, it ends the
// program and says so.
func (t *Typist) Run(ctx context.Context, program string, args ...string) (screen string, exit int, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "TERM=dumb")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTime
	t.keys, err = pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		return "", 0, err
	}
	defer t.keys.Close()
	typing := t.serve(ctx)
	if typing != nil {
		_ = cmd.Cancel()
	}
	err = cmd.Wait()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		err = nil
	}
	screen = strings.Join(t.lines, "\n") + "\n"
	if err := errors.Join(ctx.Err(), typing, err); err != nil {
		return screen, 0, err
	}
	return screen, cmd.ProcessState.ExitCode(), nil
}

// serve reads what the program shows and answers its prompts, until it ends.
func (t *Typist) serve(ctx context.Context) error {
	b := make([]byte, 4096)
	for {
		n, err := t.keys.Read(b)
		if err != nil {
			return nil // EIO: the program has closed its end
		}
		t.show(string(b[:n]))
		switch {
		case t.line == choosePrompt:
			err = t.press(ctx, "keep\r")
		case t.line == typePrompt && len(t.lines) > 0:
			err = t.answer(ctx, strings.TrimSpace(t.lines[len(t.lines)-1]))
		}
		if err != nil {
			return err
		}
	}
}

// show takes in output of the program.
func (t *Typist) show(s string) {
	for {
		line, rest, found := strings.Cut(s, "\n")
		t.line += line
		if !found {
			return
		}
		t.line = strings.TrimSuffix(t.line, "\r")
		if t.Watch != nil {
			t.Watch(t.line)
		}
		t.lines = append(t.lines, t.line)
		t.line, s = "", rest
	}
}

// answer types a phrase as it was typed once.
func (t *Typist) answer(ctx context.Context, phrase string) error {
	sample, ok := t.Hands(phrase)
	if !ok {
		return fmt.Errorf("%w of %q", ErrRunOut, phrase)
	}
	start := t.Clock()
	for _, e := range sample.Events {
		if err := pause(ctx, start+e.Down-t.Clock()); err != nil {
			return err
		}
		key := string(e.Rune)
		if e.Key == keystroke.Backspace {
			key = "\x7f"
		}
		if err := t.press(ctx, key); err != nil {
			return err
		}
	}
	return t.press(ctx, "\r")
}

func (t *Typist) press(ctx context.Context, keys string) error {
	if _, err := t.keys.WriteString(keys); err != nil {
		return err
	}
	return ctx.Err()
}

// pause waits for d, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
