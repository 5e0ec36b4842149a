package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ksd/conf"
	"ksd/internal/cli"
	"ksd/internal/cli/clitest"
	"ksd/internal/keystroke"
	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

const tempo = 100 * time.Millisecond

// small is a configuration that a test can enrol under in no time.
func small(c *conf.Config) {
	c.Challenge.Phrases = []string{"the water under", "another hand on"}
	c.Challenge.Typings, c.Challenge.Warmups = 4, 0
	c.Training.Automatic = false
}

// ctl runs ksdctl without a terminal.
func ctl(d *ksdtest.Daemon, args ...string) (exit int, stdout, stderr string) {
	var out, errs bytes.Buffer
	now := time.Now
	if d != nil {
		args = append(args, "-socket", d.Config.Daemon.APISocket)
		now = d.Clock.Now
	}
	exit = run(context.Background(), cli.Env{Name: "ksdctl", Args: args, Stdout: &out, Stderr: &errs, User: "root", Now: now})
	return exit, out.String(), errs.String()
}

// check fails unless exit code and texts are those wanted; "" wants none.
func check(t *testing.T, exit int, stdout, stderr string, wantExit int, wantOut, wantErr string) {
	t.Helper()
	if exit != wantExit || !strings.Contains(stdout, wantOut) || !strings.Contains(stderr, wantErr) ||
		wantOut == "" && stdout != "" || wantErr == "" && stderr != "" {
		t.Errorf("exit code %d, want %d\nstdout %q, want %q\nstderr %q, want %q", exit, wantExit, stdout, wantOut, stderr, wantErr)
	}
}

func TestCommandLinesRefused(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", "which subcommand?"},
		{"restart", `there is no subcommand "restart"`},
		{"help restart", `there is no subcommand "restart"`},
		{"verify", "1 more word wanted"},
		{"verify a b", `"b" is one word too many`},
		{"status --verbose", "hint: \"ksdctl help status\""},
		{"retrain --seed=x", "invalid value"},
	} {
		exit, out, errs := ctl(nil, strings.Fields(c.args)...)
		check(t, exit, out, errs, cli.ExitUsage, "", c.want)
	}
}

func TestHelpTellsOfEverySubcommand(t *testing.T) {
	_, all, _ := ctl(nil, "help")
	for _, c := range commands() {
		exit, out, errs := ctl(nil, "help", c.name)
		check(t, exit, out, errs, cli.ExitOK, "usage: ksdctl "+c.name, "")
		if !strings.Contains(all, "\n  ksdctl "+c.name+" ") {
			t.Errorf("help does not tell of %s", c.name)
		}
		_, short, _ := ctl(nil, c.name, "-h")
		if short != out {
			t.Errorf("%s -h says something else than help %s", c.name, c.name)
		}
		for line := range strings.Lines(all + out) {
			if len(strings.TrimSuffix(line, "\n")) > 80 {
				t.Errorf("%s: %d columns: %s", c.name, len(line), line)
			}
		}
	}
}

func TestWithoutDaemon(t *testing.T) {
	away := filepath.Join(t.TempDir(), "ksd.sock")
	for _, c := range commands() {
		if c.local {
			continue
		}
		args := append([]string{c.name, "-socket", away}, make([]string, 0)...)
		for range c.least {
			args = append(args, "x")
		}
		exit, out, errs := ctl(nil, args...)
		check(t, exit, out, errs, cli.ExitNoDaemon, "", "systemctl start ksdd")
	}
}

func TestOthersMayNot(t *testing.T) {
	d := ksdtest.Start(t, small)
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	d.As(d.UID("ben"))
	for _, args := range []string{"users", "users ana", "unlock ana", "token ana", "delete ana --yes", "audit", "model", "retrain"} {
		exit, out, errs := ctl(d, strings.Fields(args)...)
		check(t, exit, out, errs, cli.ExitForbidden, "", "sudo")
	}
	exit, out, errs := ctl(d, "status")
	check(t, exit, out, errs, cli.ExitOK, "you are", "")
	if strings.Contains(out, "people") {
		t.Errorf("anybody learns how many people there are:\n%s", out)
	}
}

func TestEmptyDaemon(t *testing.T) {
	d := ksdtest.Start(t, small)
	for _, c := range []struct {
		args     string
		exit     int
		out, err string
	}{
		{"status", cli.ExitOK, "none: the detector judges alone", ""},
		{"users", cli.ExitOK, "", "nobody is enrolled"},
		{"users --json", cli.ExitOK, "[]\n", ""},
		{"audit --json", cli.ExitOK, "[]\n", ""},
		{"audit --limit 0", cli.ExitUsage, "", "--limit"},
		{"model", cli.ExitOK, "", "no model is loaded"},
		{"model --json", cli.ExitOK, `"loaded": false`, ""},
		{"unlock nobody", cli.ExitOK, "", "nobody may try again"},
		{"delete nobody --yes", cli.ExitRefused, "", "hint"},
		{"delete nobody", cli.ExitRefused, "", "hint"},
		{"retrain", cli.ExitInput, "", "enrol more people"},
		{"verify nobody", cli.ExitNoTerminal, "", "ssh -t"},
	} {
		exit, out, errs := ctl(d, strings.Fields(c.args)...)
		t.Log(c.args)
		check(t, exit, out, errs, c.exit, c.out, c.err)
	}
}

func TestPeopleModelAndAudit(t *testing.T) {
	d := ksdtest.Start(t, small)
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	d.Enrol("ben", ksdtest.NewTypist(2, tempo))
	for _, c := range []struct {
		args     string
		exit     int
		out, err string
	}{
		{"users", cli.ExitOK, "ana   enrolled        8         1  press     no    -                 0\n", ""},
		{"users ben --json", cli.ExitOK, `"user": "ben"`, ""},
		{"retrain --dry-run", cli.ExitOK, "loss in training", "the model in use stays"},
		{"model", cli.ExitOK, "", "no model"},
		{"retrain", cli.ExitOK, "2 people", "the new model judges from now on"},
		{"retrain --json", cli.ExitOK, `"before": {`, "100 %  done"},
		{"model", cli.ExitOK, "2: ana, ben", "nobody has a second sitting"},
		{"status", cli.ExitOK, "trained 2026-03-02", ""},
		{"users", cli.ExitOK, "press     yes", ""},
		{"audit ana", cli.ExitOK, "finished", ""},
		{"audit --limit 1 --json", cli.ExitOK, `"event": "retrain"`, ""},
		{"delete ana", cli.ExitNoTerminal, "", "no terminal"},
		{"delete ana --yes", cli.ExitOK, "", "deleted 8 typings of ana"},
		{"users ana", cli.ExitRefused, "", "hint"},
	} {
		exit, out, errs := ctl(d, strings.Fields(c.args)...)
		t.Log(c.args)
		check(t, exit, out, errs, c.exit, c.out, c.err)
	}
}

func TestDeleteAsks(t *testing.T) {
	d := ksdtest.Start(t, small)
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	for _, c := range []struct { // in this order: nobody can keep what is deleted
		answer string
		want   int
	}{{"keep", cli.ExitRefused}, {"delete", cli.ExitOK}} {
		answer, want := c.answer, c.want
		at := clitest.Open(t, "xterm")
		env := at.Env("ksdctl", "delete", "ana", "-socket", d.Config.Daemon.APISocket)
		done := at.Go(func(ctx context.Context) int { return run(ctx, env) })
		at.Wait("delete or keep? ")
		at.Type(answer+"\r", tempo)
		if got := at.Exit(done); got != want {
			t.Errorf("%s: exit code %d, want %d", answer, got, want)
		}
		if left := people1(t, d); left != want { // 1 refused: one left; 0 done: none
			t.Errorf("%s: %d people left", answer, left)
		}
	}
}

func people1(t *testing.T, d *ksdtest.Daemon) int {
	people, err := d.Client().Users(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return len(people)
}

func TestVerifyAtATerminal(t *testing.T) {
	d := ksdtest.Start(t, small)
	hands := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", hands)
	for name, c := range map[string]struct {
		tempo time.Duration
		exit  int
		want  string
	}{
		"owner":    {tempo, cli.ExitOK, "Recognised: "},
		"stranger": {3 * tempo, cli.ExitRefused, "Not recognised"},
	} {
		t.Run(name, func(t *testing.T) {
			at := clitest.Open(t, "xterm")
			var out bytes.Buffer
			env := at.Env("ksdctl", "verify", "ana", "--json", "-socket", d.Config.Daemon.APISocket)
			env.Stdout = &out
			done := at.Go(func(ctx context.Context) int { return run(ctx, env) })
			got := typePhrases(at, hands.At(c.tempo), done)
			var a cli.Attempt
			if err := json.Unmarshal(out.Bytes(), &a); err != nil || got != c.exit || len(a.Judged) == 0 {
				t.Errorf("exit code %d, want %d; %v: %s", got, c.exit, err, out.Bytes())
			}

			env = at.Env("ksdctl", "verify", "ana", "-socket", d.Config.Daemon.APISocket)
			done = at.Go(func(ctx context.Context) int { return run(ctx, env) })
			if got := typePhrases(at, hands.At(c.tempo), done); got != c.exit {
				t.Errorf("exit code %d, want %d", got, c.exit)
			}
			if s := at.Screen(); !strings.Contains(s, c.want) || !strings.Contains(s, "accepted from") {
				t.Errorf("the screen shows\n%s", s)
			}
		})
	}
}

// typePhrases types what is asked for until the program ends.
func typePhrases(at *clitest.Terminal, hands *ksdtest.Typist, done <-chan int) int {
	for {
		phrase, more := at.Asked()
		if !more {
			return at.Exit(done)
		}
		at.TypeAt(phrase, hands.Downs(phrase))
		at.Press("\r")
	}
}

func TestCheckConfig(t *testing.T) {
	folder := t.TempDir()
	good, bad := filepath.Join(folder, "good.toml"), filepath.Join(folder, "bad.toml")
	os.WriteFile(good, conf.Example, 0o600)
	os.WriteFile(bad, []byte("[challenge]\ntypings = 99\n[polcy]\nfmr = 1\n"), 0o600)
	for _, c := range []struct {
		args     []string
		exit     int
		out, err string
	}{
		{[]string{good}, cli.ExitOK, "", "is in order"},
		{[]string{good, "--json"}, cli.ExitOK, "[]\n", ""},
		{[]string{bad}, cli.ExitInput, "", "bad.toml:2: challenge.typings"},
		{[]string{bad}, cli.ExitInput, "", "bad.toml:3: polcy"},
		{[]string{bad, "--json"}, cli.ExitInput, `"line": 2`, ""},
		{[]string{filepath.Join(folder, "none")}, cli.ExitInput, "", "no such file"},
	} {
		exit, out, errs := ctl(nil, append([]string{"check-config"}, c.args...)...)
		check(t, exit, out, errs, c.exit, c.out, c.err)
	}
}

func TestPortionFitsTheBody(t *testing.T) {
	s := ksdtest.NewTypist(1, tempo).Sample(strings.Repeat("a long line ", 20))
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	one := wire.ImportPerson{User: "x", Sittings: [][]keystroke.Sample{make([]keystroke.Sample, wire.MaxBody*2/5/len(b))}}
	for i := range one.Sittings[0] {
		one.Sittings[0][i] = s
	}
	people := []wire.ImportPerson{one, one, one}
	n := portion(people)
	if b, err = json.Marshal(wire.Import{People: people[:n]}); n != 2 || err != nil || len(b) > wire.MaxBody {
		t.Errorf("%d people, %d bytes, %v", n, len(b), err)
	}
	if n := portion([]wire.ImportPerson{{User: "y", Sittings: slices.Repeat(one.Sittings, 3)}}); n != 1 {
		t.Errorf("of one person too large: %d", n)
	}
}

func TestRetrainStops(t *testing.T) {
	d := ksdtest.Start(t, small)
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	defer d.Ear.Hold()()
	ctx, cancel := context.WithCancel(t.Context())
	var errs bytes.Buffer
	env := cli.Env{
		Name: "ksdctl", Args: []string{"retrain", "-socket", d.Config.Daemon.APISocket}, Stdout: &bytes.Buffer{},
		Stderr: writer(func(p []byte) {
			errs.Write(p)
			if bytes.Contains(p, []byte("training")) {
				cancel()
			}
		}),
	}
	if code := run(ctx, env); code != cli.ExitCancelled || !strings.HasSuffix(errs.String(), "ksdctl: stopped\n") {
		t.Errorf("exit code %d; stderr %q", code, errs.String())
	}
	exit, out, stderr := ctl(d, "model")
	check(t, exit, out, stderr, cli.ExitOK, "", "no model is loaded")
}

// writer is a function as an io.Writer.
type writer func(p []byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}
