package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ksd/internal/capture"
	"ksd/internal/corpus"
	"ksd/internal/keystroke"
	"ksd/internal/ksdtest"
	"ksd/internal/ksdtest/sandbox"
	"ksd/internal/wire"
)

const (
	people    = 8  // of the recording, who enrol at terminals that tell presses only
	releasing = 12 // more of them, who enrol at terminals that tell releases as well
	enrol     = 5  // typings of each phrase to enrol with

	// Everybody types in real time and all wait for the slowest, so who takes
	// longer than that to enrol is passed over.
	quickest = 95 * time.Second

	caller  = "caller"
	account = "ksd"

	configFile  = "ksd/ksd.toml" // below /etc
	apiSocket   = "/run/ksd/ksd.sock"
	loginSocket = "/run/ksd/login.sock"
)

// person is somebody of the recording, with an account in the sandbox.
type person struct {
	user    string
	uid     int
	mode    capture.Mode                  // of the terminal that they enrol at
	typings map[string][]keystroke.Sample // by phrase, in the order typed, with releases
	own     *hands                        // those not typed yet as the person itself
}

// world is a sandbox with the daemon in it.
type world struct {
	*sandbox.Sandbox
	bin     string
	people  []person
	phrases []string
	daemon  *exec.Cmd
	log     *ksdtest.Buffer // the daemon's
}

// recorded reads the first quick people of GREYC's class c2. It skips the test
// where the recording is not beside the repository.
func recorded(t *testing.T) (out []person, phrases []string) {
	t.Helper()
	f, err := os.Open("../../shared/data/greyc-dev.tsv.gz")
	if err != nil {
		t.Skip("needs the typing data beside the repository:", err)
	}
	defer f.Close()
	r, err := corpus.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	index := map[string]int{}
	var all []person
	for typing, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(typing.User, "-c2") {
			continue
		}
		i, known := index[typing.User]
		if !known {
			i = len(all)
			index[typing.User] = i
			all = append(all, person{typings: map[string][]keystroke.Sample{}})
		}
		s := typing.Sample
		all[i].typings[s.Phrase] = append(all[i].typings[s.Phrase], s)
		if !slices.Contains(phrases, s.Phrase) {
			phrases = append(phrases, s.Phrase)
		}
	}
	for _, p := range all {
		if len(out) == people+releasing || p.enrolment() > quickest {
			continue
		}
		p.user, p.uid = fmt.Sprintf("typist%d", len(out)+1), 2100+len(out)
		if len(out) >= people {
			p.mode = []capture.Mode{capture.Kitty, capture.Win32}[len(out)%2]
		}
		p.own = p.hands(0) // each typing once: the daemon knows a copy when it sees one
		out = append(out, p)
	}
	return out, phrases
}

// enrolment is how long the person types to enrol.
func (p person) enrolment() (sum time.Duration) {
	for _, typings := range p.typings {
		for _, s := range typings[:min(enrol, len(typings))] {
			sum += s.Duration()
		}
	}
	return sum
}

// newWorld builds the programs and starts the daemon, as account, in a sandbox.
func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("real su in a private /etc needs root")
	}
	w := &world{log: new(ksdtest.Buffer)}
	w.people, w.phrases = recorded(t)
	w.bin = build(t)
	config := sandbox.Config{
		Users: []sandbox.User{{Name: account, UID: 2000}, {Name: caller, UID: 2001}},
		Files: map[string]string{
			configFile:   w.config(),
			"shell":      "#!/bin/sh\necho " + welcome + " $(id -un)\n",
			"login.defs": "FAIL_DELAY 0\nLOGIN_RETRIES 1\nLOGIN_TIMEOUT 300\nTTYPERM 0600\n",
			"sudoers":    "Defaults lecture=never, timestamp_timeout=0, passwd_tries=1\nALL ALL=(ALL) ALL\n",
		},
	}
	for _, d := range doors {
		config.Files["pam.d/"+d.program] = fmt.Sprintf(
			"auth required %s/pam_ksd.so socket=%s\naccount required pam_permit.so\nsession required pam_permit.so\n", w.bin, loginSocket)
	}
	for _, p := range w.people {
		config.Users = append(config.Users, sandbox.User{Name: p.user, UID: p.uid, Shell: "/etc/shell"})
	}
	w.sshFiles(t, &config)
	w.Sandbox = sandbox.New(t, config)
	for _, dir := range []string{"/run/ksd", "/home/" + account + "/state"} {
		if err := os.MkdirAll(w.Path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(w.Path(dir), 2000, 2000); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(w.Path("/run/ksd"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.start(t)
	return w
}

// config has the recording's phrases, no warm-ups, because each typing is
// spoken for, and no lock-out, because strangers try all the time.
func (w *world) config() string {
	quoted := make([]string, len(w.phrases))
	for i, p := range w.phrases {
		quoted[i] = strconv.Quote(p)
	}
	return fmt.Sprintf(`[daemon]
state = "/home/%s/state"
login_socket = %q
api_socket = %q
[challenge]
phrases = [%s]
typings = %d
warmups = 0
[policy]
attempts = 2
[lockout]
failures = 100
source_failures = 1000
[training]
automatic = false
`, account, loginSocket, apiSocket, strings.Join(quoted, ", "), enrol)
}

// build builds the programs and the module, for everybody to run.
func build(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ksd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{
		{"make", "-s", "-C", "..", "build"},
		{"cp", "-r", "../bin/.", dir},
	} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", argv, err, out)
		}
	}
	return dir
}

// start starts the daemon and waits until it answers.
func (w *world) start(t *testing.T) {
	t.Helper()
	cmd := w.CommandAs(account, filepath.Join(w.bin, "ksdd"), "-config", "/etc/"+configFile)
	cmd.Stderr = w.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.daemon = cmd
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := <-ended; err != nil && !killed(cmd.ProcessState) {
			t.Errorf("ksdd: %v", err)
		}
		if t.Failed() {
			t.Logf("the daemon's complaints:\n%s", complaints(w.log.String()))
		}
	})
	for deadline := capture.Monotonic() + 30*time.Second; ; {
		out, err := w.Command(filepath.Join(w.bin, "ksdctl"), "status").CombinedOutput()
		if err == nil {
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("ksdd: %v\n%s", err, w.log)
		default:
		}
		if capture.Monotonic() > deadline {
			t.Fatalf("ksdd does not answer: %s\n%s", out, w.log)
		}
	}
}

// killed reports whether a process was ended by SIGKILL, which tests alone send.
func killed(p *os.ProcessState) bool {
	status, ok := p.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// complaints leaves the decisions out of a log: there are hundreds, and the
// test has counted them.
func complaints(log string) string {
	lines := slices.DeleteFunc(strings.Split(log, "\n"), func(l string) bool { return strings.Contains(l, "level=INFO") })
	return strings.Join(lines, "\n")
}

// ctl runs ksdctl as root and returns what it printed.
func (w *world) ctl(ctx context.Context, args ...string) (string, error) {
	argv := w.Command(append([]string{filepath.Join(w.bin, "ksdctl")}, args...)...).Args
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("ksdctl %v: %w\n%s", args, err, &complaint)
	}
	return out.String(), nil
}

// hands types what a person typed, in that order, from typing number from on.
type hands struct {
	mu      sync.Mutex
	typings map[string][]keystroke.Sample
	next    map[string]int
}

func (p person) hands(from int) *hands {
	h := &hands{typings: p.typings, next: map[string]int{}}
	for phrase := range p.typings {
		h.next[phrase] = from
	}
	return h
}

// take returns the next typing of a phrase, each once.
func (h *hands) take(phrase string) (keystroke.Sample, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, all := h.next[phrase], h.typings[phrase]
	if n >= len(all) {
		return keystroke.Sample{}, false
	}
	h.next[phrase]++
	return all[n], true
}

// door is one of the machine's own programs that ask who is there.
type door struct {
	program string
	caller  func(user string) string // who runs it
	argv    func(user string) []string
	denied  string // what it says where it does not open
}

// doors all end in the shell of the person, which says welcome, but for sudo,
// which asks the caller to be itself.
var doors = []door{
	{
		"su", func(string) string { return caller },
		func(user string) []string { return []string{"su", user} }, "Authentication failure",
	},
	{
		"sudo", func(user string) string { return user },
		func(string) []string { return []string{"sudo", "/etc/shell"} }, "sudo: ",
	},
	{
		"login", func(string) string { return "root" },
		func(user string) []string { return []string{"login", user} }, "Login incorrect",
	},
}

const welcome = "the shell of"

var errNoVerdict = errors.New("no verdict")

// verdict reads what a screen says of the login.
func (d door) verdict(screen string) (wire.Code, error) {
	in, out := strings.Contains(screen, welcome), strings.Contains(screen, d.denied)
	switch {
	case in && !out:
		return wire.Accept, nil
	case out && !in:
		return wire.Refuse, nil
	}
	return "", fmt.Errorf("%w:\n%s", errNoVerdict, screen)
}
