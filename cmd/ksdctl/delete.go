package main

import (
	"context"
	"flag"

	"ksd/internal/cli"
)

var deleteCommand = command{
	name: "delete", args: "USER [--yes] [--json]", summary: "forget USER and all typings of USER", least: 1, most: 1,
	detail: `Asks first, unless --yes is given. What is deleted cannot be brought back; the
audit log keeps that it was. Exit code 1 means that the answer was no.
`,
	flags: func(fs *flag.FlagSet, o *options) { fs.BoolVar(&o.yes, "yes", false, "") },
	run: func(ctx context.Context, q request) (int, error) {
		user := q.words[0]
		if !q.yes {
			p, err := q.client.User(ctx, user)
			if err != nil {
				return 0, err
			}
			if err := cli.Held(p); err != nil {
				return 0, err
			}
			d, err := q.env.Dialogue()
			if err != nil {
				return 0, err
			}
			sure, err := d.ConfirmDelete(ctx, p)
			if err != nil {
				return 0, err
			}
			if !sure {
				q.env.Info("nothing was deleted")
				return cli.ExitRefused, nil
			}
		}
		p, err := q.client.Delete(ctx, user)
		if err == nil {
			err = cli.Held(p)
		}
		if err != nil {
			return 0, err
		}
		if q.json {
			return q.env.JSON(p), nil
		}
		q.env.Info("deleted %d typings of %s", p.Samples, p.User)
		return cli.ExitOK, nil
	},
}
