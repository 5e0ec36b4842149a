package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"ksd/internal/bench"
	"ksd/internal/cli"
	"ksd/internal/corpus"
	"ksd/internal/keystroke"
)

var benchCommand = command{
	name: "bench", args: "cmu|phrases|fit FILE [flags]", summary: "measure ksd on public typing data", least: 2, most: 2, local: true,
	detail: `bench cmu FILE      five published detectors on the CMU benchmark, beside the
                    figures of the paper: a test of the evaluator itself
bench phrases FILE  enrol on each person's first typings of each phrase; the
                    later ones are genuine, everybody else's are impostors'
bench fit FILE      fit the fusion's weights by the same protocol

flags of phrases and fit:
  --class SUFFIX    keep people whose id ends so, such as c2
  --enrol N         typings of each phrase to enrol on; default 5
  --channel NAME    full or press; default full
  --phrases N       phrases added up in one attempt; default 1
  --local N         people on one host, whose network is trained together;
                    default 8; 0 leaves the network out
  --outsiders       leave out impostors who are enrolled on the owner's host
  --skip N          leave out the first N people
  --seed N          of the network; default 1

It runs the very code that the daemon runs, and needs no daemon.
`,
	flags: func(fs *flag.FlagSet, o *options) {
		fs.StringVar(&o.class, "class", "", "")
		fs.IntVar(&o.bench.Enrol, "enrol", 5, "")
		fs.StringVar(&o.channel, "channel", string(keystroke.Full), "")
		fs.IntVar(&o.bench.Phrases, "phrases", 1, "")
		fs.IntVar(&o.bench.Local, "local", 8, "")
		fs.BoolVar(&o.bench.Outsiders, "outsiders", false, "")
		fs.IntVar(&o.skip, "skip", 0, "")
		fs.Uint64Var(&o.bench.Seed, "seed", 1, "")
	},
	run: func(ctx context.Context, q request) (int, error) {
		f, err := os.Open(q.words[1])
		if err != nil {
			return 0, err
		}
		defer f.Close()
		switch q.words[0] {
		case "cmu":
			return benchCMU(q, f)
		case "phrases", "fit":
			return benchPhrases(ctx, q, f)
		}
		return 0, cli.Usagef("there is no bench %q", q.words[0])
	},
}

func benchCMU(q request, f *os.File) (int, error) {
	reps, err := corpus.ReadCMU(f)
	if err != nil {
		return 0, err
	}
	results, err := bench.CMU(reps)
	if err != nil {
		return 0, err
	}
	if q.json {
		return q.env.JSON(results), nil
	}
	var rows [][]string
	for _, r := range results {
		rows = append(rows, []string{
			r.Detector, fmt.Sprintf("%.4f (%.4f)", r.EER, r.EERSD),
			fmt.Sprintf("%.4f (%.4f)", r.PublishedEER, r.PublishedSD),
		})
	}
	cli.Table(q.env.Stdout, []string{"detector", "mean EER (sd)", "published"}, rows)
	return cli.ExitOK, nil
}

func benchPhrases(ctx context.Context, q request, f *os.File) (int, error) {
	o := q.bench
	o.Channel = keystroke.Channel(q.channel)
	if o.Channel != keystroke.Full && o.Channel != keystroke.Press {
		return 0, cli.Usagef("channel %q is neither full nor press", q.channel)
	}
	if o.Enrol < 1 || o.Phrases < 1 || o.Local < 0 || q.skip < 0 {
		return 0, cli.Usagef("--enrol and --phrases are at least 1, --local and --skip at least 0")
	}
	people, err := bench.ReadTypists(f, q.class, o.Channel)
	if err != nil {
		return 0, err
	}
	people = people[min(q.skip, len(people)):]
	if q.words[0] == "fit" {
		fit, err := bench.Fit(ctx, people, o)
		if err != nil {
			return 0, err
		}
		return q.env.JSON(fit), nil
	}
	results, err := bench.Phrases(ctx, people, o)
	if err != nil {
		return 0, err
	}
	if q.json {
		return q.env.JSON(results[len(results)-1]), nil
	}
	printPhrases(q.env, results)
	return cli.ExitOK, nil
}

func printPhrases(env cli.Env, results []bench.PhraseResult) {
	var rows [][]string
	for _, r := range results {
		rate := func(name string, x float64) string {
			ci := r.CI[name]
			return fmt.Sprintf("%.1f [%.1f, %.1f]", 100*x, 100*ci.Low, 100*ci.High)
		}
		rows = append(rows, []string{
			r.Scorer, rate("global_eer", r.GlobalEER), rate("fnmr_at_1", r.FNMRAt1), rate("fnmr_at_01", r.FNMRAt01),
			fmt.Sprintf("%.1f", 100*r.PersonEER), fmt.Sprintf("%.2f", r.Cllr),
		})
	}
	fmt.Fprintf(env.Stdout, "%s, %d phrases, %d people; %% with 95 %% intervals over people\n\n", results[0].Channel, results[0].Phrases, results[0].People)
	cli.Table(env.Stdout, []string{"scorer", "global EER", "FNMR at FMR 1 %", "FNMR at 0.1 %", "person EER", "Cllr"}, rows)
}
