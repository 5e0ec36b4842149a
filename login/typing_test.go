package login

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ksd/conf"
	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

// quick is a tempo for real terminals: fast enough for a test, and slow enough
// not to look like a paste on a busy machine.
const quick = 60 * time.Millisecond

// realDaemon starts the real daemon in the test's process, on the box's socket,
// with ana enrolled.
func realDaemon(t *testing.T, b *box, rule conf.NonInteractive) (*ksdtest.Daemon, *ksdtest.Typist) {
	t.Helper()
	d := ksdtest.Start(t, func(c *conf.Config) {
		c.Training.Automatic = false
		c.Login.NonInteractive = rule
		c.Daemon.LoginSocket = b.Path("/run/ksd/login.sock")
		c.Lockout.Failures, c.Lockout.SourceFailures = 100, 1000
	})
	hands := ksdtest.NewTypist(1, quick)
	d.Enrol("ana", hands)
	if d.UID("ana") != ana {
		t.Fatal("ksdtest gives accounts other numbers")
	}
	d.As(ana)
	return d, hands
}

// prompted waits for the challenge and types what it asks for.
func (s *screen) prompted(d *ksdtest.Daemon, hands *ksdtest.Typist) {
	s.t.Helper()
	_, phrase := s.AwaitAny(s.t, d.Config.Challenge.Phrases...)
	s.Await(s.t, "> ")
	s.Type(s.t, hands, phrase)
}

// Somebody types at a real ssh client's terminal: the owner, with key or
// password, gets the shell or the command and its exit code; a stranger gets
// neither.
func TestTyping(t *testing.T) {
	b := newBox(t, nil)
	d, hands := realDaemon(t, b, conf.Deny)
	s := newServer(t, b)
	for _, c := range []struct {
		name    string
		options []string
		command []string
		own     bool
		exit    int
		in      string
	}{
		{"key and shell", []string{"-tt"}, nil, true, 7, "in-ana--bash-/bin/bash"},
		{"password and shell", []string{"-tt", "-o", "PubkeyAuthentication=no"}, nil, true, 7, "in-ana--bash-/bin/bash"},
		{"a command", []string{"-tt"}, []string{"echo in-$(id -un)-$0-$SHELL; exit 42"}, true, 42, "in-ana-bash-/bin/bash"},
		{"a stranger", []string{"-tt"}, nil, false, 1, ""},
		{"a stranger with a password", []string{"-tt", "-o", "PubkeyAuthentication=no"}, nil, false, 1, ""},
		{"a stranger's command", []string{"-tt"}, []string{"touch in; exit 42"}, false, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := atTerminal(t, led(s.ssh(c.options, c.command...)))
			if strings.Contains(c.name, "password") {
				x.password()
			}
			if !c.own {
				x.prompted(d, hands.At(2*quick))
				x.Await(t, "take your time")
				x.prompted(d, hands.At(2*quick))
			} else {
				x.prompted(d, hands)
				if c.command == nil {
					x.Await(t, "$ ")
					x.Press(t, "echo in-$(id -un)-$0-$SHELL; exit 7\r")
					x.Await(t, c.in)
				}
			}
			exit, shown := x.end()
			if exit != c.exit || !strings.Contains(shown, c.in) || b.marked() {
				t.Errorf("exit %d, want %d with %q; screen %q", exit, c.exit, c.in, shown)
			}
			if !c.own && !strings.Contains(shown, "not recognised") {
				t.Errorf("no word of why: %q", shown)
			}
		})
	}
}

// tmux, and whatever else starts a shell by SHELL, does not ask again.
func TestTmux(t *testing.T) {
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("tmux is not installed")
	}
	b := newBox(t, nil)
	d, hands := realDaemon(t, b, conf.Deny)
	s := newServer(t, b)
	cmd := led(s.ssh([]string{"-tt"}, "cd; exec tmux -f /dev/null -S /home/ana/tmux new-session"))
	cmd.Env = append(os.Environ(), "TERM=xterm")
	x := atTerminal(t, cmd)
	x.prompted(d, hands)
	x.Await(t, "$")
	x.Press(t, "echo in-$((40+2))-$SHELL > file; tmux -S /home/ana/tmux wait-for -S done; exit\r")
	if exit, shown := x.end(); exit != 0 {
		t.Errorf("exit %d, %q", exit, shown)
	}
	if got, err := os.ReadFile(b.Path("/home/ana/file")); err != nil || string(got) != "in-42-/bin/bash\n" {
		t.Errorf("%q, %v", got, err)
	}
	if n := strings.Count(d.Log.String(), "outcome=accept"); n != 1 {
		t.Errorf("%d challenges:\n%s", n, d.Log)
	}
}

// transfers are what works without a terminal. Each makes or fetches something.
func (s *server) transfers(t *testing.T) map[string]*exec.Cmd {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("content\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	remote := "ssh " + strings.Join(s.options(), " ")
	all := map[string]*exec.Cmd{
		"command":   s.ssh(nil, "cat >in; echo out; echo err >&2; exit 3"),
		"scp":       exec.Command("scp", append(s.options("-q"), file, host+":in")...),
		"scp -O":    exec.Command("scp", append(s.options("-q", "-O"), file, host+":in")...),
		"scp fetch": exec.Command("scp", append(s.options("-q"), host+":.ssh/authorized_keys", file)...),
		"sftp":      exec.Command("sftp", append(s.options("-q", "-b", "-"), host)...),
	}
	if _, err := exec.LookPath("rsync"); err == nil {
		all["rsync"] = exec.Command("rsync", "-a", "-e", remote, file, host+":in")
	} else {
		t.Log("rsync is not installed")
	}
	if _, err := exec.LookPath("git"); err == nil {
		all["git"] = exec.Command("git", "ls-remote", "ssh://"+host+"/home/ana/repository")
		all["git"].Env = append(os.Environ(), "GIT_SSH_COMMAND="+remote, "GIT_CONFIG_GLOBAL=/dev/null")
	}
	return all
}

// subsystem are those that sshd starts as a subsystem. It drops what those write
// to standard error, so their users are told nothing but that it is over.
var subsystem = map[string]bool{"scp": true, "scp fetch": true, "sftp": true}

// What needs no terminal follows the policy, or a token, and what protocols run
// over stays clean.
func TestTransfers(t *testing.T) {
	for _, c := range []struct {
		rule conf.NonInteractive
		in   bool
	}{{conf.Deny, false}, {conf.Allow, true}} {
		t.Run(string(c.rule), func(t *testing.T) {
			b := newBox(t, nil)
			realDaemon(t, b, c.rule)
			s := newServer(t, b)
			if _, complaint, exit := output(b.CommandAs("ana", "git", "init", "-q", "--bare", "/home/ana/repository"), ""); exit != 0 {
				t.Fatal(complaint)
			}
			for name, cmd := range s.transfers(t) {
				out, complaint, exit := output(cmd, "mkdir in\n")
				want, wantOut := 0, ""
				switch {
				case name == "command" && c.in:
					want, wantOut = 3, "out\n"
				case name == "command":
					want = 1
				}
				if name == "sftp" && c.in {
					wantOut = "sftp> mkdir in\n"
				}
				if c.in && (exit != want || out != wantOut) {
					t.Errorf("%s: exit %d, %q, %q", name, exit, out, complaint)
				}
				told := 1
				if subsystem[name] {
					told = 0
				}
				if !c.in && (exit == 0 || out != "" || strings.Count(complaint, "connect with a terminal (ssh -t)") != told) {
					t.Errorf("%s: exit %d, %q, %q", name, exit, out, complaint)
				}
				made := strings.Contains(name, "fetch") || name == "git" || os.RemoveAll(b.Path("/home/ana/in")) == nil && c.in
				if c.in && !made {
					t.Errorf("%s: nothing was made", name)
				}
			}
		})
	}
}

// A token lets one command in, once. It comes over ssh, and goes no further than
// the gate.
func TestToken(t *testing.T) {
	b := newBox(t, nil)
	d, _ := realDaemon(t, b, conf.Deny)
	s := newServer(t, b)
	d.As(ksdtest.AdminUID)
	token, err := d.Client().Token(t.Context(), "ana", wire.DefaultTokenLife)
	if err != nil {
		t.Fatal(err)
	}
	d.As(ana)
	run := func(value string) (string, string, int) {
		cmd := s.ssh([]string{"-o", "SendEnv=KSD_TOKEN"}, `echo "in $KSD_TOKEN"`)
		cmd.Env = append(os.Environ(), "KSD_TOKEN="+value)
		return output(cmd, "")
	}
	for _, bad := range []string{"AAAAAAAAAAAAAAAAAAAAAAAAAA", strings.Repeat("x", 65), "a\x1bb"} {
		if out, complaint, exit := run(bad); exit != 1 || out != "" || strings.Count(complaint, "\n") != 1 || !strings.Contains(complaint, "token") {
			t.Errorf("%q: exit %d, %q, %q", bad, exit, out, complaint)
		}
	}
	if out, complaint, exit := run(token.Token); exit != 0 || out != "in \n" || complaint != "" {
		t.Errorf("exit %d, %q, %q", exit, out, complaint)
	}
	if out, complaint, exit := run(token.Token); exit != 1 || out != "" || !strings.Contains(complaint, "token") {
		t.Errorf("the second time: exit %d, %q, %q", exit, out, complaint)
	}
}
