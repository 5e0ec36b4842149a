package network

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"
)

// openssh returns the real client's command for the rig, or skips.
func (r *rig) openssh(args ...string) *exec.Cmd {
	r.tb.Helper()
	program, err := exec.LookPath("ssh")
	if err != nil {
		r.tb.Skip("openssh-client is not installed")
	}
	dir := r.tb.TempDir()
	block, err := ssh.MarshalPrivateKey(keys().pem, "")
	if err != nil {
		r.tb.Fatal(err)
	}
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, pem.EncodeToMemory(block), 0o600); err != nil {
		r.tb.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(r.addr)
	cmd := exec.Command(program, append([]string{
		"-F", "none", "-i", key, "-p", port, "-l", goodUser, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=accept-new", "-o", "UserKnownHostsFile=" + filepath.Join(dir, "known"), "-o", "LogLevel=ERROR",
	}, args...)...)
	for i, a := range cmd.Args {
		if a == "HOST" {
			cmd.Args[i] = host
		}
	}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TERM=dumb", "LC_TEST=from the client"}
	timer := time.AfterFunc(patient, func() { _ = cmd.Process.Kill() })
	r.tb.Cleanup(func() { timer.Stop() })
	return cmd
}

// status runs a command and returns its streams and exit code.
func status(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func easy(t testing.TB) *rig {
	return serveEach(t, func() *monitor {
		m := newMonitor(t)
		m.opened.Passed = true
		t.Cleanup(m.reap)
		return m
	}, realEnv())
}

func TestOpenSSH(t *testing.T) {
	r := easy(t)
	for name, c := range map[string]struct {
		args     []string
		in       string
		out, err string
		code     int
	}{
		"a command":        {[]string{"HOST", "echo out; echo err >&2; exit 23"}, "", "out\n", "err\n", 23},
		"killed":           {[]string{"HOST", "kill -TERM $$"}, "", "", "", 255},
		"stdin to its end": {[]string{"HOST", "cat"}, strings.Repeat("line\n", 50000), strings.Repeat("line\n", 50000), "", 0},
		"no stdin":         {[]string{"-n", "HOST", "cat"}, "ignored", "", "", 0},
		"environment":      {[]string{"-o", "SendEnv=LC_TEST", "HOST", "echo $LC_TEST"}, "", "from the client\n", "", 0},
		"a terminal":       {[]string{"-tt", "HOST", "test -t 0 && test -t 1 && test -t 2 && echo $TERM; exit 4"}, "", "dumb\r\n", "", 4},
		"ends early":       {[]string{"HOST", "head -c 3"}, strings.Repeat("x", 1<<20), "xxx", "", 0},
		"compression is not offered, and not needed": {[]string{"-C", "HOST", "echo ok"}, "", "ok\n", "", 0},
		"a subsystem": {[]string{"-s", "HOST", "sftp"}, "ping", "ping", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := r.openssh(c.args...)
			cmd.Stdin = strings.NewReader(c.in)
			out, errs, code := status(t, cmd)
			if out != c.out || errs != c.err || code != c.code {
				t.Errorf("%.100q, %.300q, %d", out, errs, code)
			}
		})
	}
}

// TestOpenSSHRefused is told what to do.
func TestOpenSSHRefused(t *testing.T) {
	r := serve(t, newMonitor(t), realEnv())
	out, errs, code := status(t, r.openssh("HOST", "echo in"))
	if out != "" || errs != "ksd: no terminal, no login\n" || code != 1 {
		t.Errorf("%q, %q, %d", out, errs, code)
	}
	out, errs, code = status(t, serve(t, newMonitor(t), realEnv()).openssh("-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:localhost:1", "HOST"))
	if code != 255 || !strings.Contains(errs, "remote port forwarding failed") {
		t.Errorf("%q, %q, %d", out, errs, code)
	}
}

// TestOpenSSHChallenge has somebody sit at the real client, with a listener asked
// for beside.
func TestOpenSSHChallenge(t *testing.T) {
	r := serve(t, newMonitor(t), realEnv())
	cmd := r.openssh("-o", "ExitOnForwardFailure=yes", "-R", "0:localhost:1", "HOST")
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := &person{tb: t, keys: f, out: newScreenful()}
	go func() { _, _ = io.Copy(p.out, f) }()
	p.expect("usual rhythm")
	p.types(phrase)
	p.expect("Welcome")
	p.expect("$ ")
	if err := pty.Setsize(f, &pty.Winsize{Rows: 31, Cols: 99}); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(p.out.all(), "31 99") {
		p.press("stty size\n")
		p.expect("stty size")
		p.expect("$ ")
	}
	p.press("sleep 60\n")
	p.expect("sleep 60")
	time.Sleep(100 * time.Millisecond)
	p.press("\x03")
	p.expect("$ ")
	p.press("exit 12\n")
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 12 {
		t.Errorf("exit code %d: %q", code, p.out.all())
	}
}

// TestOpenSSHMaster shares one connection, and one challenge.
func TestOpenSSHMaster(t *testing.T) {
	first := newMonitor(t)
	var connections atomic.Int32
	r := serveEach(t, func() *monitor {
		if connections.Add(1) == 1 {
			return first
		}
		return newMonitor(t)
	}, realEnv())
	t.Cleanup(first.reap)
	socket := filepath.Join(t.TempDir(), "s")
	master := r.openssh("-M", "-S", socket, "-o", "ControlPersist=no", "HOST")
	f, err := pty.StartWithSize(master, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := &person{tb: t, keys: f, out: newScreenful()}
	go func() { _, _ = io.Copy(p.out, f) }()
	p.expect(phrase)
	p.expect("> ")
	// It is refused there and makes a connection of its own, which is refused too.
	if out, errs, code := status(t, r.openssh("-S", socket, "-o", "ControlMaster=no", "HOST", "echo early")); out != "" || code != 1 {
		t.Errorf("before the challenge: %q, %q, %d", out, errs, code)
	}
	r.end()
	for _, k := range phrase {
		p.press(string(k))
		p.expect(string(k))
	}
	p.press("\r")
	p.expect("$ ")
	for i := range 5 {
		out, errs, code := status(t, r.openssh("-S", socket, "-o", "ControlMaster=no", "HOST", fmt.Sprintf("echo %d; exit %d", i, i)))
		if out != fmt.Sprintf("%d\n", i) || code != i {
			t.Errorf("%q, %q, %d", out, errs, code)
		}
	}
	p.press("exit\n")
	_ = master.Wait()
	r.end()
	if connections.Load() != 2 || len(first.samples) != 1 || len(first.starts) != 6 {
		t.Errorf("%d connections, %d challenges, %d processes", connections.Load(), len(first.samples), len(first.starts))
	}
}

// TestOpenSSHNegotiates lists what the real client is offered and takes.
func TestOpenSSHNegotiates(t *testing.T) {
	r := easy(t)
	cmd := r.openssh("-vv", "-o", "LogLevel=DEBUG2", "HOST", "true")
	_, errs, code := status(t, cmd)
	if code != 0 {
		t.Fatalf("%d: %s", code, errs)
	}
	_, server, ok := strings.Cut(errs, "peer server KEXINIT proposal")
	if !ok {
		t.Fatalf("no proposal in %s", errs)
	}
	found := 0
	for _, line := range strings.Split(server, "\n") {
		line = strings.TrimPrefix(strings.TrimRight(line, "\r"), "debug2: ")
		kind, list, ok := strings.Cut(line, ": ")
		switch {
		case ok && (kind == "KEX algorithms" || kind == "host key algorithms" || kind == "ciphers ctos" || kind == "ciphers stoc" || kind == "MACs ctos" || kind == "MACs stoc"):
			found++
			t.Logf("%s: %s", kind, list)
			for _, name := range strings.Split(list, ",") {
				if old.MatchString(name) {
					t.Errorf("%s: %s is offered", kind, name)
				}
			}
		case strings.Contains(line, "kex: algorithm:"), strings.Contains(line, "kex: host key algorithm:"), strings.Contains(line, "kex: server->client"), strings.Contains(line, "kex: client->server"):
			t.Log(line)
		}
	}
	if found != 6 || !strings.Contains(errs, "kex-strict-s-v00@openssh.com") {
		t.Errorf("%d lists: %s", found, server)
	}
	if !strings.Contains(errs, "remote software version ksd") {
		t.Errorf("another version: %s", errs)
	}
}
