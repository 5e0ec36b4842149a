package sandbox

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestSandbox(t *testing.T) {
	s := New(t, Config{
		Users: []User{{Name: "alice", UID: 2001}, {Name: "bob", UID: 2002, NoPassword: true}},
		Files: map[string]string{
			"pam.d/su":   "auth required pam_unix.so nullok nodelay\naccount required pam_unix.so\nsession required pam_permit.so\n",
			"login.defs": "FAIL_DELAY 0\n",
		},
	})
	run := func(want string, ok bool, user string, argv ...string) {
		t.Helper()
		out, err := s.CommandAs(user, argv...).CombinedOutput()
		if !strings.Contains(string(out), want) || (err == nil) != ok {
			t.Errorf("%s %q: %q, %v; want %q", user, argv, out, err, want)
		}
	}
	run("alice", true, "alice", "id", "-un")
	run("bob", true, "alice", "su", "bob", "-c", "id -un")
	run("su: ", false, "bob", "su", "alice", "-c", "id -un")
	run("uid=2001", true, "root", "id", "alice")
	run("denied", false, "alice", "cat", "/etc/shadow")

	if log := s.Log(); !slices.ContainsFunc(log, func(l string) bool {
		return strings.Contains(l, "FAILED SU (to alice) bob")
	}) {
		t.Errorf("the log %q does not have the refused su", log)
	}
	if log := s.Log(); len(log) != 0 {
		t.Errorf("the log has lines twice: %q", log)
	}
	if b, err := os.ReadFile("/etc/passwd"); err != nil || strings.Contains(string(b), "/home/alice:") {
		t.Errorf("the machine's own /etc/passwd: %s, %v", b, err)
	}
	if out, err := s.Command("sh", "-c", "echo here >/run/file").CombinedOutput(); err != nil {
		t.Fatalf("%s, %v", out, err)
	}
	if b, err := os.ReadFile(s.Path("/run/file")); err != nil || string(b) != "here\n" {
		t.Errorf("a file of the sandbox, seen from outside: %q, %v", b, err)
	}
}

func TestUsersPassword(t *testing.T) {
	s := New(t, Config{
		Users: []User{{Name: "alice", UID: 2001}, {Name: "bob", UID: 2002}},
		Files: map[string]string{
			"pam.d/su":   "auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required pam_permit.so\n",
			"login.defs": "FAIL_DELAY 0\n",
		},
	})
	for password, want := range map[string]bool{Password: true, "": false, Password + "x": false} {
		cmd := s.CommandAs("alice", "su", "bob", "-c", "id -un")
		cmd.Stdin = strings.NewReader(password + "\n")
		if out, err := cmd.CombinedOutput(); (err == nil) != want {
			t.Errorf("su with the password %q: %q, %v", password, out, err)
		}
	}
}
