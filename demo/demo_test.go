package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ksd/conf"
	"ksd/internal/cli"
	"ksd/internal/corpus"
	"ksd/internal/keystroke"
	"ksd/internal/ksdtest"
)

// script writes a shell script that a test can run as a program.
func script(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// leftovers returns the folders of private daemons in the test's own TMPDIR.
func leftovers(t *testing.T) []string {
	found, err := filepath.Glob(filepath.Join(os.TempDir(), "ksd-try-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestDaemonThatDoesNotStartLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for name, c := range map[string]struct{ program, want string }{
		"missing":   {filepath.Join(t.TempDir(), "none"), "the daemon does not start"},
		"ends":      {script(t, "echo the folder is full >&2; exit 1"), "the folder is full"},
		"ends at 0": {script(t, "exit 0"), "ended at once"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := startDaemon(t.Context(), c.program, settings{[]string{"a phrase to type"}, 4, 0})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if left := leftovers(t); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

func TestDaemonThatNeverIsReadyIsEnded(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	pid := filepath.Join(t.TempDir(), "pid")
	program := script(t, "echo $$ >"+pid+".new; mv "+pid+".new "+pid+"; exec sleep 100")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for {
			if _, err := os.Stat(pid); err == nil || ctx.Err() != nil {
				cancel()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, err := startDaemon(ctx, program, settings{[]string{"a phrase to type"}, 4, 0})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	b, _ := os.ReadFile(pid)
	if _, err := os.Stat("/proc/" + strings.TrimSpace(string(b))); len(b) == 0 || err == nil {
		t.Errorf("process %q still runs", b)
	}
	if left := leftovers(t); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestPrivateConfigurationIsValid(t *testing.T) {
	d := &daemon{folder: "/tmp/ksd-try-1", socket: "/tmp/ksd-try-1/ksd.sock"}
	for _, s := range []settings{
		{conf.Default().Challenge.Phrases[:3], 4, 2},
		{[]string{"red hot chilli peppers", `with "quotes" and \ slash`}, 5, 0},
	} {
		c, err := conf.Parse("ksd.toml", []byte(d.config(s)))
		if err != nil || !slices.Equal(c.Challenge.Phrases, s.phrases) || c.Challenge.Typings != s.typings || c.Challenge.Warmups != s.warmups {
			t.Errorf("%+v, %v", c.Challenge, err)
		}
		if c.Training.Automatic || c.Daemon.APISocket != d.socket {
			t.Errorf("%+v", c)
		}
	}
}

// recording writes people with so many typings of two phrases each.
func recording(t *testing.T, people map[string]int) string {
	var names []string
	for name := range people {
		names = append(names, name)
	}
	slices.Sort(names)
	var typings []corpus.Typing
	for i, name := range names {
		hands := ksdtest.NewTypist(uint64(i+1), 50*time.Millisecond)
		for n := range people[name] {
			for j, phrase := range []string{"the water", "another hand"} {
				s := hands.Sample(phrase)
				if strings.HasPrefix(name, "slow") {
					s.Events[len(s.Events)-1].Down += tooLong
				}
				typings = append(typings, corpus.Typing{User: name, Number: n, Text: fmt.Sprint("p", j), Sample: s})
			}
		}
	}
	var b bytes.Buffer
	if err := corpus.WriteTSV(&b, typings); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "people.tsv")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCast(t *testing.T) {
	phrases, people, err := cast(recording(t, map[string]int{"ana-c1": 10, "ben-c2": 10, "few-c2": 9, "slow-c2": 10, "zoe-c2": 10}))
	if err != nil || len(people) != 2 || people[0].name != "ben-c2" || people[1].name != "zoe-c2" {
		t.Fatalf("%v, %v", people, err)
	}
	if !slices.Equal(phrases, []string{"another hand", "the water"}) {
		t.Errorf("phrases %q", phrases)
	}
	var last keystroke.Sample
	for n := range 10 {
		s, ok := people[0].hands("the water")
		if !ok || n > 0 && s.Duration() == last.Duration() {
			t.Errorf("typing %d: %v, %v", n, ok, s)
		}
		last = s
	}
	if _, ok := people[0].hands("the water"); ok {
		t.Error("an eleventh typing was given")
	}
}

func TestCastWithoutPeople(t *testing.T) {
	for name, path := range map[string]string{
		"no file":    filepath.Join(t.TempDir(), "none"),
		"one person": recording(t, map[string]int{"ana-c2": 10, "ben-c1": 10}),
	} {
		if _, _, err := cast(path); !errors.Is(err, errNoData) {
			t.Errorf("%s: error %v, want %v", name, err, errNoData)
		}
	}
	broken := filepath.Join(t.TempDir(), "broken")
	os.WriteFile(broken, []byte("no header"), 0o600)
	if _, _, err := cast(broken); !errors.Is(err, corpus.ErrFormat) {
		t.Errorf("broken: error %v, want %v", err, corpus.ErrFormat)
	}
}

func TestWithoutTerminalAndDataItSaysSo(t *testing.T) {
	var out, errs bytes.Buffer
	env := cli.Env{Name: "ksd-try", Args: []string{"-data", filepath.Join(t.TempDir(), "none")}, Stdout: &out, Stderr: &errs}
	if code := Run(t.Context(), env); code != cli.ExitNoTerminal {
		t.Errorf("exit code %d, want %d", code, cli.ExitNoTerminal)
	}
	if !strings.Contains(errs.String(), "there is no terminal, and no recorded typing") || !strings.Contains(errs.String(), "-data FILE") {
		t.Errorf("stderr %q", errs.String())
	}
}

func TestCommandLine(t *testing.T) {
	for args, want := range map[string]int{"-h": cli.ExitOK, "--fast": cli.ExitUsage, "word": cli.ExitUsage} {
		var out, errs bytes.Buffer
		if code := Run(t.Context(), cli.Env{Name: "ksd-try", Args: []string{args}, Stdout: &out, Stderr: &errs}); code != want {
			t.Errorf("%s: exit code %d, want %d", args, code, want)
		}
	}
}

// clock is a CLOCK_MONOTONIC for typists in real time.
func clock() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}

func TestTypistAnswersPrompts(t *testing.T) {
	hands := ksdtest.NewTypist(1, 40*time.Millisecond)
	program := script(t, `stty -echo icrnl
printf 'Type:\n  the water\n> '; read -r a; echo
printf 'too odd. Type it again, or keep it?\nagain or keep? '; read -r b; echo
echo "[$a] [$b] $TERM"; exit 3`)
	var seen []string
	at := &Typist{
		Clock: clock(),
		Hands: func(phrase string) (keystroke.Sample, bool) { return hands.Sample(phrase), true },
		Watch: func(line string) { seen = append(seen, line) },
	}
	screen, exit, err := at.Run(t.Context(), program)
	if err != nil || exit != 3 || !strings.HasSuffix(screen, "[the water] [keep] dumb\n") {
		t.Errorf("%q, %d, %v", screen, exit, err)
	}
	if len(seen) == 0 || seen[len(seen)-1] != "[the water] [keep] dumb" {
		t.Errorf("saw %q", seen)
	}
}

func TestTypistRunsOut(t *testing.T) {
	program := script(t, "printf '  the water\\n> '; exec sleep 100")
	at := &Typist{Clock: clock(), Hands: func(string) (keystroke.Sample, bool) { return keystroke.Sample{}, false }}
	if _, _, err := at.Run(t.Context(), program); !errors.Is(err, ErrRunOut) {
		t.Errorf("error %v, want %v", err, ErrRunOut)
	}
}

func TestTypistStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	at := &Typist{Clock: clock(), Watch: func(string) { cancel() }}
	if _, _, err := at.Run(ctx, script(t, "echo here; exec sleep 100")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}
