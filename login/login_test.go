package login

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"ksd/internal/wire"
)

// started is what the gate became.
type started struct {
	path      string
	argv, env []string
}

// attempt is a gate in a world of the test's own: its account is ana, its shell
// /bin/sh, its daemon the one at socket.
type attempt struct {
	World
	stderr  bytes.Buffer
	log     []string
	started *started
}

func newAttempt(t *testing.T, args ...string) *attempt {
	t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = null.Close() })
	a := &attempt{}
	a.World = World{
		Args: args, Environ: []string{"TERM=xterm"}, UID: 1000, Stdin: null, Stderr: &a.stderr,
		Terminal: func(*os.File) (bool, error) { return false, nil },
		Account:  func(context.Context, int) (string, error) { return "ana", nil },
		Config:   "/nonexistent/ksd.toml", Shells: "/nonexistent/shells",
		Log: func(line string) error { a.log = append(a.log, line); return nil },
		Exec: func(path string, argv, env []string) error {
			a.started = &started{path, argv, env}
			return errors.New("it only pretends")
		},
	}
	return a
}

// atTerminal gives the attempt a terminal.
func (a *attempt) atTerminal(t *testing.T) *os.File {
	t.Helper()
	ptmx, tty, err := pty.Open()
	if err != nil {
		t.Skip("no pseudo-terminal:", err)
	}
	t.Cleanup(func() { _ = tty.Close(); _ = ptmx.Close() })
	a.Stdin = tty
	a.Terminal = func(*os.File) (bool, error) { return true, nil }
	return tty
}

// with has the attempt find its settings as they would be read.
func (a *attempt) ask(ctx context.Context, s settings) int {
	g := gate{World: a.World, settings: s, user: "ana"}
	err := g.enter(ctx)
	if !g.told {
		g.say(advice(err))
	}
	return 1
}

// Every verdict, and every way not to get one, at a terminal and without one.
// Nobody gets in but by Accept, the terminal is as it was, and one line says why.
func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		name     string
		run      func(*conversation)
		in       bool
		at, none string // what the line says, at a terminal and without
	}{
		{"refuse", verdict(wire.Refuse, ""), false, "not let in (refuse)", `"ssh -t"`},
		{"refuse, said by the daemon", verdict(wire.Refuse, "ksd: not recognised"), false, "ksd: not recognised\n", "ksd: not recognised\n"},
		{"locked", verdict(wire.Locked, "ksd: wait"), false, "ksd: wait\n", "ksd: wait\n"},
		{"unenrolled", verdict(wire.Unenrolled, ""), false, "ksd-enroll", "ksd-enroll"},
		{"cancelled", verdict(wire.Cancelled, ""), false, "stopped", "stopped"},
		{"timeout", verdict(wire.Timeout, ""), false, "timeout", `"ssh -t"`},
		{"unusable", verdict(wire.Unusable, ""), false, "unusable", `"ssh -t"`},
		{"failed", verdict(wire.Failed, ""), false, "failed", `"ssh -t"`},
		{"dies", dies, false, "broke off", "broke off"},
		{"dies after a text", func(c *conversation) {
			c.send(wire.EncodeText(wire.Text{Text: "ksd: hello"}))
		}, false, "broke off", "broke off"},
		{"lies", func(c *conversation) { _, _ = c.Write([]byte("Vcode=sure\x00")) }, false, "malformed", "malformed"},
		{"half a yes", func(c *conversation) { _, _ = c.Write([]byte("Vcode=accept")) }, false, "malformed", "malformed"},
		{"accept", verdict(wire.Accept, ""), true, "", ""},
		{"accept in spite of an error", verdict(wire.Accept, "ksd: mind the step"), true, "mind the step", "mind the step"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := (&fakeDaemon{run: c.run}).start(t)
			for _, terminal := range []bool{true, false} {
				a := newAttempt(t, "-ksd-login")
				say := c.none
				before := &unix.Termios{}
				if terminal {
					say = c.at
					tty := a.atTerminal(t)
					before = settingsOf(t, tty)
				}
				if exit := a.ask(t.Context(), settings{socket: d.path, shell: "/bin/sh"}); exit != 1 {
					t.Errorf("exit %d", exit)
				}
				if (a.started != nil) != c.in {
					t.Errorf("terminal %v: started %v, want %v", terminal, a.started, c.in)
				}
				if lines := strings.Count(a.stderr.String(), "\n"); !strings.Contains(a.stderr.String(), say) || (!c.in && lines != 1 && !strings.Contains(c.name, "text")) {
					t.Errorf("terminal %v: it said %q, want one line with %q", terminal, &a.stderr, say)
				}
				if terminal && *settingsOf(t, a.Stdin) != *before {
					t.Error("the terminal is not as it was")
				}
				if len(a.log) > 0 {
					t.Errorf("logged %q", a.log)
				}
			}
		})
	}
}

func settingsOf(t *testing.T, tty *os.File) *unix.Termios {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What the daemon is told: who, by the kernel; the terminal and its type, or a
// token, and never where from, because the environment alone knows that.
func TestOpenings(t *testing.T) {
	d := (&fakeDaemon{run: verdict(wire.Refuse, "")}).start(t)
	const source = "uid:1000"
	for _, c := range []struct {
		name     string
		terminal bool
		env      []string
		want     any
	}{
		{"terminal", true, []string{"TERM=xterm-kitty"}, wire.Hello{User: "ana", Service: Name, Source: source, Term: "xterm-kitty"}},
		{"terminal of no type", true, nil, wire.Hello{User: "ana", Service: Name, Source: source}},
		{"terminal of a hostile type", true, []string{"TERM=%n\x1b[2J"}, wire.Hello{User: "ana", Service: Name, Source: source}},
		{"another name and host", true, []string{"USER=root", "LOGNAME=root", "SSH_CONNECTION=1.2.3.4 5 6.7.8.9 22"}, wire.Hello{User: "ana", Service: Name, Source: source}},
		{"a token at a terminal", true, []string{"KSD_TOKEN=abc"}, wire.Hello{User: "ana", Service: Name, Source: source}},
		{"no terminal", false, []string{"TERM=xterm"}, wire.Request{User: "ana", Service: Name, Source: source}},
		{"a token", false, []string{"KSD_TOKEN=abc"}, wire.Request{User: "ana", Service: Name, Source: source, Token: "abc"}},
		{"two tokens", false, []string{"KSD_TOKEN=abc", "KSD_TOKEN=def"}, wire.Request{User: "ana", Service: Name, Source: source, Token: "abc"}},
		{"an empty token", false, []string{"KSD_TOKEN="}, wire.Request{User: "ana", Service: Name, Source: source}},
		{"a token that cannot be sent", false, []string{"KSD_TOKEN=a\x00v=1"}, nil},
		{"a token that is too long", false, []string{"KSD_TOKEN=" + strings.Repeat("x", 65)}, nil},
	} {
		d.behave(verdict(wire.Refuse, ""))
		a := newAttempt(t, "ksd-login", "-c", "id")
		a.Environ = c.env
		if c.terminal {
			a.atTerminal(t)
		}
		a.ask(t.Context(), settings{socket: d.path, shell: "/bin/sh"})
		want := []any{c.want}
		if c.want == nil {
			want = nil
		}
		if got := d.asked(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the daemon was told %+v, want %+v", c.name, got, want)
		}
		if a.started != nil {
			t.Errorf("%s: let in", c.name)
		}
	}
}

// Emergency accounts get in where nobody listens, and for no other reason.
func TestBreakglass(t *testing.T) {
	dir := shortDir(t)
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: stale, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	full, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: filepath.Join(dir, "stream"), Net: "unix"})
	if err == nil {
		_ = full.Close()
	}
	stream, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "stream"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	socket := func(run func(*conversation)) string { return (&fakeDaemon{run: run}).start(t).path }
	for _, c := range []struct {
		name, socket string
		accounts     []string
		in           bool
	}{
		{"no socket, nobody named", filepath.Join(dir, "none"), nil, false},
		{"no socket, others named", filepath.Join(dir, "none"), []string{"anab", "an", "Ana", "*", ""}, false},
		{"nobody listens, nobody named", stale, nil, false},
		{"refuses", socket(verdict(wire.Refuse, "")), []string{"ana"}, false},
		{"failed", socket(verdict(wire.Failed, "")), []string{"ana"}, false},
		{"dies", socket(dies), []string{"ana"}, false},
		{"lies", socket(func(c *conversation) { _, _ = c.Write([]byte("x")) }), []string{"ana"}, false},
		{"another kind of socket", stream.Addr().String(), []string{"ana"}, false},
		{"a folder on the way is a file", filepath.Join(file, "login.sock"), []string{"ana"}, false},
		{"a path too long", "/" + strings.Repeat("x", 200), []string{"ana"}, false},
		{"no socket", filepath.Join(dir, "none"), []string{"root", "ana"}, true},
		{"nobody listens", stale, []string{"ana"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, terminal := range []bool{true, false} {
				a := newAttempt(t, "-ksd-login")
				if terminal {
					a.atTerminal(t)
				}
				a.ask(t.Context(), settings{socket: c.socket, shell: "/bin/sh", breakglass: c.accounts})
				if (a.started != nil) != c.in {
					t.Errorf("started %v, want %v; %s", a.started, c.in, &a.stderr)
				}
				if c.in != (len(a.log) == 1) || (c.in && !strings.Contains(a.log[0], "ana is let in without")) {
					t.Errorf("logged %q", a.log)
				}
				if c.in && !strings.Contains(a.stderr.String(), "ana is let in without") {
					t.Errorf("told %q", &a.stderr)
				}
			}
		})
	}
}

// A limit on open files that leaves no room for a socket is not an absent daemon.
func TestBreakglassWithoutDescriptors(t *testing.T) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	a := newAttempt(t, "-ksd-login")
	dir := shortDir(t)
	none := before
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	a.ask(t.Context(), settings{socket: filepath.Join(dir, "none"), shell: "/bin/sh", breakglass: []string{"ana"}})
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if a.started != nil || len(a.log) > 0 {
		t.Errorf("let in; logged %q", a.log)
	}
}

// Nobody waits any more: at every moment that is no.
func TestCancelled(t *testing.T) {
	a := newAttempt(t, "-ksd-login")
	tty := a.atTerminal(t)
	before := settingsOf(t, tty)
	began := make(chan struct{})
	d := (&fakeDaemon{run: func(c *conversation) { close(began); silent(c) }}).start(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-began; cancel() }()
	a.ask(ctx, settings{socket: d.path, shell: "/bin/sh", breakglass: []string{"ana"}})
	if a.started != nil || !strings.Contains(a.stderr.String(), "signal") {
		t.Errorf("started %v, told %q", a.started, &a.stderr)
	}
	if *settingsOf(t, tty) != *before {
		t.Error("the terminal is not as it was")
	}

	// At the last moment.
	a = newAttempt(t, "-ksd-login")
	late, end := context.WithCancel(t.Context())
	a.Log = func(string) error { end(); return nil }
	a.ask(late, settings{socket: "/nonexistent/sock", shell: "/bin/sh", breakglass: []string{"ana"}})
	if a.started != nil {
		t.Error("let in after the end")
	}

	// Before anything was asked, with a daemon that would accept, and with none.
	for _, socket := range []string{(&fakeDaemon{run: verdict(wire.Accept, "")}).start(t).path, "/nonexistent/sock"} {
		a = newAttempt(t, "-ksd-login")
		a.ask(ctx, settings{socket: socket, shell: "/bin/sh", breakglass: []string{"ana"}})
		if a.started != nil {
			t.Errorf("%s: let in after the end", socket)
		}
	}
}

// Nothing is asked where it could lead to nothing.
func TestNotAsked(t *testing.T) {
	d := (&fakeDaemon{run: verdict(wire.Accept, "")}).start(t)
	good := settings{socket: d.path, shell: "/bin/sh", breakglass: []string{"ana"}}
	for _, c := range []struct {
		name   string
		change func(a *attempt, s *settings)
		say    string
	}{
		{"in the background", func(a *attempt, _ *settings) {
			a.Terminal = func(*os.File) (bool, error) { return false, ErrBackground }
		}, "foreground"},
		{"one way", func(a *attempt, _ *settings) {
			a.Terminal = func(*os.File) (bool, error) { return false, ErrOneWay }
		}, "redirecting"},
		{"no such shell", func(_ *attempt, s *settings) { s.shell = "/nonexistent/sh" }, "/nonexistent/sh cannot be started"},
		{"the gate as its own shell", func(_ *attempt, s *settings) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			s.shell = self
		}, "cannot be started"},
		{"a name that is in no list", func(a *attempt, _ *settings) { a.Args[0] = "-ksd-login-dash" }, "/nonexistent"},
	} {
		a := newAttempt(t, "-ksd-login")
		a.atTerminal(t)
		s := good
		c.change(a, &s)
		a.ask(t.Context(), s)
		if a.started != nil || len(d.asked()) > 0 || !strings.Contains(a.stderr.String(), c.say) {
			t.Errorf("%s: started %v, asked %v, told %q", c.name, a.started, d.asked(), &a.stderr)
		}
	}
}

// The whole of Run, with files as they stand on a machine.
func TestRun(t *testing.T) {
	a := newAttempt(t, "-ksd-login")
	a.Account = func(context.Context, int) (string, error) { return "", ErrAccount }
	if exit := Run(t.Context(), a.World); exit != 1 || a.started != nil || a.stderr.String() != "ksd-login: no such account; try again, or ask your administrator\n" {
		t.Errorf("exit %d, started %v, told %q", exit, a.started, &a.stderr)
	}
	if os.Geteuid() != 0 {
		t.Skip("a trusted configuration needs root")
	}
	d := (&fakeDaemon{run: verdict(wire.Accept, "")}).start(t)
	for _, c := range []struct {
		name, config string
		mode         os.FileMode
		owner        int
		in           bool
		say          string
	}{
		{"good", "shell = \"/bin/dash\"\n", 0o644, 0, true, ""},
		{"others may write", "shell = \"/bin/dash\"\n", 0o646, 0, false, "others than root may change it"},
		{"the group may write", "shell = \"/bin/dash\"\n", 0o664, 0, false, "others than root may change it"},
		{"somebody else's", "shell = \"/bin/dash\"\n", 0o644, 1000, false, "others than root may change it"},
		{"wrong", "shell = 3\n", 0o644, 0, false, "login.shell"},
	} {
		a = newAttempt(t, "-ksd-login")
		a.Config = filepath.Join(shortDir(t), "ksd.toml")
		config := "[daemon]\nlogin_socket = \"" + d.path + "\"\n[login]\n" + c.config
		if err := errors.Join(os.WriteFile(a.Config, []byte(config), c.mode), os.Chmod(a.Config, c.mode), os.Chown(a.Config, c.owner, 0)); err != nil {
			t.Fatal(err)
		}
		Run(t.Context(), a.World)
		if (a.started != nil) != c.in || (c.in && a.started.path != "/bin/dash") {
			t.Errorf("%s: started %v; told %q", c.name, a.started, &a.stderr)
		}
		if !strings.Contains(a.stderr.String(), c.say) || (c.say != "") != (len(a.log) == 1) {
			t.Errorf("%s: told %q, logged %q", c.name, &a.stderr, a.log)
		}
	}
}

func TestReadTrusted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("files of root's own need root")
	}
	dir := shortDir(t)
	make := func(name string, mode os.FileMode, uid int) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("x"), 0o600), os.Chmod(path, mode), os.Chown(path, uid, 0)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	folder := func(name string, mode os.FileMode, uid int) string {
		path := make(name+"/file", 0o644, 0)
		if err := errors.Join(os.Chmod(filepath.Dir(path), mode), os.Chown(filepath.Dir(path), uid, 0)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(make("others", 0o644, 1000), link); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	large := make("large", 0o644, 0)
	if err := os.WriteFile(large, bytes.Repeat([]byte("x"), 100), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		make("group", 0o664, 0), make("all", 0o646, 0), make("ana", 0o644, 1000), link, fifo, large, dir,
		folder("open", 0o777, 0), folder("grouped", 0o775, 0), folder("anas", 0o755, 1000), folder("stuck", 0o777|os.ModeSticky, 1000),
	} {
		if data, err := readTrusted(path, 99); err == nil {
			t.Errorf("%s: read %q", path, data)
		}
	}
	for _, path := range []string{make("good", 0o644, 0), folder("sticky", 0o777|os.ModeSticky, 0)} {
		if data, err := readTrusted(path, 99); string(data) != "x" || err != nil {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
	if _, err := readTrusted(filepath.Join(dir, "none"), 99); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestArgv(t *testing.T) {
	for _, c := range []struct{ args, want []string }{
		{[]string{"ksd-login"}, []string{"zsh"}},
		{[]string{"-ksd-login"}, []string{"-zsh"}},
		{[]string{"-ksd-login-zsh"}, []string{"-zsh"}},
		{[]string{"/usr/bin/ksd-login", "-c", "id"}, []string{"/usr/bin/zsh", "-c", "id"}},
		{[]string{"ksd-login", "-c", "a b", "", "-c"}, []string{"zsh", "-c", "a b", "", "-c"}},
		{[]string{"-su"}, []string{"-zsh"}},
		{[]string{""}, []string{"zsh"}},
	} {
		if got := argv(c.args, "/usr/bin/zsh"); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.args, got, c.want)
		}
	}
}

func TestEnviron(t *testing.T) {
	in := []string{"A=1", "SHELL=/usr/bin/ksd-login", "KSD_TOKEN=x", "A=2", "KSD_TOKEN=", "KSD_TOKENS=y", "odd", "SHELL=/bin/x", "GODEBUG=z"}
	want := []string{"A=1", "A=2", "KSD_TOKENS=y", "odd", "GODEBUG=z", "SHELL=/bin/zsh"}
	if got := environ(in, "/bin/zsh"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestNamed(t *testing.T) {
	const list = "# zsh\n/bin/sh\n  /usr/bin/zsh  # the good one\nzsh\n/bin/zsh\n\n/bin/zsh-static\n#/opt/zsh\n/bin/zsh/\n../zsh\n"
	for name, want := range map[string][]string{
		"zsh": {"/usr/bin/zsh", "/bin/zsh", "/bin/zsh/"}, "sh": {"/bin/sh"}, "": nil, "bin": nil, "bin/zsh": nil, "..": nil, "fish": nil,
	} {
		if got := named(list, name); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestNameOf(t *testing.T) {
	for _, line := range []string{"", "\n", "ana", "ana:x:1001:1001::/home/ana:/bin/sh\n", ":x:1000:1000::/:/bin/sh", "ana:x:1000:1000::/:/bin/sh:x", "ana:x: 1000:1::/:/bin/sh"} {
		if name, err := nameOf(line, "1000"); name != "" || !errors.Is(err, ErrAccount) {
			t.Errorf("%q: %q, %v", line, name, err)
		}
	}
	if name, err := nameOf("ana:x:1000:1::/home/ana:/usr/bin/ksd-login\n", "1000"); name != "ana" || err != nil {
		t.Errorf("%q, %v", name, err)
	}
}

// The account comes from the kernel's uid, whatever the environment says.
func TestAccount(t *testing.T) {
	t.Setenv("USER", "ana")
	t.Setenv("LOGNAME", "ana")
	t.Setenv("HOME", "/home/ana")
	if name, err := Account(t.Context(), 0); name != "root" || err != nil {
		t.Errorf("uid 0: %q, %v", name, err)
	}
	if name, err := Account(t.Context(), 3999999999); name != "" || !errors.Is(err, ErrAccount) {
		t.Errorf("nobody's uid: %q, %v", name, err)
	}
}
