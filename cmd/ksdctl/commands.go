package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"ksd/internal/cli"
	"ksd/internal/wire"
)

// command is one subcommand.
type command struct {
	name        string
	args        string // its words and flags, for the usage line
	summary     string // one line
	detail      string // further lines of its manual; may be empty
	least, most int    // how many words it takes; most -1: any number
	local       bool   // it does not talk to the daemon
	flags       func(fs *flag.FlagSet, o *options)
	run         func(ctx context.Context, q request) (exit int, err error)
}

// commands are all subcommands, in the order of the manual. A new one is a file
// with its command value and a line here.
func commands() []command {
	return []command{
		statusCommand, usersCommand, verifyCommand, unlockCommand, tokenCommand, deleteCommand,
		confirmCommand, revertCommand, auditCommand,
		modelCommand, retrainCommand, importCommand, checkConfigCommand,
		benchCommand, populationCommand, trainBaseCommand,
	}
}

// options are the flags of all subcommands; each has those it defines.
type options struct {
	socket string
	json   bool

	dryRun, yes, press     bool
	seed                   uint64
	limit, first, sittings int
	prefix, class          string

	valid         time.Duration
	note, channel string
	skip          int
	bench         benchOptions
}

// request is what a subcommand is asked to do. client is nil for local ones.
type request struct {
	options
	env    cli.Env
	words  []string
	client *wire.Client
}

// run is the program ksdctl. It returns the exit code.
func run(ctx context.Context, env cli.Env) int {
	if len(env.Args) == 0 {
		return env.Usage("", hint(""), cli.Usagef("which subcommand?"))
	}
	name, args := env.Args[0], env.Args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		return help(env, args)
	}
	c, ok := find(name)
	if !ok {
		return env.Usage("", hint(""), cli.Usagef("there is no subcommand %q", name))
	}
	q, err := parse(c, env, args)
	if err != nil {
		return env.Usage(c.manual(), hint(c.name), err)
	}
	if !c.local {
		if q.client, err = wire.Dial(ctx, q.socket); err != nil {
			return env.Fail(err)
		}
		defer q.client.Close()
	}
	exit, err := c.run(ctx, q)
	if errors.Is(err, cli.ErrUsage) {
		return env.Usage("", hint(c.name), err)
	}
	if err != nil {
		return env.Fail(err)
	}
	return exit
}

func find(name string) (command, bool) {
	for _, c := range commands() {
		if c.name == name {
			return c, true
		}
	}
	return command{}, false
}

func parse(c command, env cli.Env, args []string) (request, error) {
	q := request{env: env}
	fs := cli.Flags(c.name)
	fs.StringVar(&q.socket, "socket", cli.DefaultSocket, "")
	fs.BoolVar(&q.json, "json", false, "")
	if c.flags != nil {
		c.flags(fs, &q.options)
	}
	var err error
	q.words, err = cli.Parse(fs, args, c.least, c.most)
	return q, err
}

func hint(name string) string {
	return strings.TrimSpace(`"ksdctl help `+name) + `" shows how it is used`
}

// help shows the manual, of all or of one subcommand.
func help(env cli.Env, args []string) int {
	if len(args) > 0 {
		c, ok := find(args[0])
		if !ok {
			return env.Usage("", hint(""), cli.Usagef("there is no subcommand %q", args[0]))
		}
		fmt.Fprint(env.Stdout, c.manual())
		return cli.ExitOK
	}
	fmt.Fprint(env.Stdout, "ksdctl looks after ksd, the keystroke dynamics daemon.\n\nusage:\n")
	for _, c := range commands() {
		fmt.Fprintf(env.Stdout, "  ksdctl %-13s %s\n", c.name, c.summary)
	}
	fmt.Fprint(env.Stdout, `
"ksdctl help SUBCOMMAND" tells more. Every subcommand takes
  --json         one JSON value on stdout, for programs
  -socket PATH   the daemon's socket; default `+cli.DefaultSocket+`

exit codes: 0 done, or the answer is yes; 1 the answer is no; 2 wrong command
line; 3 the daemon is not there; 4 not allowed; 5 a file or a typing that cannot
be used; 6 anything else; 7 no terminal; 130 stopped.
`)
	return cli.ExitOK
}

func (c command) manual() string {
	s := fmt.Sprintf("usage: ksdctl %s\n\n%s.\n", strings.TrimSpace(c.name+" "+c.args), capital(c.summary))
	if c.detail != "" {
		s += "\n" + c.detail
	}
	return s
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
