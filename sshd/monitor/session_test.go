package monitor

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"ksd/conf"
	"ksd/internal/wire"
	"ksd/sshd/link"
)

// command runs a command and returns what it put out and how it ended.
func (m *running) command(t *testing.T, s link.Start) (string, link.Exited) {
	t.Helper()
	started, files, err := m.Start(t.Context(), s)
	if err != nil {
		t.Fatalf("%q: %v", s.Command, err)
	}
	files[0].Close()
	var out []byte
	for _, f := range files[1:3] {
		b, err := io.ReadAll(f)
		if err != nil {
			t.Error(err)
		}
		out = append(out, b...)
	}
	for _, f := range files[1:] {
		f.Close()
	}
	e, err := m.Wait(t.Context(), link.Wait{Session: started.Session})
	if err != nil {
		t.Error(err)
	}
	return string(out), e
}

// PAM opens one session for a connection, before its first process, and closes
// it at the end.
func TestPAMSession(t *testing.T) {
	r := newRig(t, "", func(c *conf.Config) { c.Login.NonInteractive = conf.Allow })
	m := r.start(t, false)
	r.open(t, m, "ana")
	pam := func() string { b, _ := os.ReadFile(r.Path("/run/pam")); return string(b) }
	if _, err := m.Admit(t.Context(), link.Admit{}); err != nil {
		t.Fatal(err)
	}
	if pam() != "" {
		t.Errorf("before a session PAM did %q", pam())
	}
	for range 2 {
		if out, e := m.command(t, link.Start{Command: []byte("cat /run/pam")}); out != "open_session ana 192.0.2.7 ssh\n" || e.Status != 0 {
			t.Errorf("%q, %+v", out, e)
		}
	}
	m.end(t)
	if want := "open_session ana 192.0.2.7 ssh\nclose_session ana 192.0.2.7 ssh\n"; pam() != want {
		t.Errorf("PAM did %q, want %q", pam(), want)
	}
}

// The limits are those of PAM, and where it says nothing those that this process
// was started with, not what Go's runtime makes of them.
func TestLimits(t *testing.T) {
	usual, err := exec.Command("sh", "-c", "ulimit -Sn").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ module, command, want string }{
		{"", "ulimit -Sn", string(usual)},
		{"session required pam_limits.so conf=/etc/security/ana.conf\n", "ulimit -Ss", "4096\n"},
	} {
		r := newRig(t, "", func(c *conf.Config) { c.Login.NonInteractive = conf.Allow })
		r.write(t, "/etc/pam.d/ksd-sshd", pamFile+c.module, 0)
		r.write(t, "/etc/security/ana.conf", "ana soft stack 4096\n", 0)
		m := r.start(t, false)
		r.open(t, m, "ana")
		if _, err := m.Admit(t.Context(), link.Admit{}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if out, _ := m.command(t, link.Start{Command: []byte(c.command)}); out != c.want {
				t.Errorf("%q: %s is %q, want %q", c.module, c.command, out, c.want)
			}
		}
		m.end(t)
	}
}

// A PAM session that does not open lets nothing start.
func TestPAMRefuses(t *testing.T) {
	r := newRig(t, "", func(c *conf.Config) { c.Login.NonInteractive = conf.Allow })
	r.write(t, "/etc/pam.d/ksd-sshd", pamFile+"session required pam_deny.so\n", 0)
	m := r.start(t, false)
	r.open(t, m, "ana")
	if _, err := m.Admit(t.Context(), link.Admit{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Start(t.Context(), link.Start{Command: []byte("id")}); !errors.Is(err, link.Refused) {
		t.Errorf("%v, want %v", err, link.Refused)
	}
	m.end(t)
}

// What a key's line takes away, the monitor keeps away.
func TestRestrictions(t *testing.T) {
	r := newRig(t, "forwarding = true\n")
	r.authorize(t, "ana", `restrict,command="echo forced: $SSH_ORIGINAL_COMMAND" `)
	m := r.start(t, false)
	if o := r.open(t, m, "ana"); o.Pty || o.Forwarding || o.Agent {
		t.Errorf("%+v", o)
	}
	r.recognise(t, m)
	if _, _, err := m.Start(t.Context(), link.Start{Pty: &link.Pty{Term: "x"}}); !errors.Is(err, link.Refused) {
		t.Errorf("a terminal: %v", err)
	}
	if _, _, err := m.Start(t.Context(), link.Start{Agent: true}); !errors.Is(err, link.Refused) {
		t.Errorf("an agent: %v", err)
	}
	for _, op := range []string{"dial", "listen"} {
		if err := operations[op](t.Context(), r, m); !errors.Is(err, link.Refused) {
			t.Errorf("%s: %v", op, err)
		}
	}
	for _, s := range []link.Start{{Command: []byte("id")}, {Subsystem: "sftp"}, {}} {
		want := "forced: " + string(s.Command) + map[bool]string{true: conf.Default().SSHD.SFTPServer}[s.Subsystem != ""]
		if out, _ := m.command(t, s); strings.TrimSpace(out) != strings.TrimSpace(want) {
			t.Errorf("%+v: %q, want %q", s, out, want)
		}
	}
	m.end(t)
}

// Without the daemon nobody gets in, and hears that it is not their fault.
func TestNoDaemon(t *testing.T) {
	r := newRig(t, "", func(c *conf.Config) { c.Login.NonInteractive = conf.Allow })
	if err := r.daemon.Stop(); err != nil {
		t.Fatal(err)
	}
	m := r.start(t, false)
	r.open(t, m, "ana")
	typed, err := m.Challenge(t.Context(), link.Challenge{})
	if err != nil || typed.Code != wire.Failed || !strings.Contains(typed.Text, "not running") {
		t.Errorf("at a terminal: %+v, %v", typed, err)
	}
	admitted, err := m.Admit(t.Context(), link.Admit{})
	if err != nil || admitted.Code != wire.Failed || !strings.Contains(admitted.Text, "not running") {
		t.Errorf("without one: %+v, %v", admitted, err)
	}
	m.end(t)
}

// Who was let in without a terminal gets none.
func TestAdmittedHasNoTerminal(t *testing.T) {
	r := newRig(t, "", func(c *conf.Config) { c.Login.NonInteractive = conf.Allow })
	m := r.start(t, false)
	r.open(t, m, "ana")
	if _, err := m.Admit(t.Context(), link.Admit{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Start(t.Context(), link.Start{Pty: &link.Pty{Term: "x"}}); !errors.Is(err, link.Refused) {
		t.Errorf("%v, want %v", err, link.Refused)
	}
	if err := operations["dial"](t.Context(), r, m); !errors.Is(err, link.Refused) {
		t.Errorf("a forward that is not configured: %v", err)
	}
	m.end(t)
}

// Signals, the agent's socket, and the number of sessions.
func TestSessions(t *testing.T) {
	r := newRig(t, "max_sessions = 2\n", func(c *conf.Config) { c.Login.NonInteractive = conf.Allow })
	m := r.start(t, false)
	r.open(t, m, "ana")
	if _, err := m.Admit(t.Context(), link.Admit{}); err != nil {
		t.Fatal(err)
	}
	out, _ := m.command(t, link.Start{Agent: true, Command: []byte("stat -c '%a %U' $SSH_AUTH_SOCK ${SSH_AUTH_SOCK%/*}; echo $SSH_AUTH_SOCK")})
	words := strings.Fields(out)
	if len(words) != 5 || strings.Join(words[:4], " ") != "600 ana 700 ana" {
		t.Fatalf("the agent: %q", out)
	}
	var ids []int
	for range 2 {
		s, files, err := m.Start(t.Context(), link.Start{Command: []byte("sleep 1000")})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			defer f.Close()
		}
		ids = append(ids, s.Session)
	}
	if _, _, err := m.Start(t.Context(), link.Start{}); !errors.Is(err, link.Exhausted) {
		t.Errorf("a third session: %v", err)
	}
	if err := m.Signal(t.Context(), link.Signal{Session: ids[0], Signal: "STOP"}); !errors.Is(err, link.Refused) {
		t.Errorf("a signal that may not be sent: %v", err)
	}
	if err := m.Signal(t.Context(), link.Signal{Session: ids[0], Signal: "USR1"}); err != nil {
		t.Error(err)
	}
	if e, err := m.Wait(t.Context(), link.Wait{Session: ids[0]}); err != nil || e != (link.Exited{Signal: "USR1"}) {
		t.Errorf("%+v, %v", e, err)
	}
	m.end(t) // the other is hung up on
	if _, err := os.Stat(words[4]); !os.IsNotExist(err) {
		t.Errorf("the agent's socket is left: %v", err)
	}
}

// Every opcode that Linux has changes the terminal, and the others nothing.
func TestModes(t *testing.T) {
	for op := range uint8(160) {
		var a, b unix.Termios
		b.Cflag = unix.CS8
		before := [2]unix.Termios{a, b}
		apply(&a, op, 1)
		apply(&b, op, 38400)
		has := a != before[0] || b != before[1]
		known := op >= 1 && op <= 18 && op != 11 && op != 15 && op != 17 || op >= 30 && op <= 42 || op >= 50 && op <= 61 ||
			op >= 70 && op <= 75 || op >= 90 && op <= 93 || op == modeISpeed || op == modeOSpeed
		if has != known {
			t.Errorf("opcode %d changes something: %v, want %v", op, has, known)
		}
	}
	var x unix.Termios
	apply(&x, 1, noChar)
	apply(&x, 53, 1)
	apply(&x, 53, 0)
	if x.Cc[unix.VINTR] != 0 || x.Lflag != 0 {
		t.Errorf("%+v", x)
	}
}

// What a network half has queued up beyond the tries it has is not asked of PAM.
func TestQueuedTries(t *testing.T) {
	r := newRig(t, "max_tries = 2\n")
	m := r.start(t, false)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if p, _ := m.Password(t.Context(), link.Password{User: "ana", Password: "wrong"}); p.OK {
				t.Error("a wrong password is right")
			}
		})
	}
	all.Wait()
	m.end(t)
	if n := strings.Count(m.log.String(), "first factor refused"); n != 2 {
		t.Errorf("%d passwords were tried", n)
	}
}
