package enroll

import (
	"context"
	"strings"
	"testing"
	"time"

	"ksd/conf"
	"ksd/internal/cli"
	"ksd/internal/cli/clitest"
	"ksd/internal/ksdtest"
)

// answerAll types whatever is asked for until the program ends, and returns its
// exit code and what was asked.
func answerAll(at *clitest.Terminal, done <-chan int, hands *ksdtest.Typist) (exit int, asked []string) {
	for {
		phrase, more := at.Asked()
		if !more {
			return at.Exit(done), asked
		}
		asked = append(asked, phrase)
		at.TypeAt(phrase, hands.Downs(phrase))
		at.Press("\r")
	}
}

// TestWithADaemon goes the whole way with a daemon that hears the tempo, as a
// person who is no administrator.
func TestWithADaemon(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) {
		c.Challenge.Phrases = []string{"the water under", "another hand on"}
		c.Challenge.Typings, c.Challenge.Warmups = 4, 1
		c.Training.Automatic = false
	})
	d.As(d.UID("ana"))
	ana := ksdtest.NewTypist(1, gap)
	for _, c := range []struct {
		name, args string
		gap        time.Duration
		exit       int
		show       string
		asked      int // at least
	}{
		{"enrolment and check", "", gap, cli.ExitOK, "You are enrolled.", 10},
		{"verify", "verify", gap, cli.ExitOK, "Recognised: ", 1},
		{"another sitting by a stranger", "", 3 * gap, cli.ExitRefused, "Not recognised", 1},
		{"another sitting", "", gap, cli.ExitOK, "Thank you: 16 typings are kept", 11},
		{"somebody else's", "-user ben", gap, cli.ExitForbidden, "only root may do that", 0},
		{"stranger's verify", "verify", 3 * gap, cli.ExitRefused, "Not recognised", 1},
	} {
		t.Log(c.name)
		at := clitest.Open(t, "xterm")
		env := at.Env("ksd-enroll", append(strings.Fields(c.args), "-socket", d.Config.Daemon.APISocket)...)
		done := at.Go(func(ctx context.Context) int { return Run(ctx, env) })
		exit, asked := answerAll(at, done, ana.At(c.gap))
		if exit != c.exit || len(asked) < c.asked || !strings.Contains(at.Screen(), c.show) {
			t.Errorf("exit code %d, want %d; asked for %q; the screen shows\n%s", exit, c.exit, asked, at.Screen())
		}
	}

	at := clitest.Open(t, "xterm")
	env := at.Env("ksd-enroll", "delete", "-socket", d.Config.Daemon.APISocket)
	done := at.Go(func(ctx context.Context) int { return Run(ctx, env) })
	at.Wait("delete or keep? ")
	at.Type("delete\r", gap)
	exit, asked := answerAll(at, done, ana)
	if exit != cli.ExitOK || len(asked) == 0 || !strings.Contains(at.Screen(), "deleted 16 typings of ana") {
		t.Errorf("exit code %d; asked for %q; the screen shows\n%s", exit, asked, at.Screen())
	}
}
