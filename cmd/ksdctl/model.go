package main

import (
	"context"
	"fmt"
	"strings"

	"ksd/internal/cli"
	"ksd/internal/wire"
)

var modelCommand = command{
	name: "model", args: "[--json]", summary: "which model is loaded, since when, trained on what",
	run: func(ctx context.Context, q request) (int, error) {
		m, err := q.client.Model(ctx)
		if err != nil {
			return 0, err
		}
		if q.json {
			return q.env.JSON(m), nil
		}
		if !m.Loaded {
			q.env.Info("no model is loaded: nobody has a head, and the other scorers judge alone")
			q.env.Hint(`"ksdctl retrain" trains one, once two people are enrolled`)
			return cli.ExitOK, nil
		}
		cli.Table(q.env.Stdout, []string{"trained", moment(m.Trained)}, [][]string{
			{"SHA-256", m.SHA256},
			{"kernel", m.Kernel},
			{"seed", fmt.Sprint(m.Seed)},
			{"people", fmt.Sprintf("%d: %s", len(m.People), strings.Join(m.People, ", "))},
			{"typings", fmt.Sprint(m.Samples)},
			{"impostors drawn", fmt.Sprint(m.Impostors)},
		})
		if m.Report != nil {
			fmt.Fprintln(q.env.Stdout)
			printReport(q.env, *m.Report)
		}
		return cli.ExitOK, nil
	},
}

// modelLine tells of a model in a few words.
func modelLine(m *wire.ModelInfo) string {
	if m == nil || !m.Loaded {
		return "none: the detector judges alone"
	}
	return fmt.Sprintf("%.12s, trained %s on %d people", m.SHA256, moment(m.Trained), len(m.People))
}
