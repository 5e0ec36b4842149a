package login

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ksd/internal/wire"
)

// hostileStarts are ways to start the gate that its caller may choose, in sh.
// None lets anybody in where the daemon refuses, and those that work let an
// honest person in where it accepts.
var hostileStarts = []struct {
	prefix string
	works  bool
}{
	{`exec <&-;`, true}, // without a terminal then: the daemon accepts that, too
	{`exec 1>&-;`, true},
	{`exec 2>&-;`, true},
	{`exec 1>&- 2>&-;`, true},
	{`exec <&- 1>&- 2>&-;`, true},
	{`exec </dev/null;`, true},
	{`exec </dev/full >/dev/full 2>&1;`, true},
	{`exec 2>/dev/full;`, true},
	{`exec 0</dev/tty;`, false}, // one way
	{`exec 0>/dev/tty;`, false},
	{`ulimit -n 0;`, false},
	{`ulimit -n 1;`, false},
	{`ulimit -n 2;`, false},
	{`ulimit -n 3;`, false},
	{`ulimit -n 4;`, false},
	{`ulimit -n 5;`, false},
	{`ulimit -n 6;`, false},
	{`ulimit -n 7;`, false},
	{`ulimit -n 32;`, true},
	{`ulimit -v 100000;`, false},
	{`ulimit -v 1000000;`, false},
	{`ulimit -u 0;`, false},
	{`ulimit -f 0;`, true},
	{`ulimit -c 0;`, true},
	{`ulimit -s 64;`, false},
	{`set -- env --ignore-signal "$@";`, true},
	{`set -- env --block-signal "$@";`, true},
	{`set -- env --block-signal --ignore-signal "$@";`, true},
	{`set -- env --ignore-signal=CHLD "$@";`, true},
	{`set -- env -i "$@";`, true},
	{`set -- env --chdir=/ "$@";`, true},
	{`set -- nice -n 19 "$@";`, true},
	{`set -- setsid -w "$@";`, true}, // without a controlling terminal
	{`set -- setsid -c -w "$@";`, false},
	{`set -- perl -e 'alarm 1; exec @ARGV' "$@";`, true},
	{`set -- perl -e 'exec { $ARGV[0] } "", @ARGV[1..$#ARGV]' "$@";`, true},
	{`set -- perl -e 'exec { $ARGV[0] } "-", @ARGV[1..$#ARGV]' "$@";`, true},
	{`set -- perl -e 'exec { $ARGV[0] } "ksd-login-nologin", @ARGV[1..$#ARGV]' "$@";`, false},
	{`set -- perl -e 'exec { $ARGV[0] } "ksd-login-", @ARGV[1..$#ARGV]' "$@";`, false},
	{`set -- perl -e 'exec { $ARGV[0] } "ksd-login-../../../bin/sh", @ARGV[1..$#ARGV]' "$@";`, true},
	{`umask 777;`, true},
	{`export X="$(head -c 100000 /dev/zero | tr '\0' x)";`, true},
}

func TestHostileStart(t *testing.T) {
	b := newBox(t, map[string]string{"ksd/ksd.toml": "[login]\nbreakglass = [\"ana\"]\n"})
	d := b.daemon(nil)
	for _, h := range hostileStarts {
		for _, code := range []wire.Code{wire.Refuse, wire.Accept} {
			d.behave(verdict(code, ""))
			s := b.at("ana", "sh", "-c", "cd /home/ana; "+h.prefix+` exec "$@"`, "sh", b.gate, "-c", "umask 022; /usr/bin/touch /home/ana/in")
			_, shown := s.end()
			in := b.marked()
			if code == wire.Refuse && in {
				t.Errorf("%s: let in: %q", h.prefix, shown)
			}
			if code == wire.Accept && h.works && !in {
				t.Errorf("%s: not let in: %q", h.prefix, shown)
			}
			if code == wire.Accept && !h.works && in {
				t.Logf("%s would work too", h.prefix)
			}
		}
	}
	if log := strings.Join(b.Log(), "\n"); strings.Contains(log, Name) {
		t.Errorf("the caller made it look as if the daemon were away: %q", log)
	}
}

// What the shell is given is what the gate was given.
func TestInherited(t *testing.T) {
	b := newBox(t, nil)
	b.daemon(verdict(wire.Accept, ""))
	// The state of a process, by itself: limits, umask, signals and descriptors.
	const state = `cat /proc/self/limits; umask; grep -E '^Sig(Blk|Ign)|^NoNewPrivs|^Umask' /proc/self/status; ls /proc/self/fd; pwd; echo "$A $B"; nice`
	for _, prefix := range []string{
		``,
		`ulimit -S -n 64;`,
		`ulimit -S -n 100; ulimit -H -n 200; umask 027; cd /;`,
		`exec 7</dev/null 9>/dev/null;`,
		`export A=1 B=2; set -- nice -n 3 "$@";`,
	} {
		run := func(program string) string {
			out, complaint, exit := output(b.CommandAs("ana", "sh", "-c", prefix+` exec "$@"`, "sh", program, "-c", state), "")
			if exit != 0 || complaint != "" {
				t.Errorf("%q %s: exit %d, %q", prefix, program, exit, complaint)
			}
			return out
		}
		if with, without := run(b.gate), run("/bin/bash"); with != without {
			t.Errorf("%q: with the gate\n%s\nwithout\n%s", prefix, with, without)
		}
	}
}

// A signal at any moment ends the attempt or does nothing; the terminal comes
// back.
func TestSignals(t *testing.T) {
	b := newBox(t, nil)
	d := b.daemon(nil)
	for _, sig := range []syscall.Signal{
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU,
		syscall.SIGALRM, syscall.SIGUSR1, syscall.SIGCHLD, syscall.SIGPIPE, syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGCONT, syscall.SIGKILL, 34, 64,
	} {
		began, sent := make(chan struct{}), make(chan struct{})
		d.behave(func(c *conversation) {
			close(began)
			<-sent
			if sig == syscall.SIGKILL || sig == syscall.SIGABRT || sig == syscall.SIGSEGV {
				c.waitForEnd() // the gate cannot mend the terminal: the daemon does
			}
			verdict(wire.Refuse, "")(c)
		})
		// A job of its own, as below su: the kernel stops nobody else.
		s := b.at("ana", "sh", "-c", `set -m; sh -c 'echo $$ >/home/ana/pid; exec "$@"' sh "$@"`, "sh", b.gate, "-c", "touch /home/ana/in")
		select {
		case <-began:
		case <-time.After(patience):
			t.Fatalf("%v: the gate did not ask", sig)
		}
		pid := b.pid()
		if err := syscall.Kill(pid, sig); err != nil {
			t.Fatal(err)
		}
		close(sent)
		exit, shown := s.end()
		if died := sig == 34 || sig == syscall.SIGKILL || sig == syscall.SIGABRT || sig == syscall.SIGSEGV; (exit == 1) == died || exit == 0 || b.marked() {
			t.Errorf("%v: exit %d, %q", sig, exit, shown)
		}
	}
}

func (b *box) pid() int {
	b.t.Helper()
	text, err := os.ReadFile(b.Path("/home/ana/pid"))
	if err != nil {
		b.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		b.t.Fatal(err)
	}
	return pid
}

// A storm of signals from the first instruction on, while the daemon refuses.
func TestSignalStorm(t *testing.T) {
	b := newBox(t, nil)
	b.daemon(verdict(wire.Refuse, ""))
	for _, sig := range []string{"HUP", "INT", "TERM", "TSTP", "CONT", "QUIT"} {
		storm := fmt.Sprintf(`"$@" & pid=$!; while kill -%s $pid 2>/dev/null; do kill -CONT $pid 2>/dev/null; done; wait $pid`, sig)
		for range 5 {
			out, _, exit := output(b.CommandAs("ana", "sh", "-c", storm, "sh", b.gate, "-c", "touch /home/ana/in"), "")
			if exit == 0 || b.marked() {
				t.Errorf("%s: exit %d, %q", sig, exit, out)
			}
		}
	}
}

// The daemon goes away while somebody types: the terminal comes back, nobody is
// let in, also no emergency account.
func TestDaemonDies(t *testing.T) {
	b := newBox(t, map[string]string{"ksd/ksd.toml": "[login]\nbreakglass = [\"ana\"]\n"})
	b.daemon(dies)
	if exit, shown := b.at("bob", "su", "-", "ana").password().end(); exit != 1 || !strings.Contains(shown, "broke off") {
		t.Errorf("exit %d, %q", exit, shown)
	}
}

// Nobody listens: one line, exit code 1; and in for an emergency account, with a
// line in the log.
func TestDaemonAway(t *testing.T) {
	for _, named := range []bool{false, true} {
		config := "[login]\nbreakglass = [\"bob\"]\n"
		if named {
			config = "[login]\nbreakglass = [\"bob\", \"ana\"]\n"
		}
		b := newBox(t, map[string]string{"ksd/ksd.toml": config})
		exit, shown := b.at("bob", "su", "-", "ana", "--session-command", "echo in as $(id -un)").password().end()
		if in := strings.Contains(shown, "in as ana"); in != named || (exit == 0) != named {
			t.Errorf("named %v: exit %d, %q", named, exit, shown)
		}
		log := strings.Join(b.Log(), "\n")
		if strings.Contains(log, "ana is let in without it") != named {
			t.Errorf("named %v: logged %q", named, log)
		}
		out, complaint, exit := output(b.CommandAs("ana", b.gate, "-c", "echo in"), "")
		if strings.Count(complaint, "\n") != 1 || (out == "in\n") != named || (exit == 0) != named {
			t.Errorf("named %v: exit %d, %q, %q", named, exit, out, complaint)
		}
		// Whoever may write the file could name themselves.
		if err := os.Chmod(b.Path("/etc/ksd/ksd.toml"), 0o666); err != nil {
			t.Fatal(err)
		}
		if out, complaint, exit := output(b.CommandAs("ana", b.gate, "-c", "echo in"), ""); exit != 1 || out != "" || !strings.Contains(complaint, "others than root may change it") {
			t.Errorf("untrusted: exit %d, %q, %q", exit, out, complaint)
		}
	}
}

// A terminal that cannot be typed at is not the same as none: nothing is asked,
// so nobody chooses the policy of those without one.
func TestTerminal(t *testing.T) {
	b := newBox(t, nil)
	d := b.daemon(verdict(wire.Accept, ""))
	for _, c := range []struct{ script, asked, say string }{
		{`"$@"`, "terminal", ""},
		{`set -m; "$@" & wait`, "", "foreground"},
		{`"$@" </dev/tty`, "", "redirecting"},
		{`"$@" 0>/dev/tty`, "", "redirecting"},
		{`"$@" <>/dev/tty`, "terminal", ""},
		{`"$@" </dev/null`, "none", ""},
		{`setsid -w "$@"`, "none", ""}, // the terminal of another session
	} {
		d.behave(verdict(wire.Accept, ""))
		_, shown := b.at("ana", "sh", "-c", c.script, "sh", b.gate, "-c", "touch /home/ana/in").end()
		if in := b.marked(); kind(d.asked()) != c.asked || in != (c.asked != "") || !strings.Contains(shown, c.say) {
			t.Errorf("%s: asked %q, want %q; in: %v; %q", c.script, kind(d.asked()), c.asked, in, shown)
		}
	}
}

// Installed with the rights of another, it starts no shell: that would have
// them, too.
func TestPrivileges(t *testing.T) {
	b := newBox(t, nil)
	d := b.daemon(verdict(wire.Accept, ""))
	gate, err := os.ReadFile(b.gate)
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o755 | os.ModeSetuid, 0o755 | os.ModeSetgid} {
		path := b.Path("/home/" + Name)
		if err := errors.Join(os.WriteFile(path, gate, 0o755), os.Chown(path, 0, 0), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		out, complaint, exit := output(b.CommandAs("ana", "/home/"+Name, "-c", "echo in"), "")
		if exit != 1 || out != "" || !strings.Contains(complaint, "set-user-ID") || len(d.asked()) > 0 {
			t.Errorf("%v: exit %d, %q, %q", mode, exit, out, complaint)
		}
	}
}
