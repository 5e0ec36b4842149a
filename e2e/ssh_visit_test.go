package e2e

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ksd/demo"
	"ksd/internal/capture"
	"ksd/internal/keystroke"
	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

// visit is somebody at a terminal of their own, and the program they started
// there.
type visit struct {
	*ksdtest.Terminal
	cmd     *exec.Cmd
	ended   chan struct{}
	mode    capture.Mode
	depth   func() int // modes that the terminal is still in
	seen    int        // bytes that await has gone past
	before  string     // what was shown before what await found
	typings int        // typed so far
	last    keystroke.Sample
}

// visitWait bounds every wait for a program.
const visitWait = 90 * time.Second

var (
	errEnded   = errors.New("the program has ended")
	errWaiting = errors.New("waited in vain")
)

// theEnd is what the terminal shows when the program has ended and all that it
// wrote was shown.
const theEnd = "\x00the end\x00"

// startVisit starts a program at a terminal that can be switched to a mode.
func startVisit(t *testing.T, cmd *exec.Cmd, mode capture.Mode) (*visit, error) {
	v := &visit{Terminal: ksdtest.NewTerminal(t), cmd: cmd, ended: make(chan struct{}), mode: mode}
	term := "xterm"
	switch mode {
	case capture.Kitty:
		term, v.depth = "xterm-kitty", v.Speaks(&ksdtest.Kitty{Grants: 31})
	case capture.Win32:
		v.depth = v.Speaks(&ksdtest.Win32{})
	default:
		v.depth = v.Speaks(&ksdtest.Kitty{})
	}
	cmd.Env = append(slices.DeleteFunc(slices.Clone(cmd.Env), func(s string) bool { return strings.HasPrefix(s, "TERM=") }), "TERM="+term)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = v.TTY, v.TTY, v.TTY
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(v.ended)
		_ = cmd.Wait()
		_, _ = io.WriteString(v.TTY, theEnd)
	}()
	t.Cleanup(v.leave)
	return v, nil
}

// leave ends the program and all that it started at the terminal.
func (v *visit) leave() {
	select {
	case <-v.ended:
	default:
		_ = syscall.Kill(-v.cmd.Process.Pid, syscall.SIGKILL)
		<-v.ended
	}
}

// await waits until what was not gone past yet matches, and goes past it.
func (v *visit) await(want *regexp.Regexp) (groups []string, err error) {
	over, looked := time.Now().Add(visitWait), -1
	for ; ; time.Sleep(10 * time.Millisecond) {
		shown := v.Shown()
		if len(shown) != looked {
			looked = len(shown)
			if m := want.FindStringSubmatchIndex(shown[v.seen:]); m != nil {
				for i := 0; i < len(m); i += 2 {
					group := ""
					if m[i] >= 0 {
						group = shown[v.seen+m[i] : v.seen+m[i+1]]
					}
					groups = append(groups, group)
				}
				v.before = shown[v.seen : v.seen+m[0]]
				v.seen += m[1]
				return groups, nil
			}
		}
		switch {
		case strings.Contains(shown, theEnd):
			<-v.ended
			return nil, fmt.Errorf("%w before %q was shown", errEnded, want)
		case time.Now().After(over):
			return nil, fmt.Errorf("%w for %q", errWaiting, want)
		}
	}
}

// exit waits for the end of the program and returns its exit code.
func (v *visit) exit() (int, error) {
	for over := time.Now().Add(visitWait); !strings.Contains(v.Shown(), theEnd); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(over) {
			return 0, fmt.Errorf("%w for the end", errWaiting)
		}
	}
	<-v.ended
	return v.cmd.ProcessState.ExitCode(), nil
}

// A phrase that is asked for stands on the line above the mark. What tells the
// terminal something may stand between them.
const (
	control = `\x1b\[[0-?]*[ -/]*[@-~]`
	asked   = `(?:\n|` + control + `) *([a-z][a-z ]{10,}[a-z])(?:` + control + `|\s)*> `
)

var (
	challenged = regexp.MustCompile(asked + `|(\$ )$`) // or a shell's prompt
	enrolling  = regexp.MustCompile(asked + `|(again or keep\? )`)
)

// recognise types what is asked for until somebody is let in, which is when a
// shell's prompt is there, or the program ends.
func (v *visit) recognise(h *hands) (wire.Code, error) {
	for {
		m, err := v.await(challenged)
		switch {
		case errors.Is(err, errEnded):
			return v.refusal()
		case err != nil:
			return "", err
		case m[2] != "":
			return wire.Accept, nil
		}
		if err := v.answer(h, m[1]); err != nil {
			return "", err
		}
	}
}

// verdicts are the last words of both servers, and what they mean.
var verdicts = []struct {
	text *regexp.Regexp
	code wire.Code
}{
	{regexp.MustCompile(`[Nn]ot recognised[:;]`), wire.Refuse},
	{regexp.MustCompile(`could not be judged|the line is too rough`), wire.Unusable},
}

// refusal says why the program has ended. Whoever is not let in sees exit code 1.
func (v *visit) refusal() (wire.Code, error) {
	code := v.cmd.ProcessState.ExitCode()
	for _, last := range verdicts {
		if code == 1 && last.text.MatchString(v.Shown()[v.seen:]) {
			return last.code, nil
		}
	}
	return "", fmt.Errorf("%w: exit code %d", errEnded, code)
}

// On a machine that is so busy that keys arrive in a heap, typing is taken for a
// paste. Whoever is told so, or that the line is too rough, types the same again:
// it was not judged.
var (
	pasted = regexp.MustCompile(`was pasted|all at once`)
	rough  = regexp.MustCompile(`too unevenly`)
)

// answer types a phrase as it was typed once.
func (v *visit) answer(h *hands, phrase string) error {
	if v.typings == 0 || !pasted.MatchString(v.before) && !rough.MatchString(v.before) {
		s, ok := h.take(strings.TrimSpace(phrase))
		if !ok {
			return fmt.Errorf("%w of %q", demo.ErrRunOut, phrase)
		}
		v.typings++
		v.last = s
	}
	return v.types(v.last)
}

// keys are what a terminal sends at one time.
type keys struct {
	at   time.Duration
	text string
}

// keysOf returns the keys of s and Enter, and their releases where the terminal
// tells.
func (v *visit) keysOf(s keystroke.Sample) (all []keys) {
	for _, e := range s.Events {
		all = append(all, v.key(e.Rune, e.Down, e.Up)...)
	}
	slices.SortStableFunc(all, func(a, b keys) int { return int(a.at - b.at) })
	end := all[len(all)-1].at + 100*time.Millisecond
	return append(all, v.key('\r', end, end)...)
}

// key is one key that goes down and up.
func (v *visit) key(r rune, down, up time.Duration) []keys {
	switch v.mode {
	case capture.Kitty:
		press := fmt.Sprintf("\x1b[%d;;%du", r, r)
		if r == '\r' {
			press = "\x1b[13;1:1u" // which types nothing
		}
		return []keys{{down, press}, {up, fmt.Sprintf("\x1b[%d;1:3u", r)}}
	case capture.Win32:
		return []keys{{down, ksdtest.Win32Key(r, true)}, {up, ksdtest.Win32Key(r, false)}}
	}
	return []keys{{down, string(r)}}
}

// tooLate is by how much a key may be late without the ones after it being late
// as well: a hand does not make up for it in a heap.
const tooLate = 20 * time.Millisecond

// types presses keys at the times of s, then Enter. It stops when it is told that
// this is a paste.
func (v *visit) types(s keystroke.Sample) error {
	start := time.Now()
	for _, k := range v.keysOf(s) {
		time.Sleep(time.Until(start.Add(k.at)))
		if late := time.Since(start.Add(k.at)); late > tooLate {
			start = start.Add(late)
		}
		if pasted.MatchString(v.Shown()[v.seen:]) {
			return nil
		}
		if _, err := io.WriteString(v.Keys, k.text); err != nil {
			return err
		}
	}
	return nil
}

// typeAll types what a program asks for until it ends.
func (v *visit) typeAll(h *hands) (err error) {
	for {
		m, err := v.await(enrolling)
		switch {
		case errors.Is(err, errEnded):
			return nil
		case err != nil:
			return err
		case m[2] != "":
			_, err = io.WriteString(v.Keys, "keep\r")
		default:
			err = v.answer(h, m[1])
		}
		if err != nil {
			return err
		}
	}
}
