package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"ksd/internal/bench"
	"ksd/internal/cli"
)

func benchWords(ctx context.Context, q request, f *os.File) (int, error) {
	people, err := q.typists(f, false)
	if err != nil {
		return 0, err
	}
	r, err := bench.Words(ctx, people, q.phraseOptions(), q.bench.Decision)
	if err != nil {
		return 0, err
	}
	fused := r.Words[len(r.Words)-1]
	title := fmt.Sprintf("%s, %d to an attempt, %d people", fused.Channel, fused.Phrases, fused.People)
	var curves []bench.Curve
	var rows [][]string
	for i, w := range r.Words {
		for _, kind := range []struct {
			name string
			bench.PhraseResult
		}{{"words", w}, {"phrases", r.Phrases[i]}} {
			curves = append(curves, bench.Curve{Name: w.Scorer + ", " + kind.name, Scores: kind.Scores, LLR: kind.Cllr > 0})
			rows = append(rows, append([]string{w.Scorer, kind.name}, figures(kind.Figures)...))
		}
	}
	if err := q.drawPlot(title, curves); err != nil {
		return 0, err
	}
	if q.json {
		return q.env.JSON(r), nil
	}
	fmt.Fprintf(q.env.Stdout, "%s; %% with 95 %% intervals over people\n\n", title)
	cli.Table(q.env.Stdout, append([]string{"scorer", "kind"}, figuresHead...), rows)
	if fused.Unusable > 0 {
		fmt.Fprintf(q.env.Stdout, "\n%d texts could not be judged and are left out\n", fused.Unusable)
	}
	fmt.Fprintf(q.env.Stdout, `
attempts made of recordings, of %d at most, with the checks: accepted, and what
was caught as a copy; %% with 95 %% intervals over victims

`, q.bench.MaxPhrases)
	rows = nil
	for _, a := range r.Replays {
		rows = append(rows, []string{
			a.Recordings, strconv.Itoa(a.Times), fmt.Sprintf("%.0f ms", a.NoiseMS),
			percent(a.Words.AttemptChecked, a.Words.CI["attempt_checked"]), fmt.Sprintf("%.0f", 100*a.Words.Copied),
			percent(a.Phrases.AttemptChecked, a.Phrases.CI["attempt_checked"]), fmt.Sprintf("%.0f", 100*a.Phrases.Copied),
		})
	}
	cli.Table(q.env.Stdout, []string{"recorded at", "times>", "noise>", "words", "copies>", "phrases", "copies>"}, rows)
	return cli.ExitOK, nil
}
