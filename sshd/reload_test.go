package sshd_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// keep opens a connection that runs cat, and returns how to end it.
func (r *rig) keep(t *testing.T) (talk func(line string) string) {
	t.Helper()
	argv := r.ssh("ana", "cat")
	cmd := exec.Command(argv[0], argv[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return func(line string) string {
		if _, err := in.Write([]byte(line + "\n")); err != nil {
			return err.Error()
		}
		b := make([]byte, 100)
		n, _ := out.Read(b)
		return strings.TrimSpace(string(b[:n]))
	}
}

// A new configuration serves new connections, a wrong one nobody, and those that
// are open notice nothing of it, nor of the listener's end.
func TestReload(t *testing.T) {
	r := start(t, setup{change: allow})
	talk := r.keep(t)
	if got := talk("one"); got != "one" {
		t.Fatal(got)
	}
	reload := func(config, want string) {
		t.Helper()
		n := strings.Count(r.log.String(), want)
		r.configure(t, config)
		if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		wait(t, want, func() bool { return strings.Count(r.log.String(), want) > n })
	}
	reload("accept_env = [7]\n", "not reloaded")
	if got := r.run(t, "", r.ssh("ana", "echo in")...); got.stdout != "in\n" {
		t.Errorf("after a wrong configuration: %+v", got)
	}
	r.write(t, "/etc/banner", "Be careful.\n", 0, 0o644)
	reload("banner = \"/etc/banner\"\n", "msg=serving")
	argv := r.ssh("ana", "echo in")
	for i, a := range argv {
		argv[i] = strings.Replace(a, "LogLevel=ERROR", "LogLevel=INFO", 1)
	}
	if got := r.run(t, "", argv...); got.stdout != "in\n" || !strings.Contains(got.stderr, "Be careful.") {
		t.Errorf("after a new configuration: %+v", got)
	}
	if got := talk("two"); got != "two" {
		t.Errorf("the old connection: %q", got)
	}
	wait(t, "all monitors to be gone but that of the old connection", func() bool { return len(children(t, r.cmd.Process.Pid)) == 1 })
	other := freePort(t)
	old := r.port
	reload("listen = [\"127.0.0.1:"+other+"\"]\n", "msg=serving")
	r.port = other
	if got := r.run(t, "", r.ssh("ana", "echo in")...); got.stdout != "in\n" {
		t.Errorf("at the new port: %+v", got)
	}
	r.port = old
	if got := r.run(t, "", r.ssh("ana", "echo in")...); got.status != 255 {
		t.Errorf("at the old port: %+v", got)
	}
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	if got := talk("three"); got != "three" {
		t.Errorf("the old connection, without a listener: %q", got)
	}
}

// What cannot serve does not start, and says why. Looking changes nothing.
func TestCheck(t *testing.T) {
	r := prepare(t, setup{})
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	check := func(want string) {
		t.Helper()
		out, err := r.Command(path, "-check-config").CombinedOutput()
		fine := want == "" || strings.Contains(want, "the first start makes it")
		if (err == nil) != fine || !strings.Contains(string(out), want) || want == "" && len(out) > 0 {
			t.Errorf("%s, %v, want %q", out, err, want)
		}
	}
	key := r.Path("/etc/ksd/ssh_host_ed25519_key")
	for range 2 {
		check("there is no host key /etc/ksd/ssh_host_ed25519_key: the first start makes it")
	}
	for _, name := range []string{key, r.Path("/run/ksd-sshd")} {
		if _, err := os.Stat(name); !os.IsNotExist(err) {
			t.Errorf("checking made %s: %v", name, err)
		}
	}
	r.serve(t)
	if st, err := os.Stat(key); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("host key: %v, %v", st, err)
	}
	check("")
	os.Chmod(key, 0o640)
	check("bad ownership or modes")
	os.Chmod(key, 0o600)
	r.write(t, "/run/ksd-sshd/file", "", 0, 0o644)
	check("empty folder")
	os.Remove(r.Path("/run/ksd-sshd/file"))
	r.configure(t, "host_keys = [\"/etc/ssh/none\"]\n")
	check("no such file")
	if out, err := r.Command("mount", "-t", "tmpfs", "-o", "ro", "none", "/var/log").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r.configure(t, "host_keys = [\"/var/log/keys/ssh_host_ed25519_key\"]\n")
	check("read-only file system")
	r.configure(t, "")
	b, _ := os.ReadFile(r.Path("/etc/passwd"))
	r.write(t, "/etc/passwd", strings.ReplaceAll(string(b), "ksd-sshd:", "other:"), 0, 0o644)
	check("make the account")
}

// Signals to reload that come while the program is being put in its own place, and
// at any other time, end nothing.
func TestReloads(t *testing.T) {
	r := start(t, setup{change: allow})
	talk := r.keep(t)
	if got := talk("one"); got != "one" {
		t.Fatal(got)
	}
	const many = 30
	served := func() int { return strings.Count(r.log.String(), "msg=serving") }
	wait(t, "some reloads", func() bool { // 5 ms between two signals, while an exec takes longer
		if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if gone(r.cmd.Process.Pid) {
			t.Fatal("it is gone")
		}
		return served() > many
	})
	if got := r.run(t, "", r.ssh("ana", "echo in")...); got.stdout != "in\n" {
		t.Errorf("after all that: %+v", got)
	}
	if got := talk("two"); got != "two" {
		t.Errorf("the old connection: %q", got)
	}
}
