package network

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"ksd/sshd/link"
)

// passed is a rig whose people need no second factor, and a client of it.
func passed(t testing.TB) (*rig, *ssh.Client) {
	t.Helper()
	m := newMonitor(t)
	m.opened.Passed = true
	r := serve(t, m, realEnv())
	return r, r.dial()
}

func TestExit(t *testing.T) {
	r, c := passed(t)
	for command, want := range map[string]string{
		"exit 0":                           "",
		"exit 3":                           "Process exited with status 3",
		"exit 255":                         "Process exited with status 255",
		"kill -TERM $$":                    "Process exited with status 143 from signal TERM",
		"kill -KILL $$":                    "Process exited with status 137 from signal KILL",
		"/nonexistent 2>/dev/null":         "Process exited with status 127",
		"exec 1>&- 2>&-; sleep .1; exit 4": "Process exited with status 4",
	} {
		for _, terminal := range []bool{false, true} {
			p := r.at(c)
			if terminal {
				p.terminal("vt100")
			}
			if err := p.s.Start(command); err != nil {
				t.Fatal(err)
			}
			if _, err := p.wait(); fmt.Sprint(err) != want && (err != nil || want != "") {
				t.Errorf("%q, terminal %v: %v", command, terminal, err)
			}
		}
	}
}

// TestStreams keeps output apart and ends with all of it.
func TestStreams(t *testing.T) {
	_, c := passed(t)
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	s.Stdout, s.Stderr, s.Stdin = &out, &errs, strings.NewReader("from the client")
	if err := s.Run("cat; echo problem >&2; echo last"); err != nil {
		t.Fatal(err)
	}
	if out.String() != "from the clientlast\n" || errs.String() != "problem\n" {
		t.Errorf("%q, %q", out.String(), errs.String())
	}
}

// TestTenMegabytes goes through cat and back, as it was, while keys are exchanged
// anew every megabyte.
func TestTenMegabytes(t *testing.T) {
	cfg := clientConfig()
	cfg.RekeyThreshold = 1 << 20
	r := easy(t)
	c, err := ssh.Dial("tcp", r.addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	in := make([]byte, 10<<20)
	_, _ = rand.Read(in)
	back := sha256.New()
	s.Stdin, s.Stdout = bytes.NewReader(in), back
	if err := s.Run("cat"); err != nil {
		t.Fatal(err)
	}
	if want := sha256.Sum256(in); !bytes.Equal(back.Sum(nil), want[:]) {
		t.Error("it is not what was sent")
	}
}

// TestLastOutput is that of a terminal whose process ends while the client does
// not read: what lies in the kernel then is not lost, however long it takes.
func TestLastOutput(t *testing.T) {
	r, c := passed(t)
	const window, more = 2 << 20, 12_000 // more than the client's window by what a terminal keeps
	for i, pause := range []time.Duration{0, hangover * 3 / 2} {
		s, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.RequestPty("xterm", 24, 80, nil); err != nil {
			t.Fatal(err)
		}
		out, err := s.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(fmt.Sprintf("stty -opost; head -c %d /dev/zero; printf the-end", window+more)); err != nil {
			t.Fatal(err)
		}
		<-r.m.session(i).done
		time.Sleep(pause)
		got, err := io.ReadAll(out)
		if err != nil || len(got) != window+more+7 || !bytes.HasSuffix(got, []byte("the-end")) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if err := s.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// TestBackground has a process stay behind: one that keeps the terminal does not
// keep the session, one that keeps a pipe keeps the channel but not the status.
func TestBackground(t *testing.T) {
	r, c := passed(t)
	p := r.at(c).terminal("vt100")
	if err := p.s.Start("trap '' HUP; setsid sleep 30 & trap '' HUP; sleep 30 & echo left; exit 5"); err != nil {
		t.Fatal(err)
	}
	p.expect("left")
	if status, err := p.wait(); status != 5 {
		t.Errorf("%d, %v", status, err)
	}
	ch, requests, err := c.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := ch.SendRequest("exec", true, marshal(oneString{"sleep 30 & echo left; exit 6"})); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if r := <-requests; r.Type != "exit-status" || !bytes.Equal(r.Payload, []byte{0, 0, 0, 6}) {
		t.Errorf("%+v", r)
	}
	ch.Close()
}

// TestQuietTerminal ends a terminal that somebody holds open although its
// process has ended, which the kernel does not let happen to a session leader.
func TestQuietTerminal(t *testing.T) {
	r, c := passed(t)
	r.m.mu.Lock()
	r.m.shell = "(trap '' HUP; exec setsid sh -c 'sleep 0.2; echo late; sleep 30') & exit 9"
	r.m.mu.Unlock()
	p := r.at(c).shell()
	if status, err := p.wait(); status != 9 {
		t.Errorf("%d, %v", status, err)
	}
}

func TestTerminal(t *testing.T) {
	r, c := passed(t)
	ch, requests, err := c.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	p := &person{tb: t, keys: ch, out: newScreenful()}
	go func() { _, _ = io.Copy(p.out, ch) }()
	ask := func(kind string, v any, want bool) {
		t.Helper()
		var b []byte
		if v != nil {
			b = marshal(v)
		}
		if ok, err := ch.SendRequest(kind, true, b); ok != want || err != nil {
			t.Errorf("%s: %v, %v", kind, ok, err)
		}
	}
	ask("window-change", sizes{1, 1, 1, 1}, false)
	ask("signal", oneString{"INT"}, false)
	ask("env", twoString{"LC_TEST", "äöü"}, true)
	ask("env", twoString{"LD_PRELOAD", "x"}, false)
	ask("env", twoString{"KSD_TOKEN", "secret"}, true)
	ask("env", twoString{"KSD_TOKEN", strings.Repeat("x", maxToken+1)}, false)
	ask("env", twoString{"KSD_TOKEN", "a b"}, false)
	ask("pty-req", ptyReq{"xterm", 80, 24, 640, 480, "\x35\x00\x00\x00\x00\x00"}, true)
	ask("pty-req", ptyReq{"xterm", 80, 24, 0, 0, ""}, false)
	ask("auth-agent-req@openssh.com", oneString{}, false)
	ask("window-change", sizes{100, 30, 0, 0}, true) // before there is a process
	ask("x11-req", oneString{}, false)
	ask("break", struct{ MS uint32 }{500}, false)
	ask("exec", nil, false)
	ask("subsystem", oneString{"other"}, false)
	ask("exec", oneString{"stty -echo; trap 'echo signalled; stty size' USR1; stty size; echo \"$TERM $LC_TEST [$KSD_TOKEN$LD_PRELOAD]\"; while :; do sleep 0.1; done"}, true)
	ask("exec", oneString{"true"}, false)
	ask("shell", nil, false)
	ask("env", twoString{"LC_LATE", "x"}, false)
	ask("pty-req", ptyReq{"xterm", 80, 24, 0, 0, ""}, false)
	p.expect("30 100")
	p.expect("xterm äöü []")
	for i := range uint32(200) { // a flood: the last one counts
		ask("window-change", sizes{101 + i, 30, 0, 0}, true)
	}
	ask("window-change", sizes{132, 50, 0, 0}, true)
	for !strings.Contains(p.out.all(), "50 132") {
		ask("signal", oneString{"USR1"}, true)
		p.expect("signalled")
	}
	p.press("\x03") // the terminal's own way
	for range 100 {
		if _, err := ch.SendRequest("env", true, nil); err != nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if _, err := ch.SendRequest("env", true, nil); !errors.Is(err, io.EOF) {
		t.Errorf("the channel goes on: %v", err)
	}
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if s := r.m.starts[0]; s.Pty.Window != (link.Window{Columns: 100, Rows: 30}) || s.Pty.Modes[0x35] != 0 || len(s.Pty.Modes) != 1 {
		t.Errorf("started with %+v", s.Pty)
	}
}

// TestEnvironment keeps to its limits.
func TestEnvironment(t *testing.T) {
	c := &connection{}
	c.hello.AcceptEnv = []string{"LC_*", "[", "LANG"}
	s := &session{c: c, env: map[string][]byte{}}
	set := func(name, value string) bool { return s.setEnv(marshal(twoString{name, value})) }
	for i := range maxVariables {
		if !set(fmt.Sprintf("LC_%d", i), "x") {
			t.Fatalf("variable %d is refused", i)
		}
	}
	if set("LC_MORE", "x") || set("PATH", "x") {
		t.Error("one too many, or one that is not accepted")
	}
	full := strings.Repeat("x", maxValue)
	for i, want := range []bool{true, true, true, false} {
		if got := set(fmt.Sprintf("LC_%d", i), full); got != want {
			t.Errorf("8 kB in variable %d: %v", i, got)
		}
	}
	if !set("LC_0", "") || !set("LC_3", full) {
		t.Error("what was given back is not to be had again")
	}
}

// TestEOF is that of the client: a pipe's end at a pipe, nothing at a terminal.
func TestEOF(t *testing.T) {
	r, c := passed(t)
	p := r.at(c)
	if err := p.s.Start("cat >/dev/null; echo ended"); err != nil {
		t.Fatal(err)
	}
	p.keys.Close()
	p.expect("ended")
	if _, err := p.wait(); err != nil {
		t.Error(err)
	}
	p = r.at(c).shell()
	p.expect("$ ")
	p.press("sleep 0.2; echo still here; exit\n")
	p.keys.Close()
	p.expect("\nstill here")
	if _, err := p.wait(); err != nil {
		t.Error(err)
	}
}

// TestNobodyReads ends what writes to a client that wants no more, as "| head"
// does on the client's side.
func TestNobodyReads(t *testing.T) {
	_, c := passed(t)
	ch, requests, err := c.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := ch.SendRequest("exec", true, marshal(oneString{"yes; echo over >&2; exit 11"})); !ok || err != nil {
		t.Fatal(ok, err)
	}
	var b [100]byte
	if _, err := io.ReadFull(ch, b[:]); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, ch) }()
	if _, err := ch.SendRequest("eow@openssh.com", false, nil); err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(ch.Stderr())
	if !strings.HasSuffix(string(got), "over\n") {
		t.Errorf("stderr %q", got)
	}
	if r := <-requests; r.Type != "exit-status" || r.Payload[3] != 11 {
		t.Errorf("%+v", r)
	}
}

// TestStart has a subsystem, and processes that cannot be started.
func TestStart(t *testing.T) {
	r, c := passed(t)
	ch, requests, err := c.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	if ok, err := ch.SendRequest("subsystem", true, marshal(oneString{"sftp"})); !ok || err != nil {
		t.Fatal(ok, err)
	}
	echo := make([]byte, 4)
	_, _ = ch.Write([]byte("ping"))
	if _, err := io.ReadFull(ch, echo); err != nil || string(echo) != "ping" {
		t.Errorf("%q, %v", echo, err)
	}
	ch.Close()
	for reason, want := range map[error]string{
		link.Exhausted: "too many sessions", link.NotFound: "not available", link.Failed: "could not be started",
	} {
		r.m.mu.Lock()
		r.m.start = func(link.Start) error { return reason }
		r.m.mu.Unlock()
		p := r.at(c)
		if err := p.s.Start("true"); err != nil {
			t.Fatal(err)
		}
		p.expect(want)
		if status, err := p.wait(); status != 1 {
			t.Errorf("%d, %v", status, err)
		}
	}
}

// TestSessions is a client with several at a time, up to the limit.
func TestSessions(t *testing.T) {
	m := newMonitor(t)
	m.hello.MaxSessions = 3
	r := serve(t, m, realEnv())
	c := r.dial()
	first := r.at(c).shell()
	if _, err := c.NewSession(); err == nil {
		t.Error("a second session while the challenge goes on")
	}
	first.types(phrase)
	first.expect("$ ")
	second := r.at(c).shell() // no second challenge
	second.expect("$ ")
	third := r.at(c)
	if err := third.s.Start("cat"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.NewSession(); err == nil || !strings.Contains(err.Error(), "no more sessions") {
		t.Errorf("a fourth session: %v", err)
	}
	third.keys.Close()
	if _, err := third.wait(); err != nil {
		t.Error(err)
	}
	first.press("exit 2\n")
	if status, _ := first.wait(); status != 2 {
		t.Errorf("status %d", status)
	}
	again := r.at(c)
	if err := again.s.Run("exit 0"); err != nil {
		t.Error(err)
	}
	second.press("echo still the same; exit\n")
	second.expect("\nstill the same")
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.samples) != 1 {
		t.Errorf("%d challenges", len(m.samples))
	}
}

// TestLastInput is what a client sends before it closes the channel without
// waiting.
func TestLastInput(t *testing.T) {
	r, c := passed(t)
	name := t.TempDir() + "/got"
	in := make([]byte, 1<<20)
	_, _ = rand.Read(in)
	ch, requests, err := c.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	if ok, err := ch.SendRequest("exec", true, marshal(oneString{"cat > " + name})); !ok || err != nil {
		t.Fatal(ok, err)
	}
	_, _ = ch.Write(in)
	_ = ch.Close()
	<-r.m.session(0).done
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, in) {
		t.Errorf("%d bytes of %d, %v", len(got), len(in), err)
	}
}
