package monitor

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ksd/conf"
	"ksd/sshd/link"
)

// admitted returns a monitor that has let ana in without a terminal.
func (r *rig) admitted(t *testing.T) *running {
	t.Helper()
	m := r.start(t, false)
	r.open(t, m, "ana")
	if _, err := m.Admit(t.Context(), link.Admit{}); err != nil {
		t.Fatal(err)
	}
	return m
}

// owner is whose socket the kernel says it is, by its row of /proc/net/tcp: the
// one that holds text.
func owner(t *testing.T, text string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); strings.Contains(line, text) && len(f) > 7 {
			return f[7]
		}
	}
	t.Fatalf("no socket %s in\n%s", text, b)
	return ""
}

// Sockets that are forwarded are the person's for whoever asks the kernel.
func TestOwners(t *testing.T) {
	r := newRig(t, "forwarding = true\n", func(c *conf.Config) { c.Login.NonInteractive = conf.Allow })
	m := r.admitted(t)
	l, f, err := m.Listen(t.Context(), link.Listen{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const loopback = "0100007F:"
	if got := owner(t, fmt.Sprintf(": %s%04X", loopback, l.Port)); got != "2001" {
		t.Errorf("a listener belongs to %s", got)
	}
	there, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	port := there.Addr().(*net.TCPAddr).Port
	d, err := m.Dial(t.Context(), link.Dial{Host: "127.0.0.1", Port: uint32(port)})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if got := owner(t, fmt.Sprintf(" %s%04X 01 ", loopback, port)); got != "2001" {
		t.Errorf("a connection belongs to %s", got)
	}
	_, files, err := m.Start(t.Context(), link.Start{Agent: true, Command: []byte("stat -c %U $SSH_AUTH_SOCK")})
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		defer f.Close()
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil || i > 0 && st.Uid != 2001 {
			t.Errorf("descriptor %d belongs to %d, %v", i, st.Uid, err)
		}
	}
	if line, err := bufio.NewReader(files[1]).ReadString('\n'); line != "ana\n" {
		t.Errorf("the agent's socket is %q's, %v", line, err)
	}
	m.end(t)
}

// A signal ends what is the person's and nothing else, though it stands in the
// same group: it is sent with the person's rights.
func TestSignalIsThePersons(t *testing.T) {
	path, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("there is no setpriv")
	}
	r := newRig(t, "", func(c *conf.Config) { c.Login.NonInteractive = conf.Allow })
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// As sudo would, it makes somebody else of ana, and all of it.
	r.write(t, "/run/become", string(b), 0)
	if err := os.Chmod(r.Path("/run"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(r.Path("/run/become"), 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	m := r.admitted(t)
	s, files, err := m.Start(t.Context(), link.Start{Command: []byte("/run/become --reuid 2002 --clear-groups sleep 1000 & echo $!; wait")})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		defer f.Close()
	}
	line, err := bufio.NewReader(files[1]).ReadString('\n')
	pid, _ := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid < 2 {
		t.Fatalf("%q, %v", line, err)
	}
	defer func() { _ = unix.Kill(pid, unix.SIGKILL) }()
	runs := func() bool {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		return strings.Contains(string(b), "Name:\tsleep\n") && !strings.Contains(string(b), "State:\tZ") && strings.Contains(string(b), "Uid:\t2002\t2002\t2002\t2002\n")
	}
	for end := time.Now().Add(time.Minute); !runs(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not become bob's")
		}
	}
	if err := m.Signal(t.Context(), link.Signal{Session: s.Session, Signal: "KILL"}); err != nil {
		t.Fatal(err)
	}
	if e, err := m.Wait(t.Context(), link.Wait{Session: s.Session}); err != nil || e.Signal != "KILL" {
		t.Errorf("ana's shell: %+v, %v", e, err)
	}
	if !runs() {
		t.Error("bob's process was killed with root's rights")
	}
	m.end(t)
	if !runs() {
		t.Error("bob's process was hung up on with root's rights")
	}
}
