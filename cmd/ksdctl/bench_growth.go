package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"ksd/conf"
	"ksd/internal/bench"
	"ksd/internal/cli"
	"ksd/internal/corpus"
	"ksd/internal/keystroke"
)

// growthRuns are the measurements, for each FMR: whether templates grow, what
// share of all attempts is impostors', and whether one of them, the nearest to
// the owner, makes all of those. To templates that stay the impostors matter not.
var growthRuns = []struct {
	grows   bool
	share   float64
	nearest bool
}{{false, 0.10, false}, {true, 0, false}, {true, 0.02, false}, {true, 0.10, false}, {true, 0.10, true}}

// benchGrowth types through CMU's sittings with templates that stay and with
// templates that grow, by the rule of the shipped configuration.
func benchGrowth(ctx context.Context, q request, f *os.File) (int, error) {
	reps, err := corpus.ReadCMU(f)
	if err != nil {
		return 0, err
	}
	c := conf.Default()
	var results []bench.GrowthResult
	for _, fmr := range []float64{0.10, 0.01} {
		for _, r := range growthRuns {
			o := bench.GrowthOptions{
				Enrol: cmp.Or(q.bench.enrol, 10), Warmups: c.Challenge.Warmups, Channel: keystroke.Channel(q.channel),
				FMR: fmr, Impostors: r.share, Nearest: r.nearest, Apart: 7 * 24 * time.Hour, Seed: q.bench.Seed,
			}
			if r.grows {
				o.Window, o.PerWeek = c.Adapt.Window, c.Adapt.PerWeek
			}
			one, err := bench.Growth(ctx, reps, o)
			if err != nil {
				return 0, err
			}
			results = append(results, one)
		}
	}
	if q.json {
		return q.env.JSON(results), nil
	}
	printGrowth(q.env, q.channel, results)
	return cli.ExitOK, nil
}

func printGrowth(env cli.Env, channel string, results []bench.GrowthResult) {
	head := []string{"FMR>", "grow", "tries>"}
	for i := range results[0].FNMR {
		head = append(head, fmt.Sprintf("%d>", i+1))
	}
	head = append(head, "in>", "theirs>", "same>", "last>", "EER>")
	percent := func(x float64) string { return fmt.Sprintf("%.1f", 100*x) }
	whole := func(x float64) string { return fmt.Sprintf("%.0f", 100*x) }
	var rows [][]string
	for _, r := range results {
		grow, tries := "no", whole(r.Impostors)
		if r.Window > 0 {
			grow = "yes"
		}
		if r.Nearest {
			tries += "*"
		}
		row := []string{whole(r.FMR), grow, tries}
		for _, x := range r.FNMR {
			row = append(row, whole(x))
		}
		rows = append(rows, append(row, fmt.Sprint(r.Joined), percent(r.Foreign), percent(r.Novices), percent(r.Practised), percent(r.EER)))
	}
	fmt.Fprintf(env.Stdout, `%s, %d people, sittings a week apart; rates in %%
FMR: wanted on the day of the enrolment; grow: whether templates do; tries: the
share of attempts that is impostors', * of the nearest one alone; 1 to 8: FNMR by
sitting; in: typings that joined; theirs: the share of them that is impostors';
in the end, same: FMR of the strangers the threshold was set by; last: FMR of
strangers' last typings; EER: of the last sitting against these

`, channel, results[0].People)
	cli.Table(env.Stdout, head, rows)
}
