package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"ksd/conf"
	"ksd/daemon"
	"ksd/internal/capture"
	"ksd/internal/keystroke"
	"ksd/internal/ksdtest"
	"ksd/internal/model"
	"ksd/internal/service"
	"ksd/internal/wire"
)

// captureRole names the environment variable that makes another process of this
// program: one whose scheduler and garbage are not those of the typist.
const captureRole = "KSD_CAPTURE_ROLE"

func init() {
	role, known := map[string]func() error{"daemon": playDaemon, "crowd": playCrowd, "enrolment": playEnrolment, "reader": playReader}[os.Getenv(captureRole)]
	if !known {
		return
	}
	if err := role(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// heard is a sample as a verifier got it.
type heard struct {
	Person string
	Sample keystroke.Sample
}

// playDaemon is ksdd with its real model, whose verifier tells what it is given
// and is never sure, so that one login asks for many typings. It ends when its
// input does.
func playDaemon() error {
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1) // as package daemon has ksdd do
	c, err := conf.Load(daemon.DefaultConfig)
	if err != nil {
		return err
	}
	// A thousand attempts that are never judged would lock everybody out.
	c.Lockout.Failures, c.Lockout.SourceFailures = 1<<30, 1<<30
	m := daemon.RealModel()
	makeVerifier := m.NewVerifier
	tell := &teller{out: json.NewEncoder(os.Stdout)}
	m.NewVerifier = func(people []model.Person, file *model.File) (daemon.Verifier, error) {
		v, err := makeVerifier(people, file)
		return telling{v, tell}, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	log := service.NewLog(os.Stderr, slog.LevelWarn, false)
	d, err := daemon.New(ctx, daemon.Options{Config: c, World: daemon.Real(os.Getuid(), log), Model: m})
	if err != nil {
		return err
	}
	return d.Serve(ctx)
}

// teller writes what was heard, one line each.
type teller struct {
	mu  sync.Mutex
	out *json.Encoder
}

// telling is a verifier that is never sure.
type telling struct {
	daemon.Verifier
	tell *teller
}

func (v telling) Score(person string, s keystroke.Sample) (model.Score, error) {
	score, err := v.Verifier.Score(person, s)
	if person != crowdAccount {
		v.tell.mu.Lock()
		defer v.tell.mu.Unlock()
		err = errors.Join(err, v.tell.out.Encode(heard{person, s}))
	}
	score.LLR, score.NearCopy, score.TooSteady = 0, false, false
	return score, err
}

// playReader is a program at somebody's own terminal, and package capture alone.
// It tells what it read on descriptor 3.
func playReader() error {
	term, err := capture.Open(os.Stdin, "dumb", capture.Monotonic)
	if err != nil {
		return err
	}
	defer term.Restore()
	if err := term.Raw(); err != nil {
		return err
	}
	out := json.NewEncoder(os.NewFile(3, "out"))
	for i := 0; ; i++ {
		s, err := term.Read(context.Background(), capture.Prompt{Phrase: capturePhrases[i%len(capturePhrases)]})
		if err != nil {
			return err
		}
		if err := out.Encode(heard{os.Getenv("USER"), s}); err != nil {
			return err
		}
	}
}

// playEnrolment enrols the people named in the arguments, as an administrator.
// It runs where the daemon's account is known.
func playEnrolment() error {
	c, err := wire.Dial(context.Background(), apiSocket)
	if err != nil {
		return err
	}
	defer c.Close()
	for i, user := range os.Args[1:] {
		if err := ksdtest.Enrol(context.Background(), c, user, ksdtest.NewTypist(uint64(i), 120*time.Millisecond)); err != nil {
			return fmt.Errorf("%s: %w", user, err)
		}
	}
	return nil
}

const (
	crowdAccount = "crowd"
	crowdSize    = "KSD_CAPTURE_CROWD"
	crowdSocket  = "KSD_CAPTURE_SOCKET"

	// A crowd types slowly: a key in 1 to 3 s each.
	crowdFastest = time.Second
	crowdSlowest = 3 * time.Second
)

// playCrowd is many people, each with a terminal handed over to the daemon, who
// type what they are asked for and never come to an end. It says "ready" once all
// of them are typing, and fails when one of them is no longer asked.
func playCrowd() error {
	size, err := strconv.Atoi(os.Getenv(crowdSize))
	if err != nil {
		return err
	}
	prompted, gone := make(chan struct{}, size), make(chan error, size+1)
	for i := range size {
		go func() { gone <- oneOfCrowd(uint64(i), func() { prompted <- struct{}{} }) }()
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		gone <- nil
	}()
	for range size {
		select {
		case <-prompted:
		case err := <-gone:
			return err
		}
	}
	fmt.Println("ready")
	return <-gone
}

// oneOfCrowd types for ever. It calls begun at the first prompt.
func oneOfCrowd(seed uint64, begun func()) error {
	d, phrase, err := joinCrowd()
	// The daemon may still be busy with those of the crowd before.
	for deadline := time.Now().Add(captureWait); err != nil && time.Now().Before(deadline); d, phrase, err = joinCrowd() {
		time.Sleep(time.Second)
	}
	if err != nil {
		return err
	}
	defer d.close()
	begun()
	rng := rand.New(rand.NewPCG(seed, 2))
	for {
		for _, key := range []byte(phrase + "\r") {
			time.Sleep(crowdFastest + time.Duration(rng.Int64N(int64(crowdSlowest-crowdFastest))))
			if _, err := d.keys.Write([]byte{key}); err != nil {
				return fmt.Errorf("one of the others: %w", err)
			}
		}
		if phrase, err = d.prompted(); err != nil {
			return fmt.Errorf("one of the others: %w", err)
		}
	}
}

// joinCrowd hands a terminal over and returns it with what is asked for there.
func joinCrowd() (d *desk, phrase string, err error) {
	if d, err = newDesk(); err != nil {
		return nil, "", err
	}
	go func() {
		hello := wire.Hello{User: crowdAccount, Service: "su", Source: "uid:0", Term: "dumb"}
		_, _ = wire.HandOver(context.Background(), os.Getenv(crowdSocket), hello, d.tty, func(wire.Text) {})
		d.close()
	}()
	if phrase, err = d.prompted(); err != nil {
		d.close()
	}
	return d, phrase, err
}
