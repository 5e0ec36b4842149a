package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ksd/internal/cli"
)

// corpusFile writes a file of so many people who type both texts so many times,
// each in a rhythm of their own.
func corpusFile(t *testing.T, people, times int) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	b.WriteString("user\tsample\ttext\tkey\tgap_ms\thold_ms\n")
	for p := range people {
		for _, text := range []string{"thequickfox", "coldwaters"} {
			own := make([]float64, len(text))
			for i := range own {
				own[i] = 80 + 200*rng.Float64()
			}
			for n := range times {
				for i, c := range text {
					gap := own[i] * (1 + 0.05*rng.NormFloat64())
					if i == 0 {
						gap = 0
					}
					fmt.Fprintf(&b, "p%d-c2\t%d\t%s\t%c\t%.3f\t%.3f\n", p, n, text, c, gap, 70+10*float64(p)+3*rng.NormFloat64())
				}
			}
		}
	}
	path := filepath.Join(t.TempDir(), "corpus.tsv")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBenchRefused(t *testing.T) {
	file := corpusFile(t, 2, 6)
	for _, c := range []struct {
		args string
		exit int
		want string
	}{
		{"bench", cli.ExitUsage, "1 more word wanted"},
		{"bench everything", cli.ExitUsage, `there is no bench "everything"`},
		{"bench phrases", cli.ExitUsage, "bench phrases needs a file"},
		{"bench speed FILE", cli.ExitUsage, "bench speed takes no file"},
		{"bench phrases FILE --channel evdev", cli.ExitUsage, `channel "evdev" is none of full, press and ssh-press`},
		{"bench phrases FILE --phrases 0", cli.ExitUsage, "--phrases, --max-phrases and --repeat are at least 1"},
		{"bench attacks FILE --people -1", cli.ExitUsage, "are at least 0"},
		{"bench phrases /nowhere", cli.ExitInput, "no such file"},
		{"bench phrases FILE --class c1", cli.ExitFailed, "0 people"},
		{"bench phrases FILE --phrases 3", cli.ExitFailed, "3 phrases of the 2"},
		{"bench sequential FILE --fmr 0.7", cli.ExitFailed, "an FMR of 0.7"},
		{"bench freetext FILE --enrol 12", cli.ExitFailed, "typed 12 sentences"},
		{"bench cmu FILE", cli.ExitInput, "line 1"},
	} {
		exit, out, errs := ctl(nil, strings.Fields(strings.ReplaceAll(c.args, "FILE", file))...)
		check(t, exit, out, errs, c.exit, "", c.want)
	}
}

// TestBenchJSON holds what other programs read: for phrases one object with
// exactly these keys, and with --scorers one on each line.
func TestBenchJSON(t *testing.T) {
	file := corpusFile(t, 3, 7)
	for _, ch := range []string{"full", "press", "ssh-press"} {
		exit, out, errs := ctl(nil, "bench", "phrases", file, "--class", "c2", "--channel", ch, "--phrases", "2", "--local", "0", "--json")
		var got map[string]any
		dec := json.NewDecoder(strings.NewReader(out))
		if err := dec.Decode(&got); err != nil || exit != cli.ExitOK || errs != "" {
			t.Fatalf("exit code %d, %v, %s", exit, err, errs)
		}
		if _, err := dec.Token(); err != io.EOF {
			t.Errorf("more than one value: %v", err)
		}
		var keys []string
		for k := range got {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		if want := []string{"channel", "ci", "cllr", "fnmr_at_01", "fnmr_at_1", "global_eer", "people", "person_eer", "phrases"}; !slices.Equal(keys, want) {
			t.Errorf("keys %q, want %q", keys, want)
		}
		if got["channel"] != ch || got["phrases"] != 2.0 || got["people"] != 3.0 {
			t.Errorf("%v", got)
		}
	}
	exit, out, _ := ctl(nil, "bench", "phrases", file, "--local", "0", "--json", "--scorers")
	rows := strings.Split(strings.TrimSpace(out), "\n")
	if exit != cli.ExitOK || len(rows) < 2 {
		t.Fatalf("exit code %d, %d lines", exit, len(rows))
	}
	for i, row := range rows {
		var got struct{ Scorer string }
		if err := json.Unmarshal([]byte(row), &got); err != nil || got.Scorer == "" || (got.Scorer == "fusion") != (i == len(rows)-1) {
			t.Errorf("line %d is %s, %v", i, row, err)
		}
	}
}

func TestBenchTables(t *testing.T) {
	file := corpusFile(t, 3, 7)
	for _, c := range []struct {
		args string
		want []string
	}{
		{"phrases FILE --local 0", []string{"full, 1 phrase, 3 people; % with 95 % intervals over people", "fusion ", "Cllr"}},
		{"phrases FILE --local 0 --people 2 --skip 1 --phrases 2", []string{"full, 2 phrases, 2 people"}},
		{"sequential FILE --local 0 --max-phrases 2", []string{"aiming at FMR 1 % and FNMR 5 %", "sequential, up to 2 ", "fixed, 1 ", "fixed, 2 "}},
		{"attacks FILE --local 0 --people 2 --max-phrases 1 --channel press", []string{"press, 2 people, FMR 1 %, FNMR 5 %, up to 1 phrases", "the owner ", "replay, enrolled, noise 0 ms "}},
		{"freetext FILE --enrol 10", []string{"free text, full, enrolled on 10 sentences, 3 people", "same sentence "}},
		{"fit FILE --local 0", []string{`"weights"`}},
		{"fit FILE --free --enrol 10", []string{`"weights"`}},
	} {
		exit, out, errs := ctl(nil, append([]string{"bench"}, strings.Fields(strings.ReplaceAll(c.args, "FILE", file))...)...)
		for _, want := range c.want {
			check(t, exit, out, errs, cli.ExitOK, want, "")
		}
	}
	for _, what := range []string{"sequential", "attacks", "freetext"} {
		exit, out, errs := ctl(nil, "bench", what, file, "--local", "0", "--people", "2", "--max-phrases", "1", "--json")
		if exit != cli.ExitOK || !json.Valid([]byte(out)) {
			t.Errorf("%s: exit code %d, %s%s", what, exit, out, errs)
		}
	}
}

func TestBenchPlot(t *testing.T) {
	file, svg := corpusFile(t, 3, 7), filepath.Join(t.TempDir(), "det.svg")
	for _, args := range [][]string{{"phrases", file, "--local", "0"}, {"freetext", file, "--enrol", "10"}} {
		exit, out, errs := ctl(nil, append([]string{"bench", "--plot", svg}, args...)...)
		check(t, exit, out, errs, cli.ExitOK, "people", "ksdctl: drew "+svg)
		b, err := os.ReadFile(svg)
		if err != nil || xml.Unmarshal(b, new(struct{})) != nil || !bytes.Contains(b, []byte("<polyline")) {
			t.Errorf("%v\n%s", err, b)
		}
	}
	exit, out, errs := ctl(nil, "bench", "phrases", file, "--local", "0", "--plot", filepath.Join(svg, "x"))
	check(t, exit, out, errs, cli.ExitFailed, "", "not a directory")
}

func TestBenchSpeed(t *testing.T) {
	var out, errs bytes.Buffer
	start := time.Now()
	env := cli.Env{
		Name: "ksdctl", Args: []string{"bench", "speed", "--people", "9", "--local", "0", "--repeat", "20"}, Stdout: &out, Stderr: &errs,
		Clock: func() time.Duration { return time.Since(start) },
	}
	exit := run(t.Context(), env)
	check(t, exit, out.String(), errs.String(), cli.ExitOK, "one verification of 24 keys", "")
	if resident() < 1<<20 {
		t.Errorf("%d bytes resident", resident())
	}
}
