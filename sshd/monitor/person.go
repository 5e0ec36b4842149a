package monitor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"ksd/sshd/link"
)

// gate is the program that may stand as a login shell before the real one.
const gate = "ksd-login"

// person is what a process gets of PAM, once for a connection.
type person struct {
	groups []uint32
	limits limits // what pam_limits left
	env    map[string]string
}

// person has PAM open the session, if this is the first.
func (p *process) person() error {
	m := p.m
	if m.person == nil {
		tty := "ssh"
		if p.tty.name != "" {
			tty = p.tty.name
		}
		var one *person
		var err error
		m.o.Main(func() { one, err = m.pam.become(m.who, tty) })
		texts := m.pam.talk.take()
		if err != nil {
			m.log(m.who.name).Error("PAM session refused", "error", err, "texts", texts)
			return link.Refused
		}
		m.person = one
		// For the person, where they do not get between a program and its client.
		if p.ask.Pty != nil && p.kind == "shell" && !hushed(m.who) {
			p.texts = append(p.texts, texts...)
		}
	}
	return nil
}

// become opens the session and returns what it left. The supplementary groups
// are set first, because pam_group adds to them.
func (s *stack) become(a account, tty string) (*person, error) {
	groups, err := a.groups()
	if err != nil {
		return nil, err
	}
	before, err := getLimits()
	if err != nil {
		return nil, err
	}
	ints := make([]int, len(groups))
	for i, g := range groups {
		ints[i] = int(g)
	}
	own, err := syscall.Getgroups()
	if err != nil {
		return nil, err
	}
	if err := syscall.Setgroups(ints); err != nil {
		return nil, err
	}
	p := &person{}
	p.env, err = s.openSession(tty)
	after, groupsErr := syscall.Getgroups()
	limitsErr := error(nil)
	p.limits, limitsErr = getLimits()
	err = errors.Join(err, groupsErr, limitsErr, syscall.Setgroups(own), before.set())
	for _, g := range after {
		p.groups = append(p.groups, uint32(g))
	}
	return p, err
}

// hushed reports whether somebody wants no texts.
func hushed(a account) bool {
	return as(a, func() error {
		_, err := os.Lstat(filepath.Join(a.home, ".hushlogin"))
		return err
	}) == nil
}

// shell returns the shell to run: the person's, or the one behind the gate,
// which has nothing left to ask.
func (p *process) shell() (string, error) {
	shell := p.m.who.shell
	named, isGate := strings.CutPrefix(filepath.Base(shell), gate)
	switch {
	case !isGate || named != "" && named[0] != '-':
		return shell, nil
	case named == "":
		return p.m.o.Config.Login.Shell, nil
	}
	listed, err := os.ReadFile("/etc/shells")
	for line := range strings.Lines(string(listed)) {
		if line = strings.TrimSpace(line); filepath.IsAbs(line) && filepath.Base(line) == named[1:] {
			return line, nil
		}
	}
	return "", errors.Join(fmt.Errorf("no %s in /etc/shells, which %s asks for", named[1:], shell), err)
}
