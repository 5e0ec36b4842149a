package login

import (
	"strings"
	"testing"

	"ksd/internal/wire"
)

// Everything of the machine that starts something as ana, and what the gate
// makes of it. The daemon refuses at first and then accepts; bob has not the
// right to be let in by anything else.
func TestPrograms(t *testing.T) {
	b := newBox(t, nil)
	d := b.daemon(nil)
	for _, c := range []struct {
		name, by string
		argv     []string
		password bool
		asked    string // "" where the login shell has no part in it
		in       string // what is shown when somebody is let in
	}{
		{"su -", "bob", []string{"su", "-", "ana", "-c", "echo in as $(id -un), $0, $SHELL"}, true, "none", "in as ana, -bash, /bin/bash"},
		{"su", "bob", []string{"su", "ana", "-c", "echo in as $(id -un), $0, $SHELL"}, true, "none", "in as ana, bash, /bin/bash"},
		{"su in the session", "bob", []string{"su", "ana", "--session-command", "echo in as $(id -un), $0"}, true, "terminal", "in as ana, bash"},
		{"su --pty", "bob", []string{"su", "--pty", "-", "ana", "-c", "echo in as $(id -un), $0"}, true, "terminal", "in as ana, -bash"},
		{"su to the link", "bob", []string{"su", "dan", "--session-command", "echo in as $(id -un), $0, $SHELL"}, true, "terminal", "in as dan, dash, /bin/dash"},
		{"su -s by another", "bob", []string{"su", "-s", "/bin/sh", "ana", "--session-command", "echo in as $(id -un), $0"}, true, "terminal", "in as ana, bash"},
		{"su -m by another", "bob", []string{"env", "SHELL=/bin/sh", "su", "-m", "ana", "--session-command", "echo in as $(id -un), $0"}, true, "terminal", "in as ana, bash"},
		{"su by root", "root", []string{"su", "ana", "--session-command", "echo in as $(id -un)"}, false, "terminal", "in as ana"},
		{"su -s by root", "root", []string{"su", "-s", "/bin/sh", "ana", "-c", "echo in as $(id -un)"}, false, "", "in as ana"},
		{"runuser", "root", []string{"runuser", "-u", "ana", "--", "sh", "-c", "echo in as $(id -un)"}, false, "", "in as ana"},
		{"runuser -", "root", []string{"runuser", "-", "ana", "-c", "echo in as $(id -un)"}, false, "none", "in as ana"},
		{"sudo -i", "bob", []string{"sudo", "-iu", "ana", "echo", "in as", "ana"}, false, "terminal", "in as ana"},
		{"sudo", "bob", []string{"sudo", "-u", "ana", "sh", "-c", "echo in as $(id -un)"}, false, "", "in as ana"},
		{"sudo -s", "bob", []string{"sudo", "-u", "ana", "-s", "echo", "in as", "ana"}, false, "", "in as ana"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, code := range []wire.Code{wire.Refuse, wire.Accept} {
				d.behave(verdict(code, ""))
				s := b.at(c.by, c.argv...)
				if c.password {
					s.password()
				}
				exit, shown := s.end()
				in := code == wire.Accept || c.asked == ""
				if strings.Contains(shown, c.in) != in || (exit == 0) != in || (!in && exit != 1) {
					t.Errorf("%s: exit %d, screen %q", code, exit, shown)
				}
				if got := kind(d.asked()); got != c.asked {
					t.Errorf("%s: the daemon was asked %q, want %q", code, got, c.asked)
				}
			}
		})
	}
}

// Interactive shells, as a person has them: at login, in between, and what they
// start by SHELL.
func TestInteractive(t *testing.T) {
	b := newBox(t, nil)
	d := b.daemon(nil)
	for _, argv := range [][]string{{"su", "-", "ana"}, {"su", "ana"}, {"sudo", "-iu", "ana"}, {"login", "ana"}} {
		by := "bob"
		if argv[0] == "login" {
			by = "root"
		}
		d.behave(verdict(wire.Accept, ""))
		s := b.at(by, argv...)
		if argv[0] == "su" {
			s.password()
		}
		s.Await(t, "$ ")
		s.Press(t, "case $- in *i*) echo in-$(id -un)-$0; esac; exit 7\r")
		s.Await(t, "in-ana-")
		if exit, shown := s.end(); exit != 7 && argv[0] != "login" {
			t.Errorf("%q: exit %d, screen %q", argv, exit, shown)
		}
		if got := kind(d.asked()); got != "terminal" {
			t.Errorf("%q: the daemon was asked %q", argv, got)
		}
	}
}

// What an entry in /etc/shells opens: su -s and su -m by anybody with the
// password. docs/SSH.md therefore says to leave it out.
func TestListedIsWeaker(t *testing.T) {
	gate := program(t)
	b := newBox(t, map[string]string{"shells": "/bin/sh\n/bin/bash\n" + gate + "\n"})
	d := b.daemon(nil)
	for _, argv := range [][]string{
		{"su", "-s", "/bin/sh", "ana", "-c", "echo in as $(id -un)"},
		{"env", "SHELL=/bin/sh", "su", "-m", "ana", "-c", "echo in as $(id -un)"},
	} {
		d.behave(verdict(wire.Refuse, ""))
		exit, shown := b.at("bob", argv...).password().end()
		if exit != 0 || !strings.Contains(shown, "in as ana") || len(d.asked()) != 0 {
			t.Errorf("%q: exit %d, screen %q, asked %d times: it is not weaker any more; correct docs/SSH.md", argv, exit, shown, len(d.asked()))
		}
	}
}

// Whether somebody can take the gate off, who has the password and runs
// commands as ana already.
func TestChsh(t *testing.T) {
	for _, listed := range []bool{false, true} {
		shells := "/bin/sh\n/bin/bash\n"
		if listed {
			shells += program(t) + "\n"
		}
		b := newBox(t, map[string]string{"shells": shells})
		b.at("ana", "chsh", "-s", "/bin/sh").passwordOrEnd()
		out, complaint, exit := output(b.Command("getent", "passwd", "ana"), "")
		if exit != 0 {
			t.Fatalf("getent: %s", complaint)
		}
		if off := strings.HasSuffix(strings.TrimSpace(out), ":/bin/sh"); off != listed {
			t.Errorf("listed %v: the gate was taken off: %v (%q)", listed, off, out)
		}
		// root puts it on, listed or not.
		if _, complaint, exit := output(b.Command("chsh", "-s", b.gate, "ana"), ""); exit != 0 {
			t.Errorf("listed %v: chsh by root: exit %d, %s", listed, exit, complaint)
		}
		if _, complaint, exit := output(b.Command("usermod", "--append", "--groups", "ksd-login", "--shell", b.gate, "bob"), ""); exit != 0 {
			t.Errorf("listed %v: usermod by root: exit %d, %s", listed, exit, complaint)
		}
	}
}

// passwordOrEnd answers a prompt for a password, if there is one.
func (s *screen) passwordOrEnd() {
	s.t.Helper()
	for {
		switch _, which := s.AwaitAny(s.t, "assword", "[exit "); which {
		case "assword":
			s.Press(s.t, "open sesame\r")
		default:
			s.Await(s.t, "]")
			return
		}
	}
}
