package daemon_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ksd/daemon"
	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

// asProgram makes the test binary behave as ksdd, asClient as a caller under
// another uid, and asInstaller as something that replaces a model for ever.
const (
	asProgram   = "KSD_TEST_KSDD"
	asClient    = "KSD_TEST_CLIENT"
	asInstaller = "KSD_TEST_INSTALL"
)

// quickExit spares each of them the second that the race detector waits.
const quickExit = "GORACE=atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(asProgram) != "":
		os.Exit(program())
	case os.Getenv(asClient) != "":
		os.Exit(client(os.Getenv(asClient), os.Args[1:]))
	case os.Getenv(asInstaller) != "":
		os.Exit(install(os.Getenv(asInstaller)))
	}
	os.Exit(m.Run())
}

// program is cmd/ksdd/main.go.
func program() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	getenv := os.Getenv
	if os.Getenv("KSD_TEST_LISTEN") != "" {
		getenv = func(name string) string {
			if name == "LISTEN_PID" { // systemd sets it between fork and exec
				return strconv.Itoa(os.Getpid())
			}
			return os.Getenv(name)
		}
	}
	return daemon.Main(ctx, daemon.Env{
		Stdout: os.Stdout, Stderr: os.Stderr, Getenv: getenv,
		PID: os.Getpid(), UID: os.Geteuid(), Reload: reload, Version: "1.2.3",
	}, os.Args[1:])
}

// ksdd is a daemon in a process of its own.
type ksdd struct {
	*exec.Cmd
	folder string
	log    *ksdtest.Buffer
	ready  chan struct{}
	done   chan error
}

// startKsdd runs ksdd with a private state folder and waits until it is ready.
func startKsdd(t *testing.T, folder string, change func(*exec.Cmd)) *ksdd {
	t.Helper()
	k := &ksdd{
		Cmd:    exec.Command(os.Args[0], "-state", folder, "-config", filepath.Join(folder, "..", "ksd.toml")),
		folder: folder, log: new(ksdtest.Buffer), ready: make(chan struct{}), done: make(chan error, 1),
	}
	k.Env = append(os.Environ(), asProgram+"=1", quickExit)
	if change != nil {
		change(k.Cmd)
	}
	pipe := must(k.StderrPipe())(t)
	if err := k.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for lines := bufio.NewScanner(pipe); lines.Scan(); {
			fmt.Fprintln(k.log, lines.Text())
			if strings.Contains(lines.Text(), "msg=ready") {
				close(k.ready)
			}
		}
		k.done <- k.Wait()
	}()
	t.Cleanup(func() {
		_ = k.Process.Kill()
		if t.Failed() {
			t.Logf("the log of ksdd:\n%s", k.log)
		}
	})
	select {
	case <-k.ready:
	case err := <-k.done:
		t.Fatalf("ksdd ended: %v\n%s", err, k.log)
	case <-time.After(ksdtest.Patience):
		t.Fatalf("ksdd is not ready\n%s", k.log)
	}
	return k
}

// kill ends it as a power cut would, and waits.
func (k *ksdd) kill(t *testing.T) {
	t.Helper()
	_ = k.Process.Kill()
	<-k.done
}

// stop ends it with SIGTERM. Its exit code has to be 0.
func (k *ksdd) stop(t *testing.T) {
	t.Helper()
	_ = k.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-k.done:
		if err != nil {
			t.Errorf("ksdd: %v\n%s", err, k.log)
		}
	case <-time.After(ksdtest.Patience):
		t.Fatalf("ksdd does not stop\n%s", k.log)
	}
}

func (k *ksdd) client(t *testing.T) *wire.Client {
	t.Helper()
	c := must(wire.Dial(t.Context(), filepath.Join(k.folder, "ksd.sock")))(t)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// stateFolder returns a folder for a ksdd, with a configuration beside it.
func stateFolder(t *testing.T, config string) string {
	t.Helper()
	dir := must(os.MkdirTemp("", "ksd"))(t) // t.TempDir is too long for a socket
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	writeConfig(t, filepath.Join(dir, "state"), config)
	return filepath.Join(dir, "state")
}

func writeConfig(t *testing.T, folder, config string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, "..", "ksd.toml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run runs ksdd to its end.
func run(t *testing.T, args ...string) (code int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), ksdtest.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", quickExit)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func TestCommandLine(t *testing.T) {
	folder := stateFolder(t, "[policy]\nattempts = 9\n")
	bad := filepath.Join(folder, "..", "ksd.toml")
	open := t.TempDir()
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"-nonsense", 2, "usage:"},
		{"more", 2, `unexpected argument "more"`},
		{"-config /nowhere/ksd.toml", 2, "no such file"},
		{"-check-config -config " + bad, 2, "ksd.toml:2: policy.attempts: 9 is out of range"},
		{"-config " + bad, 2, "policy.attempts"},
		{"-state " + open, 1, "chmod 0700"},
		{"-help", 0, "-check-config"},
		{"-version", 0, "ksdd 1.2.3"},
		{"-check-config", 0, ""},
	} {
		if code, out := run(t, strings.Fields(c.args)...); code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("ksdd %s: exit %d, %q; want %d, %q", c.args, code, out, c.code, c.want)
		}
	}
}

// TestSecondDaemon starts a second one on the same folder; and one after the
// first was killed, whose sockets are still there.
func TestSecondDaemon(t *testing.T) {
	folder := stateFolder(t, "")
	first := startKsdd(t, folder, nil)
	code, out := run(t, "-state", folder)
	if code != 1 || !strings.Contains(out, "another daemon is at work") || !strings.Contains(out, "stop the other") {
		t.Errorf("a second one: exit %d, %q", code, out)
	}
	elsewhere := filepath.Join(folder, "..", "elsewhere.toml")
	config := fmt.Sprintf("[daemon]\nstate = %q\nlogin_socket = %q\napi_socket = %q\n", folder, folder+"/l", folder+"/a")
	if err := os.WriteFile(elsewhere, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := run(t, "-config", elsewhere); code != 1 || !strings.Contains(out, "another daemon is at work") {
		t.Errorf("a second one with sockets of its own: exit %d, %q", code, out)
	}
	if _, err := first.client(t).Status(t.Context()); err != nil {
		t.Errorf("the first: %v", err)
	}
	first.kill(t)
	if _, err := os.Stat(filepath.Join(folder, "ksd.sock")); err != nil {
		t.Fatalf("nothing was left to replace: %v", err)
	}
	third := startKsdd(t, folder, nil)
	for _, name := range []string{"ksd.sock", "login.sock"} {
		if mode := must(os.Stat(filepath.Join(folder, name)))(t).Mode().Perm(); mode != 0o666 {
			t.Errorf("%s has mode %04o", name, mode)
		}
	}
	third.stop(t)
	if _, err := os.Stat(filepath.Join(folder, "ksd.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a socket was left: %v", err)
	}
}

// TestSocketsInUse meets a socket path that somebody answers at, and one that
// is a file. Neither is removed.
func TestSocketsInUse(t *testing.T) {
	for _, name := range []string{"ksd.sock", "login.sock"} {
		for _, kind := range []string{"answered", "a file"} {
			folder := stateFolder(t, "")
			if err := os.Mkdir(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(folder, name)
			if kind == "a file" {
				if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
					t.Fatal(err)
				}
			} else {
				network := map[string]string{"ksd.sock": "unix", "login.sock": "unixpacket"}[name]
				defer must(net.Listen(network, path))(t).Close()
			}
			if code, out := run(t, "-state", folder); code != 1 || !strings.Contains(out, path) {
				t.Errorf("%s is %s: exit %d, %q", name, kind, code, out)
			}
			if _, err := os.Lstat(path); err != nil {
				t.Errorf("%s is %s: %v", name, kind, err)
			}
		}
	}
}

// TestReload changes the configuration of a running daemon, breaks it, and
// mends it.
func TestReload(t *testing.T) {
	folder := stateFolder(t, "[challenge]\ntypings = 4\n")
	k := startKsdd(t, folder, nil)
	total := func() int {
		return openPress(t, k.client(t), "root").Next.Total
	}
	reload := func(config, logged string) {
		t.Helper()
		before := strings.Count(k.log.String(), logged)
		writeConfig(t, folder, config)
		_ = k.Process.Signal(syscall.SIGHUP)
		for deadline := time.Now().Add(ksdtest.Patience); strings.Count(k.log.String(), logged) == before; {
			if time.Now().After(deadline) {
				t.Fatalf("%q was not logged:\n%s", logged, k.log)
			}
			time.Sleep(time.Millisecond)
		}
	}
	if n := total(); n != 3+4*5 {
		t.Errorf("%d typings, want 23", n)
	}
	reload("[challenge]\ntypings = 900\n", "the old one stays")
	if !strings.Contains(k.log.String(), "challenge.typings: 900 is out of range") {
		t.Errorf("log:\n%s", k.log)
	}
	if n := total(); n != 3+4*5 {
		t.Errorf("%d typings after a bad file, want 23 as before", n)
	}
	reload("[challenge]\ntypings = 6\n", "configuration reloaded")
	if n := total(); n != 3+6*5 {
		t.Errorf("%d typings, want 33", n)
	}
	writeConfig(t, folder, "[daemon]\nlog_level = \"warn\"\n[challenge]\ntypings = 7\n")
	_ = k.Process.Signal(syscall.SIGHUP)
	for deadline := time.Now().Add(ksdtest.Patience); total() != 3+7*5; {
		if time.Now().After(deadline) {
			t.Fatal("the last file was not taken up")
		}
	}
	k.stop(t)
	if strings.Contains(k.log.String(), "msg=stopping") {
		t.Errorf("log level not taken up:\n%s", k.log)
	}
}

// TestServiceManager passes the sockets as systemd does, listens as systemd
// does, and reads lines without times as the journal does.
func TestServiceManager(t *testing.T) {
	folder := stateFolder(t, "")
	dir := filepath.Dir(folder)
	var files []*os.File
	for network, name := range map[string]string{"unixpacket": "l.sock", "unix": "a.sock"} {
		l := must(net.ListenUnix(network, &net.UnixAddr{Name: filepath.Join(dir, name), Net: network}))(t)
		f := must(l.File())(t)
		l.SetUnlinkOnClose(false)
		_ = l.Close()
		if network == "unix" {
			files = append([]*os.File{f}, files...)
		} else {
			files = append(files, f)
		}
	}
	told := must(net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"}))(t)
	defer told.Close()
	k := startKsdd(t, folder, func(cmd *exec.Cmd) {
		cmd.ExtraFiles = files
		cmd.Env = append(cmd.Env, "KSD_TEST_LISTEN=1", "LISTEN_FDS=2", "LISTEN_FDNAMES=api:login",
			"JOURNAL_STREAM=1:2", "NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
	})
	next := func(want string) {
		t.Helper()
		buf := make([]byte, 256)
		_ = told.SetReadDeadline(time.Now().Add(ksdtest.Patience))
		if n, err := told.Read(buf); string(buf[:n]) != want {
			t.Errorf("told %q (%v), want %q", buf[:n], err, want)
		}
	}
	next("READY=1")
	if _, err := must(wire.Dial(t.Context(), filepath.Join(dir, "a.sock")))(t).Status(t.Context()); err != nil {
		t.Error(err)
	}
	conn := must(net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: filepath.Join(dir, "l.sock"), Net: "unixpacket"}))(t)
	sendPacket(t, conn, "nonsense")
	if v := readVerdict(t, conn); v != wire.Failed {
		t.Errorf("verdict %q", v)
	}
	_ = k.Process.Signal(syscall.SIGHUP)
	next("RELOADING=1")
	next("READY=1")
	k.stop(t)
	next("STOPPING=1")
	if strings.Contains(k.log.String(), "time=") {
		t.Errorf("lines with times:\n%s", k.log)
	}
	if _, err := os.Stat(filepath.Join(dir, "a.sock")); err != nil {
		t.Errorf("systemd's socket was removed: %v", err)
	}
}

// TestMemoryIsClosed looks who owns ksdd's memory file: root, though it runs as
// somebody else. The kernel gives it to root exactly where no core is written
// and nobody else may attach (PR_SET_DUMPABLE in prctl(2)).
func TestMemoryIsClosed(t *testing.T) {
	folder := stateFolder(t, "")
	above := filepath.Dir(folder)
	k := startKsdd(t, folder, func(cmd *exec.Cmd) {
		if os.Geteuid() != 0 {
			return
		}
		const nobody = 65534
		exe := filepath.Join(above, "ksdd") // the test binary lies where nobody may not go
		if err := errors.Join(copyFile(os.Args[0], exe), os.Chown(above, nobody, nobody)); err != nil {
			t.Fatal(err)
		}
		cmd.Path, cmd.Dir = exe, "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	})
	info := must(os.Stat(fmt.Sprintf("/proc/%d/mem", k.Process.Pid)))(t)
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 0 {
		t.Errorf("the memory of ksdd belongs to uid %d", uid)
	}
	k.stop(t)
}

// TestBadActivation passes descriptors that are not what they are called.
func TestBadActivation(t *testing.T) {
	l := must(net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"}))(t)
	defer l.Close()
	stream := must(l.File())(t)
	defer stream.Close()
	null := must(os.Open(os.DevNull))(t)
	defer null.Close()
	for _, c := range []struct {
		fds, names, want string
		files            []*os.File
	}{
		{"many", "", "LISTEN_FDS", nil},
		{"-1", "", "LISTEN_FDS", nil},
		{"1000000", "", "LISTEN_FDS", nil},
		{"1", "", "is named", []*os.File{stream}},
		{"1", "apis", "is named", []*os.File{stream}},
		{"1", "login", "is no socket for", []*os.File{stream}},
		{"1", "api", "is no socket for", []*os.File{null}},
		{"2", "api:api", "two descriptors", []*os.File{stream, stream}},
	} {
		cmd := exec.Command(os.Args[0], "-state", stateFolder(t, ""))
		cmd.ExtraFiles = c.files
		cmd.Env = append(os.Environ(), asProgram+"=1", quickExit, "KSD_TEST_LISTEN=1", "LISTEN_FDS="+c.fds, "LISTEN_FDNAMES="+c.names)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(string(out), c.want) {
			t.Errorf("LISTEN_FDS=%s LISTEN_FDNAMES=%s: exit %d, %q, want %q", c.fds, c.names, code, out, c.want)
		}
	}
}
