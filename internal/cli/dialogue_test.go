package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ksd/internal/capture"
	"ksd/internal/cli"
	"ksd/internal/cli/clitest"
	"ksd/internal/keystroke"
	"ksd/internal/wire"
)

const gap = 100 * time.Millisecond

// open starts a dialogue at a terminal.
func open(t *testing.T, kind string) (*clitest.Terminal, *cli.Dialogue) {
	at := clitest.Open(t, kind)
	d, err := at.Env("prog").Dialogue()
	if err != nil {
		t.Fatal(err)
	}
	return at, d
}

func TestNoDialogueWithoutATerminal(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, tty := range map[string]*os.File{"none": nil, "a file": file} {
		if _, err := (cli.Env{Tty: tty}).Dialogue(); !errors.Is(err, cli.ErrNoTerminal) {
			t.Errorf("%s: error %v, want %v", name, err, cli.ErrNoTerminal)
		}
	}
}

func TestSayBreaksLines(t *testing.T) {
	at, d := open(t, "xterm")
	d.Say("%s", strings.Repeat("words ", 30)+"\x1b[2J")
	d.Lines("end")
	at.Wait("end")
	for l := range strings.Lines(at.Screen()) {
		if len(l) > 80 || strings.HasPrefix(l, " ") {
			t.Errorf("line %q", l)
		}
	}
	if !strings.Contains(at.Screen(), "?[2J") {
		t.Errorf("the screen shows\n%s", at.Screen())
	}
}

func TestTypeEnds(t *testing.T) {
	for name, c := range map[string]struct {
		limit time.Duration
		keys  string
		want  error
	}{
		"Ctrl-C":   {0, "\x03", capture.ErrInterrupted},
		"Ctrl-D":   {0, "\x04", capture.ErrEOF},
		"too late": {50 * time.Millisecond, "", capture.ErrTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			at, d := open(t, "xterm")
			failed := make(chan error, 1)
			go func() {
				_, err := d.Type(t.Context(), "a phrase", c.limit, nil)
				failed <- err
			}()
			at.Wait("> ")
			at.Press(c.keys)
			if err := <-failed; !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
}

func TestTypeAsksAgainAfterAPasteButNotForEver(t *testing.T) {
	at, d := open(t, "xterm")
	failed := make(chan error, 1)
	go func() {
		_, err := d.Type(t.Context(), "a phrase", 0, nil)
		failed <- err
	}()
	for range 5 {
		at.Wait("> ")
		at.Press("\x1b[200~a phrase\x1b[201~")
	}
	if err := <-failed; !errors.Is(err, capture.ErrPaste) {
		t.Errorf("error %v, want %v", err, capture.ErrPaste)
	}
}

// TestChannels types at a terminal that tells releases and at one that does not.
func TestChannels(t *testing.T) {
	for _, c := range []struct {
		kind  string
		kitty bool
		want  keystroke.Channel
		said  string
	}{
		{"dumb", true, keystroke.Press, "Captured: key presses only. A terminal with the kitty keyboard protocol, such as kitty,"},
		{"xterm", false, keystroke.Press, "would also tell releases and recognise you with fewer keys."},
		{"tmux-256color", false, keystroke.Press, "for tmux and screen pass no releases on."},
		{"screen", false, keystroke.Press, "outside of them, and recognise you"},
		{"xterm-kitty", true, keystroke.Full, "Captured: key presses and releases."},
	} {
		t.Run(c.kind, func(t *testing.T) {
			at, d := open(t, c.kind)
			at.Kitty(c.kitty)
			ch, err := d.Ask(t.Context())
			if said := d.Captured(ch); err != nil || ch != c.want || !strings.Contains(said, c.said) {
				t.Errorf("%s, %v, %q; want %s, %q", ch, err, said, c.want, c.said)
			}
			typed := make(chan keystroke.Sample, 1)
			go func() {
				s, err := d.Type(t.Context(), "ok", 0, nil)
				if err != nil {
					t.Error(err)
				}
				typed <- s
			}()
			at.Wait("> ")
			at.Type("ok\r", gap)
			if s := <-typed; s.Channel != c.want || s.Line().Text != "ok" || s.Phrase != "ok" {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestChooseWantsAnAnswer(t *testing.T) {
	at, d := open(t, "dumb")
	failed := make(chan error, 1)
	go func() {
		_, err := d.Choose(t.Context(), "Sure?", "yes", "no")
		failed <- err
	}()
	for range 5 {
		at.Wait("yes or no? ")
		at.Type("perhaps\r", gap)
	}
	if err := <-failed; !errors.Is(err, capture.ErrUnusable) {
		t.Errorf("error %v, want %v", err, capture.ErrUnusable)
	}
}

// script answers challenges as told and is a daemon in no other way.
func script(t *testing.T, answers ...wire.Answer) *wire.Client {
	path := filepath.Join(t.TempDir(), "ksd.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc(wire.RouteChallenge, func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(wire.Challenge{ID: "1", Phrase: "one", ExpireMS: 60000, Try: 1, Tries: 2})
	})
	mux.HandleFunc(wire.RouteAnswer, func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(answers[0])
		answers = answers[1:]
	})
	s := &http.Server{Handler: mux}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	c, err := wire.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestChallenge(t *testing.T) {
	next := func(phrase string, try int) *wire.Challenge {
		return &wire.Challenge{ID: phrase, Phrase: phrase, ExpireMS: 60000, Try: try, Tries: 2}
	}
	at, d := open(t, "xterm")
	c := script(t,
		wire.Answer{Reason: wire.ReasonCorrections, Next: next("two", 1)},
		wire.Answer{Next: next("three", 1), Detail: &wire.Detail{Sum: 1}},
		wire.Answer{Next: next("four", 2), Detail: &wire.Detail{Sum: -4}},
		wire.Answer{Code: wire.Accept, Detail: &wire.Detail{Sum: 5}},
	)
	var got cli.Attempt
	done := at.Go(func(ctx context.Context) int {
		var err error
		if got, err = d.Challenge(ctx, c, wire.ChallengeRequest{User: "ana"}); err != nil {
			t.Error(err)
		}
		return 0
	})
	at.Wait("one\r\n> ")
	at.Type("one\r", gap)
	for _, step := range []struct{ said, phrase string }{
		{"Too many corrections", "two"},
		{"Not clear yet. One more:", "three"},
		{"not recognised. Here is another try:", "four"},
	} {
		at.Wait(step.said)
		at.Wait(step.phrase + "\r\n> ")
		at.Type(step.phrase+"\r", gap)
	}
	at.Exit(done)
	if got.Code != wire.Accept || len(got.Judged) != 3 || got.Judged[2].Phrase != "four" || got.Judged[2].Try != 2 {
		t.Errorf("%+v", got)
	}
}

// TestChallengeSaysWhy: who could not be judged hears why, also the last time.
func TestChallengeSaysWhy(t *testing.T) {
	at, d := open(t, "dumb")
	c := script(t, wire.Answer{Code: wire.Unusable, Reason: wire.ReasonLine})
	done := at.Go(func(ctx context.Context) int {
		a, err := d.Challenge(ctx, c, wire.ChallengeRequest{User: "ana"})
		if err != nil {
			t.Error(err)
		}
		return a.Exit()
	})
	at.Wait("> ")
	at.Type("one\r", gap)
	at.Wait("the line is rough")
	if code := at.Exit(done); code != cli.ExitInput {
		t.Errorf("exit code %d, want %d", code, cli.ExitInput)
	}
}

// TestAnswerWithoutEndIsNoYes: a daemon that says neither a code nor what comes
// next has not accepted anybody.
func TestAnswerWithoutEndIsNoYes(t *testing.T) {
	at, d := open(t, "dumb")
	c := script(t, wire.Answer{})
	done := at.Go(func(ctx context.Context) int {
		a, err := d.Challenge(ctx, c, wire.ChallengeRequest{User: "ana"})
		if err != nil {
			t.Error(err)
		}
		return a.Exit()
	})
	at.Wait("> ")
	at.Type("one\r", gap)
	if code := at.Exit(done); code != cli.ExitFailed {
		t.Errorf("exit code %d, want %d", code, cli.ExitFailed)
	}
}
