//go:build cgo

package pam

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ksd/internal/wire"
)

// Nobody there: the one case that fail= is about.
func TestUnreachable(t *testing.T) {
	b := plain().check(t)
	absent := filepath.Join(shortDir(t), "none", "login.sock")
	file := filepath.Join(shortDir(t), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	stream, err := net.Listen("unix", filepath.Join(shortDir(t), "stream.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stream.Close() })
	type entry struct {
		options string
		want    int
	}
	cases := map[string]entry{
		"absent":                 {"socket=" + absent, unavailable},
		"absent/open":            {"fail=open socket=" + absent, ignored},
		"absent/other options":   {"no_tty=ignore unenrolled=ignore socket=" + absent, unavailable},
		"dead":                   {"socket=" + deadSocket(t), unavailable},
		"dead/open":              {"fail=open socket=" + deadSocket(t), ignored},
		"a plain file/open":      {"fail=open socket=" + file, ignored}, // connect says ECONNREFUSED
		"a stream socket/open":   {"fail=open socket=" + stream.Addr().String(), authErr},
		"a folder in between":    {"fail=open socket=" + file + "/login.sock", authErr},
		"a loop of links/open":   {"fail=open socket=" + loop(t), authErr},
		"full queue/interrupted": {"fail=open timeout=1 socket=" + fullQueue(t), authErr},
		"full queue/open":        {"fail=open timeout=1 socket=" + fullQueue(t), authErr},
	}
	if os.Geteuid() != 0 { // root may enter every folder
		cases["not to be entered/all"] = entry{lenient + " socket=" + lockedFolder(t), authErr}
	}
	for name, e := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flags := ""
			if strings.HasSuffix(name, "/interrupted") {
				flags = "-i"
			}
			text := ""
			if strings.HasPrefix(name, "full queue") {
				text = "error: The typing check did not answer"
			}
			b.at(t, e.options, flags).wait().check(t, e.want, text)
		})
	}
}

// A daemon that hangs up before the terminal was handed over.
func TestHangUp(t *testing.T) {
	b := plain().check(t)
	path := filepath.Join(shortDir(t), "login.sock")
	l, err := listenAs(path, -1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	b.at(t, lenient+" socket="+path, "-h").wait().check(t, authErr, "error: The typing check failed")
}

// With descriptors 0 to 2 closed, what the host prints does not land in the
// conversation with the daemon.
func TestClosedStdio(t *testing.T) {
	b := plain().check(t)
	for code, want := range map[wire.Code]int{wire.Accept: success, wire.Cancelled: authErr} {
		quiet := make(chan bool, 1)
		d := (&fakeDaemon{uid: -1, run: func(c *conversation) {
			c.text(false, "one")
			c.text(true, "two")
			verdict(code)(c)
			quiet <- c.waitForEnd()
		}}).start(t)
		x := open(t, exec.Command("sh", "-c", leader, "sh", "sh", "-c", `exec "$@" <&- >&- 2>&-`, "sh",
			b.host, b.stack(t, lenient+" socket="+d.path), "test", me(t)))
		x.wait().check(t, want, "-")
		if !<-quiet {
			t.Error("the daemon was sent more than the first packet")
		}
	}
}

func loop(t *testing.T) string {
	path := filepath.Join(shortDir(t), "loop")
	if err := os.Symlink(path, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func lockedFolder(t *testing.T) string {
	dir := filepath.Join(shortDir(t), "locked")
	if err := os.Mkdir(dir, 0); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "login.sock")
}

// fullQueue is a socket whose owner accepts nobody and whose queue is full.
func fullQueue(t *testing.T) string {
	t.Helper()
	path := filepath.Join(shortDir(t), "login.sock")
	l, err := listenAs(path, -1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		switch err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err {
		case nil:
		case unix.EAGAIN:
			return path
		default:
			t.Fatal(err)
		}
	}
}

// A server that is neither root, nor ksd, nor us gets no terminal.
func TestWrongServer(t *testing.T) {
	b := plain().check(t)
	if os.Geteuid() != 0 {
		t.Skip("only root can listen as somebody else")
	}
	d := (&fakeDaemon{uid: 65534, run: verdict(wire.Accept)}).start(t)
	b.at(t, lenient+" socket="+d.path, "").wait().check(t, authErr, "error: The typing check failed")
	if _, n := d.last(); n != 0 {
		t.Error("the stranger was handed a terminal")
	}
}

// Without a terminal the answer comes at once, whatever the timeout.
func TestNoTerminal(t *testing.T) {
	b := plain().check(t)
	d := (&fakeDaemon{uid: -1, run: verdict(wire.Accept)}).start(t)
	for options, want := range map[string]int{
		"": authErr, "no_tty=deny fail=open unenrolled=ignore": authErr, "no_tty=ignore": ignored,
	} {
		for _, fork := range []string{"", "-f"} {
			argv := append(strings.Fields(fork), b.stack(t, "timeout=600 socket="+d.path+" "+options), "test", me(t))
			cmd := exec.Command(b.host, argv...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
			out, _ := cmd.Output()
			if !late.Stop() || cmd.ProcessState.ExitCode() != want {
				t.Errorf("%q %s: %v, want status %d", options, fork, cmd.ProcessState, want)
			}
			if said := strings.Contains(string(out), "error: The typing check needs a terminal"); said != (want == authErr) {
				t.Errorf("%q %s: said %q", options, fork, out)
			}
		}
	}
	if _, n := d.last(); n != 0 {
		t.Error("the daemon was asked")
	}
}

// A new session has no /dev/tty, but descriptor 0 may still be a terminal, as
// for sudo below su -c.
func TestTerminalOnStdin(t *testing.T) {
	b := plain().check(t)
	d := (&fakeDaemon{uid: -1, run: verdict(wire.Accept)}).start(t)
	conf := b.stack(t, lenient+" socket="+d.path)
	for redirect, want := range map[string]int{"": success, "</dev/null": ignored, "<&-": ignored, "<$tty": ignored} { // the last can be read only
		x := open(t, exec.Command("sh", "-c", leader, "sh", "sh", "-c", `tty=$(tty); exec setsid -w "$@" `+redirect, "sh", b.host, conf, "test", me(t)))
		x.wait().check(t, want, "")
	}
}

// However few descriptors the caller leaves, and at whichever call they run
// out, that is neither "no terminal" nor "no daemon" nor a success.
func TestDescriptorLimit(t *testing.T) {
	b := plain().check(t)
	refusing := (&fakeDaemon{uid: -1, run: verdict(wire.Cancelled)}).start(t)
	accepting := (&fakeDaemon{uid: -1, run: verdict(wire.Accept)}).start(t)
	run := func(start, redirect string, limit int, d *fakeDaemon) result {
		script := fmt.Sprintf(`exec %s "$0" -l %d "$@" %s`, start, limit, redirect)
		return open(t, exec.Command("sh", "-c", leader, "sh", "sh", "-c", script,
			b.host, b.stack(t, lenient+" socket="+d.path), "test", me(t))).wait()
	}
	for _, way := range []struct{ start, redirect string }{
		{"", ""}, {"", "</dev/null"}, {"", "<&- >&- 2>&-"}, {"setsid -w", ""}, {"setsid -w", ">&- 2>&-"},
	} {
		let := 0
		for limit := range 12 {
			for d, denials := range map[*fakeDaemon][]int{
				refusing: {authErr, systemErr}, accepting: {success, authErr, systemErr}, // libpam denies without its audit socket
			} {
				r := run(way.start, way.redirect, limit, d)
				if !slices.Contains(denials, r.status) {
					t.Errorf("%q, %d descriptors: status %d, want one of %d; screen: %q", way, limit, r.status, denials, r.output)
				}
				if r.status == success {
					let++
				}
				r.sameSettings(t)
			}
		}
		if let == 0 || let == 12 {
			t.Errorf("%q: %d of 12 limits let the accepted person in: the test shows nothing", way, let)
		}
	}
}

// The daemon must not be held by a write to the terminal, and nobody else who
// has it open may find it changed.
func TestTerminalDoesNotBlock(t *testing.T) {
	b := plain().check(t)
	handed := make(chan int, 1)
	d := (&fakeDaemon{uid: -1, run: func(c *conversation) {
		flags := 0
		if raw, err := c.tty.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { flags, _ = unix.FcntlInt(fd, unix.F_GETFL, 0) })
		}
		handed <- flags
		verdict(wire.Accept)(c)
	}}).start(t)
	script := `"$@"; code=$?; grep ^flags: /proc/self/fdinfo/0; exit $code`
	r := open(t, exec.Command("sh", "-c", leader, "sh", "sh", "-c", script, "sh",
		b.host, b.stack(t, "socket="+d.path), "test", me(t))).wait()
	r.check(t, success, "")
	if flags := <-handed; flags&unix.O_NONBLOCK == 0 || flags&unix.O_ACCMODE != unix.O_RDWR {
		t.Errorf("the daemon was handed a terminal with flags %#o, want it not to block", flags)
	}
	var flags int
	_, after, _ := strings.Cut(r.output, "flags:")
	if _, err := fmt.Sscanf(after, "%o", &flags); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("the host's own terminal has flags %#o (%v): %q", flags, err, r.output)
	}
}

// What the daemon is told about the attempt.
func TestHello(t *testing.T) {
	b := plain().check(t)
	uid := fmt.Sprintf("uid:%d", os.Getuid())
	host, tty := "host:2001:db8::1", "tty:pts/7"
	if os.Getuid() != 0 { // a user cannot choose where it comes from
		host, tty = uid, uid
	}
	for env, want := range map[string]string{
		"TERM=": uid, "TERM=dumb": uid, "TERM=xterm-kitty": uid, "TERM=../x": uid, "TERM=x\x1b[2J": uid,
		"TERM=" + strings.Repeat("x", 64): uid, "TERM=" + strings.Repeat("x", 65): uid,
		"": uid, "RHOST=2001:db8::1": host, "TTY=/dev/pts/7": tty,
		"RHOST=2001:db8::1 TTY=ssh": host, "RHOST=": uid,
	} {
		d := (&fakeDaemon{uid: -1, run: verdict(wire.Accept)}).start(t)
		argv := led(b.host, "-s", b.stack(t, "socket="+d.path), "test", me(t))
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = append(os.Environ(), "TERM=vt100")
		cmd.Env = append(cmd.Env, strings.Fields(env)...)
		term := "vt100"
		if after, ok := strings.CutPrefix(env, "TERM="); ok {
			if term = after; !wire.CleanTerm(term) {
				term = ""
			}
		}
		open(t, cmd).wait().check(t, success, "-")
		h, _ := d.last()
		if h != (wire.Hello{User: me(t), Service: "test", Source: want, Silent: true, Term: term}) {
			t.Errorf("%q: the daemon was told %+v, want source %q and term %q", env, h, want, term)
		}
	}
}

// Values that cannot be sent end in a refusal.
func TestUnsendable(t *testing.T) {
	b := plain().check(t)
	d := (&fakeDaemon{uid: -1, run: verdict(wire.Accept)}).start(t)
	for _, user := range []string{"a\nb", "\x1b[2J", "caf\xe9", strings.Repeat("x", wire.MaxPacket)} {
		argv := led(b.host, b.stack(t, lenient+" socket="+d.path), "test", user)
		open(t, exec.Command(argv[0], argv[1:]...)).wait().check(t, authErr, "error: The typing check failed")
	}
	if _, n := d.last(); n != 0 {
		t.Error("the daemon was asked")
	}
}

// When the host is killed the daemon sees the end of the conversation, which
// is its sign to mend the terminal.
func TestHostKilled(t *testing.T) {
	b := plain().check(t)
	began, ended := make(chan struct{}), make(chan bool, 1)
	d := (&fakeDaemon{uid: -1, run: func(c *conversation) {
		close(began)
		saw := c.waitForEnd()
		c.restore()
		ended <- saw
	}}).start(t)
	pid := filepath.Join(t.TempDir(), "pid")
	x := open(t, exec.Command("sh", "-c", leader, "sh", "sh", "-c", `echo $$ >`+pid+`; exec "$@"`, "sh",
		b.host, b.stack(t, "socket="+d.path), "test", me(t)))
	<-began
	kill(t, pid)
	if !<-ended {
		t.Error("the daemon did not see the end")
	}
	if r := x.wait(); r.status != 128+int(syscall.SIGKILL) {
		t.Errorf("status %d", r.status)
	}
}

// kill sends SIGKILL to the process whose number a file holds.
func kill(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(b), &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// A background job is stopped at the prompt, as any program that asks for a
// password is, and does not take the keys meant for the shell.
func TestBackground(t *testing.T) {
	b := plain().check(t)
	d := (&fakeDaemon{uid: -1, run: verdict(wire.Accept)}).start(t)
	dir := t.TempDir()
	x := open(t, exec.Command("sh", "-c", leader, "sh", "sh", "-c",
		`set -m; "$@" & while read -r pid name state rest </proc/$!/stat; do case $state in T|Z) break; esac; done; echo $state >`+filepath.Join(dir, "state")+`; fg`, "sh",
		b.host, b.stack(t, "socket="+d.path), "test", me(t)))
	x.wait().check(t, success, "")
	if state, err := os.ReadFile(filepath.Join(dir, "state")); err != nil || string(state) != "T\n" {
		t.Errorf("in the background its state was %q, %v; want stopped", state, err)
	}
}
