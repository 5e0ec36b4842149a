package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"ksd/internal/cli"
	"ksd/internal/corpus"
	"ksd/internal/keystroke"
	"ksd/internal/model/base"
)

var trainBaseCommand = command{
	name: "train-base", args: "FILE OUTPUT [--steps N] [--seed N]", summary: "train the base network on a corpus", least: 2, most: 2, local: true,
	detail: `FILE is typing in the TSV exchange format, gzip'd or not; OUTPUT is where the
base goes. The shipped one, internal/model/base/base.bin, comes from the KLiCKe
corpus. For builders of ksd, not for a host: it takes tens of minutes, and a
build with GOEXPERIMENT=simd is several times faster.

  --steps N   batches to learn from; default as the shipped base
  --seed N    of everything that is drawn; default 1

The same file, steps and seed give the same network, bit by bit, on the same
kind of machine.
`,
	flags: func(fs *flag.FlagSet, o *options) {
		d := base.Defaults()
		fs.Uint64Var(&o.seed, "seed", d.Seed, "")
		fs.IntVar(&o.first, "steps", d.Steps, "")
	},
	run: func(ctx context.Context, q request) (int, error) {
		start := q.env.Now()
		people, sum, err := readPeople(q.words[0])
		if err != nil {
			return 0, err
		}
		o := base.Defaults()
		o.Seed, o.Steps = q.seed, q.first
		q.env.Info("%d people, %d of them held out; %d steps", len(people), o.HeldOut, o.Steps)
		f, err := base.Train(ctx, people, o, func(p base.Progress) {
			q.tellBase(p, q.env.Now().Sub(start))
		})
		if err != nil {
			return 0, err
		}
		f.Command = fmt.Sprintf("ksdctl train-base --seed %d --steps %d %s %s",
			o.Seed, o.Steps, filepath.Base(q.words[0]), filepath.Base(q.words[1]))
		f.DataSHA256, f.Took = sum, q.env.Now().Sub(start).Round(time.Second)
		b, err := f.Encode()
		if err != nil {
			return 0, err
		}
		if err := os.WriteFile(q.words[1], b, 0o644); err != nil {
			return 0, err
		}
		q.env.Info("wrote %s, %d bytes, SHA-256 %x", q.words[1], len(b), sha256.Sum256(b))
		return cli.ExitOK, nil
	},
}

// tellBase shows how far a training is.
func (q request) tellBase(p base.Progress, took time.Duration) {
	if p.Report == nil {
		q.env.Info("step %d of %d, %s: loss %.3f", p.Step, p.Steps, took.Round(time.Second), p.Loss)
		return
	}
	q.env.Info("step %d of %d, %s: %d people held out, %% (EER, FNMR at FMR 1 %% and 0.1 %%)",
		p.Step, p.Steps, took.Round(time.Second), p.Report.People)
	line := func(name string, f base.Figures) {
		q.env.Info("  %-10s %5.1f %5.1f %5.1f", name, 100*f.EER, 100*f.FNMR1, 100*f.FNMR01)
	}
	for _, ch := range keystroke.Channels() {
		line(string(ch), p.Report.Errors[ch])
	}
	line("text alone", p.Report.Text)
}

// readPeople reads a corpus by person, in the order in which they first come, and
// returns the SHA-256 of the file.
func readPeople(name string) ([]base.Person, string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	hash := sha256.New()
	r, err := corpus.NewReader(io.TeeReader(f, hash))
	if err != nil {
		return nil, "", err
	}
	var people []base.Person
	index := map[string]int{}
	for t, err := range r.All() {
		if err != nil {
			return nil, "", err
		}
		i, ok := index[t.User]
		if !ok {
			i = len(people)
			index[t.User] = i
			people = append(people, base.Person{Name: t.User})
		}
		people[i].Samples = append(people[i].Samples, t.Sample)
	}
	if _, err := io.Copy(hash, f); err != nil { // what the reader had no need of
		return nil, "", err
	}
	return people, fmt.Sprintf("%x", hash.Sum(nil)), nil
}
