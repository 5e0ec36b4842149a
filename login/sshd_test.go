package login

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// server is a real sshd in a box, set up as Debian's with the shipped lines.
type server struct {
	*box
	port, key string
}

// newServer starts sshd. Each change replaces a text of the shipped lines or of
// the main file, to open a hole.
func newServer(t *testing.T, b *box, changes ...string) *server {
	t.Helper()
	for _, program := range []string{"/usr/sbin/sshd", "/usr/bin/ssh"} {
		if _, err := os.Stat(program); err != nil {
			t.Skip("openssh-server and openssh-client are not installed")
		}
	}
	shipped, err := os.ReadFile("../conf/sshd_config.d/ksd.conf")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{box: b, port: freePort(t), key: filepath.Join(t.TempDir(), "key")}
	main := fmt.Sprintf(`Include /etc/ssh/sshd_config.d/*.conf
ListenAddress 127.0.0.1
Port %s
HostKey /run/sshd/key
PidFile none
UsePAM yes
KbdInteractiveAuthentication no
X11Forwarding yes
PrintMotd no
AcceptEnv LANG LC_*
Subsystem	sftp	/usr/lib/openssh/sftp-server
`, s.port)
	texts := []string{string(shipped), main}
	for i := 0; i+1 < len(changes); i += 2 {
		found := false
		for j, text := range texts {
			if strings.Contains(text, changes[i]) {
				texts[j], found = strings.Replace(text, changes[i], changes[i+1], 1), true
			}
		}
		if !found {
			t.Fatalf("%q stands nowhere", changes[i])
		}
	}
	dir := b.Path("/etc/ssh/sshd_config.d")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{"/etc/ssh/sshd_config.d/ksd.conf": texts[0], "/etc/ssh/sshd_config": texts[1]} {
		if err := os.MkdirAll(filepath.Dir(b.Path(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(b.Path(path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{s.key, b.Path("/run/sshd/key")} {
		_ = os.Remove(key)
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
	}
	public, err := os.ReadFile(s.key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	b.home(".ssh/authorized_keys", string(public), 0o600)
	s.listen(t)
	return s
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// listen starts sshd and waits until it listens.
func (s *server) listen(t *testing.T) {
	t.Helper()
	cmd := s.Command("/usr/sbin/sshd", "-D", "-e")
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var said []string
	for lines.Scan() {
		said = append(said, lines.Text())
		if strings.Contains(lines.Text(), "Server listening") {
			break
		}
	}
	drained := make(chan struct{})
	go func() { defer close(drained); _, _ = io.Copy(io.Discard, out) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-drained
		_ = cmd.Wait()
	})
	if len(said) == 0 || !strings.Contains(said[len(said)-1], "Server listening") {
		t.Fatalf("sshd does not start: %q", said)
	}
}

// options are those of ssh, scp and sftp alike.
func (s *server) options(more ...string) []string {
	return append([]string{
		"-F", "/dev/null", "-i", s.key, "-o", "Port=" + s.port, "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "NumberOfPasswordPrompts=1", "-o", "ConnectTimeout=60",
	}, more...)
}

const host = "ana@127.0.0.1"

// ssh is a client without a terminal; its words come after the options, before
// the host if they start with "-".
func (s *server) ssh(options []string, command ...string) *exec.Cmd {
	return exec.Command("ssh", append(append(s.options(options...), host), command...)...)
}

// TestShippedLines asks sshd itself what the shipped lines mean, for an account
// of the group and for one that is not in it.
func TestShippedLines(t *testing.T) {
	b := newBox(t, nil)
	newServer(t, b)
	if out, complaint, exit := output(b.Command("/usr/sbin/sshd", "-t"), ""); exit != 0 || out+complaint != "" {
		t.Errorf("sshd -t: exit %d, %s%s", exit, out, complaint)
	}
	for user, want := range map[string][]string{
		"ana": {"disableforwarding yes", "permittunnel no", "permituserrc no", "forcecommand none", "permituserenvironment no", "acceptenv LANG", "acceptenv LC_*", "acceptenv KSD_TOKEN", "subsystem sftp /usr/lib/openssh/sftp-server"},
		"bob": {"disableforwarding no", "permituserrc yes", "permituserenvironment no", "acceptenv LANG", "acceptenv LC_*", "subsystem sftp /usr/lib/openssh/sftp-server"},
	} {
		out, complaint, exit := output(b.Command("/usr/sbin/sshd", "-T", "-C", "user="+user+",host=there,addr=192.0.2.1"), "")
		if exit != 0 {
			t.Fatalf("sshd -T: %s", complaint)
		}
		for _, line := range want {
			if !strings.Contains("\n"+out, "\n"+line+"\n") {
				t.Errorf("%s: no line %q", user, line)
			}
		}
		if strings.Contains(out, "KSD_TOKEN") != (user == "ana") {
			t.Errorf("%s: the token's variable", user)
		}
	}
}

// reply is what a service on the loopback says to whoever reaches it.
const reply = "reached"

// service listens on the loopback.
func service(t *testing.T) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, reply)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// dial connects to a port and returns what comes.
func dial(port string) (string, error) {
	c, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	got, _ := io.ReadAll(c)
	return string(got), nil
}

// reach is dial until somebody listens.
func reach(t *testing.T, port string) string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		got, err := dial(port)
		if err == nil {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// background runs a client until the test ends.
func background(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}
