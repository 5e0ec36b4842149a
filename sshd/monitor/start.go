package monitor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"ksd/sshd/link"
)

// Start starts a process of the account.
func (m *Monitor) Start(_ context.Context, s link.Start) (link.Started, []*os.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.mayStart(s); err != nil {
		return link.Started{}, nil, err
	}
	m.spent = true // whatever comes of it
	p := process{m: m, ask: s}
	files, err := p.start()
	if err != nil {
		p.undo()
		return link.Started{}, nil, m.failed("session", err)
	}
	id := m.sessions.add(p.pid, m.who.uid, s.Pty != nil)
	m.log(m.who.name).Info("session", "kind", p.kind, "terminal", p.tty.name, "pid", p.pid)
	return link.Started{Session: id, Texts: p.texts}, files, nil
}

// mayStart says whether a process may be started now.
func (m *Monitor) mayStart(s link.Start) error {
	if err := m.let(); err != nil {
		return err
	}
	c := m.o.Config.SSHD
	switch {
	// Whoever was let in without a terminal was so because there was none.
	case s.Pty != nil && (!m.rhythm || m.key.noPty):
		return link.Refused
	case !m.rhythm && m.byToken && m.spent:
		return link.Refused
	case s.Agent && (!c.AgentForwarding || m.key.noAgent):
		return link.Refused
	case s.Subsystem != "" && (s.Subsystem != "sftp" || c.SFTPServer == ""):
		return link.NotFound
	case m.sessions.count() >= c.MaxSessions:
		return link.Exhausted
	}
	return nil
}

// process is one that is being started.
type process struct {
	m     *Monitor
	ask   link.Start
	kind  string // "shell", "command", "sftp"
	tty   terminal
	agent *agent
	given []*os.File // to the network half
	taken []*os.File // to the process: its stdin, stdout and stderr
	texts []string
	pid   int
}

// start does it, and returns the descriptors for the network half.
func (p *process) start() ([]*os.File, error) {
	command, original, err := p.command()
	if err != nil {
		return nil, err
	}
	if err := p.streams(); err != nil {
		return nil, err
	}
	if err := p.person(); err != nil {
		return nil, err
	}
	socket := ""
	if p.ask.Agent {
		listener := (*os.File)(nil)
		if p.agent, listener, err = openAgent(p.m.who); err != nil {
			return nil, err
		}
		p.given, socket = append(p.given, listener), p.agent.path
	}
	shell, err := p.shell()
	if err != nil {
		return nil, err
	}
	env := surroundings{
		who: p.m.who, shell: shell, client: p.ask.Env, accept: p.m.o.Config.SSHD.AcceptEnv, pam: p.m.person.env,
		connection: p.m.connection(), tty: p.tty.name, agent: socket, original: original,
	}
	if p.ask.Pty != nil {
		env.term = p.ask.Pty.Term
	}
	argv := []string{"-" + filepath.Base(shell)}
	if command != "" || p.m.key.forced { // command="" runs nothing, and no shell
		argv = []string{filepath.Base(shell), "-c", command}
	}
	if err := p.fork(shell, argv, env.environment()); err != nil {
		return nil, err
	}
	closeAll(p.taken)
	if p.agent != nil {
		p.m.agents = append(p.m.agents, p.agent)
	}
	return p.given, nil
}

// command returns what the shell is to run, "" for a login shell, and what the
// client asked for where the key says something else.
func (p *process) command() (command, original string, err error) {
	command, p.kind = string(p.ask.Command), "command"
	if p.ask.Subsystem != "" {
		command, p.kind = p.m.o.Config.SSHD.SFTPServer, p.ask.Subsystem
		if _, err := os.Stat(command); err != nil && !p.m.key.forced {
			p.m.o.Log.Error("there is no sftp: set sftp_server in [sshd], or install the program", "error", err)
			return "", "", link.NotFound
		}
	}
	if p.m.key.forced {
		command, original = p.m.key.command, command
		p.kind = "forced command"
	}
	if strings.Contains(command+original, "\x00") {
		return "", "", fmt.Errorf("%w: a command with a NUL", link.Refused)
	}
	if command == "" && !p.m.key.forced {
		p.kind = "shell"
	}
	return command, original, nil
}

// fork starts the shell, on the main thread, as the person.
func (p *process) fork(shell string, argv, env []string) (err error) {
	who := p.m.who
	dir := who.home
	if err := as(who, func() error {
		_, err := os.Stat(filepath.Join(dir, "/.")) // needs the right to enter
		return err
	}); err != nil {
		dir = "/"
		p.texts = append(p.texts, fmt.Sprintf("There is no way into your home folder %s: this is /.", who.home))
		p.m.log(who.name).Warn("home", "error", err)
	}
	attr := &syscall.ProcAttr{
		Dir: dir, Env: env,
		Sys: &syscall.SysProcAttr{
			Setsid: true, Setctty: p.ask.Pty != nil, Ctty: 0,
			// Nobody else hangs up where this process is killed. It is the main thread's
			// end that counts (prctl(2)), and that ends with the process alone.
			Pdeathsig:  unix.SIGHUP,
			Credential: &syscall.Credential{Uid: who.uid, Gid: who.gid, Groups: p.m.person.groups},
		},
	}
	for _, f := range p.taken {
		attr.Files = append(attr.Files, f.Fd())
	}
	p.m.o.Main(func() {
		var own limits
		if own, err = getLimits(); err != nil {
			return
		}
		// A limit on memory could kill this process in between, and the connection
		// with it: so be it.
		if err = p.m.person.limits.set(); err == nil {
			// What modules of PAM left open is not the person's.
			_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
			p.pid, err = syscall.ForkExec(shell, argv, attr)
		}
		err = errors.Join(err, own.set())
	})
	return err
}

// undo closes what a process that did not start would have had.
func (p *process) undo() {
	closeAll(p.given)
	closeAll(p.taken)
	p.tty.close()
	if p.agent != nil {
		p.agent.remove()
	}
}
