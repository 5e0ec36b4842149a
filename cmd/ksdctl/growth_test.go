package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"ksd/conf"
	"ksd/internal/cli"
	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

// TestGrowthCommands follows what an administrator sees and does of templates
// that grow.
func TestGrowthCommands(t *testing.T) {
	d := ksdtest.Start(t, small, func(c *conf.Config) { c.Challenge.Phrases = c.Challenge.Phrases[:1] })
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	login := func() {
		t.Helper()
		c := d.Client()
		defer c.Close()
		ch, err := c.Challenge(context.Background(), wire.ChallengeRequest{User: "ana", Service: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if a, err := c.Answer(context.Background(), ch.ID, wire.Typing{Sample: ana.Sample(ch.Phrase)}); err != nil || a.Code != wire.Accept {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	since := d.Clock.Now().Local().Format("2006-01-02 15:04:05")
	for _, c := range []struct {
		args     string
		before   func()
		exit     int
		out, err string
	}{
		{"confirm", nil, cli.ExitUsage, "", "1 more word wanted"},
		{"revert", nil, cli.ExitUsage, "", "1 more word wanted"},
		{"confirm nobody", nil, cli.ExitRefused, "", "hint"},
		{"revert nobody", nil, cli.ExitRefused, "", "hint"},
		{"confirm ana", nil, cli.ExitRefused, "", "no login of ana waits to be confirmed"},
		{"confirm ana --json", nil, cli.ExitRefused, `"joined": 0`, ""},
		{"users ana", login, cli.ExitOK, "ana   enrolled        4 ", "1 typing of the last login will join once the next login is accepted too"},
		{"confirm ana", nil, cli.ExitOK, "", "1 of the last login's 1 typing joined the templates of ana"},
		{"users ana", nil, cli.ExitOK, "ana   enrolled      4+1 ", "1 typing joined at logins, the oldest of them on " + since},
		{"users", func() { d.Clock.Advance(time.Hour); login(); login() }, cli.ExitOK, "ana   enrolled      4+2 ", ""},
		{"users ana --json", nil, cli.ExitOK, `"grown": 2`, ""},
		{"audit ana", nil, cli.ExitOK, "1 of 1 typing joined", ""},
		{"revert ana", nil, cli.ExitOK, "", "threw 2 typings away; ana is judged by the enrolment alone"},
		{"users ana", nil, cli.ExitOK, "ana   enrolled        4 ", ""},
		{"revert ana --json", nil, cli.ExitOK, `"user": "ana"`, ""},
		{"audit ana", nil, cli.ExitOK, "2 typings thrown away", ""},
	} {
		if c.before != nil {
			c.before()
		}
		exit, out, errs := ctl(d, strings.Fields(c.args)...)
		t.Log(c.args)
		check(t, exit, out, errs, c.exit, c.out, c.err)
	}
	d.As(d.UID("ana"))
	for _, args := range []string{"confirm ana", "revert ana"} {
		exit, out, errs := ctl(d, strings.Fields(args)...)
		check(t, exit, out, errs, cli.ExitForbidden, "", "sudo")
	}
}
