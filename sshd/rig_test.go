package sshd_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ksd/conf"
	"ksd/internal/ksdtest"
	"ksd/internal/ksdtest/sandbox"
)

// patience bounds every wait that is not expected to end by a timeout.
const patience = 60 * time.Second

// pamFile is what the tests have for /etc/pam.d/ksd-sshd, if nothing else.
const pamFile = `auth     required pam_unix.so nodelay
account  required pam_nologin.so
account  required pam_unix.so
session  required pam_limits.so
session  required pam_env.so conffile=/etc/security/pam_env.conf
session  optional pam_motd.so motd=/etc/motd noupdate
session  required pam_unix.so
`

// program builds ksd-sshd, once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ksd-sshd")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "ksd-sshd")
	out, err := exec.Command("go", "build", "-o", path, "../cmd/ksd-sshd").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return path, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := program(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// rig is a ksd-sshd that runs, with a daemon behind it.
type rig struct {
	*sandbox.Sandbox
	daemon *ksdtest.Daemon
	cmd    *exec.Cmd
	port   string
	log    logFile
	keys   map[string]string // paths of private keys, by account
}

// logFile is the path of a log.
type logFile string

func (l logFile) String() string {
	b, _ := os.ReadFile(string(l))
	return string(b)
}

// setup is what a rig may have of its own.
type setup struct {
	config string // below [sshd]
	users  []sandbox.User
	files  map[string]string // below /etc
	change func(*conf.Config)
}

// start starts a server with the accounts ana, bob and eve: each has a password
// and a key, ana and bob are enrolled.
func start(t *testing.T, s setup) *rig {
	t.Helper()
	r := prepare(t, s)
	r.serve(t)
	return r
}

func prepare(t *testing.T, s setup) *rig {
	t.Helper()
	files := map[string]string{"pam.d/ksd-sshd": pamFile, "motd": "Be kind.\n", "security/pam_env.conf": "FROM_PAM DEFAULT=yes\n"}
	for name, text := range s.files {
		files[name] = text
	}
	r := &rig{log: logFile(filepath.Join(t.TempDir(), "log")), keys: map[string]string{}}
	r.Sandbox = sandbox.New(t, sandbox.Config{
		Users: append([]sandbox.User{
			{Name: "ana", UID: 2001, Shell: "/bin/bash"},
			{Name: "bob", UID: 2002},
			{Name: "eve", UID: 2003},
			{Name: "ksd-sshd", UID: 990, Shell: "/usr/sbin/nologin"},
		}, s.users...),
		Files: files,
	})
	// The sandbox's /dev/ptmx does not find /dev/pts beside it.
	if out, err := r.Command("sh", "-c", "umount /dev/ptmx "+filepath.Dir(r.Path("/etc"))+"/dev/ptmx && rm /dev/ptmx && ln -s pts/ptmx /dev/ptmx").CombinedOutput(); err != nil {
		t.Fatalf("ptmx: %v: %s", err, out)
	}
	r.daemon = ksdtest.Start(t, func(c *conf.Config) {
		c.Challenge.Warmups = 0
		if s.change != nil {
			s.change(c)
		}
	})
	for i, name := range []string{"ana", "bob"} {
		r.daemon.Enrol(name, hands(name).At(time.Duration(100+40*i)*time.Millisecond))
	}
	r.daemon.UID("eve")
	r.daemon.As(0) // as monitors are
	for _, name := range []string{"ana", "bob", "eve"} {
		r.key(t, name)
	}
	r.port = freePort(t)
	r.configure(t, s.config)
	return r
}

// hands are the typist of an account.
func hands(name string) *ksdtest.Typist {
	return ksdtest.NewTypist(uint64(name[0]), 100*time.Millisecond)
}

// freePort returns a port of the loopback that is free now.
func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// configure writes the configuration.
func (r *rig) configure(t *testing.T, sshd string) {
	t.Helper()
	text := fmt.Sprintf("[daemon]\nlogin_socket = %q\napi_socket = %q\nlog_level = \"debug\"\n[sshd]\n", r.daemon.Config.Daemon.LoginSocket, r.daemon.Config.Daemon.APISocket)
	if !strings.Contains(sshd, "listen =") {
		text += fmt.Sprintf("listen = [\"127.0.0.1:%s\"]\n", r.port)
	}
	r.write(t, "/etc/ksd/ksd.toml", text+sshd, 0, 0o644)
}

// write writes a file that belongs to uid, and the folders above it.
func (r *rig) write(t *testing.T, path, text string, uid int, mode os.FileMode) {
	t.Helper()
	path = r.Path(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	for p, m := range map[string]os.FileMode{path: mode, filepath.Dir(path): 0o755} {
		if err := os.Chmod(p, m); err != nil {
			t.Fatal(err)
		}
		if err := os.Lchown(p, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
}

// key gives an account a key.
func (r *rig) key(t *testing.T, name string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path).CombinedOutput(); err != nil {
		t.Skipf("ssh-keygen: %v: %s", err, out)
	}
	r.keys[name] = path
	r.authorize(t, name, "")
}

var uids = map[string]int{"root": 0, "ana": 2001, "bob": 2002, "eve": 2003}

// authorize writes an account's key into its authorized_keys, with options.
func (r *rig) authorize(t *testing.T, name, options string) {
	t.Helper()
	public, err := os.ReadFile(r.keys[name] + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	if options != "" {
		options += " "
	}
	r.write(t, "/home/"+name+"/.ssh/authorized_keys", options+string(public), uids[name], 0o600)
}

// serve starts the program and waits until it serves.
func (r *rig) serve(t *testing.T) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	r.cmd = r.Command("setpriv", "--groups", "4,27", "--", path) // root's groups are to be nobody's
	notify := r.Path("/run/notify")
	_ = os.Remove(notify)
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	r.cmd.Env = append(r.cmd.Env, "NOTIFY_SOCKET=/run/notify")
	// A file: monitors that outlive the listener hold it, too.
	f, err := os.Create(string(r.log))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r.cmd.Stderr = f
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.cmd.Process.Kill()
		r.cmd.Wait()
		manager.Close()
		if t.Failed() {
			t.Logf("ksd-sshd's log:\n%s", r.log)
		}
	})
	_ = manager.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 100)
	n, err := manager.Read(b)
	if err != nil || string(b[:n]) != "READY=1" {
		t.Fatalf("ksd-sshd does not start: %q, %v\n%s", b[:n], err, r.log)
	}
	_ = manager.SetReadDeadline(time.Time{})
	go func() { // a manager reads on, or the program would wait for it
		for err == nil {
			_, err = manager.Read(b)
		}
	}()
}

// ssh returns the arguments of a client.
func (r *rig) ssh(name string, args ...string) []string {
	return append([]string{
		"ssh", "-F", "/dev/null", "-p", r.port, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-i", r.keys[name], name + "@127.0.0.1",
	}, args...)
}

// result is what came of a client.
type result struct {
	stdout, stderr string
	status         int
}

// run runs a client without a terminal.
func (r *rig) run(t *testing.T, stdin string, argv ...string) result {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	var out, err bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &err
	watch := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer watch.Stop()
	if failed := cmd.Run(); failed != nil && cmd.ProcessState == nil {
		t.Fatal(failed)
	}
	return result{out.String(), err.String(), cmd.ProcessState.ExitCode()}
}
