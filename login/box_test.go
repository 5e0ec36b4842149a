package login

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ksd/internal/ksdtest"
	"ksd/internal/ksdtest/sandbox"
	"ksd/internal/wire"
)

// programs builds the gate as it is shipped, once, with a link to it for dash.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ksd")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", dir, "ksd/cmd/ksd-login")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	if err := os.Symlink(Name, filepath.Join(dir, Name+"-dash")); err != nil {
		return dir, err
	}
	return dir, os.Chmod(dir, 0o755)
})

func TestMain(m *testing.M) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // below nohup children would ignore it
	code := m.Run()
	if built.Load() {
		dir, _ := programs()
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// program returns the path of the gate as it is shipped.
func program(t testing.TB) string {
	t.Helper()
	built.Store(true)
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, Name)
}

// The accounts of a box: ana's login shell is the gate, dan's its link for dash,
// bob's is not.
const ana, bob, dan = 1000, 1001, 1002 // as in ksdtest, where ana is the first account

// box is a sandbox with those accounts and, where its test starts one, a daemon.
type box struct {
	*sandbox.Sandbox
	t    *testing.T
	gate string
}

// newBox makes a sandbox in which the shells are listed or not; files are added
// to it.
func newBox(t *testing.T, files map[string]string) *box {
	t.Helper()
	gate := program(t)
	pam := "auth sufficient pam_rootok.so\nauth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required pam_permit.so\n"
	all := map[string]string{
		"shells":     "/bin/sh\n/bin/bash\n/bin/dash\n",
		"group":      "root:x:0:\ntty:x:5:\nutmp:x:43:\nnogroup:x:65534:\nana:x:1000:\nbob:x:1001:\ndan:x:1002:\nksd-login:x:1100:ana,dan\n",
		"login.defs": "FAIL_DELAY 0\nLOGIN_RETRIES 1\nLOGIN_TIMEOUT 60\nTTYPERM 0600\n",
		"sudoers":    "Defaults lecture=never, timestamp_timeout=0, passwd_tries=1\nbob ALL=(ALL) NOPASSWD: ALL\n",
		"pam.d/chsh": "auth required pam_shells.so\n" + pam,
	}
	for _, service := range []string{"su", "su-l", "sudo", "sudo-i", "login", "sshd", "cron", "runuser", "runuser-l"} {
		all["pam.d/"+service] = pam
	}
	for name, content := range files {
		all[name] = content
	}
	s := sandbox.New(t, sandbox.Config{Users: []sandbox.User{
		{Name: "ana", UID: ana, Shell: gate}, {Name: "bob", UID: bob, Shell: "/bin/bash"}, {Name: "dan", UID: dan, Shell: gate + "-dash"},
	}, Files: all})
	if err := os.Mkdir(s.Path("/run/ksd"), 0o755); err != nil {
		t.Fatal(err)
	}
	// A bound /dev/ptmx does not find its /dev/pts: nobody inside could open a
	// pseudo-terminal.
	if out, err := s.Command("sh", "-c", "umount /dev/ptmx \"$0/dev/ptmx\" && rm /dev/ptmx && mknod -m 666 /dev/ptmx c 5 2", filepath.Dir(s.Path("/run"))).CombinedOutput(); err != nil {
		t.Fatalf("/dev/ptmx: %v: %s", err, out)
	}
	return &box{s, t, gate}
}

// daemon starts a fake daemon in the box.
func (b *box) daemon(run func(*conversation)) *fakeDaemon {
	b.t.Helper()
	return (&fakeDaemon{path: b.Path("/run/ksd/login.sock"), run: run}).start(b.t)
}

// home writes a file of ana's.
func (b *box) home(name, content string, mode os.FileMode) {
	b.t.Helper()
	path := b.Path("/home/ana/" + name)
	for _, err := range []error{
		os.MkdirAll(filepath.Dir(path), 0o700), os.Chown(filepath.Dir(path), ana, ana),
		os.WriteFile(path, []byte(content), mode), os.Chmod(path, mode), os.Chown(path, ana, ana),
	} {
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

// marked reports whether somebody came so far as to make ana's file "in", and
// removes it.
func (b *box) marked() bool { return os.Remove(b.Path("/home/ana/in")) == nil }

// leader runs a program as a session's leader that outlives it, as a shell does,
// and says how it ended.
//
// Where the gate was killed the daemon mends the terminal, in its own time.
const leader = `before=$(stty -g); "$@"; status=$?
for i in 1 2 3 4 5 6 7 8 9 10; do
	changed=', terminal changed'; [ "$(stty -g)" = "$before" ] && changed= && break; sleep 0.5
done
echo "[exit $status$changed]"`

// screen is a program at a terminal of its own.
type screen struct {
	*ksdtest.Terminal
	t *testing.T
}

// at runs argv in the box as user, below a leader, at a terminal.
func (b *box) at(user string, argv ...string) *screen {
	b.t.Helper()
	return atTerminal(b.t, b.CommandAs(user, append([]string{"sh", "-c", leader, "sh"}, argv...)...))
}

func atTerminal(t *testing.T, cmd *exec.Cmd) *screen {
	t.Helper()
	term := ksdtest.NewTerminal(t)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = term.TTY, term.TTY, term.TTY
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	return &screen{term, t}
}

// password types the password once it is asked for.
func (s *screen) password() *screen {
	s.t.Helper()
	s.Await(s.t, "assword")
	s.Press(s.t, sandbox.Password+"\r")
	return s
}

var exitLine = regexp.MustCompile(`\[exit (\d+)(, terminal changed)?\]`)

// end waits for the leader's word. It returns the exit code and all that was
// shown.
func (s *screen) end() (exit int, shown string) {
	s.t.Helper()
	s.Await(s.t, "[exit ")
	s.Await(s.t, "]")
	shown = s.Shown()
	m := exitLine.FindStringSubmatch(shown)
	if m == nil {
		s.t.Fatalf("no exit code on the screen: %q", shown)
	}
	if m[2] != "" {
		s.t.Errorf("the terminal's settings are not as they were: %q", shown)
	}
	exit, err := strconv.Atoi(m[1])
	if err != nil {
		s.t.Fatal(err)
	}
	return exit, shown
}

// output runs a command without a terminal and returns what it wrote.
func output(cmd *exec.Cmd, in string) (stdout, stderr string, exit int) {
	var out, complaint strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &out, &complaint
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = patience
	err := cmd.Start()
	if err == nil {
		late := time.AfterFunc(patience, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		err = cmd.Wait()
		late.Stop()
	}
	if err != nil && cmd.ProcessState == nil {
		return "", err.Error(), -1
	}
	return out.String(), complaint.String(), cmd.ProcessState.ExitCode()
}

// kind says of the first packets how the daemon was asked.
func kind(openings []any) string {
	var kinds []string
	for _, o := range openings {
		switch o.(type) {
		case wire.Hello:
			kinds = append(kinds, "terminal")
		case wire.Request:
			kinds = append(kinds, "none")
		}
	}
	return strings.Join(kinds, " ")
}

// built says whether programs were built, so that there is something to remove.
var built atomic.Bool
