// Package login is the gate before an account's shell. The program ksd-login is
// an account's login shell in /etc/passwd; it has the typing check done and, on
// a yes, becomes the real shell. It is the way behind OpenSSH, where PAM sees no
// keystroke, and behind anything else that starts a login shell.
//
// # Rules
//
// There is one way to the shell: the daemon's Accept. Everything else, also what
// nobody thought of, ends in exit code 1. The one exception is an account that
// the administrator named in [login] breakglass while nobody listens at the
// socket.
//
// A session at a terminal is asked to type there, whether it wants a shell or
// one command (ssh -t). A session without one (ssh host command, scp, sftp,
// rsync, git) is the daemon's to decide by its policy, or by a one-time token in
// the variable KSD_TOKEN, which goes no further.
//
// The terminal is descriptor 0, and only if it is the session's controlling
// terminal. The shell will read its commands from descriptor 0, so that is where
// its owner has to be; and only for the controlling terminal does the kernel
// tell this session that the line was dropped, and no other session can have the
// same one. A terminal that somebody merely opened is none.
//
// Nothing is ever written to standard output: rsync and sftp speak there.
//
// # What the caller can shape
//
// Whoever starts a login shell can shape its arguments, environment, limits,
// descriptors and signals. Who the account is comes from the kernel (the uid)
// and the account database; the real shell from files that only root can
// write and from the name that the program was started under, which for a login
// is the one in /etc/passwd. Of the environment TERM and KSD_TOKEN are read, and
// neither opens anything. The program is linked statically, so that nothing is
// loaded into it.
//
// The real shell gets what the gate was given: arguments, environment (but for
// SHELL, which names the real shell, and KSD_TOKEN), descriptors, limits and
// umask. No signal is ignored any more, whatever was: Go's runtime takes them
// before a line of the program runs. A login shell expects it so.
package login

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"ksd/internal/wire"
)

// Name is the program's name, as it stands in the account database, before each
// line that it says, and as the service in the audit log.
const Name = "ksd-login"

// The longest that a daemon which is there may take. At a terminal it sets times
// itself, and each is shorter.
const (
	typingPatience  = 10 * time.Minute
	requestPatience = 30 * time.Second
)

// World is what the gate stands in.
type World struct {
	Args     []string // as they came, the name first
	Environ  []string // NAME=value
	UID      int      // of the account
	Stdin    *os.File // the session's terminal, if it is one
	Stderr   io.Writer
	Terminal func(*os.File) (bool, error)                       // whether it is this session's own; see Terminal
	Account  func(ctx context.Context, uid int) (string, error) // the account's name
	Config   string                                             // path of ksd.toml
	Shells   string                                             // path of the list of shells
	Log      func(line string) error                            // to the system's log
	Exec     func(path string, argv, env []string) error        // returns only if it fails
}

// The reasons of the gate's own not to let somebody in.
var (
	ErrRefused    = errors.New("not let in")
	ErrBackground = errors.New("it runs in the background of its terminal")
	ErrOneWay     = errors.New("its terminal is not open for both reading and writing")
	ErrToken      = errors.New(tokenName + " does not hold a token")
	ErrAccount    = errors.New("no such account")
	ErrShell      = errors.New("no shell to start")
)

// Run lets somebody into the real shell, from which it does not return, or says
// in one line why not and returns the exit code. ctx ends where nobody waits any
// more.
func Run(ctx context.Context, w World) int {
	g := gate{World: w}
	if err := g.run(ctx); !g.told {
		g.say(advice(err))
	}
	return 1
}

// gate is one attempt.
type gate struct {
	World
	settings settings
	user     string
	told     bool // the person knows why
}

func (g *gate) say(line string) { fmt.Fprintf(g.Stderr, "%s: %s\n", Name, line) }

// run returns only if nobody gets in.
func (g *gate) run(ctx context.Context) error {
	var err error
	if g.settings, err = readSettings(g.Config); err != nil {
		g.warn(fmt.Sprintf("%v: the file is ignored; ask your administrator", err))
	}
	if g.user, err = g.Account(ctx, g.UID); err != nil {
		return err
	}
	return g.enter(ctx)
}

// enter has the daemon asked and starts the shell. It returns only if nobody
// gets in.
func (g *gate) enter(ctx context.Context) error {
	s, err := g.shell()
	if err != nil {
		return err
	}
	err = g.ask(ctx)
	if errors.Is(err, wire.ErrNoDaemon) && slices.Contains(g.settings.breakglass, g.user) {
		g.warn(fmt.Sprintf("the typing check is not running; %s is let in without it, as an emergency account", g.user))
		err = nil
	}
	if err = errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s: %w", ErrShell, s.path, g.Exec(s.path, s.argv, s.env))
}

// warn tells the person and the log of something that is not as it should be.
func (g *gate) warn(line string) {
	if err := g.Log(line); err != nil {
		line += " (the log could not be written)"
	}
	g.say(line)
}

// ask has the daemon decide. Without an error it accepted.
func (g *gate) ask(ctx context.Context) error {
	// The source is what the kernel vouches for: where the connection comes from
	// stands in the environment alone, and that is anybody's to write.
	source := fmt.Sprintf("uid:%d", g.UID)
	own, err := g.Terminal(g.Stdin)
	if err != nil {
		return err
	}
	var v wire.Verdict
	if own {
		ctx, cancel := context.WithTimeout(ctx, typingPatience)
		defer cancel()
		h := wire.Hello{User: g.user, Service: Name, Source: source, Term: variable(g.Environ, "TERM")}
		v, err = wire.HandOver(ctx, g.settings.socket, h, g.Stdin, g.relay)
	} else {
		ctx, cancel := context.WithTimeout(ctx, requestPatience)
		defer cancel()
		q := wire.Request{User: g.user, Service: Name, Source: source, Token: variable(g.Environ, tokenName)}
		if q.Token != "" && !plausible(q.Token) {
			return ErrToken
		}
		v, err = wire.Admit(ctx, g.settings.socket, q, g.relay)
	}
	if err != nil {
		return err
	}
	if v.Code != wire.Accept {
		return verdictError{v.Code, own}
	}
	return nil
}

// relay shows a text of the daemon.
func (g *gate) relay(t wire.Text) {
	fmt.Fprintln(g.Stderr, t.Text)
	g.told = g.told || t.IsError
}
