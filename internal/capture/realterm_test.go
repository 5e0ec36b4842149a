//go:build terminals

package capture

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ksd/internal/keystroke"
)

// These tests drive real terminals: kitty and xterm in Xvfb, foot in a Weston in
// Xvfb, tmux and GNU screen. They take
//
//	apt-get install kitty foot xterm weston xvfb xdotool tmux screen libgl1-mesa-dri
//	go test -tags terminals -run Real -v ./internal/capture

const socketEnv = "KSD_CAPTURE_SOCKET"

func init() { roles["terminal"] = atTerminal }

// report is what the program in the terminal tells, one a line.
type report struct {
	Step   string
	Mode   string
	Silent bool
	Took   time.Duration
	Sample *keystroke.Sample
	Moved  string // where the cursor was before and after
	Left   string // what the next program read
	Err    string
}

// atTerminal is the program in the terminal: it asks, prompts, leaves, and is
// then the next program for a while.
func atTerminal() error {
	conn, err := net.Dial("unix", os.Getenv(socketEnv))
	if err != nil {
		return err
	}
	tell := json.NewEncoder(conn)
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	term, err := Open(tty, os.Getenv("TERM"), Monotonic)
	if err != nil {
		return err
	}
	defer term.Restore()
	if err := term.Raw(); err != nil {
		return err
	}
	before := cursor(term)
	asked, err := term.Ask(context.Background())
	tell.Encode(report{Step: "asked", Moved: before + cursor(term), Mode: asked.Mode.String(), Silent: asked.Silent, Took: asked.Took, Err: fmt.Sprint(err)})
	s, err := term.Read(context.Background(), Prompt{Phrase: "the phrase", Mark: "> ", Status: func(keystroke.Sample) string {
		tell.Encode(report{Step: "echoed"})
		return "status"
	}})
	r := report{Step: "read", Err: fmt.Sprint(err)}
	if err == nil {
		r.Sample = &s
	}
	tell.Encode(r)
	began := Monotonic()
	err = term.Leave(context.Background())
	tell.Encode(report{Step: "left", Took: Monotonic() - began, Err: fmt.Sprint(err)})
	left, err := nextProgram(int(tty.Fd()))
	return tell.Encode(report{Step: "next", Left: left, Err: fmt.Sprint(err)})
}

// cursor asks the terminal where its cursor stands: what it shows as rubbish
// moves it.
func cursor(t *Terminal) string {
	if err := t.print(t.link, "\x1b[6n"); err != nil {
		return err.Error()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var got []byte
	for !strings.HasSuffix(string(got), "R") {
		b := make([]byte, 64)
		n, _, err := t.link.read(ctx, b)
		if err != nil {
			return err.Error()
		}
		got = append(got, b[:n]...)
	}
	return string(got)
}

// nextProgram reads for a second what the terminal sends.
func nextProgram(fd int) (string, error) {
	s, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return "", err
	}
	s.Lflag &^= unix.ICANON | unix.ECHO | unix.ISIG
	s.Cc[unix.VMIN], s.Cc[unix.VTIME] = 0, 10
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, s); err != nil {
		return "", err
	}
	b := make([]byte, 256)
	n, err := unix.Read(fd, b)
	return string(b[:max(n, 0)]), err
}

// program is a terminal with the program above in it.
type program struct {
	t    *testing.T
	from *bufio.Scanner
}

// inTerminal starts command, which is to run the last of its arguments, in env.
func inTerminal(t *testing.T, env []string, command ...string) *program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start(t, append(env, handoverEnv+"=terminal", socketEnv+"="+path), append(command, exe)...)
	l.(*net.UnixListener).SetDeadline(time.Now().Add(20 * time.Second))
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(60 * time.Second))
	return &program{t, bufio.NewScanner(conn)}
}

// start runs a program until the test ends.
func start(t *testing.T, env []string, command ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "LIBGL_ALWAYS_SOFTWARE=1"}, env...)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if b, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s: %s", command[0], b)
		}
	})
	return cmd
}

// hear waits for the next report, which must be of step.
func (p *program) hear(step string) report {
	p.t.Helper()
	for p.from.Scan() {
		var r report
		if err := json.Unmarshal(p.from.Bytes(), &r); err != nil {
			p.t.Fatal(err)
		}
		if r.Step == step {
			return r
		}
		if r.Step != "echoed" {
			p.t.Fatalf("%+v, want %s", r, step)
		}
	}
	p.t.Fatalf("the program ended before it came to %q: %v", step, p.from.Err())
	panic("unreachable")
}

// need skips a test whose programs are not installed.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

// keyboardOf is a keyboard at an X server: xdotool, told one event at a time.
type keyboardOf struct {
	t   *testing.T
	in  io.Writer
	at  map[string]time.Duration // when a key was last sent, "+38" down or "-38" up
	gap time.Duration
}

// xServer starts Xvfb and returns the environment of its clients.
func xServer(t *testing.T) []string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "900x700x24", "-nolisten", "tcp")
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	n, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	os.Chmod(home, 0o700)
	return []string{"DISPLAY=:" + strings.TrimSpace(n), "HOME=" + home, "XDG_RUNTIME_DIR=" + home}
}

func newKeyboardOf(t *testing.T, env []string, window string) *keyboardOf {
	t.Helper()
	if window != "" {
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			cmd := exec.Command("sh", "-c", "xdotool windowfocus --sync $(xdotool search --onlyvisible --class "+window+" | tail -1)")
			cmd.Env = append(env, "PATH="+os.Getenv("PATH"))
			if out, err := cmd.CombinedOutput(); err == nil {
				break
			} else if time.Now().After(end) {
				t.Fatalf("no window %s: %s", window, out)
			}
		}
	}
	cmd := exec.Command("xdotool", "-")
	cmd.Env = env
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	return &keyboardOf{t: t, in: in, at: map[string]time.Duration{}, gap: 70 * time.Millisecond}
}

// Key codes of a PC keyboard under X.
const (
	xA, xB, xC, x1, xShiftL, xShiftR, xEnter = "38", "56", "54", "10", "50", "62", "36"
)

// hits sends keys gap apart: "+" and a code go down, "-" and a code up.
func (k *keyboardOf) hits(keys ...string) {
	k.t.Helper()
	for _, key := range keys {
		time.Sleep(k.gap)
		verb := "keydown"
		if key[0] == '-' {
			verb = "keyup"
		}
		k.at[key] = Monotonic()
		if _, err := fmt.Fprintf(k.in, "%s --delay 0 %s\n", verb, key[1:]); err != nil {
			k.t.Fatal(err)
		}
	}
}

// TestReal types the same keys at each terminal, rolled over and with either
// Shift, and holds both Shifts when the prompt ends: one goes up while the
// terminal is given back, the other after.
func TestReal(t *testing.T) {
	for _, c := range []struct {
		name, mode string
		command    []string
	}{
		{"xterm", "plain", []string{"xterm", "-e"}},
		{"kitty", "kitty", []string{"kitty", "-o", "update_check_interval=0"}},
		{"foot", "kitty", []string{"foot"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			need(t, "Xvfb", "xdotool", c.command[0])
			env := xServer(t)
			window := c.name
			if c.name == "foot" {
				need(t, "weston")
				start(t, env, "weston", "--backend=x11-backend.so", "--use-pixman", "--socket=ksd", "--shell=kiosk-shell.so")
				awaitFile(t, env[2][len("XDG_RUNTIME_DIR="):]+"/ksd")
				window = "" // Weston's is the only one, and has no name
				env = append(env, "WAYLAND_DISPLAY=ksd")
			}
			p := inTerminal(t, env, c.command...)
			asked := p.hear("asked")
			keys := newKeyboardOf(t, env, window)
			t.Logf("asked in %v: %s", asked.Took, asked.Mode)
			if asked.Mode != c.mode || asked.Silent || asked.Err != "<nil>" || asked.Moved != "\x1b[1;1R\x1b[1;1R" {
				t.Fatalf("%+v", asked)
			}
			time.Sleep(time.Second) // until the prompt stands and the window has the focus
			keys.hits("+"+xA, "+"+xB, "-"+xA, "-"+xB, "+"+xShiftL, "+"+xC, "-"+xC, "-"+xShiftL, "+"+xShiftR, "+"+x1, "-"+x1, "-"+xShiftR,
				"+"+xShiftL, "+"+xShiftR, "+"+xEnter, "-"+xEnter, "-"+xShiftL)
			got := p.hear("read")
			left := p.hear("left")
			keys.hits("-" + xShiftR)
			next := p.hear("next")
			t.Logf("given back in %v", left.Took)
			if got.Err != "<nil>" || left.Err != "<nil>" || next.Left != "" || next.Err != "<nil>" {
				t.Errorf("read %s, left %s, next %q %s", got.Err, left.Err, next.Left, next.Err)
			}
			if got.Sample == nil {
				t.FailNow()
			}
			want := "abC!"
			if c.mode == "kitty" {
				want = "a b <Shift> C+L <Shift> !+R <Shift> <Shift>"
			}
			if s := order(*got.Sample); s != want {
				t.Fatalf("typed %s, want %s", s, want)
			}
			keys.compare(*got.Sample)
		})
	}
}

func awaitFile(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// order names the keys of a sample and the Shift they were typed with.
func order(s keystroke.Sample) string {
	if s.Channel == keystroke.Press {
		return keys(s)
	}
	var out []string
	for _, e := range s.Events {
		name := keys(keystroke.Sample{Events: []keystroke.Event{e}})
		if e.Mods&keystroke.ShiftLeft != 0 {
			name += "+L"
		}
		if e.Mods&keystroke.ShiftRight != 0 {
			name += "+R"
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

// compare holds the times of a sample against those at which the keys were hit.
// They must be those of the keys: within 200 ms on a busy machine.
func (k *keyboardOf) compare(s keystroke.Sample) {
	codes := map[rune]string{'a': xA, 'b': xB, 'C': xC, '!': x1}
	var errs []time.Duration
	for _, e := range s.Events {
		code, ok := codes[e.Rune]
		if !ok {
			continue
		}
		errs = append(errs, (e.Down - (k.at["+"+code] - k.at["+"+xA])).Abs())
		dwell, released := e.Dwell()
		if released != (s.Channel == keystroke.Full) {
			k.t.Errorf("%q: released %v", e.Rune, released)
		}
		if released {
			errs = append(errs, (dwell - (k.at["-"+code] - k.at["+"+code])).Abs())
		}
	}
	slices.Sort(errs)
	k.t.Logf("%d times: error median %v, largest %v", len(errs), errs[len(errs)/2], errs[len(errs)-1])
	if len(errs) == 0 || errs[len(errs)-1] > 200*time.Millisecond {
		k.t.Errorf("errors %v", errs)
	}
}

// TestRealMultiplexers looks at what tmux and screen show of a prompt that asked:
// nothing but the prompt, and presses come through.
func TestRealMultiplexers(t *testing.T) {
	name := fmt.Sprintf("ksd%d", os.Getpid())
	run := func(t *testing.T, command ...string) string {
		t.Helper()
		cmd := exec.Command(command[0], command[1:]...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v %s", command, err, out)
		}
		return string(out)
	}
	for _, c := range []struct {
		name  string
		start []string
		key   func(t *testing.T, key string)
		shown func(t *testing.T) string
		end   []string
	}{
		{
			"tmux",
			[]string{"tmux", "-L", name, "-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "-e", handoverEnv + "=terminal", "-e", socketEnv + "=$SOCKET"},
			func(t *testing.T, key string) { run(t, "tmux", "-L", name, "send-keys", "-l", key) },
			func(t *testing.T) string { return run(t, "tmux", "-L", name, "capture-pane", "-p") },
			[]string{"tmux", "-L", name, "kill-server"},
		},
		{
			"screen",
			[]string{"screen", "-c", "/dev/null", "-dmS", name},
			func(t *testing.T, key string) { run(t, "screen", "-S", name, "-X", "stuff", key) },
			func(t *testing.T) string {
				file := filepath.Join(t.TempDir(), "copy")
				run(t, "screen", "-S", name, "-p", "0", "-X", "hardcopy", file)
				awaitFile(t, file)
				time.Sleep(100 * time.Millisecond)
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				return string(b)
			},
			[]string{"screen", "-S", name, "-X", "quit"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			need(t, c.name)
			path := filepath.Join(t.TempDir(), "socket")
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			args := append(slices.Clone(c.start), exe)
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "$SOCKET", path)
			}
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Env = append(os.Environ(), handoverEnv+"=terminal", socketEnv+"="+path, "TERM=xterm-256color")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			t.Cleanup(func() { exec.Command(c.end[0], c.end[1:]...).Run() })
			l.(*net.UnixListener).SetDeadline(time.Now().Add(20 * time.Second))
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetReadDeadline(time.Now().Add(60 * time.Second))
			p := &program{t, bufio.NewScanner(conn)}
			asked := p.hear("asked")
			t.Logf("asked in %v: %s, silent %v", asked.Took, asked.Mode, asked.Silent)
			if asked.Mode != "plain" || asked.Silent || asked.Err != "<nil>" || asked.Moved != "\x1b[1;1R\x1b[1;1R" {
				t.Errorf("%+v", asked)
			}
			time.Sleep(500 * time.Millisecond)
			for _, key := range []string{"o", "k"} {
				c.key(t, key)
				p.hear("echoed")
			}
			time.Sleep(200 * time.Millisecond)
			if got := strings.TrimSpace(c.shown(t)); got != "the phrase\n> ok\nstatus" {
				t.Errorf("the screen reads\n%s", got)
			}
			c.key(t, "\r")
			got := p.hear("read")
			left := p.hear("left")
			next := p.hear("next")
			if got.Sample == nil || keys(*got.Sample) != "ok" || left.Err != "<nil>" || next.Left != "" {
				t.Errorf("%+v, %+v, %+v", got, left, next)
			}
			t.Logf("given back in %v", left.Took)
		})
	}
}
