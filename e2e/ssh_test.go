package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"ksd/demo"
	"ksd/internal/ksdtest/sandbox"
	"ksd/internal/wire"
)

// testSessions has people log in by real clients of ssh, to ksd-sshd and to the
// machine's sshd with ksd-login, all side by side.
func (w *sshWorld) testSessions(t *testing.T) {
	const half = releasing / 2
	for i, server := range sshServers {
		// Those of each server type at terminals that tell releases, and so does one
		// that does not.
		mine := &crew{people: append([]person{w.people[i]}, w.people[people+i*half:people+(i+1)*half]...)}
		for name, test := range map[string]func(*testing.T, sshServer, *crew){
			"shell": w.testShell, "password": w.testPassword, "command": w.testCommand, "no terminal": w.testNoTerminal,
			"one connection": w.testOneConnection, "cable in a session": w.testCableInSession, "cable in a challenge": w.testCableInChallenge,
		} {
			t.Run(server.name+", "+name, func(t *testing.T) {
				t.Parallel()
				test(t, server, mine)
			})
		}
	}
}

// crew are people who take turns.
type crew struct {
	mu     sync.Mutex
	people []person
	turn   int
}

func (c *crew) next() person {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn++
	return c.people[(c.turn-1)%len(c.people)]
}

// enter has one of the crew come in as themselves. Owners are refused now and
// then, or their recording runs out; then it is somebody else's turn.
func (w *sshWorld) enter(t *testing.T, s sshServer, at place, c *crew, options []string, first func(*visit) error, command ...string) (*visit, person) {
	t.Helper()
	for range c.people {
		p := c.next()
		v, err := startVisit(t, w.ssh(s, at, p.user, append([]string{"-tt"}, options...), command...), p.mode)
		if err == nil && first != nil {
			err = first(v)
		}
		var code wire.Code
		if err == nil {
			code, err = v.recognise(p.own)
		}
		switch {
		case errors.Is(err, demo.ErrRunOut):
			v.leave()
		case err != nil:
			t.Fatalf("%s: %v\n%q", p.user, err, v.Shown())
		case code == wire.Accept:
			return v, p
		}
		t.Logf("%s does not get in: %v %s", p.user, err, code)
	}
	t.Fatal("nobody gets in as themselves")
	return nil, person{}
}

// say types a line at a shell and waits for want.
func (v *visit) say(t *testing.T, line, want string) []string {
	t.Helper()
	if _, err := io.WriteString(v.Keys, line+"\r"); err != nil {
		t.Fatal(err)
	}
	m, err := v.await(regexp.MustCompile(want))
	if err != nil {
		t.Fatalf("%s: %v\n%q", line, err, v.Shown())
	}
	return m
}

func (v *visit) wantExit(t *testing.T, want int) {
	t.Helper()
	if got, err := v.exit(); got != want || err != nil {
		t.Errorf("exit code %d, %v, want %d\n%q", got, err, want, v.Shown())
	}
}

// The right rhythm gets the shell: it answers, learns of a new size of the window,
// and its exit code comes back.
func (w *sshWorld) testShell(t *testing.T, s sshServer, c *crew) {
	v, p := w.enter(t, s, w.here(), c, nil, nil)
	v.say(t, "echo in-$(id -un)-$((6*7))-$0", "in-"+p.user+"-42--bash")
	if err := pty.Setsize(v.Keys, &pty.Winsize{Rows: 20, Cols: 90}); err != nil {
		t.Fatal(err)
	}
	v.say(t, `until [ "$(stty size)" = "20 90" ]; do sleep 0.1; done; echo resized-$((6*7))`, "resized-42")
	v.say(t, "exit 7", "logout")
	v.wantExit(t, 7)
	if v.depth() != 0 {
		t.Error("the terminal is still in a mode")
	}
	t.Attr("shell", "the shell answers, follows the window's size, and its exit code comes back")
}

// A password is as good a first factor as a key, and as little without the rhythm.
func (w *sshWorld) testPassword(t *testing.T, s sshServer, c *crew) {
	byPassword := []string{"-o", "PubkeyAuthentication=no"}
	password := func(text string) func(*visit) error {
		return func(v *visit) error {
			_, err := v.await(regexp.MustCompile("assword: ?$"))
			if err == nil {
				_, err = io.WriteString(v.Keys, text+"\r")
			}
			return err
		}
	}
	v, p := w.enter(t, s, w.here(), c, byPassword, password(sandbox.Password))
	v.say(t, "echo in-$((6*7)); exit 3", "in-42")
	v.wantExit(t, 3)

	v, err := startVisit(t, w.ssh(s, w.here(), p.user, append(byPassword, "-tt")), p.mode)
	if err == nil {
		err = password("wrong")(v)
	}
	if err != nil {
		t.Fatal(err)
	}
	v.wantExit(t, 255)
	if challenged.MatchString(v.Shown()) {
		t.Errorf("a challenge without the first factor: %q", v.Shown())
	}

	w.intrude(t, s, p, c, func() (*visit, error) {
		v, err := startVisit(t, w.ssh(s, w.here(), p.user, append(byPassword, "-tt"), "touch in"), p.mode)
		if err == nil {
			err = password(sandbox.Password)(v)
		}
		return v, err
	})
	t.Attr("password", "with the right rhythm in, with another's refused with exit code 1, wrong: never asked to type")
}

// intrude has others of the crew come as p. One stranger in a hundred gets in, so
// two may before it is an error; whoever is refused has run no command.
func (w *sshWorld) intrude(t *testing.T, s sshServer, p person, c *crew, come func() (*visit, error)) {
	t.Helper()
	for range 3 {
		other := c.next()
		for other.user == p.user {
			other = c.next()
		}
		v, err := come()
		if err != nil {
			t.Fatal(err)
		}
		code, err := v.recognise(other.hands(enrol))
		in := os.Remove(w.Path("/home/"+p.user+"/in")) == nil
		switch exit, _ := v.exit(); {
		case code == wire.Refuse && err == nil && exit == 1 && !in:
			return
		case !in:
			t.Fatalf("%s as %s: %q, %v, exit code %d\n%q", other.user, p.user, code, err, exit, v.Shown())
		}
		t.Logf("%s gets in as %s", other.user, p.user)
	}
	t.Errorf("everybody gets in as %s", p.user)
}

// A command at a terminal runs after the challenge, with its exit code.
func (w *sshWorld) testCommand(t *testing.T, s sshServer, c *crew) {
	v, _ := w.enter(t, s, w.here(), c, nil, nil, "echo in-$((6*7)); printf '$ '; sleep 0.5; exit 42")
	v.wantExit(t, 42)
	if !strings.Contains(v.Shown(), "in-42") {
		t.Errorf("%q", v.Shown())
	}
	t.Attr("command", "ssh -t host command: exit code 42 comes back")
}

// transfer is something done without a terminal.
type transfer struct {
	name string
	argv func(w *sshWorld, s sshServer, user, file string) []string
	in   string
}

var transfers = []transfer{
	{"ssh", func(w *sshWorld, s sshServer, user, _ string) []string {
		return append(append([]string{"ssh"}, w.options(s, "-o", "SendEnv=KSD_TOKEN")...), user+"@127.0.0.1", "touch in")
	}, ""},
	{"scp", func(w *sshWorld, s sshServer, user, file string) []string {
		return append(append([]string{"scp", "-q"}, w.options(s, "-o", "SendEnv=KSD_TOKEN")...), file, user+"@127.0.0.1:in")
	}, ""},
	{"sftp", func(w *sshWorld, s sshServer, user, _ string) []string {
		return append(append([]string{"sftp", "-q", "-b", "-"}, w.options(s, "-o", "SendEnv=KSD_TOKEN")...), user+"@127.0.0.1")
	}, "mkdir in\n"},
	{"rsync", func(w *sshWorld, s sshServer, user, file string) []string {
		return []string{"rsync", "-e", "ssh " + strings.Join(w.options(s, "-o", "SendEnv=KSD_TOKEN"), " "), file, user + "@127.0.0.1:in"}
	}, ""},
}

// Without a terminal nobody gets in, but with a token, once.
func (w *sshWorld) testNoTerminal(t *testing.T, s sshServer, c *crew) {
	p := c.next()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("content\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var done []string
	for _, tr := range transfers {
		if _, err := exec.LookPath(tr.name); err != nil {
			t.Logf("%s is not installed", tr.name)
			continue
		}
		token, err := w.ctl(t.Context(), "token", p.user)
		if err != nil {
			t.Fatal(err)
		}
		for i, try := range []string{"", strings.TrimSpace(token), strings.TrimSpace(token)} {
			argv := tr.argv(w, s, p.user, file)
			cmd := exec.Command(argv[0], argv[1:]...)
			cmd.Env = append(os.Environ(), "KSD_TOKEN="+try)
			if try == "" {
				cmd.Env = os.Environ()
			}
			cmd = w.net.in(cmd)
			cmd.Stdin = strings.NewReader(tr.in)
			out, err := cmd.CombinedOutput()
			in := os.Remove(w.Path("/home/"+p.user+"/in")) == nil
			if in != (i == 1) || (err == nil) != (i == 1) {
				t.Errorf("%s, try %d: let in: %v, %v, %q", tr.name, i+1, in, err, out)
			}
			if i == 0 && tr.name == "ssh" && !strings.Contains(string(out), "ssh -t") {
				t.Errorf("%s: not told what to do: %q", tr.name, out)
			}
		}
		done = append(done, tr.name)
	}
	t.Attr("no-terminal", strings.Join(done, ", ")+": refused, let in once with a token, refused with the same again")
}

// Sessions of one connection: ksd-sshd asks once for all of them, ksd-login asks
// each.
func (w *sshWorld) testOneConnection(t *testing.T, s sshServer, c *crew) {
	dir, err := os.MkdirTemp("", "ksd")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "socket")
	first, p := w.enter(t, s, w.here(), c, []string{"-M", "-S", socket}, nil)
	again := w.ssh(s, w.here(), p.user, []string{"-S", socket}, "echo in-$((6*7))")
	out, err := again.CombinedOutput()
	v, failed := startVisit(t, w.ssh(s, w.here(), p.user, []string{"-S", socket, "-tt"}), p.mode)
	if failed != nil {
		t.Fatal(failed)
	}
	m, failed := v.await(challenged)
	if failed != nil {
		t.Fatalf("%v\n%q", failed, v.Shown())
	}
	atShell := m[2] != ""
	if s == ksdSSHD {
		if err != nil || string(out) != "in-42\n" || !atShell {
			t.Errorf("asked again: %v, %q, %q", err, out, v.Shown())
		}
		v.say(t, "exit 5", "logout")
		v.wantExit(t, 5)
		t.Attr("one-connection", "one challenge, then a command and a shell without")
	} else {
		if err == nil || strings.Contains(string(out), "in-42") || atShell {
			t.Errorf("not asked again: %v, %q, %q", err, out, v.Shown())
		}
		t.Attr("one-connection", "each session is asked, a command without a terminal is refused")
	}
	v.leave()
	first.say(t, "exit 6", "logout")
	first.wantExit(t, 6)
}

// gaveUp is how long a server may take with a client that is gone: OpenSSH 9.2
// takes twice as long as it is told to.
const gaveUp = 2*aliveEvery*(aliveTimes+1) + 20*time.Second

// within waits until done, and returns how long that took.
func within(t *testing.T, limit time.Duration, what string, done func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !done() {
		if time.Since(began) > limit {
			t.Fatalf("after %v: %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(began)
}

// When the cable is pulled in the middle of a session, its shell is hung up on.
func (w *sshWorld) testCableInSession(t *testing.T, s sshServer, c *crew) {
	at := w.cable(t)
	v, _ := w.enter(t, s, at, c, nil, nil)
	pid, err := strconv.Atoi(v.say(t, "echo pid-$$-", `pid-(\d+)-`)[1])
	if err != nil {
		t.Fatal(err)
	}
	at.pull(t)
	took := within(t, gaveUp, "the shell is still there", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
	t.Attr("cable-in-a-session", fmt.Sprintf("the shell was hung up on after %.1f s", took.Seconds()))
}

// When the cable is pulled in the middle of a challenge, the daemon is rid of it.
func (w *sshWorld) testCableInChallenge(t *testing.T, s sshServer, c *crew) {
	at, p := w.cable(t), c.next()
	v, err := startVisit(t, w.ssh(s, at, p.user, []string{"-tt"}), p.mode)
	if err == nil {
		_, err = v.await(challenged)
	}
	if err == nil {
		_, err = io.WriteString(v.Keys, "a")
	}
	if err != nil {
		t.Fatalf("%v\n%q", err, v.Shown())
	}
	cancelled := func() int {
		n := 0
		for line := range strings.Lines(w.log.String()) {
			if strings.Contains(line, "user="+p.user+" ") && strings.Contains(line, "service="+s.service+" ") && strings.Contains(line, "outcome=cancelled") {
				n++
			}
		}
		return n
	}
	before := cancelled()
	at.pull(t)
	took := within(t, gaveUp, "the daemon still waits for typing", func() bool { return cancelled() > before })
	t.Attr("cable-in-a-challenge", fmt.Sprintf("cancelled after %.1f s", took.Seconds()))
}
