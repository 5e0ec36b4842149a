package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ksd/internal/cli"
	"ksd/internal/corpus"
	"ksd/internal/keystroke"
	"ksd/internal/ksdtest"
)

// recorded writes a file of people of two classes with 6 typings of each of
// two texts, in samples 0 to 5, and one typing that breaks a rule.
func recorded(t *testing.T) string {
	var typings []corpus.Typing
	for p, user := range []string{"u1-c1", "u1-c2", "u2-c2"} {
		hands := ksdtest.NewTypist(uint64(p+1), tempo)
		for n := range 6 {
			for i, phrase := range []string{"the water under", "another hand on"} {
				s := hands.Sample(phrase)
				s.Channel = keystroke.Full
				for k := range s.Events {
					s.Events[k].Up, s.Events[k].Released = s.Events[k].Down+tempo, true
				}
				typings = append(typings, corpus.Typing{User: user, Number: n, Text: fmt.Sprintf("p%d", i), Sample: s})
			}
		}
	}
	var b bytes.Buffer
	if err := corpus.WriteTSV(&b, typings); err != nil {
		t.Fatal(err)
	}
	b.WriteString("u2-c2\t9\tp9\ta\t5\t1\n") // the first press is not at 0
	path := filepath.Join(t.TempDir(), "people.tsv")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestImportRefuses(t *testing.T) {
	d := ksdtest.Start(t, small)
	path := recorded(t)
	broken := filepath.Join(t.TempDir(), "broken.tsv")
	os.WriteFile(broken, []byte("user\tsample\ttext\tkey\tgap_ms\thold_ms\na\tb\n"), 0o600)
	for _, c := range []struct {
		args string
		exit int
		want string
	}{
		{"import", cli.ExitUsage, "1 more word wanted"},
		{"import " + path + " --first=-1", cli.ExitUsage, "--first"},
		{"import " + path + " --sittings=0", cli.ExitUsage, "--sittings"},
		{"import " + path + "x", cli.ExitInput, "no such file"},
		{"import " + broken, cli.ExitInput, "line 2, column 2"},
		{"import " + path + " --class c9", cli.ExitInput, "nobody's typings are left"},
	} {
		exit, out, errs := ctl(d, strings.Fields(c.args)...)
		check(t, exit, out, errs, c.exit, "", c.want)
	}
}

func TestImport(t *testing.T) {
	d := ksdtest.Start(t, small)
	exit, out, errs := ctl(d, "import", recorded(t), "--class", "c2", "--user-prefix", "p-", "--first", "5", "--sittings", "2", "--press")
	check(t, exit, out, errs, cli.ExitOK, "", "took in 20 typings of 2 people")
	if !strings.Contains(errs, "1 typings break a rule") {
		t.Errorf("stderr %q", errs)
	}
	exit, out, errs = ctl(d, "users")
	check(t, exit, out, errs, cli.ExitOK, "p-u1-c2  enrolled       10         2  press", "")
	if strings.Contains(out, "c1") {
		t.Errorf("another class came in:\n%s", out)
	}
}

func TestSittingsKeepTheOrder(t *testing.T) {
	p := person{}
	for n := range 5 {
		for _, text := range []string{"a", "b"} {
			s := keystroke.Sample{Phrase: fmt.Sprint(text, n)}
			p.typings = append(p.typings, corpus.Typing{Number: n, Text: text, Sample: s})
		}
	}
	var got []string
	for _, sitting := range p.sittings(2, false) {
		var names []string
		for _, s := range sitting {
			names = append(names, s.Phrase)
		}
		got = append(got, strings.Join(names, " "))
	}
	if want := "a0 b0 a1 b1 a2 b2|a3 b3 a4 b4"; strings.Join(got, "|") != want {
		t.Errorf("sittings %q, want %q", strings.Join(got, "|"), want)
	}
}
