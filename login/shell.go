package login

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// tokenName is the variable that a one-time token comes in. OpenSSH's client
// sends it with SendEnv, its server lets it through with AcceptEnv.
const tokenName = "KSD_TOKEN"

// The shell of the shipped configuration, and what serves where it is not
// installed. Another one that is not there has no stand-in: an account may have
// it because it can do less.
const defaultShell, standIn = "/bin/bash", "/bin/sh"

// shell is the real shell, ready to be started.
type shell struct {
	path      string
	argv, env []string
}

// shell finds the real shell and puts together what it gets. An account whose
// login shell is a link ksd-login-NAME beside ksd-login has the NAME of
// /etc/shells, any other the configured one.
func (g *gate) shell() (shell, error) {
	called := filepath.Base(strings.TrimPrefix(g.Args[0], "-"))
	candidates := []string{g.settings.shell}
	if name, ok := strings.CutPrefix(called, Name+"-"); ok {
		list, err := readTrusted(g.Shells, maxShells)
		if err != nil {
			return shell{}, fmt.Errorf("%w: %w", ErrShell, err)
		}
		if candidates = named(string(list), name); len(candidates) == 0 {
			return shell{}, fmt.Errorf("%w: %s has none named %s", ErrShell, g.Shells, name)
		}
	} else if g.settings.shell == defaultShell {
		candidates = append(candidates, standIn)
	}
	for _, path := range candidates {
		if unix.Access(path, unix.X_OK) == nil && !isGate(path) {
			return shell{path, argv(g.Args, path), environ(g.Environ, path)}, nil
		}
	}
	return shell{}, fmt.Errorf("%w: %s cannot be started", ErrShell, strings.Join(candidates, " or "))
}

// maxShells is the largest list of shells that is read, in bytes.
const maxShells = 1 << 16

// named returns the shells of a list in the form of shells(5) whose last
// element is name.
func named(list, name string) (paths []string) {
	for line := range strings.Lines(list) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if filepath.IsAbs(line) && filepath.Base(line) == name {
			paths = append(paths, line)
		}
	}
	return paths
}

// isGate reports whether a shell is this very program, which would ask for ever.
func isGate(path string) bool {
	self, err := os.Stat("/proc/self/exe")
	if err != nil {
		return true
	}
	other, err := os.Stat(path)
	return err != nil || os.SameFile(self, other)
}

// argv returns the arguments as the real shell's: its name in the form that ours
// came in, "-bash" for a login shell, and the others as they are.
func argv(args []string, path string) []string {
	name := filepath.Base(path)
	switch {
	case strings.HasPrefix(args[0], "-"):
		name = "-" + name
	case strings.Contains(args[0], "/"):
		name = path
	}
	return append([]string{name}, args[1:]...)
}

// environ returns the environment of the real shell. SHELL names it, so that
// what starts a shell by that (tmux, vim, xterm, script) does not ask again.
func environ(env []string, path string) []string {
	out := make([]string, 0, len(env)+1)
	for _, v := range env {
		if name, _, _ := strings.Cut(v, "="); name != tokenName && name != "SHELL" {
			out = append(out, v)
		}
	}
	return append(out, "SHELL="+path)
}

// variable returns the first value of a variable, "" if there is none.
func variable(env []string, name string) string {
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// plausible reports whether a token can stand in a packet: 1 to 64 printable
// ASCII characters.
func plausible(token string) bool {
	for i := range len(token) {
		if token[i] < ' ' || token[i] > '~' {
			return false
		}
	}
	return token != "" && len(token) <= 64
}
