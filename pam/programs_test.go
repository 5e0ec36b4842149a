//go:build cgo

package pam

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"ksd/internal/ksdtest/sandbox"
	"ksd/internal/wire"
)

// program is one of the machine's own programs in a sandbox.
type program struct {
	name   string
	by     string   // who runs it
	argv   []string // what it runs; all end in bob's shell
	user   string   // whose rhythm it asks for
	source *regexp.Regexp
}

var programs = []program{
	{"su", "alice", []string{"su", "bob"}, "bob", regexp.MustCompile(`^uid:2001$`)},
	{"sudo", "alice", []string{"sudo", "-u", "bob", "/etc/shell"}, "alice", regexp.MustCompile(`^uid:2001$`)},
	{"login", "root", []string{"login", "bob"}, "bob", regexp.MustCompile(`^tty:pts/\d+$`)},
}

const ksdUID = 2100 // of the daemon's account in the sandbox

// box is a sandbox with alice and bob, who have a password, carol, who has
// none and whose shell is echo, which starts where a real shell lacks the
// descriptors, and the daemon's account. A login by bob prints "in as bob".
func box(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	b := plain().check(t)
	users := []sandbox.User{
		{Name: "alice", UID: 2001},
		{Name: "bob", UID: 2002, Shell: "/etc/shell"},
		{Name: "carol", UID: 2003, Shell: "/bin/echo", NoPassword: true},
		{Name: "ksd", UID: ksdUID, Shell: "/usr/sbin/nologin"},
	}
	files := map[string]string{
		"shell":      "#!/bin/sh\necho in as $(id -un)\n",
		"login.defs": "FAIL_DELAY 0\nLOGIN_RETRIES 1\nLOGIN_TIMEOUT 60\nTTYPERM 0600\n",
		"sudoers":    "Defaults lecture=never, timestamp_timeout=0, passwd_tries=1\nalice ALL=(ALL) ALL\n",
	}
	for _, service := range []string{"su", "sudo", "login", "sshd"} {
		files["pam.d/"+service] = pamFile(b.module, "")
	}
	s := sandbox.New(t, sandbox.Config{Users: users, Files: files})
	if err := os.Mkdir(s.Path("/run/ksd"), 0o755); err != nil {
		t.Fatal(err)
	}
	return s
}

// pamFile is a PAM file with the module as docs/PAM.md has it: required, after
// the password, and in every other phase as well.
func pamFile(module, options string) string {
	return fmt.Sprintf(`auth requisite pam_unix.so nullok nodelay
auth required %[1]s %[2]s
account required pam_unix.so
account required %[1]s
session required pam_permit.so
session required %[1]s
password required %[1]s
`, module, options)
}

// configure gives a service of the sandbox new options.
func configure(t *testing.T, s *sandbox.Sandbox, service, options string) {
	t.Helper()
	if err := os.WriteFile(s.Path("/etc/pam.d/"+service), []byte(pamFile(plain().module, options)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// as runs argv below a leader in the sandbox.
func as(s *sandbox.Sandbox, user string, argv ...string) *exec.Cmd {
	return s.CommandAs(user, led(argv...)...)
}

// moduleLines are the lines of the log that the module wrote.
func moduleLines(s *sandbox.Sandbox) []string {
	var lines []string
	for _, l := range s.Log() {
		if strings.Contains(l, "pam_ksd(") {
			lines = append(lines, l)
		}
	}
	return lines
}

func TestPrograms(t *testing.T) {
	absent := script(nil)
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			s := box(t)
			t.Parallel()
			for _, e := range []struct {
				name    string
				run     script
				options string
				in      bool
				log     string
			}{
				{"accept", verdict(wire.Accept), "", true, `outcome=accept result="accepted"`},
				{"refuse", verdict(wire.Refuse), lenient, false, `outcome=refuse result="denied"`},
				{"locked", verdict(wire.Locked), lenient, false, `outcome=locked result="denied"`},
				{"unenrolled", verdict(wire.Unenrolled), "", false, `outcome=unenrolled result="denied"`},
				{"unenrolled=ignore", verdict(wire.Unenrolled), "unenrolled=ignore", true, `outcome=unenrolled result="SKIPPED by configuration"`},
				{"absent", absent, "", false, `outcome=no-socket result="denied as unavailable"`},
				{"absent, fail=open", absent, "fail=open", true, `outcome=no-socket result="SKIPPED by configuration"`},
				{"dies halfway", raw(), lenient, false, `outcome=broken-off result="denied"`},
				{"no answer", silent, lenient + " timeout=1", false, `outcome=no-answer result="denied"`},
				{"lies", raw("Vcode=sure\x00"), lenient, false, `outcome=malformed result="denied"`},
				{"bad option", verdict(wire.Accept), lenient + " nullok", false, `option "nullok" is unknown`},
			} {
				t.Run(e.name, func(t *testing.T) {
					configure(t, s, p.name, e.options)
					p.try(t, s, e.run, e.in, e.log)
				})
			}
		})
	}
}

// try runs the program once against a daemon that follows a script.
func (p program) try(t *testing.T, s *sandbox.Sandbox, run script, in bool, log string) {
	t.Helper()
	socket := s.Path("/run/ksd/login.sock")
	d := &fakeDaemon{path: socket, uid: ksdUID, run: run}
	if run != nil {
		d.start(t)
	}
	x := open(t, as(s, p.by, p.argv...))
	x.expect("assword")
	x.typeLine(sandbox.Password)
	r := x.wait()
	if got := strings.Contains(r.output, "in as bob"); got != in || (r.status == 0) != (in || p.name == "login") { // login reports nothing
		t.Errorf("status %d, screen %q; let in: %v, want %v", r.status, r.output, got, in)
	}
	if p.name != "login" { // which sets up the terminal for itself
		r.sameSettings(t)
	}
	lines := moduleLines(s)
	if len(lines) != 1 || !strings.Contains(lines[0], log) {
		t.Errorf("the module logged %q, want one line with %s", lines, log)
	}
	h, n := d.last()
	if n != 0 && (h.User != p.user || h.Service != p.name || !p.source.MatchString(h.Source) || h.Silent != (p.name == "sudo")) {
		t.Errorf("the daemon was told %+v", h)
	}
}

// A wrong password ends the attempt before the rhythm is asked for, and the
// rhythm does not replace the password.
func TestPasswordFirst(t *testing.T) {
	s := box(t)
	t.Parallel()
	d := (&fakeDaemon{path: s.Path("/run/ksd/login.sock"), uid: ksdUID, run: verdict(wire.Accept)}).start(t)
	for _, p := range programs {
		x := open(t, as(s, p.by, p.argv...))
		x.expect("assword")
		x.typeLine("wrong")
		if r := x.wait(); strings.Contains(r.output, "in as") {
			t.Errorf("%s: status %d, screen %q", p.name, r.status, r.output)
		}
	}
	if _, n := d.last(); n != 0 {
		t.Errorf("the daemon was asked %d times", n)
	}
}

// Killed in the middle, a real program leaves the mending to the daemon, which
// sees the end at once.
func TestProgramsKilled(t *testing.T) {
	s := box(t)
	t.Parallel()
	for _, p := range programs {
		began, ended := make(chan struct{}), make(chan bool, 1)
		d := (&fakeDaemon{path: s.Path("/run/" + p.name), uid: ksdUID, run: func(c *conversation) {
			close(began)
			saw := c.waitForEnd()
			c.restore()
			ended <- saw
		}}).start(t)
		configure(t, s, p.name, "socket=/run/"+p.name)
		pid := "/run/pid/" + p.name
		if err := os.MkdirAll(s.Path("/run/pid"), 0o777); err != nil {
			t.Fatal(err)
		}
		os.Chmod(s.Path("/run/pid"), 0o777)
		x := open(t, as(s, p.by, append([]string{"sh", "-c", `echo $$ >` + pid + `; exec "$@"`, "sh"}, p.argv...)...))
		x.expect("assword")
		x.typeLine(sandbox.Password)
		<-began
		kill(t, s.Path(pid))
		if !<-ended {
			t.Errorf("%s: the daemon did not see the end", p.name)
		}
		if r := x.wait(); r.status != 128+int(syscall.SIGKILL) || strings.Contains(r.output, "in as") {
			t.Errorf("%s: status %d, screen %q", p.name, r.status, r.output)
		}
		if _, n := d.last(); n != 1 {
			t.Errorf("%s: %d conversations", p.name, n)
		}
	}
}

// No terminal at all: refused at once, and said plainly, whatever the timeout.
func TestProgramsWithoutTerminal(t *testing.T) {
	s := box(t)
	t.Parallel()
	d := (&fakeDaemon{path: s.Path("/run/ksd/login.sock"), uid: ksdUID, run: verdict(wire.Accept)}).start(t)
	for options, in := range map[string]bool{"timeout=600": false, "timeout=600 no_tty=ignore": true} {
		configure(t, s, "su", options)
		configure(t, s, "sudo", options)
		for _, argv := range [][]string{{"su", "bob"}, {"sudo", "-S", "-u", "bob", "/etc/shell"}} {
			cmd := s.CommandAs("alice", append([]string{"timeout", "-s", "KILL", "20", "setsid", "-w"}, argv...)...)
			cmd.Stdin = strings.NewReader(sandbox.Password + "\n")
			out, err := cmd.CombinedOutput()
			if got := strings.Contains(string(out), "in as bob"); got != in || (err == nil) != in {
				t.Errorf("%q %q: %q, %v", options, argv, out, err)
			}
			if argv[0] == "su" && !in && !strings.Contains(string(out), "needs a terminal") { // sudo sets PAM_SILENT
				t.Errorf("%q: no word of the reason in %q", argv, out)
			}
			if lines := moduleLines(s); len(lines) != 1 || !strings.Contains(lines[0], "outcome=no-tty") {
				t.Errorf("the module logged %q", lines)
			}
		}
	}
	if _, n := d.last(); n != 0 {
		t.Error("the daemon was asked")
	}
}

// sudo below su -c has no controlling terminal, but its input is one.
func TestSudoBelowSu(t *testing.T) {
	s := box(t)
	t.Parallel()
	d := (&fakeDaemon{path: s.Path("/run/ksd/login.sock"), uid: ksdUID, run: verdict(wire.Accept)}).start(t)
	x := open(t, as(s, "root", "su", "alice", "-s", "/bin/sh", "-c", "sudo -S -u bob /etc/shell"))
	for range 2 {
		x.expect("assword")
		x.typeLine(sandbox.Password)
	}
	if r := x.wait(); r.status != 0 || !strings.Contains(r.output, "in as bob") {
		t.Errorf("status %d, screen %q", r.status, r.output)
	}
	if _, n := d.last(); n != 2 {
		t.Errorf("%d conversations, want two", n)
	}
}

// hostile are ways to start su that a user may choose. None may be let in by
// a daemon that refuses, however lenient the options are, and those marked
// must still work for an honest person.
var hostile = []struct {
	prefix string
	works  bool
}{
	{`ulimit -n 0;`, false},
	{`ulimit -n 1;`, false},
	{`ulimit -n 2;`, false},
	{`ulimit -n 3;`, false},
	{`ulimit -n 4;`, false},
	{`ulimit -n 5;`, false},
	{`ulimit -n 6;`, false},
	{`ulimit -n 7;`, true},
	{`ulimit -n 8;`, true},
	{`ulimit -n 16;`, true},
	{`ulimit -v 3000;`, false},
	{`ulimit -v 5000;`, false},
	{`ulimit -v 7000;`, false},
	{`ulimit -v 300000;`, true},
	{`ulimit -s 16;`, false},
	{`ulimit -d 0;`, false},
	{`ulimit -f 0;`, true},
	{`ulimit -c 0;`, true},
	{`exec 1>&-;`, false},
	{`exec 2>&-;`, true},
	{`exec 1>&- 2>&-;`, false},
	{`exec <&- 1>&- 2>&-;`, false},
	{`exec <&-;`, true},
	{`exec 3</dev/null 4<&3 5<&3 6<&3; ulimit -n 7;`, false},
	{`set -- env --ignore-signal=CHLD "$@";`, true},
	{`set -- env --ignore-signal "$@";`, true},
	{`set -- env --block-signal "$@";`, true},
	{`set -- env --block-signal=ALRM,PIPE,CHLD,TTOU,TTIN "$@";`, true},
	{`set -- env -i "$@";`, true},
	{`export LANG=../../x LC_ALL=%n%n TZ=:/dev/tty GODEBUG=inittrace=1 GOMEMLIMIT=zzz LD_PRELOAD=/none.so GCONV_PATH=/tmp MALLOC_CHECK_=3;`, true},
	{`export X="$(head -c 100000 /dev/zero | tr '\0' x)";`, true},
	{`set -- perl -e 'alarm 1; exec @ARGV' "$@";`, true},
	{`set -- nice -n 19 "$@";`, true},
	{`umask 777;`, true},
	{`cd /proc/self;`, true},
}

func TestHostileCaller(t *testing.T) {
	s := box(t)
	t.Parallel()
	(&fakeDaemon{path: s.Path("/run/refusing"), uid: ksdUID, run: verdict(wire.Cancelled)}).start(t)
	(&fakeDaemon{path: s.Path("/run/accepting"), uid: ksdUID, run: verdict(wire.Accept)}).start(t)
	su := []string{"su", "carol", "-c", "in as carol"} // without a password, so that the rhythm alone decides
	run := func(prefix string) result {
		return open(t, as(s, "alice", append([]string{"sh", "-c", prefix + ` exec "$@"`, "sh"}, su...)...)).wait()
	}
	configure(t, s, "su", lenient+" socket=/run/refusing")
	for _, h := range hostile {
		r := run(h.prefix)
		if r.status == 0 || strings.Contains(r.output, "in as") {
			t.Errorf("%s: let in: status %d, screen %q", h.prefix, r.status, r.output)
		}
	}
	for _, l := range moduleLines(s) {
		if strings.Contains(l, "SKIPPED") || strings.Contains(l, "unavailable") {
			t.Errorf("the caller made the module log %q", l)
		}
	}
	configure(t, s, "su", lenient+" socket=/run/accepting")
	for _, h := range hostile {
		if r := run(h.prefix); h.works && (r.status != 0 || !strings.Contains(r.output, "in as carol")) {
			t.Errorf("%s: not let in: status %d, screen %q", h.prefix, r.status, r.output)
		} else if !h.works && strings.Contains(r.output, "in as") {
			t.Logf("%s would work too", h.prefix)
		}
	}
}
