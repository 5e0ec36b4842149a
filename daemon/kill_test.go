package daemon_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ksd/daemon"
	"ksd/internal/keystroke"
	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

// TestKill kills ksdd with SIGKILL at random moments while two people enrol,
// one after the other, and a training runs. Nothing that was confirmed is lost,
// and it starts again. KSD_KILLS sets the number of kills.
func TestKill(t *testing.T) {
	kills := 10
	if s := os.Getenv("KSD_KILLS"); s != "" {
		kills = must(strconv.Atoi(s))(t)
	}
	folder := stateFolder(t, "[training]\nsettle = \"0s\"\n[lockout]\nfailures = 100\n")
	confirmed := map[string]int{} // typings kept, warm-ups included
	finished := map[string]int{}  // sittings
	hands := map[string]*ksdtest.Typist{"ana": ksdtest.NewTypist(1, tempo), "bob": ksdtest.NewTypist(2, tempo)}
	killed := 0
	for round := 0; killed < kills; round++ {
		k := startKsdd(t, folder, nil)
		checkConfirmed(t, k.client(t), confirmed, finished)
		after := time.Duration(rand.Int64N(int64(400 * time.Millisecond)))
		timer := time.AfterFunc(after, func() { _ = k.Process.Kill() })
		training := make(chan struct{})
		trainer := k.client(t)
		go func() {
			defer close(training)
			_, _ = trainer.Retrain(t.Context(), wire.RetrainRequest{}, nil)
		}()
		enrolUntilKilled(t, k.client(t), hands, confirmed, finished)
		<-training
		timer.Stop()
		k.kill(t)
		killed++
	}
	k := startKsdd(t, folder, nil)
	checkConfirmed(t, k.client(t), confirmed, finished)
	if strings.Contains(k.log.String(), "model refused") {
		t.Error("a kill left a damaged model")
	}
	t.Logf("%d kills; confirmed typings %v, finished sittings %v", killed, confirmed, finished)
	k.stop(t)
}

// enrolUntilKilled has people enrol, one sitting each after the other, until
// the daemon is gone. It notes what was confirmed.
func enrolUntilKilled(t *testing.T, c *wire.Client, hands map[string]*ksdtest.Typist, confirmed, finished map[string]int) {
	for {
		for user, typist := range hands {
			s, err := c.OpenSitting(t.Context(), wire.SittingRequest{User: user, Channel: keystroke.Press})
			if err != nil {
				return
			}
			for s.Next.Phrase != "" {
				r, err := c.Type(t.Context(), s.ID, wire.Typing{Sample: typist.Sample(s.Next.Phrase), Insist: true})
				if err != nil {
					return
				}
				if r.Kept && !s.Next.Warmup {
					confirmed[user]++
				}
				s.Next = r.Next
			}
			if _, err := c.Finish(t.Context(), s.ID); err != nil {
				return
			}
			finished[user]++
		}
	}
}

// checkConfirmed looks for everything that was confirmed. One more typing or
// sitting may be there, whose confirmation was lost on the way.
func checkConfirmed(t *testing.T, c *wire.Client, confirmed, finished map[string]int) {
	t.Helper()
	for user, want := range confirmed {
		p := must(c.User(t.Context(), user))(t)
		if p.Samples < want || p.Samples > want+1 {
			t.Errorf("%s: %d samples, %d were confirmed", user, p.Samples, want)
		}
		if p.Sittings < finished[user] || finished[user] > 0 && !p.Enrolled {
			t.Errorf("%s: %+v, %d sittings were finished", user, p, finished[user])
		}
		confirmed[user] = p.Samples
	}
}

// TestKillInstall kills a process that does nothing but replace the model file.
// There is a whole model at every moment, and a whole previous one or none.
func TestKillInstall(t *testing.T) {
	folder := t.TempDir()
	for range 20 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asInstaller+"="+folder, quickExit)
		out := must(cmd.StdoutPipe())(t)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		must(out.Read(make([]byte, 1)))(t) // the first is in place
		time.Sleep(time.Duration(rand.Int64N(int64(20 * time.Millisecond))))
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		for _, name := range []string{"model.ksd", "model.previous.ksd"} {
			b, err := os.ReadFile(filepath.Join(folder, name))
			if errors.Is(err, os.ErrNotExist) && name == "model.previous.ksd" {
				continue
			}
			if err != nil || len(b) != modelSize || len(bytes.Trim(b, string(b[:1]))) != 0 {
				t.Fatalf("%s: %d bytes, %v", name, len(b), err)
			}
		}
	}
}

// modelSize is the size of the models that install writes, each of one letter.
const modelSize = 1 << 20

func install(folder string) int {
	for i := 0; ; i++ {
		if err := daemon.ReplaceModel(folder, bytes.Repeat([]byte{byte('a' + i%26)}, modelSize)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Print(".")
	}
}
