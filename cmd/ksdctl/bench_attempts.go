package main

import (
	"context"
	"fmt"
	"os"

	"ksd/internal/bench"
	"ksd/internal/cli"
)

func benchSequential(ctx context.Context, q request, f *os.File) (int, error) {
	people, err := q.typists(f, false)
	if err != nil {
		return 0, err
	}
	r, err := bench.Sequential(ctx, people, q.phraseOptions(), q.bench.Decision)
	if err != nil {
		return 0, err
	}
	if q.json {
		return q.env.JSON(r), nil
	}
	var rows [][]string
	for _, t := range r.Tests {
		name := fmt.Sprintf("fixed, %d", t.Phrases)
		if t.Phrases == 0 {
			name = fmt.Sprintf("sequential, up to %d", r.Decision.MaxPhrases)
		}
		keys, typed := t.CI["keys"], t.CI["typed"]
		rows = append(rows, []string{
			name, fmt.Sprintf("%.1f [%.1f, %.1f]", t.Keys, keys[0], keys[1]), fmt.Sprintf("%.2f [%.2f, %.2f]", t.Typed, typed[0], typed[1]),
			percent(t.FMR, t.CI["fmr"]), percent(t.FNMR, t.CI["fnmr"]),
		})
	}
	fmt.Fprintf(q.env.Stdout, "%s, %d people, aiming at FMR %g %% and FNMR %g %%; %% of whole attempts with 95 %% intervals over people\n\n",
		r.Channel, r.People, 100*r.Decision.FMR, 100*r.Decision.FNMR)
	cli.Table(q.env.Stdout, []string{"phrases", "keys of an owner", "phrases of an owner", "FMR", "FNMR"}, rows)
	return cli.ExitOK, nil
}

func benchAttacks(ctx context.Context, q request, f *os.File) (int, error) {
	people, err := q.typists(f, false)
	if err != nil {
		return 0, err
	}
	results, err := bench.Attacks(ctx, people, q.phraseOptions(), q.bench.Decision)
	if err != nil {
		return 0, err
	}
	if q.json {
		return q.env.JSON(results), nil
	}
	var rows [][]string
	for _, r := range results {
		rows = append(rows, []string{
			r.Attack,
			fmt.Sprintf("%.1f", 100*r.Phrase), percent(r.PhraseChecked, r.CI["phrase_checked"]),
			fmt.Sprintf("%.1f", 100*r.Attempt), percent(r.AttemptChecked, r.CI["attempt_checked"]),
			fmt.Sprintf("%.0f", 100*r.Copied), fmt.Sprintf("%.0f", 100*r.Steady),
		})
	}
	fmt.Fprintf(q.env.Stdout, `%s, %d people, FMR %g %%, FNMR %g %%, up to %d phrases
accepted, without and with the checks; typings caught as copy or as too steady;
%% with 95 %% intervals over victims

`, q.channel, len(people), 100*q.bench.FMR, 100*q.bench.FNMR, q.bench.MaxPhrases)
	cli.Table(q.env.Stdout, []string{"attack", "one phrase>", "checked", "attempt>", "checked", "copy>", "steady>"}, rows)
	return cli.ExitOK, nil
}
