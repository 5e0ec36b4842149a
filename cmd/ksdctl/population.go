package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"strings"

	"ksd/internal/cli"
	"ksd/internal/corpus"
	"ksd/internal/feature"
)

var populationCommand = command{
	name: "population", args: "FILE OUTPUT [--note TEXT]", summary: "build the population table from a corpus", least: 2, most: 2, local: true,
	detail: `FILE is typing in the TSV exchange format, gzip'd or not; OUTPUT is where the
table goes. The shipped one, internal/feature/population.tsv, comes from the
KLiCKe corpus by "make population". For builders of ksd, not for a host.
`,
	flags: func(fs *flag.FlagSet, o *options) { fs.StringVar(&o.note, "note", "", "") },
	run: func(_ context.Context, q request) (int, error) {
		f, err := os.Open(q.words[0])
		if err != nil {
			return 0, err
		}
		defer f.Close()
		r, err := corpus.NewReader(f)
		if err != nil {
			return 0, err
		}
		var b feature.Builder
		for t, err := range r.All() {
			if err != nil {
				return 0, err
			}
			b.Add(t.User, t.Sample.Line())
		}
		p, err := b.Build()
		if err != nil {
			return 0, err
		}
		var table bytes.Buffer
		if err := p.WriteTable(&table, strings.Split(q.note, "\n")...); err != nil {
			return 0, err
		}
		if err := os.WriteFile(q.words[1], table.Bytes(), 0o644); err != nil {
			return 0, err
		}
		q.env.Info("wrote %s, %d bytes", q.words[1], table.Len())
		return cli.ExitOK, nil
	},
}
