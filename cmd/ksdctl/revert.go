package main

import (
	"context"

	"ksd/internal/cli"
)

var revertCommand = command{
	name: "revert", args: "USER [--json]", summary: "throw away what grew: USER's enrolment alone is left", least: 1, most: 1,
	detail: `Deletes every typing that joined the templates of USER at a login, and those
that wait to. What is deleted cannot be brought back. The network forgets them
with the training that follows, or with "ksdctl retrain".
`,
	run: func(ctx context.Context, q request) (int, error) {
		p, err := q.client.Revert(ctx, q.words[0])
		if err != nil {
			return 0, err
		}
		if q.json {
			return q.env.JSON(p), nil
		}
		q.env.Info("threw %s away; %s is judged by the enrolment alone", typings(p.Grown), p.User)
		return cli.ExitOK, nil
	},
}
