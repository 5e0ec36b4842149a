package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"

	"ksd/internal/capture"
	"ksd/internal/wire"
)

func TestAdviceForEveryRefusalOfTheDaemon(t *testing.T) {
	for _, c := range []struct {
		code wire.ErrorCode
		exit int
	}{
		{wire.CodeBadRequest, ExitInput},
		{wire.CodeForbidden, ExitForbidden},
		{wire.CodeNotFound, ExitRefused},
		{wire.CodeUnenrolled, ExitRefused},
		{wire.CodeLocked, ExitRefused},
		{wire.CodeProof, ExitForbidden},
		{wire.CodeExpired, ExitRefused},
		{wire.CodeBusy, ExitFailed},
		{wire.CodeTooFew, ExitInput},
		{wire.CodeCancelled, ExitCancelled},
		{wire.CodeInternal, ExitFailed},
		{"unheard-of", ExitFailed},
	} {
		err := fmt.Errorf("while asking: %w", &wire.Error{Code: c.code, Message: "no"})
		if exit, _ := Advice(err); exit != c.exit {
			t.Errorf("%s: exit code %d, want %d", c.code, exit, c.exit)
		}
	}
}

func TestAdviceForOtherErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		exit int
		hint string
	}{
		{fmt.Errorf("%w: %w", wire.ErrNoDaemon, syscall.ENOENT), ExitNoDaemon, "systemctl start ksdd"},
		{fmt.Errorf("%w: %w", wire.ErrNoDaemon, syscall.ECONNREFUSED), ExitNoDaemon, "-socket"},
		{fmt.Errorf("/run: %w", wire.ErrServer), ExitNoDaemon, "do not type here"},
		{fmt.Errorf("%w: %w", ErrNoTerminal, capture.ErrNotTerminal), ExitNoTerminal, "ssh -t"},
		{fmt.Errorf("dial: %w", syscall.EACCES), ExitForbidden, "sudo"},
		{fmt.Errorf("open: %w", fs.ErrNotExist), ExitInput, "path"},
		{capture.ErrInterrupted, ExitCancelled, ""},
		{capture.ErrPaste, ExitInput, "by hand"},
		{context.Canceled, ExitCancelled, ""},
		{Usagef("x"), ExitUsage, ""},
		{errors.New("x"), ExitFailed, ""},
	} {
		exit, hints := Advice(c.err)
		if exit != c.exit || c.hint == "" && len(hints) > 0 || !strings.Contains(strings.Join(hints, "\n"), c.hint) {
			t.Errorf("%v: %d, %q; want %d, %q", c.err, exit, hints, c.exit, c.hint)
		}
	}
}

// TestHintsKeepTheVoice: hints begin small and end without a full stop.
func TestHintsKeepTheVoice(t *testing.T) {
	for _, a := range advice {
		for _, h := range a.hints {
			if h[0] >= 'A' && h[0] <= 'Z' || strings.HasSuffix(h, ".") {
				t.Errorf("%v: %q", a.is, h)
			}
		}
	}
}

func TestFailSaysFactAndAdvice(t *testing.T) {
	for _, c := range []struct {
		err  error
		exit int
		want string
	}{
		{nil, ExitOK, ""},
		{context.Canceled, ExitCancelled, "prog: stopped\n"},
		{capture.ErrInterrupted, ExitCancelled, "prog: interrupted at the keyboard\n"},
		{errors.New("bad\x1b[2J name\nnext"), ExitFailed, "prog: error: bad?[2J name\nnext\n"},
		{
			&wire.Error{Code: wire.CodeForbidden, Message: "not yours"}, ExitForbidden,
			"prog: error: not yours\nprog: hint: only root may do that for others; try \"sudo\"\n",
		},
	} {
		var b bytes.Buffer
		e := Env{Name: "prog", Stderr: &b}
		if exit := e.Fail(c.err); exit != c.exit || b.String() != c.want {
			t.Errorf("%v: %d, %q; want %d, %q", c.err, exit, b.String(), c.exit, c.want)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"ana":               "ana",
		"Zoë ana":           "Zoë ana",
		"\x1b]0;x\a":        "?]0;x?",
		"a\nb\tc\x7f\u009b": "a?b?c??",
		"\xff":              "?",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		args        string
		least, most int
		words       string
		yes         bool
		err         error
	}{
		{args: "--none", err: ErrUsage},
		{args: "--n=x", err: ErrUsage},
		{args: "a b", most: 1, err: ErrUsage},
		{args: "", least: 1, most: 1, err: ErrUsage},
		{args: "a -h", most: 1, err: flag.ErrHelp},
		{args: "a --yes b", most: 2, words: "a b", yes: true},
		{args: "--yes a", most: 1, words: "a", yes: true},
		{args: "a -- --yes -h", most: -1, words: "a --yes -h"},
		{args: "-- -- a", most: -1, words: "-- a"},
	} {
		fs := Flags("x")
		yes := fs.Bool("yes", false, "")
		fs.Int("n", 0, "")
		words, err := Parse(fs, strings.Fields(c.args), c.least, c.most)
		if !errors.Is(err, c.err) || c.err == nil && (err != nil || !slices.Equal(words, strings.Fields(c.words)) || *yes != c.yes) {
			t.Errorf("%q: %q, yes=%v, %v; want %q, %v, %v", c.args, words, *yes, err, c.words, c.yes, c.err)
		}
	}
}

func TestUsage(t *testing.T) {
	var out, errs bytes.Buffer
	e := Env{Name: "prog", Stdout: &out, Stderr: &errs}
	if code := e.Usage("manual\n", "look", flag.ErrHelp); code != ExitOK || out.String() != "manual\n" || errs.Len() > 0 {
		t.Errorf("help: %d, %q, %q", code, out.String(), errs.String())
	}
	out.Reset()
	want := "prog: error: no such flag\nprog: hint: look\n"
	if code := e.Usage("manual\n", "look", Usagef("no such flag")); code != ExitUsage || out.Len() > 0 || errs.String() != want {
		t.Errorf("error: %d, %q, %q", code, out.String(), errs.String())
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	Table(&b, []string{"user", "typings>", "note"}, [][]string{{"ana", "5", ""}, {"Zoë\x1b", "1234567890", "x"}})
	want := "user     typings  note\n" +
		"ana            5  -\n" +
		"Zoë?  1234567890  x\n"
	if b.String() != want {
		t.Errorf("the table is\n%swant\n%s", b.String(), want)
	}
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	e := Env{Stdout: &b}
	if code := e.JSON(Attempt{User: "ana", Code: wire.Accept}); code != ExitOK || b.String() != "{\n  \"user\": \"ana\",\n  \"code\": \"accept\"\n}\n" {
		t.Errorf("%d, %s", code, b.String())
	}
}

func TestAttemptExitIsYesForAcceptAlone(t *testing.T) {
	for code, want := range map[wire.Code]int{
		"": ExitFailed, "other": ExitFailed, wire.Failed: ExitFailed,
		wire.Refuse: ExitRefused, wire.Locked: ExitRefused, wire.Unenrolled: ExitRefused,
		wire.Cancelled: ExitCancelled, wire.Timeout: ExitInput, wire.Unusable: ExitInput,
		wire.Accept: ExitOK,
	} {
		if got := (Attempt{Code: code}).Exit(); got != want {
			t.Errorf("%q: exit code %d, want %d", code, got, want)
		}
	}
}
