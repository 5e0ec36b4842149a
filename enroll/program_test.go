package enroll

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"

	"ksd/internal/cli"
	"ksd/internal/wire"
)

// bare is a world without a terminal.
func bare(args ...string) (cli.Env, *bytes.Buffer, *bytes.Buffer) {
	var out, err bytes.Buffer
	return cli.Env{Name: "ksd-enroll", Args: args, Stdout: &out, Stderr: &err, User: "ana", Now: time.Now}, &out, &err
}

func TestCommandLines(t *testing.T) {
	there := three().serve(t)
	away := filepath.Join(t.TempDir(), "ksd.sock")
	for name, c := range map[string]struct {
		args     []string
		code     int
		out, err string
	}{
		"unknown command": {[]string{"forget"}, cli.ExitUsage, "", `error: there is no command "forget"`},
		"two commands":    {[]string{"list", "verify"}, cli.ExitUsage, "", `error: "verify" is one word too many`},
		"unknown flag":    {[]string{"-force"}, cli.ExitUsage, "", "hint: \"ksd-enroll -h\""},
		"help":            {[]string{"list", "-h"}, cli.ExitOK, "exit codes:", ""},
		"no daemon":       {[]string{"-socket", away}, cli.ExitNoDaemon, "", "systemctl start ksdd"},
		"no terminal":     {[]string{"-socket", there}, cli.ExitNoTerminal, "", "ssh -t"},
		"verify":          {[]string{"verify", "-socket", there}, cli.ExitNoTerminal, "", "no terminal"},
		"delete":          {[]string{"delete", "-socket", there}, cli.ExitNoTerminal, "", "no terminal"},
		"delete -yes":     {[]string{"delete", "-yes", "-socket", there}, cli.ExitOK, "", "ksd-enroll: deleted 2 typings of ana\n"},
		"list":            {[]string{"list", "-socket", there}, cli.ExitOK, "2 in 1 sittings", ""},
		"list nobody":     {[]string{"list", "-user", "nobody", "-socket", there}, cli.ExitRefused, "", `"ksd-enroll" enrols you`},
	} {
		t.Run(name, func(t *testing.T) {
			env, out, err := bare(c.args...)
			if code := Run(context.Background(), env); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if !has(out.String(), c.out) || !has(err.String(), c.err) || c.out == "" && out.Len() > 0 || c.err == "" && err.Len() > 0 {
				t.Errorf("stdout %q, want %q; stderr %q, want %q", out, c.out, err, c.err)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	for verdict, code := range map[wire.Code]int{
		wire.Accept: cli.ExitOK, wire.Refuse: cli.ExitRefused, wire.Unusable: cli.ExitInput, wire.Failed: cli.ExitFailed, "new": cli.ExitFailed,
	} {
		f := three()
		f.verdict = verdict
		at, done := start(t, f, "xterm", "verify")
		at.Wait("\n> ")
		at.Type("open the gate\r", gap)
		if got := at.Exit(done); got != code {
			t.Errorf("%s: exit code %d, want %d", verdict, got, code)
		}
	}
}

func TestDeleteAsksAndProves(t *testing.T) {
	f := three()
	f.proof = true
	at, done := start(t, f, "xterm", "delete")
	at.Wait("delete or keep? ")
	at.Type("delete\r", gap)
	at.Wait("First show that it is you")
	at.Wait("\n> ")
	at.Type("open the gate\r", gap)
	if code := at.Exit(done); code != cli.ExitOK {
		t.Errorf("exit code %d, want %d", code, cli.ExitOK)
	}

	at, done = start(t, f, "xterm", "delete")
	at.Wait("delete or keep? ")
	at.Type("keep\r", gap)
	if code := at.Exit(done); code != cli.ExitRefused {
		t.Errorf("after keep: exit code %d, want %d", code, cli.ExitRefused)
	}
}
