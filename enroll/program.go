package enroll

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ksd/internal/cli"
	"ksd/internal/wire"
)

const manual = `ksd-enroll teaches ksd the rhythm of your typing.

usage:
  ksd-enroll              enrol yourself, or add a sitting, or go on with one
  ksd-enroll list         show what is held of you
  ksd-enroll verify       see whether your rhythm is recognised
  ksd-enroll delete       have all of it deleted; asks first

flags:
  -user NAME     another account than your own (root only)
  -socket PATH   the daemon's socket; default ` + cli.DefaultSocket + `
  -yes           delete without asking
  -h             this text

Typing is shown to nobody and never leaves this machine. Every typing that was
"kept" is on disk: after Ctrl-C, run ksd-enroll again and it goes on.

exit codes: 0 done or recognised, 1 not recognised or not enrolled, 2 wrong
command line, 3 the daemon is not there, 4 not allowed, 5 the typing cannot be
used, 6 anything else, 7 no terminal, 130 stopped.
`

// request is a command line of ksd-enroll.
type request struct {
	command, user, socket string
	yes                   bool
}

// Run is the program ksd-enroll. It returns the exit code.
func Run(ctx context.Context, env cli.Env) int {
	r, err := parse(env)
	if err != nil {
		return env.Usage(manual, `"ksd-enroll -h" shows how it is used`, err)
	}
	c, err := wire.Dial(ctx, r.socket)
	if err != nil {
		return env.Fail(err)
	}
	defer c.Close()
	switch r.command {
	case "list":
		return list(ctx, env, c, r.user)
	case "verify":
		return verify(ctx, env, c, r.user)
	case "delete":
		return remove(ctx, env, c, r)
	}
	return enrol(ctx, env, c, r.user)
}

func parse(env cli.Env) (request, error) {
	r := request{user: env.User, socket: cli.DefaultSocket}
	fs := cli.Flags(env.Name)
	fs.StringVar(&r.user, "user", r.user, "")
	fs.StringVar(&r.socket, "socket", r.socket, "")
	fs.BoolVar(&r.yes, "yes", false, "")
	words, err := cli.Parse(fs, env.Args, 0, 1)
	if err != nil {
		return r, err
	}
	if len(words) == 1 {
		r.command = words[0]
	}
	switch {
	case r.command != "" && r.command != "list" && r.command != "verify" && r.command != "delete":
		return r, cli.Usagef("there is no command %q", r.command)
	case r.user == "":
		return r, cli.Usagef("your account has no name here; say -user NAME")
	}
	return r, nil
}

func enrol(ctx context.Context, env cli.Env, c *wire.Client, user string) int {
	d, err := env.Dialogue()
	if err != nil {
		return env.Fail(err)
	}
	person, err := Enrol(ctx, d, c, user)
	code := env.Fail(err)
	if code == cli.ExitOK && person.Enrolled {
		d.Say("You are enrolled. Where a login asks for your rhythm, it now knows you. Until one has let you in, keep another session open.")
	}
	if code != cli.ExitOK && code != cli.ExitRefused {
		env.Hint("nothing that was kept is lost: run ksd-enroll again to go on")
	}
	return code
}

func list(ctx context.Context, env cli.Env, c *wire.Client, user string) int {
	p, err := held(ctx, c, user)
	if err != nil {
		return env.Fail(err)
	}
	state := "enrolled"
	if !p.Enrolled {
		state = "not enrolled yet: run ksd-enroll once more"
	}
	rows := [][]string{
		{"state", state},
		{"typings", fmt.Sprintf("%d in %d sittings", p.Samples, p.Sittings)},
		{"captured", p.Channel},
		{"since", day(p.Since)},
		{"last recognised", day(p.Last)},
	}
	if !p.LockedUntil.IsZero() && p.LockedUntil.After(env.Now()) {
		rows = append(rows, []string{"locked until", p.LockedUntil.Local().Format("15:04:05")})
	}
	if len(p.Phrases) > 0 {
		rows = append(rows, []string{"phrases", strings.Join(p.Phrases, "; ")})
	}
	cli.Table(env.Stdout, []string{"account", p.User}, rows)
	return cli.ExitOK
}

// held returns what is held of a person, or that it is nothing.
func held(ctx context.Context, c *wire.Client, user string) (wire.Person, error) {
	p, err := c.User(ctx, user)
	if err == nil {
		err = cli.Held(p)
	}
	return p, err
}

func verify(ctx context.Context, env cli.Env, c *wire.Client, user string) int {
	d, err := env.Dialogue()
	if err != nil {
		return env.Fail(err)
	}
	d.Say("Type this line, then press Enter:")
	a, err := d.Challenge(ctx, c, wire.ChallengeRequest{User: user, Service: service})
	if err != nil {
		return env.Fail(err)
	}
	d.Lines("")
	d.Say("%s", cli.VerdictText(a.Code))
	return a.Exit()
}

func remove(ctx context.Context, env cli.Env, c *wire.Client, r request) int {
	if !r.yes {
		sure, err := confirm(ctx, env, c, r.user)
		if err != nil {
			return env.Fail(err)
		}
		if !sure {
			env.Info("nothing was deleted")
			return cli.ExitRefused
		}
	}
	p, err := c.Delete(ctx, r.user)
	if errors.Is(err, &wire.Error{Code: wire.CodeProof}) {
		p, err = removeProved(ctx, env, c, r.user)
	}
	if err == nil {
		err = cli.Held(p)
	}
	if err != nil {
		return env.Fail(err)
	}
	env.Info("deleted %d typings of %s", p.Samples, p.User)
	return cli.ExitOK
}

func confirm(ctx context.Context, env cli.Env, c *wire.Client, user string) (bool, error) {
	p, err := held(ctx, c, user)
	if err != nil {
		return false, err
	}
	d, err := env.Dialogue()
	if err != nil {
		return false, err
	}
	return d.ConfirmDelete(ctx, p)
}

// removeProved deletes once the person has shown who they are.
func removeProved(ctx context.Context, env cli.Env, c *wire.Client, user string) (wire.Person, error) {
	d, err := env.Dialogue()
	if err != nil {
		return wire.Person{}, err
	}
	d.Say("First show that it is you: type this line, then press Enter.")
	if err := prove(ctx, d, c, user); err != nil {
		return wire.Person{}, err
	}
	return c.Delete(ctx, user)
}

// day shows a time as people write it, "-" if there is none.
func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}
