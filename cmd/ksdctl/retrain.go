package main

import (
	"context"
	"flag"
	"fmt"

	"ksd/internal/cli"
	"ksd/internal/wire"
)

var retrainCommand = command{
	name: "retrain", args: "[--dry-run] [--seed N] [--json]", summary: "train everybody's head anew",
	detail: `Shows how far it is, then the figures of the new heads beside those that the
ones before had when they were trained, on sittings kept apart for it:
  loss   mean cross-entropy, nats
  FMR    share of strangers' typings taken for the owner's
  FNMR   share of owners' typings not taken for theirs
  EER    where the two are equal
Ctrl-C stops the run; the model in use then stays. So it does with --dry-run.
`,
	flags: func(fs *flag.FlagSet, o *options) {
		fs.BoolVar(&o.dryRun, "dry-run", false, "")
		fs.Uint64Var(&o.seed, "seed", 0, "")
	},
	run: func(ctx context.Context, q request) (int, error) {
		report, err := retrain(ctx, q)
		if err != nil {
			return 0, err
		}
		if q.json {
			return q.env.JSON(report), nil
		}
		printReport(q.env, *report)
		if report.Installed {
			q.env.Info("the new model judges from now on")
		} else {
			q.env.Info("the model in use stays")
		}
		return cli.ExitOK, nil
	},
}

// retrain runs one and shows how far it is.
func retrain(ctx context.Context, q request) (*wire.TrainingReport, error) {
	bar := cli.NewProgress(q.env.Screen(q.env.Stderr))
	defer bar.Done()
	return q.client.Retrain(ctx, wire.RetrainRequest{DryRun: q.dryRun, Seed: q.seed}, func(p wire.Progress) {
		bar.Set(p.Done, cli.TrainingWords(p))
	})
}

// printReport shows what came of a training run.
func printReport(env cli.Env, r wire.TrainingReport) {
	fmt.Fprintf(env.Stdout, "%d people; %d typings and %d drawn impostors to train on, %d typings to validate on;\n"+
		"%d heads; %.1f s\n\n",
		r.People, r.Samples, r.Impostors, r.Validation, r.Heads, r.Seconds)
	var before wire.TrainingReport
	if r.Before != nil {
		before = *r.Before
	}
	row := func(name, format string, scale, was, is float64) []string {
		cells := []string{name, "", fmt.Sprintf(format, is*scale), ""}
		if r.Before != nil {
			cells[1], cells[3] = fmt.Sprintf(format, was*scale), fmt.Sprintf("%+"+format[1:], (is-was)*scale)
		}
		return cells
	}
	rows := [][]string{row("loss in training", "%.4f", 1, before.Loss, r.Loss)}
	if r.Validation > 0 {
		rows = append(rows,
			row("loss in validation", "%.4f", 1, before.ValidationLoss, r.ValidationLoss),
			row("FMR", "%.2f %%", 100, before.FMR, r.FMR),
			row("FNMR", "%.2f %%", 100, before.FNMR, r.FNMR),
			row("EER", "%.2f %%", 100, before.EER, r.EER))
	}
	cli.Table(env.Stdout, []string{"", "before>", "after>", "change>"}, rows)
	if r.Validation == 0 {
		env.Warn("nobody has a second sitting, so nothing could be held back to validate on")
	}
}
