//go:build console

package capture

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ksd/internal/evdev"
	"ksd/internal/evdev/evdevtest"
	"ksd/internal/keystroke"
)

// These tests take the machine's screen and keyboard: they switch consoles and
// type, as root, with uinput. tools/console/run.sh runs them in a machine of
// their own; nowhere else are they a good idea.

func init() { roles["console"] = atVT }

// said is what the program at the console tells, one a line.
type said struct {
	Sample     *keystroke.Sample
	Err        string
	NotConsole bool // that error
}

// atVT is a daemon in small: nobody, with the group of the keyboards, and a
// terminal that somebody else opened. It prompts as it is told to on its input.
func atVT() error {
	term, err := Open(os.NewFile(3, "tty"), "linux", Monotonic)
	if err != nil {
		return err
	}
	defer term.Restore()
	tell, orders := json.NewEncoder(os.Stdout), bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		phrase, ok := strings.CutPrefix(orders.Text(), "prompt ")
		switch {
		case orders.Text() == "listen":
			err := term.Listen(evdev.Keyboards)
			s := said{NotConsole: errors.Is(err, ErrNotConsole)}
			if err != nil {
				s.Err = err.Error()
			}
			if err := tell.Encode(s); err != nil {
				return err
			}
		case ok:
			if err := term.Raw(); err != nil {
				return err
			}
			s, err := term.Read(context.Background(), Prompt{Phrase: phrase})
			out := said{Sample: &s}
			if err != nil {
				out = said{Err: err.Error()}
			}
			if err := errors.Join(term.Leave(context.Background()), tell.Encode(out)); err != nil {
				return err
			}
		}
	}
	return orders.Err()
}

// Calls of consoles (linux/vt.h, linux/kd.h).
const (
	vtActivate   = 0x5606
	vtWaitActive = 0x5607
	kdGetMode    = 0x4b44 // KDGKBMODE
)

// vt is a console of the machine with the program above at it.
type vt struct {
	t    *testing.T
	n    int
	tty  *os.File
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *json.Decoder
	asks int
}

func newVT(t *testing.T, n int) *vt {
	t.Helper()
	v := &vt{t: t, n: n}
	var err error
	if v.tty, err = os.OpenFile(fmt.Sprint("/dev/tty", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Skipf("no console: %v", err)
	}
	t.Cleanup(func() { v.tty.Close() })
	v.cmd = exec.Command("/proc/self/exe")
	v.cmd.Env, v.cmd.Dir, v.cmd.Stderr, v.cmd.ExtraFiles = []string{handoverEnv + "=console"}, "/", os.Stderr, []*os.File{v.tty}
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: 65534, Gid: 65534, Groups: []uint32{keyboardGroup(t)}}}
	v.in = must(v.cmd.StdinPipe())(t)
	v.out = json.NewDecoder(must(v.cmd.StdoutPipe())(t))
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		v.cmd.Process.Kill()
		v.cmd.Wait()
	})
	return v
}

func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// keyboardGroup gives the devices to a group, as udev does with "input".
func keyboardGroup(t *testing.T) uint32 {
	t.Helper()
	const group = 104
	for _, path := range must(filepath.Glob("/dev/input/event*"))(t) {
		if err := errors.Join(os.Chown(path, 0, group), os.Chmod(path, 0o660)); err != nil {
			t.Fatal(err)
		}
	}
	return group
}

// front brings a console to the front.
func front(t *testing.T, n int) {
	t.Helper()
	f := must(os.OpenFile("/dev/tty0", os.O_RDWR|unix.O_NOCTTY, 0))(t)
	defer f.Close()
	for _, call := range []uint{vtActivate, vtWaitActive} {
		if err := unix.IoctlSetInt(int(f.Fd()), call, n); err != nil {
			t.Fatal(err)
		}
	}
}

func (v *vt) orders(s string) {
	v.t.Helper()
	if _, err := fmt.Fprintln(v.in, s); err != nil {
		v.t.Fatal(err)
	}
}

func (v *vt) hears() (s said) {
	v.t.Helper()
	if err := v.out.Decode(&s); err != nil {
		v.t.Fatal(err)
	}
	return s
}

func (v *vt) listens() {
	v.t.Helper()
	v.orders("listen")
	if s := v.hears(); s.Err != "" {
		v.t.Fatalf("listen: %s", s.Err)
	}
}

// asked starts a prompt and waits until it stands on the screen.
func (v *vt) asked() {
	v.t.Helper()
	v.asks++
	phrase := fmt.Sprintf("phrase-%d-of-%s", v.asks, v.t.Name())
	v.orders("prompt " + phrase)
	for end := Monotonic() + 20*time.Second; ; time.Sleep(10 * time.Millisecond) {
		shown := string(must(os.ReadFile(fmt.Sprint("/dev/vcs", v.n)))(v.t))
		if _, below, ok := strings.Cut(shown, phrase); ok && strings.Contains(below, "> ") {
			return
		}
		if Monotonic() > end {
			v.t.Fatalf("the prompt is not shown: %q", shown)
		}
	}
}

// devices is how many input devices the program holds open.
func (v *vt) devices() (n int) {
	v.t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", v.cmd.Process.Pid)
	for _, e := range must(os.ReadDir(dir))(v.t) {
		if to, _ := os.Readlink(filepath.Join(dir, e.Name())); strings.HasPrefix(to, "/dev/input/") {
			n++
		}
	}
	return n
}

// sample returns what was typed at the prompt.
func (v *vt) sample() keystroke.Sample {
	v.t.Helper()
	s := v.hears()
	if s.Sample == nil {
		v.t.Fatalf("prompt: %s", s.Err)
	}
	return *s.Sample
}

// answered returns what came of the prompt. No device may be open after it.
func (v *vt) answered(want keystroke.Channel, text string) keystroke.Sample {
	v.t.Helper()
	s := v.sample()
	if keys(s) != text || s.Channel != want {
		v.t.Errorf("%s on %s, want %s on %s", shape(s), s.Channel, text, want)
	}
	if n := v.devices(); n != 0 {
		v.t.Errorf("%d devices are open after the prompt", n)
	}
	return s
}

// hit presses a key for a time.
func hit(u *evdevtest.Uinput, code uint16, hold time.Duration) {
	u.Does(code, evdev.Down)
	time.Sleep(hold)
	u.Does(code, evdev.Up)
}

func types(u *evdevtest.Uinput, text string, hold, pause time.Duration) {
	for _, r := range text {
		hit(u, evdevtest.Codes[r], hold)
		time.Sleep(pause)
	}
}

const beat = 60 * time.Millisecond
