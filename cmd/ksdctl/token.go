package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"ksd/internal/cli"
	"ksd/internal/wire"
)

var tokenCommand = command{
	name: "token", args: "USER [--valid 10m] [--json]", summary: "let USER in once where there is no terminal", least: 1, most: 1,
	detail: `It prints a one-time token, and nothing else, on stdout. It stands in for the
typing where nothing can be typed: a command over ssh, scp, sftp, rsync. Whoever
brings it gets in once as USER, behind the first factor, also while USER is
locked out. The daemon keeps no copy: what is lost is lost.

  --valid TIME   how long it may be used, "1s" to "24h"; default "10m"
`,
	flags: func(fs *flag.FlagSet, o *options) {
		fs.DurationVar(&o.valid, "valid", wire.DefaultTokenLife, "")
	},
	run: func(ctx context.Context, q request) (int, error) {
		if q.valid < time.Second || q.valid > wire.MaxTokenLife {
			return 0, cli.Usagef("--valid: want 1s to 24h")
		}
		token, err := q.client.Token(ctx, q.words[0], q.valid)
		if err != nil {
			return 0, err
		}
		if q.json {
			return q.env.JSON(token), nil
		}
		if _, err := fmt.Fprintln(q.env.Stdout, token.Token); err != nil {
			return 0, err
		}
		q.env.Info("it lets %s in once, until %s", token.User, moment(token.Expires))
		if token.Open > 1 {
			q.env.Info("%s has %d open tokens now", token.User, token.Open)
		}
		q.env.Hint("hand it over as you would a password, and not on a command line that others can see")
		return cli.ExitOK, nil
	},
}
