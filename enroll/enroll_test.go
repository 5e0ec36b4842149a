package enroll

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ksd/internal/cli"
	"ksd/internal/cli/clitest"
	"ksd/internal/keystroke"
	"ksd/internal/wire"
)

var update = flag.Bool("update", false, "write the golden screens anew")

const gap = 120 * time.Millisecond

// start runs ksd-enroll at a terminal.
func start(t *testing.T, f *fake, kind string, args ...string) (*clitest.Terminal, <-chan int) {
	at := clitest.Open(t, kind)
	env := at.Env("ksd-enroll", append([]string{"-socket", f.serve(t)}, args...)...)
	return at, at.Go(func(ctx context.Context) int { return Run(ctx, env) })
}

// golden compares a screen with testdata/name; -update writes it.
func golden(t *testing.T, name, screen string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(screen), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if screen != string(want) {
		t.Errorf("%s: the screen shows\n%s\nwant\n%s", name, screen, want)
	}
}

func TestEnrolment(t *testing.T) {
	for _, kind := range []string{"xterm", "dumb"} {
		t.Run(kind, func(t *testing.T) {
			f := three()
			at := clitest.Open(t, kind)
			before := settings(t, at)
			env := at.Env("ksd-enroll", "-socket", f.serve(t))
			done := at.Go(func(ctx context.Context) int { return Run(ctx, env) })
			at.Wait("\n> ")
			golden(t, kind+"-warmup", at.Screen())
			at.Type("the rope\r", gap)
			at.Wait("\n> ")
			at.Type("the ro", gap)
			if kind == "xterm" {
				at.Show("0.6 s") // the status line after the last key
			}
			golden(t, kind+"-typing", at.Screen())
			at.Type("x\x7fpe\r", gap)
			at.Wait("\n> ")
			golden(t, kind+"-last", at.Screen())
			at.Type("seven lanterns\r", gap)
			at.Wait("open the gate")
			at.Wait("\n> ")
			golden(t, kind+"-check", at.Screen())
			at.Type("open the gate\r", gap)
			if code := at.Exit(done); code != cli.ExitOK {
				t.Errorf("exit code %d, want %d", code, cli.ExitOK)
			}
			golden(t, kind+"-done", at.Screen())
			if after := settings(t, at); after != before {
				t.Errorf("the terminal's settings changed")
			}
			if len(f.got) != 3 || f.got[1].Sample.Phrase != "the rope" || f.got[1].Sample.Events[1].Down != gap {
				t.Errorf("the daemon got %+v", f.got)
			}
		})
	}
}

// TestEnrolmentWithReleases enrols at a terminal that tells them, and at one that
// stops telling them in the middle, as after a reset.
func TestEnrolmentWithReleases(t *testing.T) {
	for name, stops := range map[string]bool{"to the end": false, "stops": true} {
		t.Run(name, func(t *testing.T) {
			f := three()
			at := clitest.Open(t, "xterm-kitty")
			at.Kitty(true)
			env := at.Env("ksd-enroll", "-socket", f.serve(t))
			done := at.Go(func(ctx context.Context) int { return Run(ctx, env) })
			at.Wait("Captured: key presses and releases.")
			at.Wait("\n> ")
			at.Type("the rope", gap)
			if stops {
				at.Kitty(false)
			}
			at.Press("\r")
			if stops {
				at.Wait("\n> ")
				at.Type("the rope\r", gap)
				at.Wait("stopped telling when keys go up. Captured: key presses only.")
			}
			for _, phrase := range []string{"the rope\r", "seven lanterns\r", "open the gate\r"} {
				at.Wait("\n> ")
				at.Type(phrase, gap)
			}
			if code := at.Exit(done); code != cli.ExitOK {
				t.Errorf("exit code %d, want %d; the screen shows\n%s", code, cli.ExitOK, at.Screen())
			}
			if len(f.got) != 3 || f.got[0].Sample.Channel != keystroke.Full || !f.got[0].Sample.Events[7].Released {
				t.Errorf("the daemon got %+v", f.got)
			}
			if stopped := f.got[2].Sample.Channel == keystroke.Press; stopped != stops || (f.sittings == 2) != stops {
				t.Errorf("%d sittings, the last typing on %s", f.sittings, f.got[2].Sample.Channel)
			}
		})
	}
}

func settings(t *testing.T, at *clitest.Terminal) unix.Termios {
	s, err := unix.IoctlGetTermios(int(at.Tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *s
}

func TestEveryReasonIsSaidAndAskedAgain(t *testing.T) {
	for reason, want := range map[wire.Reason]string{
		wire.ReasonText:        "not the line",
		wire.ReasonCorrections: "Too many corrections",
		wire.ReasonDuplicate:   "copy of an earlier typing",
		wire.ReasonTooSlow:     "long pause",
		wire.ReasonChannel:     "another way",
		"unheard-of":           "could not be used",
	} {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			f := three()
			f.refuse = []wire.Reason{reason}
			at, _ := start(t, f, "dumb")
			at.Wait("\n> ")
			at.Type("the rope\r", gap)
			at.Wait(want)
			at.Wait("Typing 1 of 3")
			at.Wait("\n> ")
		})
	}
}

func TestUnlikeMayBeTypedAgainOrKept(t *testing.T) {
	for answer, insisted := range map[string]bool{"k": true, "again": false} {
		t.Run(answer, func(t *testing.T) {
			f := three()
			f.refuse = []wire.Reason{wire.ReasonUnlike}
			at, _ := start(t, f, "xterm")
			at.Wait("\n> ")
			at.Type("the rope\r", gap)
			at.Wait("again or keep? ")
			at.Type("x\r", gap)
			at.Wait("Please type again or keep")
			at.Wait("again or keep? ")
			golden(t, "xterm-unlike", at.Screen())
			at.Type(answer+"\r", gap)
			at.Wait("\n> ")
			f.mu.Lock()
			defer f.mu.Unlock()
			if got := f.got[len(f.got)-1].Insist; got != insisted {
				t.Errorf("insisted: %v, want %v", got, insisted)
			}
		})
	}
}

func TestPasteIsRefusedWithAWord(t *testing.T) {
	at, _ := start(t, three(), "xterm")
	at.Wait("\n> ")
	at.Press("\x1b[200~the rope\x1b[201~")
	at.Wait("A paste has no rhythm")
	at.Wait("\n> ")
}

func TestInterruptLosesNothing(t *testing.T) {
	f := three()
	at, done := start(t, f, "xterm")
	at.Wait("\n> ")
	at.Type("the rope\r", gap)
	at.Wait("\n> ")
	at.Press("\x03")
	if code := at.Exit(done); code != cli.ExitCancelled {
		t.Errorf("exit code %d, want %d", code, cli.ExitCancelled)
	}
	at.Wait("run ksd-enroll again to go on")

	at, _ = start(t, f, "xterm")
	at.Wait("Welcome back. 1 of 3 typings are kept; 2 to go.")
}

func TestSignalStops(t *testing.T) {
	f := three()
	at := clitest.Open(t, "xterm")
	env := at.Env("ksd-enroll", "-socket", f.serve(t))
	ctx, cancel := context.WithCancel(t.Context())
	done := at.Go(func(context.Context) int { return Run(ctx, env) })
	at.Wait("\n> ")
	cancel()
	if code := at.Exit(done); code != cli.ExitCancelled {
		t.Errorf("exit code %d, want %d", code, cli.ExitCancelled)
	}
	at.Wait("ksd-enroll: stopped")
}

func TestLostSittingIsOpenedAgain(t *testing.T) {
	f := three()
	f.lose = 1
	at, _ := start(t, f, "dumb")
	at.Wait("\n> ")
	at.Type("the rope\r", gap)
	at.Wait("The talk with the daemon broke off.")
	at.Wait("\n> ")
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sittings != 2 {
		t.Errorf("%d sittings opened, want 2", f.sittings)
	}
}

func TestLostForGoodEnds(t *testing.T) {
	f := three()
	f.lose = 1000
	at, done := start(t, f, "dumb")
	for range maxLost + 1 {
		at.Wait("\n> ")
		at.Type("the rope\r", gap)
	}
	if code := at.Exit(done); code != cli.ExitRefused {
		t.Errorf("exit code %d, want %d", code, cli.ExitRefused)
	}
}

func TestProofComesFirst(t *testing.T) {
	for verdict, code := range map[wire.Code]int{wire.Accept: -1, wire.Refuse: cli.ExitRefused} {
		t.Run(string(verdict), func(t *testing.T) {
			f := three()
			f.proof, f.verdict = true, verdict
			at, done := start(t, f, "xterm")
			at.Wait("enrolled already")
			at.Wait("\n> ")
			at.Type("open the gate\r", gap)
			if code >= 0 {
				if got := at.Exit(done); got != code || f.sittings != 0 {
					t.Errorf("exit code %d with %d sittings, want %d and none", got, f.sittings, code)
				}
				return
			}
			at.Wait("step 1 of 3")
		})
	}
}

func TestFailedCheckSaysWhatToDo(t *testing.T) {
	f := three()
	f.verdict = wire.Refuse
	f.done = 2
	at, done := start(t, f, "xterm")
	at.Wait("\n> ")
	at.Type("seven lanterns\r", gap)
	at.Wait("open the gate")
	at.Wait("\n> ")
	at.Type("open the gate\r", gap)
	if code := at.Exit(done); code != cli.ExitRefused {
		t.Errorf("exit code %d, want %d", code, cli.ExitRefused)
	}
	golden(t, "xterm-failed", at.Screen())
}

func TestNotEnoughYetIsNoCheck(t *testing.T) {
	f := three()
	f.enrolled, f.done = false, 2
	at, done := start(t, f, "dumb")
	at.Wait("\n> ")
	at.Type("seven lanterns\r", gap)
	if code := at.Exit(done); code != cli.ExitOK {
		t.Errorf("exit code %d, want %d", code, cli.ExitOK)
	}
	at.Wait("ksd-enroll once more, best on another day")
}
