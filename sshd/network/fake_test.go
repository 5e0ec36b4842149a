package network

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"

	"ksd/internal/keystroke"
	"ksd/internal/wire"
	"ksd/sshd/link"
)

// The words of the fake's people.
const (
	goodUser     = "ana"
	goodPassword = "correct horse"
	goodToken    = "0123456789abcdef"
	phrase       = "warm bread"
)

// keys are made once: RSA takes its time.
var keys = sync.OnceValue(func() (k struct {
	host   []ssh.Signer
	client ssh.Signer
	other  ssh.Signer
	pem    ed25519.PrivateKey
},
) {
	signer := func(key any) ssh.Signer {
		s, err := ssh.NewSignerFromKey(key)
		if err != nil {
			panic(err)
		}
		return s
	}
	_, e, _ := ed25519.GenerateKey(rand.Reader)
	c, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r, _ := rsa.GenerateKey(rand.Reader, 2048)
	k.host = []ssh.Signer{signer(e), signer(c), signer(r)}
	_, k.pem, _ = ed25519.GenerateKey(rand.Reader)
	_, o, _ := ed25519.GenerateKey(rand.Reader)
	k.client, k.other = signer(k.pem), signer(o)
	return k
})

// monitor is the root half for tests: it runs /bin/sh as whoever runs the test,
// and holds the network half to the order of things, as the real one does.
type monitor struct {
	tb     testing.TB
	hello  link.Hello
	opened link.Opened
	// judge answers a typing, unless it is nil: then the phrase is enough.
	judge func(keystroke.Sample) link.Judged
	admit bool // anybody is let in without a terminal
	start func(link.Start) error
	shell string // in the place of a login shell
	ask   string // in the place of phrase
	mute  bool   // this person's terminals are known not to answer

	mu       sync.Mutex
	user     string // with a first factor, once proven
	open     bool
	second   bool
	rhythm   bool
	byToken  bool // second is, and so for one process
	sessions []*running
	asked    []string
	samples  []keystroke.Sample
	silent   *bool // what the last typing's terminal was said to be
	starts   []link.Start
	signals  []string
	agents   string // the last one's socket
}

type running struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func newMonitor(tb testing.TB) *monitor {
	m := &monitor{
		tb: tb, shell: "exec /bin/sh -i",
		opened: link.Opened{OK: true, Pty: true, Forwarding: true, Agent: true},
		hello: link.Hello{
			Password: true, MaxTries: 4, LoginGrace: time.Minute, MaxSessions: 10,
			Forwarding: true, Agent: true, AcceptEnv: []string{"LANG", "LC_*"}, Subsystems: []string{"sftp"},
		},
	}
	for _, k := range keys().host {
		m.hello.HostKeys = append(m.hello.HostKeys, k.PublicKey().Marshal())
	}
	return m
}

// note holds a request to the order of things.
func (m *monitor) note(op string, ok bool) error {
	m.asked = append(m.asked, op)
	if !ok {
		m.tb.Errorf("%s is out of order after %v", op, m.asked)
		return fmt.Errorf("%w: %s", link.ErrProtocol, op)
	}
	return nil
}

func (m *monitor) Hello(context.Context) (link.Hello, error) { return m.hello, nil }

func (m *monitor) Sign(_ context.Context, s link.Sign) (link.Signature, error) {
	if n := len(s.Data); n != 32 && n != 48 && n != 64 {
		m.tb.Errorf("asked to sign %d bytes", n)
	}
	sig, err := keys().host[s.Key].(ssh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, s.Data, s.Algorithm)
	if err != nil {
		m.tb.Error(err)
		return link.Signature{}, link.Failed
	}
	return link.Signature{Format: sig.Format, Blob: sig.Blob}, nil
}

func (m *monitor) Key(_ context.Context, k link.Key) (link.Proof, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.note("key", m.user == ""); err != nil {
		return link.Proof{}, err
	}
	ok := k.User == goodUser && bytes.Equal(k.Key, keys().client.PublicKey().Marshal())
	if ok && k.Proven {
		m.user = k.User
	}
	return link.Proof{OK: ok}, nil
}

func (m *monitor) Password(_ context.Context, p link.Password) (link.Proof, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.note("password", m.user == ""); err != nil {
		return link.Proof{}, err
	}
	ok := p.User == goodUser && p.Password == goodPassword
	if ok {
		m.user = p.User
	}
	return link.Proof{OK: ok}, nil
}

func (m *monitor) Open(_ context.Context, o link.Open) (link.Opened, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.note("open", m.user == o.User && !m.open); err != nil {
		return link.Opened{}, err
	}
	m.open = m.opened.OK
	m.second, m.rhythm = m.opened.Passed, m.opened.Passed
	return m.opened, nil
}

func (m *monitor) Challenge(context.Context, link.Challenge) (link.Judged, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.note("challenge", m.open && !m.rhythm); err != nil {
		return link.Judged{}, err
	}
	n := next(1)
	n.Silent = m.mute
	if m.ask != "" {
		n.Phrase = m.ask
	}
	return link.Judged{Next: n}, nil
}

// next is what is asked for at one try.
func next(try int) *wire.Challenge {
	return &wire.Challenge{Phrase: phrase, ExpireMS: 60_000, Try: try, Tries: 3}
}

func (m *monitor) Answer(_ context.Context, a link.Answer) (link.Judged, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.note("answer", m.open && !m.rhythm); err != nil {
		return link.Judged{}, err
	}
	if err := a.Sample.Validate(); err != nil {
		m.tb.Error(err)
	}
	m.samples, m.silent = append(m.samples, a.Sample), a.Silent
	j := link.Judged{Code: wire.Refuse}
	switch {
	case m.judge != nil:
		j = m.judge(a.Sample)
	case a.Sample.Phrase == a.Sample.Line().Text && (a.Sample.Phrase == phrase || a.Sample.Phrase == m.ask):
		j.Code = wire.Accept
	}
	m.rhythm = j.Code == wire.Accept
	m.second = m.second || m.rhythm
	return j, nil
}

func (m *monitor) Admit(_ context.Context, a link.Admit) (link.Judged, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.note("admit", m.open && !m.second); err != nil {
		return link.Judged{}, err
	}
	m.byToken = a.Token == goodToken
	if m.second = m.admit || m.byToken; m.second {
		return link.Judged{Code: wire.Accept, Once: m.byToken}, nil
	}
	return link.Judged{Code: wire.Refuse, Text: "ksd: no terminal, no login"}, nil
}

func (m *monitor) Start(_ context.Context, s link.Start) (link.Started, []*os.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.note("start", m.second && (m.rhythm || s.Pty == nil)); err != nil {
		return link.Started{}, nil, err
	}
	m.second = m.rhythm || !m.byToken
	m.starts = append(m.starts, s)
	if m.start != nil {
		if err := m.start(s); err != nil {
			return link.Started{}, nil, err
		}
	}
	command := m.shell
	if s.Command != nil {
		command = string(s.Command)
	}
	if s.Subsystem != "" {
		command = "cat"
	}
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PS1=$ "}
	for name, value := range s.Env {
		cmd.Env = append(cmd.Env, name+"="+string(value))
	}
	files, err := m.run(cmd, s)
	if err != nil {
		m.tb.Error(err)
		return link.Started{}, nil, link.Failed
	}
	r := &running{cmd, make(chan struct{})}
	m.sessions = append(m.sessions, r)
	go func() {
		_ = cmd.Wait()
		close(r.done)
	}()
	out := link.Started{Session: len(m.sessions) - 1}
	if s.Pty != nil && s.Command == nil {
		out.Texts = []string{"Welcome\nto the test"}
	}
	return out, files, nil
}

func (m *monitor) run(cmd *exec.Cmd, s link.Start) (files []*os.File, err error) {
	if s.Pty != nil {
		cmd.Env = append(cmd.Env, "TERM="+s.Pty.Term)
		w := s.Pty.Window
		master, err := pty.StartWithSize(cmd, &pty.Winsize{
			Rows: uint16(w.Rows), Cols: uint16(w.Columns), X: uint16(w.Width), Y: uint16(w.Height),
		})
		files = []*os.File{master}
		if err != nil {
			return nil, err
		}
	} else {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		var theirs [3]*os.File
		for i := range theirs {
			r, w, err := os.Pipe()
			if err != nil {
				return nil, err
			}
			if theirs[i] = w; i == 0 {
				r, w = w, r
				theirs[i] = w
			}
			files = append(files, r)
			defer theirs[i].Close()
		}
		cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs[0], theirs[1], theirs[2]
		if err := cmd.Start(); err != nil {
			return nil, err
		}
	}
	if s.Agent {
		m.agents = m.tb.TempDir() + "/agent"
		l, err := net.Listen("unix", m.agents)
		if err != nil {
			return nil, err
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		f, err := l.(*net.UnixListener).File()
		if err != nil {
			return nil, err
		}
		_ = l.Close()
		files = append(files, f)
	}
	return files, nil
}

// agent is where the last session's agent listens.
func (m *monitor) agent() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.agents
}

// session returns a session once it is started.
func (m *monitor) session(i int) *running {
	for {
		m.mu.Lock()
		if i < len(m.sessions) {
			defer m.mu.Unlock()
			return m.sessions[i]
		}
		m.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
}

func (m *monitor) Wait(ctx context.Context, w link.Wait) (link.Exited, error) {
	r := m.session(w.Session)
	select {
	case <-r.done:
	case <-ctx.Done():
		return link.Exited{}, ctx.Err()
	}
	status := r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return link.Exited{Signal: map[syscall.Signal]string{
			syscall.SIGTERM: "TERM", syscall.SIGKILL: "KILL", syscall.SIGINT: "INT", syscall.SIGHUP: "HUP",
		}[status.Signal()]}, nil
	}
	return link.Exited{Status: uint32(status.ExitStatus())}, nil
}

func (m *monitor) Signal(_ context.Context, s link.Signal) error {
	r := m.session(s.Session)
	m.mu.Lock()
	m.signals = append(m.signals, s.Signal)
	m.mu.Unlock()
	n := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "USR1": syscall.SIGUSR1}[s.Signal]
	if n == 0 || syscall.Kill(-r.cmd.Process.Pid, n) != nil {
		return link.Failed
	}
	return nil
}

func (m *monitor) Dial(_ context.Context, d link.Dial) (*os.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.note("dial", m.second); err != nil {
		return nil, err
	}
	c, err := net.Dial("tcp", net.JoinHostPort(d.Host, strconv.Itoa(int(d.Port))))
	if err != nil {
		return nil, link.NotFound
	}
	defer c.Close()
	return c.(*net.TCPConn).File()
}

func (m *monitor) Listen(_ context.Context, l link.Listen) (link.Listening, *os.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.note("listen", m.second); err != nil {
		return link.Listening{}, nil, err
	}
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(l.Port))))
	if err != nil {
		return link.Listening{}, nil, link.Failed
	}
	defer ln.Close()
	f, err := ln.(*net.TCPListener).File()
	return link.Listening{Port: uint32(ln.Addr().(*net.TCPAddr).Port)}, f, err
}

// reap ends what is left of the sessions.
func (m *monitor) reap() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.sessions {
		_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
		<-r.done
	}
}
