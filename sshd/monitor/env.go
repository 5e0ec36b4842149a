package monitor

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// The PATHs that a login gets where PAM says nothing else, as Debian's sshd has
// them.
const (
	userPath = "/usr/local/bin:/usr/bin:/bin:/usr/games"
	rootPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// surroundings is what goes into a process's environment.
type surroundings struct {
	who        account
	shell      string
	client     map[string][]byte // what the client wants
	accept     []string          // patterns of what it may set
	pam        map[string]string
	connection string // SSH_CONNECTION
	tty, term  string // "" without a terminal
	agent      string
	original   string // what the client asked for where the key forces a command
}

// environment puts a process's environment together, in the order of sshd's
// session.c: what comes later wins, so a client sets nothing that matters.
func (s surroundings) environment() []string {
	env := map[string]string{}
	for name, value := range s.client {
		if accepted(name, s.accept) && !strings.ContainsRune(string(value), 0) {
			env[name] = string(value)
		}
	}
	env["USER"], env["LOGNAME"], env["HOME"], env["SHELL"] = s.who.name, s.who.name, s.who.home, s.shell
	env["MAIL"], env["PATH"] = "/var/mail/"+s.who.name, userPath
	if s.who.uid == 0 {
		env["PATH"] = rootPath
	}
	maps.Copy(env, s.pam)
	// "client address, client port, server port" of the four words.
	c := strings.Fields(s.connection)
	env["SSH_CLIENT"], env["SSH_CONNECTION"] = strings.Join([]string{c[0], c[1], c[3]}, " "), s.connection
	for name, value := range map[string]string{
		"SSH_TTY": s.tty, "TERM": s.term, "SSH_AUTH_SOCK": s.agent, "SSH_ORIGINAL_COMMAND": s.original,
	} {
		if delete(env, name); value != "" {
			env[name] = value
		}
	}
	out := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		out = append(out, name+"="+env[name])
	}
	return out
}

// accepted reports whether a client may set a variable.
func accepted(name string, patterns []string) bool {
	if name == "" || len(name) > 256 || strings.ContainsAny(name, "=\x00") {
		return false
	}
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(p, name)
		return ok
	})
}
