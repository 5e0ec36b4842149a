package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"ksd/conf"
	"ksd/internal/bench"
	"ksd/internal/cli"
	"ksd/internal/keystroke"
)

var benchCommand = command{
	name: "bench", args: "WHAT [FILE] [flags]", summary: "measure ksd on public typing data", least: 1, most: 2, local: true,
	detail: `bench phrases FILE     enrol on each person's first typings of each phrase; the
                       later ones are genuine, everybody else's impostors'
bench words FILE       texts made of the words of phrases beside the phrases
                       themselves, and both replayed from recordings
bench sequential FILE  whole attempts by the sequential rule, beside tests of a
                       fixed number of phrases
bench attacks FILE     replays, forgeries and machines, with and without the
                       checks for copies and for too steady typing
bench freetext FILE    enrol on sentences, probe with others
bench cmu FILE         published detectors on the CMU benchmark beside the
                       figures of the paper, a test of the evaluator itself;
                       then ksd's own
bench growth FILE      type through the sittings of the CMU benchmark, with
                       templates that stay and that grow
bench speed            verification and training on this machine
bench fit FILE         fit the fusion's weights by the phrases protocol

  --class SUFFIX    keep people whose id ends so, such as c2
  --channel NAME    full, press or ssh-press; default full
  --skip N          leave out the first N people
  --people N        keep N people: all, of freetext 300 to enrol, of speed 1000
  --enrol N         typings of each phrase to enrol on; default 5; of freetext
                    sentences; default 10
  --phrases N       phrases added up in one attempt; default 1
  --local N         people on one host, whose heads are trained together;
                    default 8; 0 leaves the heads out
  --jitter TIME     of phrases and sequential: probes come over a line whose
                    error of an interval has this standard deviation
  --outsiders       leave out impostors who are enrolled on the owner's host
  --impostors N     of freetext: who try each owner, drawn; default 300
  --free            of fit: by the protocol of freetext, with its options
  --fmr P --fnmr P --max-phrases N
                    of sequential, attacks and words; default as in
                    ksd.toml
  --repeat N        of speed: verifications; default 2000
  --seed N          of everything that is drawn; default 1
  --scorers         with --json: each scorer on a line, not the fused one alone
  --ablation        phrases: a row for the softmax network that heads replaced
  --plot FILE.svg   of phrases, words and freetext: draw error rates and
                    calibration

Figures are in %, with 95 % intervals over people. It runs the very code that
the daemon runs, and needs no daemon.
`,
	flags: func(fs *flag.FlagSet, o *options) {
		shipped, b := conf.Default().Policy, &o.bench
		fs.StringVar(&o.class, "class", "", "")
		fs.StringVar(&o.channel, "channel", string(keystroke.Full), "")
		fs.IntVar(&o.skip, "skip", 0, "")
		fs.IntVar(&b.people, "people", 0, "")
		fs.IntVar(&b.enrol, "enrol", 0, "")
		fs.IntVar(&b.Phrases, "phrases", 1, "")
		fs.IntVar(&b.Local, "local", 8, "")
		fs.DurationVar(&b.Jitter, "jitter", 0, "")
		fs.BoolVar(&b.Outsiders, "outsiders", false, "")
		fs.IntVar(&b.impostors, "impostors", 300, "")
		fs.BoolVar(&b.free, "free", false, "")
		fs.Float64Var(&b.FMR, "fmr", shipped.FMR, "")
		fs.Float64Var(&b.FNMR, "fnmr", shipped.FNMR, "")
		fs.IntVar(&b.MaxPhrases, "max-phrases", shipped.MaxPhrases, "")
		fs.IntVar(&b.repeat, "repeat", 2000, "")
		fs.Uint64Var(&b.Seed, "seed", 1, "")
		fs.BoolVar(&b.scorers, "scorers", false, "")
		fs.BoolVar(&b.Ablation, "ablation", false, "")
		fs.StringVar(&b.plot, "plot", "", "")
	},
	run: func(ctx context.Context, q request) (int, error) {
		for _, b := range benches {
			if b.name != q.words[0] {
				continue
			}
			if err := q.checkBench(len(q.words) == 2, b.file); err != nil {
				return 0, err
			}
			var f *os.File
			if b.file {
				var err error
				if f, err = os.Open(q.words[1]); err != nil {
					return 0, err
				}
				defer f.Close()
			}
			return b.run(ctx, q, f)
		}
		return 0, cli.Usagef("there is no bench %q", q.words[0])
	},
}

// benches are the measurements there are.
var benches = []struct {
	name string
	file bool // it takes one
	run  func(ctx context.Context, q request, f *os.File) (int, error)
}{
	{"phrases", true, benchPhrases},
	{"words", true, benchWords},
	{"sequential", true, benchSequential},
	{"attacks", true, benchAttacks},
	{"freetext", true, benchFreeText},
	{"cmu", true, benchCMU},
	{"growth", true, benchGrowth},
	{"speed", false, benchSpeed},
	{"fit", true, benchFit},
}

// benchOptions are the flags of bench beside those it shares with others.
type benchOptions struct {
	bench.PhraseOptions
	bench.Decision
	people, enrol, impostors, repeat int
	scorers, free                    bool
	plot                             string
}

func (q request) checkBench(given, wanted bool) error {
	b := q.bench
	switch {
	case given != wanted && wanted:
		return cli.Usagef("bench %s needs a file", q.words[0])
	case given != wanted:
		return cli.Usagef("bench %s takes no file", q.words[0])
	case !keystroke.Channel(q.channel).Valid():
		return cli.Usagef("channel %q is none of full, press and ssh-press", q.channel)
	case b.Phrases < 1 || b.MaxPhrases < 1 || b.repeat < 1:
		return cli.Usagef("--phrases, --max-phrases and --repeat are at least 1")
	case b.Jitter < 0:
		return cli.Usagef("--jitter is at least 0")
	case b.enrol < 0 || b.Local < 0 || q.skip < 0 || b.people < 0 || b.impostors < 0:
		return cli.Usagef("--enrol, --local, --skip, --people and --impostors are at least 0")
	}
	return nil
}

// typists reads the people that the flags ask for; everybody after --skip for
// a protocol that picks --people itself.
func (q request) typists(f *os.File, all bool) ([]*bench.Typist, error) {
	people, err := bench.ReadTypists(f, q.class, keystroke.Channel(q.channel), q.bench.Seed)
	if err != nil {
		return nil, err
	}
	people = people[min(q.skip, len(people)):]
	if n := q.bench.people; n > 0 && !all {
		people = people[:min(n, len(people))]
	}
	return people, nil
}

func (q request) phraseOptions() bench.PhraseOptions {
	o := q.bench.PhraseOptions
	o.Enrol = cmp.Or(q.bench.enrol, 5)
	return o
}

// lines prints one JSON object a line.
func lines[T any](env cli.Env, values []T) (int, error) {
	enc := json.NewEncoder(env.Stdout)
	for _, v := range values {
		if err := enc.Encode(v); err != nil {
			return 0, err
		}
	}
	return cli.ExitOK, nil
}

// percent writes a rate and its interval in %.
func percent(x float64, ci bench.Interval) string {
	return fmt.Sprintf("%.1f [%.1f, %.1f]", 100*x, 100*ci[0], 100*ci[1])
}

// figures are the cells of an accuracy table, under figuresHead.
func figures(f bench.Figures) []string {
	cllr := ""
	if f.Cllr > 0 {
		cllr = fmt.Sprintf("%.2f", f.Cllr)
	}
	return []string{
		percent(f.GlobalEER, f.CI["global_eer"]), percent(f.FNMRAt1, f.CI["fnmr_at_1"]), percent(f.FNMRAt01, f.CI["fnmr_at_01"]),
		percent(f.PersonEER, f.CI["person_eer"]), cllr,
	}
}

var figuresHead = []string{"global EER", "FNMR at FMR 1 %", "at 0.1 %", "person EER", "Cllr>"}

// drawPlot writes curves to the file that --plot names.
func (q request) drawPlot(title string, curves []bench.Curve) error {
	if q.bench.plot == "" {
		return nil
	}
	f, err := os.Create(q.bench.plot)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := bench.Plot(f, title, curves); err != nil {
		return err
	}
	q.env.Info("drew %s", q.bench.plot)
	return f.Close()
}
