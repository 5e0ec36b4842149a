//go:build cgo

package pam

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ksd/internal/ksdtest/sandbox"
	"ksd/internal/wire"
)

// A real sshd gives PAM no terminal and forks between pam_start and
// pam_authenticate. The module must answer all the same, at once and in words.
func TestSSHD(t *testing.T) {
	s := box(t)
	t.Parallel()
	d := (&fakeDaemon{path: s.Path("/run/ksd/login.sock"), uid: ksdUID, run: verdict(wire.Accept)}).start(t)
	port := startSSHD(t, s)
	for _, e := range []struct {
		options, user string
		in            bool
		text, log     string
	}{
		{"timeout=600", "bob", false, "The typing check needs a terminal, and there is none here.", `outcome=no-tty result="denied"`},
		{"timeout=600 " + strings.ReplaceAll(lenient, "no_tty=ignore", ""), "bob", false, "needs a terminal", `outcome=no-tty result="denied"`},
		{"no_tty=ignore", "bob", true, "", `outcome=no-tty result="SKIPPED by configuration"`},
		{"bogus", "bob", false, "", `option "bogus"`},
	} {
		configure(t, s, "sshd", e.options)
		r := ssh(t, port, e.user)
		if got := strings.Contains(r.output, "in as "+e.user); got != e.in || (r.status == 0) != e.in {
			t.Errorf("%q: status %d, screen %q; let in: %v, want %v", e.options, r.status, r.output, got, e.in)
		}
		if !strings.Contains(r.output, e.text) {
			t.Errorf("%q: the screen has %q, want %q", e.options, r.output, e.text)
		}
		if r.took > graceTime/2 {
			t.Errorf("%q: it took %v; LoginGraceTime is %v", e.options, r.took, graceTime)
		}
		lines := moduleLines(s)
		if len(lines) != 1 || !strings.Contains(lines[0], e.log) {
			t.Errorf("%q: the module logged %q, want one line with %s", e.options, lines, e.log)
		}
		if strings.Contains(e.log, "outcome") && !strings.Contains(strings.Join(lines, ""), "source=host:127.0.0.1 ") {
			t.Errorf("%q: the module logged %q, want the remote host as the source", e.options, lines)
		}
	}
	if _, n := d.last(); n != 0 {
		t.Error("the daemon was asked, without a terminal")
	}
}

const graceTime = 15 * time.Second

// startSSHD runs sshd on a free port of the loopback and returns the port.
func startSSHD(t *testing.T, s *sandbox.Sandbox) string {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/sshd"); err != nil {
		t.Skip("openssh-server is not installed")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(free.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	dir := s.Path("/run/sshd")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, "key")).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	config := fmt.Sprintf(`ListenAddress 127.0.0.1
Port %s
HostKey /run/sshd/key
PidFile none
UsePAM yes
KbdInteractiveAuthentication yes
PasswordAuthentication no
PubkeyAuthentication no
LoginGraceTime %d
MaxAuthTries 2
`, port, int(graceTime.Seconds()))
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := s.Command("/usr/sbin/sshd", "-D", "-e", "-f", "/run/sshd/config")
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), "Server listening") {
	}
	if lines.Err() != nil || !strings.Contains(lines.Text(), "Server listening") {
		t.Fatalf("sshd does not start: %q, %v", lines.Text(), lines.Err())
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines.Scan() {
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-drained
		cmd.Wait()
	})
	return port
}

// ssh logs in with the password and runs the account's shell.
func ssh(t *testing.T, port, user string) result {
	t.Helper()
	argv := led("ssh", "-F", "/dev/null", "-p", port, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "NumberOfPasswordPrompts=1", "-o", "PreferredAuthentications=keyboard-interactive", user+"@127.0.0.1", "true")
	x := open(t, exec.Command(argv[0], argv[1:]...))
	x.expect("assword")
	x.typeLine(sandbox.Password)
	return x.wait()
}
