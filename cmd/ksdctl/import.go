package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"ksd/internal/cli"
	"ksd/internal/corpus"
	"ksd/internal/keystroke"
	"ksd/internal/wire"
)

var importCommand = command{
	name: "import", args: "FILE.tsv[.gz] [flags] [--json]", summary: "take in typings from a file, for tests and moves", least: 1, most: 1,
	detail: `The file is in the TSV exchange format; each user in it becomes a person. Flags:
  --user-prefix P   put P before every user's name
  --class C         only users whose name ends in -C, such as c2
  --first N         only the first N typings of each text by each user
  --sittings N      cut each user's typings into N sittings, in the order typed
                    (default 1)
  --press           drop releases, as a plain terminal would
Typings that break a rule are left out, and counted.
`,
	flags: func(fs *flag.FlagSet, o *options) {
		fs.StringVar(&o.prefix, "user-prefix", "", "")
		fs.StringVar(&o.class, "class", "", "")
		fs.IntVar(&o.first, "first", 0, "")
		fs.IntVar(&o.sittings, "sittings", 1, "")
		fs.BoolVar(&o.press, "press", false, "")
	},
	run: func(ctx context.Context, q request) (int, error) {
		if q.first < 0 || q.sittings < 1 {
			return 0, cli.Usagef("--first wants a number from 0 on, --sittings one from 1 on")
		}
		f, err := os.Open(q.words[0])
		if err != nil {
			return 0, err
		}
		defer f.Close()
		return importFrom(ctx, q, f)
	},
}

// imported is what came of an import.
type imported struct {
	wire.ImportResult
	LeftOut int `json:"left_out"` // typings that broke a rule
}

func importFrom(ctx context.Context, q request, r io.Reader) (int, error) {
	people, leftOut, err := gather(q, r)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", q.words[0], err)
	}
	if len(people) == 0 {
		return 0, fmt.Errorf("%s: %w: nobody's typings are left to take in", q.words[0], corpus.ErrFormat)
	}
	out := imported{LeftOut: leftOut}
	bar := cli.NewProgress(q.env.Screen(q.env.Stderr))
	for len(people) > 0 {
		n := portion(people)
		got, err := q.client.Import(ctx, wire.Import{People: people[:n]})
		if err != nil {
			bar.Done()
			return 0, fmt.Errorf("after %d people: %w", out.People, err)
		}
		people = people[n:]
		out.People += got.People
		out.Samples += got.Samples
		bar.Set(float64(out.People)/float64(out.People+len(people)), fmt.Sprintf("%d people", out.People))
	}
	bar.Done()
	if q.json {
		return q.env.JSON(out), nil
	}
	if leftOut > 0 {
		q.env.Warn("%d typings break a rule and were left out", leftOut)
	}
	q.env.Info("took in %d typings of %d people", out.Samples, out.People)
	return cli.ExitOK, nil
}

// person is a user of the file with the typings that are wanted.
type person struct {
	name    string
	typings []corpus.Typing
	seen    map[string]int // typings so far, by text
}

// gather reads a file and makes people of it, in the order they come.
func gather(q request, r io.Reader) (people []wire.ImportPerson, leftOut int, err error) {
	reader, err := corpus.NewReader(r)
	if err != nil {
		return nil, 0, err
	}
	byName := map[string]*person{}
	var order []*person
	for t, err := range reader.All() {
		if err != nil && !errors.Is(err, keystroke.ErrInvalid) {
			return nil, 0, err
		}
		if q.class != "" && !strings.HasSuffix(t.User, "-"+q.class) {
			continue
		}
		p := byName[t.User]
		if p == nil {
			p = &person{name: q.prefix + t.User, seen: map[string]int{}}
			byName[t.User], order = p, append(order, p)
		}
		p.seen[t.Text]++
		switch {
		case q.first > 0 && p.seen[t.Text] > q.first:
		case err != nil:
			leftOut++
		default:
			p.typings = append(p.typings, t)
		}
	}
	for _, p := range order {
		if len(p.typings) > 0 {
			people = append(people, wire.ImportPerson{User: p.name, Sittings: p.sittings(q.sittings, q.press)})
		}
	}
	return people, leftOut, nil
}

// sittings cuts the typings of each text into n runs, in the order typed, and
// makes a sitting of the runs of one number.
func (p *person) sittings(n int, press bool) [][]keystroke.Sample {
	slices.SortStableFunc(p.typings, func(a, b corpus.Typing) int { return cmp.Compare(a.Number, b.Number) })
	total, seen := map[string]int{}, map[string]int{}
	for _, t := range p.typings {
		total[t.Text]++
	}
	out := make([][]keystroke.Sample, n)
	for _, t := range p.typings {
		s := t.Sample
		if press {
			s = s.PressOnly()
		}
		at := seen[t.Text] * n / total[t.Text]
		seen[t.Text]++
		out[at] = append(out[at], s)
	}
	return slices.DeleteFunc(out, func(s []keystroke.Sample) bool { return len(s) == 0 })
}

// portion is how many of the people go into one request: at least one, and as
// many as fit well below wire.MaxBody.
func portion(people []wire.ImportPerson) int {
	size := 0
	for i, p := range people {
		b, err := json.Marshal(p)
		if err != nil {
			return max(1, i) // the request will say why
		}
		if size += len(b) + 1; size > wire.MaxBody-1024 {
			return max(1, i)
		}
	}
	return len(people)
}
