package main

import (
	"context"

	"ksd/internal/cli"
	"ksd/internal/wire"
)

var verifyCommand = command{
	name: "verify", args: "USER [--json]", summary: "challenge whoever is at this terminal as USER", least: 1, most: 1,
	detail: `Shows the verdict, the score between its limits, and the typing over the usual
rhythm. Exit code 0 means recognised, 1 not recognised, 5 no verdict.
`,
	run: func(ctx context.Context, q request) (int, error) {
		d, err := q.env.Dialogue()
		if err != nil {
			return 0, err
		}
		d.Say("Type this line as %s would, then press Enter:", q.words[0])
		a, err := d.Challenge(ctx, q.client, wire.ChallengeRequest{User: q.words[0], Service: "ksdctl"})
		if err != nil {
			return 0, err
		}
		if q.json {
			if exit := q.env.JSON(a); exit != cli.ExitOK {
				return exit, nil
			}
			return a.Exit(), nil
		}
		d.Lines("")
		d.Say("%s", cli.VerdictText(a.Code))
		d.Lines(a.Picture(d.Screen)...)
		return a.Exit(), nil
	},
}
