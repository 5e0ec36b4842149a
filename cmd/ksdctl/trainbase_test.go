package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ksd/internal/model/base"
)

// madeUp writes typing of made-up people, everybody at a tempo of their own: a
// few typed enough to be measured on, the others as little as one can learn from.
func madeUp(t *testing.T, people int) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("user\tsample\ttext\tkey\tgap_ms\thold_ms\n")
	for p := range people {
		samples := 4
		if p%50 == 0 {
			samples = 11
		}
		for sample := range samples {
			for i, key := range strings.Split("thequickbrownfoxes", "") {
				gap := 0
				if i > 0 {
					gap = 90 + p%50 + (7*i+13*sample)%40
				}
				fmt.Fprintf(&b, "p%d\t%d\t-\t%s\t%d\t%d\n", p, sample, key, gap, 60+p%30+(5*i+3*sample)%20)
			}
		}
	}
	name := filepath.Join(t.TempDir(), "people.tsv")
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestTrainBase(t *testing.T) {
	out := filepath.Join(t.TempDir(), "base.bin")
	exit, stdout, stderr := ctl(nil, "train-base", madeUp(t, 236), out, "--steps", "1", "--seed", "7")
	check(t, exit, stdout, stderr, 0, "", "200 people held out")
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	f, err := base.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if f.Command != "ksdctl train-base --seed 7 --steps 1 people.tsv base.bin" || len(f.DataSHA256) != 64 || f.Options.Seed != 7 || f.Options.Steps != 1 {
		t.Errorf("header %+v", f.Header)
	}
}

func TestTrainBaseRefuses(t *testing.T) {
	dir := t.TempDir()
	few := madeUp(t, 3)
	for name, c := range map[string]struct {
		args []string
		exit int
		want string
	}{
		"no output": {[]string{few}, 2, "1 more word wanted"},
		"no file":   {[]string{filepath.Join(dir, "none"), filepath.Join(dir, "out")}, 5, "no such file"},
		"too few":   {[]string{few, filepath.Join(dir, "out")}, 6, "unfit corpus"},
		"no steps":  {[]string{few, filepath.Join(dir, "out"), "--steps", "0"}, 6, "invalid options"},
	} {
		exit, _, stderr := ctl(nil, append([]string{"train-base"}, c.args...)...)
		if exit != c.exit || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d, stderr %q, want %d and %q", name, exit, stderr, c.exit, c.want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "out")); err == nil {
		t.Error("a refused training wrote a file")
	}
}
