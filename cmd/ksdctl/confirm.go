package main

import (
	"context"
	"fmt"

	"ksd/internal/cli"
)

var confirmCommand = command{
	name: "confirm", args: "USER [--json]", summary: "give your word that the last login was USER's", least: 1, most: 1,
	detail: `The typings of the last accepted login of USER join the templates now, and do
not wait for the next login to confirm them. The bounds stay: no more a week
than adapt.per_week, and none that the enrolment alone would have refused. Exit
code 1 means that none joined.
`,
	run: func(ctx context.Context, q request) (int, error) {
		g, err := q.client.Confirm(ctx, q.words[0])
		if err != nil {
			return 0, err
		}
		exit := cli.ExitOK
		if g.Joined == 0 {
			exit = cli.ExitRefused
		}
		if q.json {
			return max(exit, q.env.JSON(g)), nil
		}
		if g.Waited == 0 {
			q.env.Info("no login of %s waits to be confirmed", q.words[0])
			return exit, nil
		}
		q.env.Info("%d of the last login's %s joined the templates of %s", g.Joined, typings(g.Waited), q.words[0])
		return exit, nil
	},
}

// typings returns n with its unit.
func typings(n int) string {
	if n == 1 {
		return "1 typing"
	}
	return fmt.Sprintf("%d typings", n)
}
