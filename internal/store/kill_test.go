package store

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

// The test binary is also the program that gets killed: with childEnv set it
// writes samples to the store in that folder until it is.
const childEnv = "KSD_STORE_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := child(dir, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child does what a daemon does while people enrol and log in, and says on out
// what was confirmed, as soon as it was: "ready", then for each sample its
// sitting and how many the sitting has.
func child(dir string, out io.Writer) error {
	ctx := context.Background()
	s, err := Open(ctx, dir)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "ready")
	for {
		sitting, err := s.OpenSitting(ctx, "ana", 1, keystroke.Press, noon)
		if err != nil {
			return err
		}
		for n := len(sitting.Samples); n < 20; n++ {
			if err := s.AddSample(ctx, sitting.ID, sample(n+1)); err != nil {
				return err
			}
			fmt.Fprintln(out, sitting.ID, n+1)
		}
		if err := s.AddProbe(ctx, "ana", Probe{Taken: noon, Sample: sample(9).Sample}); err != nil {
			return err
		}
		if _, err := s.RecordFailure(ctx, "user:ana", noon, time.Hour); err != nil {
			return err
		}
		if err := s.CloseSitting(ctx, sitting.ID, noon); err != nil {
			return err
		}
	}
}

// Killed at whatever moment, from the making of the database on, the store
// opens again, is whole, and has everything it confirmed. KSD_KILLS sets how
// many kills it takes.
func TestKill(t *testing.T) {
	kills := 20
	if s := os.Getenv("KSD_KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatalf("KSD_KILLS: %v", err)
		}
	}
	rng := rand.New(rand.NewPCG(uint64(kills), 1))
	total, opening := 0, 0
	for dir, n := "", 0; n < kills; n++ {
		if n%5 == 0 { // a new database now and then: its making is killed as well
			dir = filepath.Join(t.TempDir(), fmt.Sprint(n))
		}
		confirmed := kill(t, dir, rng.IntN(4) > 0, time.Duration(rng.Int64N(int64(60*time.Millisecond))))
		if confirmed == nil {
			opening++
		}
		for _, most := range confirmed {
			total += most
		}
		verify(t, dir, confirmed)
		if t.Failed() {
			t.Fatalf("after kill %d", n+1)
		}
	}
	t.Logf("%d kills, %d of them before the first confirmation, %d confirmed samples kept", kills, opening, total)
	if total == 0 {
		t.Error("no sample was ever confirmed")
	}
}

// kill starts a child on dir and kills it after the wait, counted from its
// "ready" or from its start. It returns how many samples of each sitting were
// confirmed.
func kill(t *testing.T, dir string, ready bool, wait time.Duration) map[int64]int {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if ready {
		lines.Scan()
	}
	time.AfterFunc(wait, func() { cmd.Process.Signal(syscall.SIGKILL) })
	var confirmed map[int64]int
	for lines.Scan() {
		var sitting int64
		var n int
		if lines.Text() == "ready" {
			continue
		}
		if _, err := fmt.Sscan(lines.Text(), &sitting, &n); err != nil {
			t.Fatalf("line %q: %v", lines.Text(), err)
		}
		if confirmed == nil {
			confirmed = map[int64]int{}
		}
		confirmed[sitting] = n
	}
	cmd.Wait()
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != syscall.SIGKILL {
		t.Fatalf("the child ended by itself: %v\n%s", cmd.ProcessState, stderr.String())
	}
	return confirmed
}

// verify opens the store and looks for what was confirmed.
func verify(t *testing.T, dir string, confirmed map[int64]int) {
	t.Helper()
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var state string
	if err := s.write.QueryRow("PRAGMA integrity_check").Scan(&state); err != nil || state != "ok" {
		t.Errorf("integrity_check: %q, %v", state, err)
	}
	people, err := s.People(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	have := map[int64][]Sample{}
	for _, p := range people {
		for _, sitting := range p.Sittings {
			have[sitting.ID] = sitting.Samples
		}
	}
	for id, n := range confirmed {
		if len(have[id]) < n {
			t.Errorf("sitting %d: %d samples were confirmed, %d are there", id, n, len(have[id]))
		}
	}
	for id, samples := range have {
		for i, one := range samples {
			if len(one.Sample.Events) != i+1 {
				t.Errorf("sitting %d: sample %d has %d events", id, i+1, len(one.Sample.Events))
			}
		}
	}
}
