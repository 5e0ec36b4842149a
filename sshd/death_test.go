package sshd_test

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A key with command="" runs nothing, and no shell either, whatever is asked for.
func TestEmptyCommand(t *testing.T) {
	r := start(t, setup{change: allow, config: "unenrolled = \"allow\"\n"})
	r.authorize(t, "eve", `command=""`)
	got := r.run(t, "echo $0 in\n", r.ssh("eve", "echo in")...)
	if got != (result{"", "", 0}) {
		t.Errorf("a command: %+v", got)
	}
	if got = r.run(t, "echo $0 in\n", r.ssh("eve")...); got != (result{"", "", 0}) {
		t.Errorf("a shell: %+v", got)
	}
	argv := slices.Insert(r.ssh("eve", "sftp"), 1, "-s")
	if got = r.run(t, "\x00\x00\x00\x05\x01\x00\x00\x00\x03", argv...); got != (result{"", "", 0}) {
		t.Errorf("sftp: %+v", got)
	}
	s := r.open(t, append(r.ssh("eve"), "-tt")...)
	defer time.AfterFunc(patience, func() { s.cmd.Process.Kill() }).Stop()
	if err := s.cmd.Wait(); err != nil || strings.Contains(s.shown.String(), "$") {
		t.Errorf("a shell at a terminal: %v, %q", err, s.shown)
	}
}

// sleeping starts a session of eve's that does nothing for long, and returns the
// numbers of its monitor, its network half and itself.
func (r *rig) sleeping(t *testing.T, options ...string) (client *exec.Cmd, monitor, network, session int) {
	t.Helper()
	path := r.Path("/run/pid")
	_ = os.WriteFile(path, nil, 0o666)
	_ = os.Chmod(path, 0o666)
	argv := append(r.ssh("eve"), append(options, "echo $$ >/run/pid; exec sleep 1000")...)
	client = exec.Command(argv[0], argv[1:]...)
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Process.Kill()
		client.Wait()
	})
	wait(t, "the session", func() bool {
		b, _ := os.ReadFile(path)
		session, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		return session > 1
	})
	monitors := children(t, r.cmd.Process.Pid)
	if len(monitors) != 1 {
		t.Fatalf("monitors: %v", monitors)
	}
	for _, pid := range children(t, monitors[0]) {
		if pid != session {
			network = pid
		}
	}
	if network == 0 {
		t.Fatal("no network half")
	}
	return client, monitors[0], network, session
}

// gone reports whether a process has ended, reaped or not.
func gone(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(b), ") Z ")
}

// Where one half of a connection is killed, the other ends, and the session, and
// nothing is left.
func TestOneHalfDies(t *testing.T) {
	r := start(t, setup{change: allow, config: "unenrolled = \"allow\"\n"})
	for name, options := range map[string][]string{"without a terminal": nil, "at a terminal": {"-tt"}} {
		for _, half := range []string{"monitor", "network half"} {
			t.Run(half+", "+name, func(t *testing.T) {
				client, monitor, network, session := r.sleeping(t, options...)
				dies := map[string]int{"monitor": monitor, "network half": network}[half]
				if err := syscall.Kill(dies, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				for what, pid := range map[string]int{"monitor": monitor, "network half": network, "session": session} {
					wait(t, "the "+what+" to end", func() bool { return gone(pid) })
				}
				if err := client.Wait(); err == nil {
					t.Error("the client noticed nothing")
				}
				wait(t, "the listener to be alone", func() bool { return len(children(t, r.cmd.Process.Pid)) == 0 })
			})
		}
	}
	if got := r.run(t, "", r.ssh("eve", "echo in")...); got.stdout != "in\n" {
		t.Errorf("after all that: %+v", got)
	}
}

// A PAM module that does not come back holds a monitor for a while, and not for
// as long as it likes, once the network half is dead.
func TestStuckModule(t *testing.T) {
	t.Parallel() // it waits
	r := start(t, setup{files: map[string]string{
		"pam.d/ksd-sshd": "auth required pam_exec.so quiet /etc/stuck\naccount required pam_permit.so\n",
		"stuck":          "#!/bin/sh\necho $$ >/run/pid\nexec sleep 1000\n",
	}})
	if err := os.Chmod(r.Path("/etc/stuck"), 0o755); err != nil {
		t.Fatal(err)
	}
	argv := r.askpass(t, "ana", "guess", "true")
	client := exec.Command(argv[0], argv[1:]...)
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := 0
	wait(t, "the module", func() bool {
		b, _ := os.ReadFile(r.Path("/run/pid"))
		stuck, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		return stuck > 1
	})
	defer func() { _ = syscall.Kill(stuck, syscall.SIGKILL) }()
	monitors := children(t, r.cmd.Process.Pid)
	if len(monitors) != 1 {
		t.Fatalf("monitors: %v", monitors)
	}
	for _, pid := range children(t, monitors[0]) {
		if pid != stuck {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	client.Wait()
	wait(t, "the monitor to end", func() bool { return gone(monitors[0]) })
	if gone(stuck) {
		t.Error("the module came back")
	}
}

// The monitor ends a connection that nobody logs in to by its own clock, though
// its network half does nothing, and that half with it.
func TestGraceOfTheMonitor(t *testing.T) {
	t.Parallel() // it waits
	r := start(t, setup{config: "login_grace = \"10s\"\n"})
	began := time.Now()
	monitor, network := r.halves(t)
	if err := syscall.Kill(network, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	wait(t, "the network half to end", func() bool { return gone(network) })
	wait(t, "the monitor to end", func() bool { return gone(monitor) })
	if took := time.Since(began); took < 9*time.Second {
		t.Errorf("it ended after %v", took)
	}
	if !strings.Contains(r.log.String(), `reason="the time to log in is over"`) {
		t.Error("the log does not say why")
	}
}
