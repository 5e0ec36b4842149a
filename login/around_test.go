package login

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ksd/internal/wire"
)

// The known ways round the gate, each against the real OpenSSH with a daemon
// that refuses. shut is with the shipped lines and the gate as login shell. open
// is the same with the hole that the way goes through: it must be found to lead
// in, or the test would not know a way in when it sees one.
func TestWaysRound(t *testing.T) {
	refuse := verdict(wire.Refuse, "")
	// What ana's policy lets in without a terminal, and only that.
	allow := func(c *conversation) {
		if _, ok := c.opening.(wire.Request); ok {
			verdict(wire.Accept, "")(c)
			return
		}
		refuse(c)
	}
	const forced = "ForceCommand none"
	const mark = "touch /home/ana/in\n"
	session := func(t *testing.T, s *server) bool {
		_, shown := atTerminal(t, led(s.ssh([]string{"-t"}))).end()
		return s.marked() || strings.Contains(shown, "$ ")
	}
	for _, c := range []struct {
		name string
		home map[string]string // files of ana's
		try  func(t *testing.T, s *server) (in bool)
		hole []string              // changes of sshd's files that open it
		run  func(c *conversation) // the daemon of the open one; nil: refuses
		ana  string                // her login shell in the open one; "": the gate
	}{
		{
			"ssh -W", nil, func(t *testing.T, s *server) bool {
				out, _, _ := output(s.ssh([]string{"-W", "127.0.0.1:" + service(t)}), "")
				return strings.Contains(out, reply)
			}, []string{"DisableForwarding yes", ""}, nil, "",
		},
		{
			"ssh -N -L", nil, func(t *testing.T, s *server) bool {
				local := freePort(t)
				background(t, s.ssh([]string{"-N", "-L", "127.0.0.1:" + local + ":127.0.0.1:" + service(t)}))
				return reach(t, local) == reply
			}, []string{"DisableForwarding yes", ""}, nil, "",
		},
		{
			"ssh -N -R", nil, func(t *testing.T, s *server) bool {
				remote := freePort(t)
				cmd := s.ssh([]string{"-N", "-o", "ExitOnForwardFailure=yes", "-R", "127.0.0.1:" + remote + ":127.0.0.1:" + service(t)})
				background(t, cmd)
				ended := make(chan struct{})
				go func() { _, _ = cmd.Process.Wait(); close(ended) }()
				return reachUntil(t, remote, ended) == reply
			}, []string{"DisableForwarding yes", ""}, nil, "",
		},
		{
			"start-up files",
			map[string]string{".bashrc": mark, ".bash_profile": mark, ".profile": mark, ".bash_login": mark, ".zshenv": mark, ".environment": mark},
			func(t *testing.T, s *server) bool {
				_, _, _ = output(s.ssh(nil, "true"), "")
				return session(t, s)
			},
			[]string{forced, "ForceCommand GATE"},
			nil, "/bin/bash", // the gate as a forced command
		},
		{
			"~/.ssh/rc",
			map[string]string{".ssh/rc": mark},
			session,
			[]string{"PermitUserRC no", ""},
			allow, "",
		},
		{
			"~/.ssh/environment",
			map[string]string{".ssh/environment": "FILE=in\n"},
			func(t *testing.T, s *server) bool {
				_, _, _ = output(s.ssh(nil, `touch "$FILE"`), "")
				return s.marked()
			},
			[]string{"PermitUserEnvironment no", "PermitUserEnvironment yes"},
			allow, "",
		},
		{
			"sftp as a subsystem", nil, func(t *testing.T, s *server) bool {
				cmd := exec.Command("sftp", append(s.options("-b", "-"), host)...)
				_, _, _ = output(cmd, "mkdir in\n")
				return s.marked()
			}, []string{"Subsystem\tsftp\t/usr/lib/openssh/sftp-server", "Subsystem sftp internal-sftp"}, nil, "",
		},
		{"ssh -T", nil, command("", "-T"), nil, allow, ""},
		{"a command", nil, command("touch in"), nil, allow, ""},
		{"a command at a terminal", nil, terminal("exec touch in"), nil, verdict(wire.Accept, ""), ""},
		{"exec of another shell", nil, terminal("exec /bin/sh -c 'touch in'"), nil, verdict(wire.Accept, ""), ""},
		{"no command but a script", nil, func(t *testing.T, s *server) bool {
			_, _, _ = output(s.ssh([]string{"-T"}), "touch in\n")
			return s.marked()
		}, nil, allow, ""},
		{"a terminal of no known kind", nil, func(t *testing.T, s *server) bool {
			cmd := led(s.ssh([]string{"-tt"}, "touch in"))
			cmd.Env = append(os.Environ(), "TERM=\x1b]0;%n%s\x07$(touch in)")
			atTerminal(t, cmd).end()
			return s.marked()
		}, nil, verdict(wire.Accept, ""), ""},
		{"the gate again by its name", nil, terminal("exec -a -ksd-login-dash touch in"), nil, verdict(wire.Accept, ""), ""},
		{"no shell wanted at all", nil, func(t *testing.T, s *server) bool {
			_, _, _ = output(s.ssh([]string{"-s"}, "touch in"), "")
			return s.marked()
		}, []string{"Subsystem\tsftp\t/usr/lib/openssh/sftp-server", "Subsystem \"touch in\" \"touch in\""}, allow, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, open := range []bool{false, true} {
				b := newBox(t, nil)
				d := b.daemon(refuse)
				for name, content := range c.home {
					b.home(name, content, 0o644)
				}
				var changes []string
				if open {
					for _, change := range c.hole {
						changes = append(changes, strings.ReplaceAll(change, "GATE", b.gate))
					}
					if c.run != nil {
						d.behave(c.run)
					}
					if c.ana != "" {
						if _, complaint, exit := output(b.Command("usermod", "-s", c.ana, "ana"), ""); exit != 0 {
							t.Fatal(complaint)
						}
					}
				}
				if in := c.try(t, newServer(t, b, changes...)); in != open {
					t.Errorf("with the hole open %v: somebody got in: %v; the daemon was asked %q", open, in, kind(d.asked()))
				}
			}
		})
	}
}

// command tries a command without a terminal.
func command(line string, options ...string) func(t *testing.T, s *server) bool {
	return func(t *testing.T, s *server) bool {
		in := ""
		if line == "" {
			in = "touch in\n"
		}
		var words []string
		if line != "" {
			words = []string{line}
		}
		_, _, _ = output(s.ssh(options, words...), in)
		return s.marked()
	}
}

// terminal tries a command at a terminal.
func terminal(line string) func(t *testing.T, s *server) bool {
	return func(t *testing.T, s *server) bool {
		atTerminal(t, led(s.ssh([]string{"-t"}, line))).end()
		return s.marked()
	}
}

// led runs a client below a leader.
func led(cmd *exec.Cmd) *exec.Cmd {
	return exec.Command("sh", append([]string{"-c", leader, "sh"}, cmd.Args...)...)
}

// reachUntil is reach that gives up when a program has ended.
func reachUntil(t *testing.T, port string, ended <-chan struct{}) string {
	t.Helper()
	for {
		select {
		case <-ended:
			return ""
		default:
		}
		if got, err := dial(port); err == nil {
			return got
		}
	}
}

// hostileEnvironment is what a client may send to a server that takes anything.
var hostileEnvironment = []string{
	"BASH_ENV=/home/ana/env", "ENV=/home/ana/env", "LD_PRELOAD=/home/ana/in.so", "LD_AUDIT=/home/ana/in.so", "LD_LIBRARY_PATH=/home/ana",
	"GODEBUG=inittrace=1,gctrace=1", "GODEBUG=netdns=cgo+9", "GODEBUG=fips140=only", "GODEBUG=asynctimerchan=1", "GODEBUG=x=\x1b", "GOTRACEBACK=crash", "GOTRACEBACK=wer",
	"GOMEMLIMIT=1", "GOMEMLIMIT=zzz", "GOGC=off", "GOGC=1", "GOMAXPROCS=64", "GOCOVERDIR=/home/ana", "GORACE=halt_on_error=0",
	"SHELL=/bin/sh", "KSD_TOKEN=guess", "KSD_TOKEN=" + strings.Repeat("x", 5000), "USER=root", "LOGNAME=root", "HOME=/", "TZ=:/home/ana/env", "PATH=/home/ana",
	"SSH_ORIGINAL_COMMAND=touch /home/ana/in", "TERM=garbage", "PS1=$(touch /home/ana/in)", "PROMPT_COMMAND=touch /home/ana/in", "SHELLOPTS=xtrace",
	"BASH_FUNC_id%%=() { touch /home/ana/in; }", "IFS=/", "LANG=../../x", "GCONV_PATH=/home/ana", "RES_OPTIONS=x", "LOCALDOMAIN=x",
}

// The environment opens nothing: each variable alone, with and without a
// terminal, and what a client sends to a server that takes anything.
func TestHostileEnvironment(t *testing.T) {
	b := newBox(t, nil)
	d := b.daemon(verdict(wire.Refuse, ""))
	b.home("env", "touch /home/ana/in\n", 0o644)
	s := newServer(t, b, "AcceptEnv LANG LC_* KSD_TOKEN", "AcceptEnv *", "AcceptEnv LANG LC_*", "AcceptEnv *")
	for _, v := range hostileEnvironment {
		argv := []string{"/usr/bin/env", "-C", "/home/ana", v, b.gate, "-c", "touch in"}
		if out, _, exit := output(b.CommandAs("ana", argv...), ""); exit == 0 || out != "" || b.marked() {
			t.Errorf("%s: let in; exit %d, %q", v, exit, out)
		}
		if exit, shown := b.at("ana", argv...).end(); exit == 0 || b.marked() {
			t.Errorf("%s: let in; exit %d, %q", v, exit, shown)
		}
	}
	for _, terminal := range []string{"-tt", "-T"} {
		cmd := s.ssh([]string{"-o", "SendEnv=BASH_ENV ENV LD_* GODEBUG GOTRACEBACK GOGC SHELL KSD_TOKEN USER LOGNAME HOME TZ PS1 PROMPT_COMMAND SHELLOPTS", terminal}, "touch in")
		cmd.Env = append(os.Environ(), hostileEnvironment...)
		if out, _, exit := output(cmd, ""); exit != 1 || s.marked() {
			t.Errorf("over ssh: let in; exit %d, %q", exit, out)
		}
	}
	// That they arrive at all, and go on to the shell of somebody let in.
	d.behave(verdict(wire.Accept, ""))
	cmd := s.ssh([]string{"-o", "SendEnv=GODEBUG", "-o", "SendEnv=KSD_TOKEN", "-T"}, `echo "$GODEBUG,$KSD_TOKEN,$SHELL"`)
	cmd.Env = append(os.Environ(), "GODEBUG=asynctimerchan=1", "KSD_TOKEN=abc")
	if out, complaint, _ := output(cmd, ""); out != "asynctimerchan=1,,/bin/bash\n" {
		t.Errorf("%q, %q", out, complaint)
	}
	if got := fmt.Sprint(d.asked()); !strings.Contains(got, " abc ") {
		t.Errorf("the token did not arrive: %s", got)
	}
}

// Every session of a connection is asked, also those that come over the
// connection of one that was let in (ControlMaster).
func TestSameConnection(t *testing.T) {
	b := newBox(t, nil)
	d := b.daemon(verdict(wire.Accept, ""))
	s := newServer(t, b)
	control := "ControlPath=" + filepath.Join(shortDir(t), "c")
	background(t, s.ssh([]string{"-M", "-N", "-o", control}))
	for { // until the first connection is up
		if _, _, exit := output(s.ssh([]string{"-o", control, "-O", "check"}), ""); exit == 0 {
			break
		}
	}
	if got := kind(d.asked()); got != "" {
		t.Errorf("a connection without a session was asked %q", got)
	}
	if out, complaint, exit := output(s.ssh([]string{"-o", control}, "echo in"), ""); exit != 0 || out != "in\n" {
		t.Fatalf("exit %d, %q %q", exit, out, complaint)
	}
	if exit, shown := atTerminal(t, led(s.ssh([]string{"-t", "-o", control}, "echo let in"))).end(); exit != 0 || !strings.Contains(shown, "let in") {
		t.Errorf("exit %d, %q", exit, shown)
	}
	d.behave(verdict(wire.Refuse, ""))
	if out, _, exit := output(s.ssh([]string{"-o", control}, "echo in"), ""); exit != 1 || out != "" {
		t.Errorf("the third: exit %d, %q", exit, out)
	}
	if exit, shown := atTerminal(t, led(s.ssh([]string{"-t", "-o", control}, "touch in"))).end(); exit != 1 || s.marked() {
		t.Errorf("the fourth: exit %d, %q", exit, shown)
	}
	if got := kind(d.asked()); got != "none terminal" {
		t.Errorf("the last two were asked %q", got)
	}
}
