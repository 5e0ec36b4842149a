// Package demo is ksd-try: ksd from enrolment to verdict in a few minutes,
// without root and without installing anything.
//
// It starts a daemon of its own in a temporary folder, as the current user,
// and removes both on every way out: the end, an error, Ctrl-C, SIGTERM, a
// hang-up. (Of SIGKILL the daemon dies as well, but the folder stays.)
//
// At a terminal it takes the person there through a short enrolment, trains,
// and challenges twice. Without one it plays two people from recorded typing
// through the installed programs at pseudo-terminals, key by key at the times
// they were pressed.
package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ksd/internal/cli"
)

const manual = `ksd-try shows ksd from enrolment to verdict, without installing anything.

usage: ksd-try [-bin FOLDER] [-data FILE]

  -bin FOLDER   where ksdd, ksd-enroll and ksdctl are; default: beside ksd-try
  -data FILE    recorded typing to play where there is no terminal;
                default ` + defaultData + `

Everything happens in a temporary folder and is removed at the end.
exit codes: 0 done, 6 something broke, 7 neither a terminal nor recorded typing,
130 stopped.
`

const defaultData = "../shared/data/greyc-dev.tsv.gz"

// options are the flags of ksd-try.
type options struct{ bin, data string }

// Run is the program ksd-try. It returns the exit code.
func Run(ctx context.Context, env cli.Env) int {
	var o options
	fs := cli.Flags(env.Name)
	fs.StringVar(&o.bin, "bin", "", "")
	fs.StringVar(&o.data, "data", defaultData, "")
	if _, err := cli.Parse(fs, env.Args, 0, 0); err != nil {
		return env.Usage(manual, `"ksd-try -h" shows how it is used`, err)
	}
	if o.bin == "" {
		self, err := os.Executable()
		if err != nil {
			return env.Fail(err)
		}
		o.bin = filepath.Dir(self)
	}
	if err := present(ctx, env, o); err != nil {
		code := env.Fail(err)
		if errors.Is(err, errNoData) {
			env.Hint("run it at a terminal, or name recorded typing with -data FILE")
			return cli.ExitNoTerminal
		}
		return code
	}
	return cli.ExitOK
}

func present(ctx context.Context, env cli.Env, o options) error {
	if !atTerminal(env) {
		return play(ctx, env, o)
	}
	d, err := env.Dialogue()
	if err != nil {
		return err
	}
	return talk(ctx, env, d, o)
}

// atTerminal says whether somebody is there to type: /dev/tty alone does not
// tell, since "make try </dev/null" in a terminal has one too.
func atTerminal(env cli.Env) bool {
	in, ok := env.Stdin.(*os.File)
	return ok && env.Tty != nil && env.Width != nil && env.Width(in) > 0
}

// say tells whoever watches a play how it goes.
func say(env cli.Env, format string, args ...any) {
	fmt.Fprintf(env.Stdout, format+"\n", args...)
}
