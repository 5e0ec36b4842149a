package sshd_test

import (
	"os"
	"strings"
	"testing"

	"ksd/internal/ksdtest/sandbox"
)

// The stack that is shipped works with the machine's own common files.
func TestShippedStack(t *testing.T) {
	files := map[string]string{}
	for _, name := range []string{"common-auth", "common-account", "common-session", "common-password"} {
		b, err := os.ReadFile("/etc/pam.d/" + name)
		if err != nil {
			t.Skipf("this machine's PAM is not of Debian's kind: %v", err)
		}
		files["pam.d/"+name] = string(b)
	}
	b, err := os.ReadFile("../conf/pam.d/ksd-sshd")
	if err != nil {
		t.Fatal(err)
	}
	files["pam.d/ksd-sshd"] = string(b)
	r := start(t, setup{change: allow, files: files})
	got := r.run(t, "", append(r.askpass(t, "ana", sandbox.Password), "id -un")...)
	if got.stdout != "ana\n" || got.status != 0 {
		t.Errorf("%+v", got)
	}
	for _, line := range r.Log() {
		if strings.Contains(line, "unable to dlopen") {
			t.Error(line)
		}
	}
}
