package main

import (
	"context"
	"flag"
	"fmt"

	"ksd/internal/cli"
	"ksd/internal/wire"
)

var auditCommand = command{
	name: "audit", args: "[USER] [--limit N] [--json]", summary: "what was decided, newest first", most: 1,
	detail: "With --json every entry also names the model that judged.\n",
	flags:  func(fs *flag.FlagSet, o *options) { fs.IntVar(&o.limit, "limit", 50, "") },
	run: func(ctx context.Context, q request) (int, error) {
		if q.limit < 1 {
			return 0, cli.Usagef("--limit wants a number from 1 on")
		}
		user := ""
		if len(q.words) > 0 {
			user = q.words[0]
		}
		entries, err := q.client.Audit(ctx, user, q.limit)
		if err != nil {
			return 0, err
		}
		if q.json {
			return q.env.JSON(append([]wire.AuditEntry{}, entries...)), nil
		}
		var rows [][]string
		for _, e := range entries {
			score := ""
			if e.Score != nil {
				score = fmt.Sprintf("%.2f", *e.Score)
			}
			rows = append(rows, []string{moment(e.When), e.Event, e.User, e.Outcome, score, e.Service, e.Source, e.Actor})
		}
		cli.Table(q.env.Stdout, []string{"when", "event", "user", "outcome", "score>", "service", "source", "by"}, rows)
		return cli.ExitOK, nil
	},
}
