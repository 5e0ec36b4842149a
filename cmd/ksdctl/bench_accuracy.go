package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"

	"ksd/internal/bench"
	"ksd/internal/cli"
	"ksd/internal/corpus"
)

func benchPhrases(ctx context.Context, q request, f *os.File) (int, error) {
	people, err := q.typists(f, false)
	if err != nil {
		return 0, err
	}
	results, err := bench.Phrases(ctx, people, q.phraseOptions())
	if err != nil {
		return 0, err
	}
	fused := results[len(results)-1]
	title := fmt.Sprintf("%s, %d phrases, %d people", fused.Channel, fused.Phrases, fused.People)
	if fused.Phrases == 1 {
		title = fmt.Sprintf("%s, 1 phrase, %d people", fused.Channel, fused.People)
	}
	var curves []bench.Curve
	var rows [][]string
	for _, r := range results {
		curves = append(curves, bench.Curve{Name: r.Scorer, Scores: r.Scores, LLR: r.Cllr > 0})
		rows = append(rows, append([]string{r.Scorer}, figures(r.Figures)...))
	}
	if err := q.drawPlot(title, curves); err != nil {
		return 0, err
	}
	switch {
	case q.json && q.bench.scorers:
		return lines(q.env, results)
	case q.json:
		fused.Scorer = ""
		return q.env.JSON(fused), nil
	}
	fmt.Fprintf(q.env.Stdout, "%s; %% with 95 %% intervals over people\n\n", title)
	cli.Table(q.env.Stdout, append([]string{"scorer"}, figuresHead...), rows)
	if fused.Unusable > 0 {
		fmt.Fprintf(q.env.Stdout, "\n%d typings could not be judged and are left out\n", fused.Unusable)
	}
	return cli.ExitOK, nil
}

func benchFit(ctx context.Context, q request, f *os.File) (int, error) {
	people, err := q.typists(f, q.bench.free)
	if err != nil {
		return 0, err
	}
	var fit bench.FusionFit
	if q.bench.free {
		fit, err = bench.FitFree(ctx, people, q.freeOptions())
	} else {
		fit, err = bench.Fit(ctx, people, q.phraseOptions())
	}
	if err != nil {
		return 0, err
	}
	return q.env.JSON(fit), nil
}

func (q request) freeOptions() bench.FreeOptions {
	b := q.bench
	return bench.FreeOptions{Enrol: cmp.Or(b.enrol, 10), People: cmp.Or(b.people, 300), Impostors: b.impostors, Seed: b.Seed}
}

func benchFreeText(ctx context.Context, q request, f *os.File) (int, error) {
	people, err := q.typists(f, true)
	if err != nil {
		return 0, err
	}
	results, err := bench.FreeText(ctx, people, q.freeOptions())
	if err != nil {
		return 0, err
	}
	last := results[len(results)-1]
	title := fmt.Sprintf("free text, %s, enrolled on %d sentences, %d people", last.Channel, last.Enrol, last.People)
	var curves []bench.Curve
	var rows [][]string
	for _, r := range results {
		for _, kind := range []struct {
			name string
			bench.Figures
		}{{"everyone", r.Everyone}, {"same sentence", r.Same}} {
			curves = append(curves, bench.Curve{Name: r.Scorer + ", " + kind.name, Scores: kind.Scores, LLR: kind.Cllr > 0})
			rows = append(rows, append([]string{r.Scorer, kind.name}, figures(kind.Figures)...))
		}
	}
	if err := q.drawPlot(title, curves); err != nil {
		return 0, err
	}
	switch {
	case q.json && q.bench.scorers:
		return lines(q.env, results)
	case q.json:
		return q.env.JSON(last), nil
	}
	fmt.Fprintf(q.env.Stdout, "%s; %% with 95 %% intervals over people\n\n", title)
	cli.Table(q.env.Stdout, append([]string{"scorer", "impostors"}, figuresHead...), rows)
	return cli.ExitOK, nil
}

func benchCMU(ctx context.Context, q request, f *os.File) (int, error) {
	reps, err := corpus.ReadCMU(f)
	if err != nil {
		return 0, err
	}
	published, err := bench.CMU(reps)
	if err != nil {
		return 0, err
	}
	own, err := bench.CMUOwn(ctx, reps)
	if err != nil {
		return 0, err
	}
	results := slices.Concat(published, own)
	if q.json {
		return q.env.JSON(results), nil
	}
	var rows [][]string
	for _, r := range results {
		paper := ""
		if r.PublishedEER > 0 {
			paper = fmt.Sprintf("%.4f (%.4f)", r.PublishedEER, r.PublishedSD)
		}
		rows = append(rows, []string{r.Detector, fmt.Sprintf("%.4f (%.4f)", r.EER, r.EERSD), paper})
	}
	cli.Table(q.env.Stdout, []string{"detector", "mean EER (sd)", "published"}, rows)
	return cli.ExitOK, nil
}
