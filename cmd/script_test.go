// Package cmd tests the programs as they are built: the scripts in
// testdata/script run them at pseudo-terminals against a real daemon.
//
// Besides testscript's own commands there are
//
//	daemon                start ksdd with ksd.toml of the script, at $SOCKET
//	stop                  stop it with SIGTERM and wait for its end
//	typing HANDS PROGRAM ARGS...
//	                      run a program at a terminal where somebody answers its
//	                      prompts; the screen becomes stdout. HANDS is
//	                      SEED:MS, a rhythm of its own with a mean press-press
//	                      interval of MS; with a "!" before, the program must
//	                      end with another exit code than 0
package cmd

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ksd/demo"
	"ksd/internal/keystroke"
	"ksd/internal/ksdtest"
)

// programs are what the scripts run.
var programs = []string{"ksdd", "ksd-enroll", "ksd-login", "ksdctl", "ksd-try"}

// folder is where the programs lie, once they are built; TestMain removes it.
var folder string

// built builds the programs once for all tests.
var built = sync.OnceValue(func() error {
	args := []string{"build", "-o", folder}
	for _, p := range programs {
		args = append(args, "./"+p)
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
})

// build returns the folder of the programs.
func build(t *testing.T) string {
	t.Helper()
	if err := built(); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "ksd"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

func TestScripts(t *testing.T) {
	bin := build(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			// A socket's path has at most 107 bytes, a script's folder more.
			short, err := os.MkdirTemp("", "ksd")
			if err != nil {
				return err
			}
			e.Defer(func() { os.RemoveAll(short) })
			e.Setenv("PATH", bin+string(filepath.ListSeparator)+e.Getenv("PATH"))
			e.Setenv("BIN", bin)
			e.Setenv("STATE", short)
			e.Setenv("SOCKET", filepath.Join(short, "ksd.sock"))
			e.Setenv("TMPDIR", short)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"daemon": startDaemon, "stop": stopDaemon, "typing": typing,
		},
	})
}

// running holds the daemon of each script, by the path of its state.
var running = make(chan map[string]*exec.Cmd, 1)

func init() { running <- map[string]*exec.Cmd{} }

// startDaemon is the command daemon. It returns once the daemon has told its
// service manager, which is us, that it is ready.
func startDaemon(ts *testscript.TestScript, _ bool, _ []string) {
	state := ts.Getenv("STATE")
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(state, "notify"), Net: "unixgram"})
	ts.Check(err)
	defer os.Remove(filepath.Join(state, "notify"))
	defer ready.Close()
	cmd := exec.Command(filepath.Join(ts.Getenv("BIN"), "ksdd"), "-config", ts.MkAbs("ksd.toml"), "-state", state)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(state, "notify"))
	var log ksdtest.Buffer
	cmd.Stderr = &log
	ts.Check(cmd.Start())
	all := <-running
	all[state] = cmd
	running <- all
	ts.Defer(func() {
		end(ts, syscall.SIGKILL)
		ts.Logf("the daemon's log:\n%s", log.String())
	})
	ts.Check(ready.SetReadDeadline(time.Now().Add(ksdtest.Patience)))
	b := make([]byte, 4096)
	for {
		n, err := ready.Read(b)
		if err != nil {
			ts.Fatalf("the daemon is not ready: %v\n%s", err, log.String())
		}
		if strings.Contains(string(b[:n]), "READY=1") {
			return
		}
	}
}

// stopDaemon is the command stop.
func stopDaemon(ts *testscript.TestScript, _ bool, _ []string) {
	if err := end(ts, syscall.SIGTERM); err != nil {
		ts.Fatalf("the daemon ended with %v", err)
	}
}

// end ends the script's daemon with a signal, if it runs.
func end(ts *testscript.TestScript, signal syscall.Signal) error {
	all := <-running
	cmd := all[ts.Getenv("STATE")]
	delete(all, ts.Getenv("STATE"))
	running <- all
	if cmd == nil {
		return nil
	}
	ts.Check(cmd.Process.Signal(signal))
	return cmd.Wait()
}

// typings counts the typings of a process, so that no two are the same.
var typings atomic.Uint64

// typing is the command typing.
func typing(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: typing SEED:MS PROGRAM ARGS...")
	}
	seed, tempo, err := parseHands(args[0])
	ts.Check(err)
	hands := ksdtest.NewTypist(seed, tempo)
	for range typings.Add(1) % 100 {
		hands.Sample("other noise than before")
	}
	start := time.Now()
	at := &demo.Typist{
		Clock: func() time.Duration { return time.Since(start) },
		Hands: func(phrase string) (keystroke.Sample, bool) { return hands.Sample(phrase), true },
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	screen, exit, err := at.Run(ctx, filepath.Join(ts.Getenv("BIN"), args[1]), args[2:]...)
	if err != nil {
		ts.Fatalf("%s: %v; the screen:\n%s", args[1], err, screen)
	}
	out := bufio.NewWriter(ts.Stdout())
	fmt.Fprint(out, screen)
	out.Flush()
	if neg == (exit == 0) {
		ts.Fatalf("%s: exit code %d; the screen:\n%s", args[1], exit, screen)
	}
}

// parseHands reads SEED:MS.
func parseHands(s string) (seed uint64, tempo time.Duration, err error) {
	name, ms, _ := strings.Cut(s, ":")
	if seed, err = strconv.ParseUint(name, 10, 64); err != nil {
		return 0, 0, err
	}
	n, err := strconv.Atoi(ms)
	return seed, time.Duration(n) * time.Millisecond, err
}
