package network

import (
	"path"
	"slices"

	"golang.org/x/crypto/ssh"

	"ksd/sshd/link"
)

// Limits of a session's environment. What goes beyond is refused.
const (
	maxVariables   = 64
	maxEnvironment = 32 << 10 // bytes of names and values
)

// tokenName is the variable that brings a one-time token. It is never passed on.
const (
	tokenName = "KSD_TOKEN"
	maxToken  = 64 // as package wire has it
)

// request carries out one request and says whether it was granted.
func (s *session) request(r *ssh.Request) bool {
	switch r.Type {
	case "env":
		return !s.begun && s.setEnv(r.Payload)
	case "pty-req":
		return !s.begun && s.setPty(r.Payload)
	case "auth-agent-req@openssh.com":
		s.agent = !s.begun && len(r.Payload) == 0 && s.c.hello.Agent && s.c.account.Agent
		return s.agent
	case "shell", "exec", "subsystem":
		return !s.begun && s.begin(r.Type, r.Payload)
	case "window-change":
		return s.resize(r.Payload)
	case "signal":
		return s.signal(r.Payload)
	case "eow@openssh.com":
		s.noMore.Store(true)
		return true
	}
	return false // "break" too: there is no line to break
}

// setEnv takes a variable that the configuration accepts.
func (s *session) setEnv(b []byte) bool {
	name, value, err := parseEnv(b)
	if err != nil {
		return false
	}
	if name == tokenName {
		if len(value) > maxToken || !printable(value) {
			return false
		}
		s.token = value
		return true
	}
	accepted := slices.ContainsFunc(s.c.hello.AcceptEnv, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	})
	old, have := s.env[name]
	size := s.envSize + len(name) + len(value)
	if have {
		size -= len(name) + len(old)
	}
	if !accepted || size > maxEnvironment || !have && len(s.env) == maxVariables {
		return false
	}
	s.env[name], s.envSize = []byte(value), size
	return true
}

func (s *session) setPty(b []byte) bool {
	p, err := parsePty(b)
	if err != nil || s.pty != nil || !s.c.account.Pty {
		return false
	}
	s.pty = &p
	s.window.Store(&p.Window)
	return true
}

// resize remembers the newest size. However many come, the process is told once
// it gets round to it.
func (s *session) resize(b []byte) bool {
	w, err := parseWindow(b)
	if err != nil || s.pty == nil {
		return false
	}
	s.window.Store(&w)
	select {
	case s.resized <- struct{}{}:
	default:
	}
	return true
}

// signal passes a signal on, unless there are too many to be meant.
func (s *session) signal(b []byte) bool {
	name, err := parseSignal(b)
	if err != nil || !s.begun {
		return false
	}
	select {
	case s.signals <- name:
		return true
	default:
		return false
	}
}

// begin has a shell, a command or a subsystem run.
func (s *session) begin(kind string, b []byte) bool {
	var start link.Start
	switch kind {
	case "shell":
		if len(b) > 0 {
			return false
		}
	case "exec":
		command, err := parseText(b, maxCommand)
		if err != nil {
			return false
		}
		start.Command = []byte(command)
	case "subsystem":
		name, err := parseText(b, maxName)
		if err != nil || !slices.Contains(s.c.hello.Subsystems, name) {
			return false
		}
		start.Subsystem = name
	}
	s.begun = true
	start.Env, start.Pty, start.Agent = s.env, s.pty, s.agent
	s.next = func() { s.run(start) }
	return true
}
