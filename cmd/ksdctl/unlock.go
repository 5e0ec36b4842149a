package main

import (
	"context"

	"ksd/internal/cli"
)

var unlockCommand = command{
	name: "unlock", args: "USER [--json]", summary: "end the lock-out of USER", least: 1, most: 1,
	run: func(ctx context.Context, q request) (int, error) {
		p, err := q.client.Unlock(ctx, q.words[0])
		if err != nil {
			return 0, err
		}
		if q.json {
			return q.env.JSON(p), nil
		}
		q.env.Info("%s may try again", p.User)
		return cli.ExitOK, nil
	},
}
