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

// What cannot serve does not start, and says why.
func TestCheck(t *testing.T) {
	r := prepare(t, setup{})
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	check := func(want string) {
		t.Helper()
		out, err := r.Command(path, "-check-config").CombinedOutput()
		if (err == nil) != (want == "") || !strings.Contains(string(out), want) {
			t.Errorf("%s, %v, want %q", out, err, want)
		}
	}
	check("")
	key := r.Path("/etc/ksd/ssh_host_ed25519_key")
	if st, err := os.Stat(key); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("host key: %v, %v", st, err)
	}
	os.Chmod(key, 0o640)
	check("bad ownership or modes")
	os.Chmod(key, 0o600)
	r.write(t, "/run/ksd-sshd/file", "", 0, 0o644)
	check("empty folder")
	os.Remove(r.Path("/run/ksd-sshd/file"))
	r.configure(t, "host_keys = [\"/etc/ssh/none\"]\n")
	check("no such file")
	r.configure(t, "")
	b, _ := os.ReadFile(r.Path("/etc/passwd"))
	r.write(t, "/etc/passwd", strings.ReplaceAll(string(b), "ksd-sshd:", "other:"), 0, 0o644)
	check("make the account")
}
