package sshd_test

import (
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ksd/conf"
	"ksd/internal/ksdtest/sandbox"
)

// A person has only so many connections, before and after a reload; others have
// theirs, and one that ends makes room.
func TestPerPerson(t *testing.T) {
	r := start(t, setup{change: allow, config: "per_person = 2\n"})
	for _, word := range []string{"one", "two"} {
		if got := r.keep(t)(word); got != word {
			t.Fatalf("%s: %q", word, got)
		}
	}
	full := func(when string) {
		t.Helper()
		for _, argv := range [][]string{r.ssh("ana", "echo in"), append(r.askpass(t, "ana", sandbox.Password), "echo in")} {
			for i, a := range argv { // or the client keeps the text to itself
				argv[i] = strings.Replace(a, "LogLevel=ERROR", "LogLevel=INFO", 1)
			}
			got := r.run(t, "", argv...)
			if got.stdout != "" || got.status != 255 || !strings.Contains(got.stderr, "too many connections") {
				t.Errorf("%s, one more of ana: %+v", when, got)
			}
		}
		if got := r.run(t, "", r.ssh("bob", "echo in")...); got.stdout != "in\n" {
			t.Errorf("%s, bob: %+v", when, got)
		}
	}
	full("at first")
	if !strings.Contains(r.log.String(), `msg="account refused" source=127.0.0.1`) || !strings.Contains(r.log.String(), "(per_person)") {
		t.Error("the log does not say so")
	}
	served := strings.Count(r.log.String(), "msg=serving")
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	wait(t, "the reload", func() bool { return strings.Count(r.log.String(), "msg=serving") > served })
	full("after a reload")
	wait(t, "the two monitors to be alone", func() bool { return len(children(t, r.cmd.Process.Pid)) == 2 })
	if err := syscall.Kill(children(t, r.cmd.Process.Pid)[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wait(t, "one of them to be gone", func() bool { return len(children(t, r.cmd.Process.Pid)) == 1 })
	if got := r.run(t, "", r.ssh("ana", "echo in")...); got.stdout != "in\n" {
		t.Errorf("after one ended: %+v", got)
	}
}

// Strangers count for their source; who has given a first factor and is still to
// type does not.
func TestPerSource(t *testing.T) {
	r := start(t, setup{config: "per_source = 1\n"})
	for range 2 {
		s := r.open(t, slices.Insert(r.ssh("ana"), 1, "-tt")...)
		s.await(t, `> $`)
	}
	first := r.dial(t)
	if got := r.greeting(t, first); !strings.HasPrefix(got, "SSH-2.0-") {
		t.Fatalf("a stranger is told %q", got)
	}
	if got := r.greeting(t, r.dial(t)); got != "Too many connections from this source" {
		t.Errorf("a second one is told %q", got)
	}
	first.Close()
	wait(t, "the first to be gone", func() bool { return len(children(t, r.cmd.Process.Pid)) == 2 })
	if got := r.greeting(t, r.dial(t)); !strings.HasPrefix(got, "SSH-2.0-") {
		t.Errorf("after the first left, one is told %q", got)
	}
}

// dial connects.
func (r *rig) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", "127.0.0.1:"+r.port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// greeting returns the first line that a connection is told.
func (r *rig) greeting(t *testing.T, c net.Conn) string {
	t.Helper()
	var line strings.Builder
	for b := make([]byte, 1); ; {
		if _, err := c.Read(b); err == io.EOF || b[0] == '\n' {
			return strings.TrimSpace(line.String())
		} else if err != nil {
			t.Fatal(err)
		}
		line.Write(b)
	}
}

// token makes a one-time token of ana's, as an administrator would.
func (r *rig) token(t *testing.T) string {
	t.Helper()
	made, err := r.daemon.Client().Token(t.Context(), "ana", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return made.Token
}

// A token is good for one session: a command, or a whole transfer of files.
func TestOneToken(t *testing.T) {
	r := start(t, setup{})
	with := func(token string, argv ...string) []string {
		return append([]string{"env", "KSD_TOKEN=" + token, argv[0], "-o", "SendEnv=KSD_TOKEN"}, argv[1:]...)
	}
	token := r.token(t)
	if got := r.run(t, "", with(token, r.ssh("ana", "echo in $KSD_TOKEN")...)...); got.stdout != "in\n" {
		t.Errorf("with a token: %+v", got)
	}
	if got := r.run(t, "", with(token, r.ssh("ana", "echo in")...)...); got.stdout != "" || got.status == 0 {
		t.Errorf("with the same token: %+v", got)
	}
	t.Run("files", func(t *testing.T) {
		if _, err := os.Stat(conf.Default().SSHD.SFTPServer); err != nil {
			t.Skipf("there is no sftp server: %v", err)
		}
		argv := r.ssh("ana")
		sftp := append(append([]string{"sftp", "-b", "-", "-P", r.port}, argv[5:len(argv)-1]...), argv[len(argv)-1])
		got := r.run(t, "put /etc/hostname one\nput /etc/hostname two\nls\n", with(r.token(t), sftp...)...)
		if !strings.Contains(got.stdout, "two") || got.status != 0 {
			t.Errorf("sftp: %+v", got)
		}
		scp := append(append([]string{"scp", "-P", r.port}, argv[5:len(argv)-1]...), "/etc/hostname", "/etc/passwd", argv[len(argv)-1]+":")
		if got = r.run(t, "", with(r.token(t), scp...)...); got.status != 0 {
			t.Errorf("scp: %+v", got)
		}
		for _, name := range []string{"one", "two", "hostname", "passwd"} {
			if _, err := os.Stat(r.Path("/home/ana/" + name)); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("one connection", func(t *testing.T) {
		path := t.TempDir() + "/c"
		share := func(token, command string) []string {
			argv := r.ssh("ana", command)
			return with(token, slices.Insert(argv, 1, "-o", "ControlMaster=auto", "-o", "ControlPath="+path, "-o", "ControlPersist=60")...)
		}
		defer func() { r.run(t, "", "ssh", "-o", "ControlPath="+path, "-O", "exit", "x") }()
		monitors := func() int { return len(children(t, r.cmd.Process.Pid)) }
		for _, c := range []struct{ token, want string }{{r.token(t), "in\n"}, {"", ""}, {r.token(t), "in\n"}} {
			if got := r.run(t, "", share(c.token, "echo in")...); got.stdout != c.want || (got.status == 0) != (c.want != "") {
				t.Errorf("with %q: %+v, want %q", c.token, got, c.want)
			}
			if monitors() != 1 {
				t.Errorf("%d connections", monitors())
			}
		}
	})
}
