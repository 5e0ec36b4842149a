//go:build console

package daemon_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ksd/conf"
	"ksd/internal/evdev"
	"ksd/internal/evdev/evdevtest"
	"ksd/internal/keystroke"
	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

// TestVTLogin has ana, who is enrolled with releases, log in at the console of
// the machine. It types there: tools/console/run.sh gives it one of its own.
func TestVTLogin(t *testing.T) {
	for releases, want := range map[bool]keystroke.Channel{false: keystroke.Press, true: keystroke.Full} {
		t.Run(fmt.Sprint(releases), func(t *testing.T) {
			board := evdevtest.NewUinput(t)
			tty := must(os.OpenFile("/dev/tty1", os.O_RDWR|unix.O_NOCTTY, 0))(t)
			defer tty.Close()
			fmt.Fprint(tty, "\x1b[H\x1b[2J") // no prompt of before
			d := ksdtest.Start(t, func(c *conf.Config) { c.Training.Automatic, c.Console.Releases = false, releases })
			ana := ksdtest.NewTypist(1, tempo)
			d.EnrolOn("ana", ana, keystroke.Full)
			conn := dialLogin(t, d)
			sendHello(t, conn, wire.Hello{User: "ana", Service: "login", Source: "tty:tty1", Term: "linux"}, tty)
			phrase := onScreen(t, d)
			typeAt(board, ana.FullSample(phrase))
			_ = conn.SetReadDeadline(time.Now().Add(ksdtest.Patience))
			buf := make([]byte, wire.MaxPacket)
			n := must(conn.Read(buf))(t)
			if v := must(wire.DecodeReply(buf[:n]))(t); v != (wire.Verdict{Code: wire.Accept}) {
				t.Errorf("the daemon said %v", v)
			}
			if got := lastChannel(t, d); got != string(want) {
				t.Errorf("judged on %s, want %s", got, want)
			}
		})
	}
}

// onScreen waits for a prompt on the first console and returns its phrase.
func onScreen(t *testing.T, d *ksdtest.Daemon) string {
	t.Helper()
	for end := time.Now().Add(ksdtest.Patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		shown := string(must(os.ReadFile("/dev/vcs1"))(t))
		shown = shown[max(strings.LastIndex(shown, "give up)"), 0):]
		for _, phrase := range d.Config.Challenge.Phrases {
			if _, below, ok := strings.Cut(shown, phrase); ok && strings.HasPrefix(strings.TrimLeft(below, " "), "> ") {
				return phrase
			}
		}
	}
	t.Fatal("no prompt on the screen")
	return ""
}

// typeAt types a sample in its rhythm, then Enter.
func typeAt(board *evdevtest.Uinput, s keystroke.Sample) {
	type step struct {
		at     time.Duration
		code   uint16
		action evdev.Action
	}
	var steps []step
	for _, e := range s.Events {
		code := evdevtest.Codes[rune(e.Key)]
		steps = append(steps, step{e.Down, code, evdev.Down}, step{e.Up, code, evdev.Up})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	began := time.Now()
	for _, one := range steps {
		time.Sleep(time.Until(began.Add(one.at)))
		board.Does(one.code, one.action)
	}
	board.Does(evdevtest.Enter, evdev.Down)
	board.Does(evdevtest.Enter, evdev.Up)
}
