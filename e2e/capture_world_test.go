package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ksd/internal/keystroke"
	"ksd/internal/ksdtest"
	"ksd/internal/ksdtest/sandbox"
)

// capturePhrases have 51 keys each, so 50 intervals. Two, because of one alone
// the daemon would ask for no more than one typing.
var capturePhrases = []string{
	"the boat came back before the storm reached the bay",
	"she left a lamp in the window so they would find it",
}

// capturePath is a way from a keyboard to the daemon.
type capturePath struct {
	name   string
	shell  func(w *captureWorld) string
	enters func(w *captureWorld, user string) *exec.Cmd
}

// account is an account's name: short and without blanks.
func (p capturePath) account(s schedule) string {
	clean := func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}
	return strings.Map(clean, p.name) + "-" + strings.Map(clean, s.name)
}

func noShell(*captureWorld) string { return "/bin/sh" }

var capturePaths = []capturePath{
	{"local pty", noShell, func(w *captureWorld, user string) *exec.Cmd {
		return w.role("reader", w.CommandAs(user, w.self), "USER="+user)
	}},
	{"su", noShell, func(w *captureWorld, user string) *exec.Cmd { return w.CommandAs(caller, "su", user) }},
	{"sshd + ksd-login", func(w *captureWorld) string { return filepath.Join(w.bin, "ksd-login") }, func(w *captureWorld, user string) *exec.Cmd { return w.ssh(w.sshd, user) }},
	{"ksd-sshd", noShell, func(w *captureWorld, user string) *exec.Cmd { return w.ssh(w.ksdSSHD, user) }},
}

// captureWorld is a sandbox with a daemon that tells what it hears, the
// machine's sshd and ksd-sshd.
type captureWorld struct {
	*sandbox.Sandbox
	bin, self     string // folder of the programs; this program in it
	sshd, ksdSSHD string // ports
	samples       map[string]chan keystroke.Sample
}

const captureFirstUID = 2100

func newCaptureWorld(tb testing.TB) *captureWorld {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("real su and sshd in a private /etc need root")
	}
	w := &captureWorld{bin: build(tb), samples: map[string]chan keystroke.Sample{}, sshd: freeTCPPort(tb), ksdSSHD: freeTCPPort(tb)}
	// This program too, for the daemon's account to run.
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	w.self = filepath.Join(w.bin, "capture")
	w.mustRun(tb, exec.Command("install", "-m", "0755", self, w.self))
	config := sandbox.Config{
		Users: []sandbox.User{{Name: account, UID: 2000}, {Name: caller, UID: 2001}, {Name: crowdAccount, UID: 2002}, {Name: "ksd-sshd", UID: 990, Shell: "/usr/sbin/nologin"}},
		Files: w.files(),
	}
	for _, p := range capturePaths {
		for _, s := range schedules {
			user := p.account(s)
			w.samples[user] = make(chan keystroke.Sample, 1)
			config.Users = append(config.Users, sandbox.User{Name: user, UID: captureFirstUID + len(w.samples), Shell: p.shell(w)})
		}
	}
	w.Sandbox = sandbox.New(tb, config)
	w.mustRun(tb, w.Command("sh", "-c", "umount /dev/ptmx \"$0\" && rm /dev/ptmx && ln -s pts/ptmx /dev/ptmx", filepath.Dir(w.Path("/etc"))+"/dev/ptmx"))
	for _, dir := range []string{"/run/ksd", "/home/" + account + "/state"} {
		w.mustRun(tb, exec.Command("install", "-d", "-m", "0755", "-o", "2000", "-g", "2000", w.Path(dir)))
	}
	if err := os.Chmod(w.Path("/home/"+account+"/state"), 0o700); err != nil {
		tb.Fatal(err)
	}
	w.keys(tb)
	w.serve(tb)
	w.enrol(tb)
	return w
}

func (w *captureWorld) files() map[string]string {
	open := "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n"
	return map[string]string{
		"pam.d/su":       fmt.Sprintf("auth required %s/pam_ksd.so timeout=600\n%s", w.bin, open),
		"pam.d/sshd":     open,
		"pam.d/ksd-sshd": open,
		"ssh/sshd_config": fmt.Sprintf("ListenAddress 127.0.0.1\nPort %s\nHostKey /run/sshd/key\nPidFile none\nUsePAM yes\nPrintMotd no\nPrintLastLog no\n"+
			"MaxStartups 100\nAuthorizedKeysFile .ssh/authorized_keys\n", w.sshd),
		"ksd/ksd.toml": fmt.Sprintf(`[daemon]
state = "/home/%s/state"
[challenge]
phrases = [%q, %q]
kind = "phrases"
typings = 3
warmups = 0
typing_time = "5m"
expire = "5m"
[policy]
max_phrases = 10
attempts = 5
min_samples = 3
[training]
automatic = false
[sshd]
listen = ["127.0.0.1:%s"]
login_grace = "10m"
max_startups = "100:30:200"
per_source = 100
`, account, capturePhrases[0], capturePhrases[1], w.ksdSSHD),
	}
}

// keys makes a key for everybody, and the key of sshd.
func (w *captureWorld) keys(tb testing.TB) {
	tb.Helper()
	for _, key := range []string{filepath.Join(w.bin, "key"), w.Path("/run/sshd/key")} {
		w.mustRun(tb, exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key))
	}
	for user := range w.samples {
		home := w.Path("/home/" + user)
		if err := os.Mkdir(home+"/.ssh", 0o700); err != nil {
			tb.Fatal(err)
		}
		w.mustRun(tb, exec.Command("cp", filepath.Join(w.bin, "key.pub"), home+"/.ssh/authorized_keys"))
		w.mustRun(tb, exec.Command("chown", "-R", "--reference="+home, home+"/.ssh"))
	}
}

// serve starts the daemon and the two servers, and waits until they listen.
func (w *captureWorld) serve(tb testing.TB) {
	tb.Helper()
	daemon := w.role("daemon", w.CommandAs(account, w.self))
	out, err := daemon.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	background(tb, daemon)
	go w.listen(out)
	background(tb, w.Command("/usr/sbin/sshd", "-D", "-e"))
	background(tb, w.Command(filepath.Join(w.bin, "ksd-sshd")))
	eventually(tb, "the daemon", func() error {
		return w.Command(filepath.Join(w.bin, "ksdctl"), "status").Run()
	})
	for _, port := range []string{w.sshd, w.ksdSSHD} {
		eventually(tb, "a server", func() error {
			c, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err == nil {
				err = c.Close()
			}
			return err
		})
	}
}

// listen hands on what a process has heard, until it ends.
func (w *captureWorld) listen(out io.Reader) {
	dec := json.NewDecoder(out)
	for {
		var h heard
		if dec.Decode(&h) != nil {
			return
		}
		w.samples[h.Person] <- h.Sample
	}
}

// enrol enrols everybody: the verifier is the real one, and wants to know them.
func (w *captureWorld) enrol(tb testing.TB) {
	tb.Helper()
	people := append(slices.Sorted(maps.Keys(w.samples)), crowdAccount)
	w.mustRun(tb, w.role("enrolment", w.Command(append([]string{w.self}, people...)...)))
}

// crowd has others type at the daemon until disperse is called.
func (w *captureWorld) crowd(tb testing.TB, size int) (disperse func()) {
	tb.Helper()
	if size == 0 {
		return func() {}
	}
	cmd := w.role("crowd", w.Command(w.self), crowdSize+"="+strconv.Itoa(size), crowdSocket+"="+loginSocket)
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stop := background(tb, cmd)
	word, err := bufio.NewReader(out).ReadString('\n')
	if word != "ready\n" {
		tb.Fatalf("the others do not type: %q, %v", word, err)
	}
	return stop
}

// role makes cmd, which runs this program, play one of its other roles.
func (w *captureWorld) role(name string, cmd *exec.Cmd, env ...string) *exec.Cmd {
	cmd.Env = append(append(cmd.Env, captureRole+"="+name), env...)
	return cmd
}

// ssh is a client at a terminal.
func (w *captureWorld) ssh(port, user string) *exec.Cmd {
	cmd := exec.Command("ssh", "-F", "/dev/null", "-tt", "-p", port, "-i", filepath.Join(w.bin, "key"), "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", user+"@127.0.0.1")
	cmd.Env = append(os.Environ(), "TERM=dumb")
	return cmd
}

func (w *captureWorld) mustRun(tb testing.TB, cmd *exec.Cmd) {
	tb.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// seat is somebody at a terminal at which a path's program asks.
type seat struct {
	*desk
	samples <-chan keystroke.Sample
	leave   func()
}

// sit starts a path's program at a terminal.
func (w *captureWorld) sit(c captureCase) (*seat, error) {
	d, err := newDesk()
	if err != nil {
		return nil, err
	}
	cmd := c.path.enters(w, c.account())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = d.tty, d.tty, d.tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	tell, told, err := os.Pipe() // for package capture alone, which has no daemon to tell
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = []*os.File{told}
	err = cmd.Start()
	_ = told.Close()
	if err != nil {
		return nil, err
	}
	go func() { w.listen(tell); _ = tell.Close() }()
	return &seat{desk: d, samples: w.samples[c.account()], leave: func() {
		d.close()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}}, nil
}

// errUnheard is the fact that a typing did not reach the verifier.
var errUnheard = errors.New("the verifier was given nothing")

// heardWait is how long after Enter a verifier may take to be given it.
const heardWait = 5 * time.Second

// heard returns what the verifier was given. The error is errUnheard.
func (s *seat) heard() (keystroke.Sample, error) {
	select {
	case got := <-s.samples:
		return got, nil
	case <-time.After(heardWait):
		return keystroke.Sample{}, errUnheard
	}
}

// background runs a program until stop is called or the test ends. It may say
// what it likes on standard error, and is quoted if the test fails.
func background(tb testing.TB, cmd *exec.Cmd) (stop func()) {
	tb.Helper()
	said := new(ksdtest.Buffer)
	cmd.Stderr, cmd.WaitDelay = said, time.Second // who inherited it may live on
	end, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	stop = func() {
		_ = end.Close()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-done
	}
	tb.Cleanup(func() {
		stop()
		if tb.Failed() {
			tb.Logf("%s: %s", filepath.Base(cmd.Path), bytes.TrimSpace([]byte(said.String())))
		}
	})
	return stop
}

// eventually waits until try succeeds.
func eventually(tb testing.TB, what string, try func() error) {
	tb.Helper()
	for deadline := time.Now().Add(captureWait); ; time.Sleep(20 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("%s does not come up: %v", what, err)
		}
	}
}

func freeTCPPort(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}
