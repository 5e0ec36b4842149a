package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"ksd/internal/cli"
	"ksd/internal/corpus"
	"ksd/internal/keystroke"
)

// errNoData is the fact that there is nothing to play.
var errNoData = errors.New("there is no terminal, and no recorded typing to play instead")

const (
	class     = "-c2"           // typed with two hands
	enrolling = 5               // typings of each phrase to enrol with; the later ones verify
	tooLong   = 3 * time.Second // a pause in a typing that the daemon would not take
)

// person is somebody of the recordings.
type person struct {
	name    string
	typings map[string][]keystroke.Sample // to come, by phrase, in the order typed
}

// play shows ksd by two recorded people.
func play(ctx context.Context, env cli.Env, o options) (err error) {
	phrases, people, err := cast(o.data)
	if err != nil {
		return err
	}
	ksd, err := startDaemon(ctx, filepath.Join(o.bin, "ksdd"), settings{phrases, enrolling, 0})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ksd.stop()) }()

	owner, other := people[0], people[1]
	say(env, "There is no terminal here, so two people from %s play:", o.data)
	say(env, "%s and %s, at two pseudo-terminals, each key at the time they pressed it.", owner.name, other.name)
	say(env, "\n1. Both enrol with ksd-enroll: their first %d typings of %d phrases.\n", enrolling, len(phrases))
	if err := enrolAll(ctx, env, o, ksd, people); err != nil {
		return err
	}
	say(env, "\n2. ksdctl retrain trains heads for both.\n")
	if err := retrain(ctx, env, o, ksd); err != nil {
		return err
	}
	for i, who := range people {
		say(env, "\n%d. ksdctl verify %s, typed by %s:\n", i+3, owner.name, who.name)
		if err := verify(ctx, env, o, ksd, owner.name, who); err != nil {
			return err
		}
	}
	say(env, "\nThe daemon is stopped and what it held is deleted.")
	return nil
}

// cast finds two people who typed every phrase often enough, as it stands and
// without long pauses.
func cast(data string) (phrases []string, people []*person, err error) {
	f, err := os.Open(data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%w: %w", errNoData, err)
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	r, err := corpus.NewReader(f)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", data, err)
	}
	all, err := readPeople(r)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", data, err)
	}
	for _, p := range all {
		for phrase := range p.typings {
			if !slices.Contains(phrases, phrase) {
				phrases = append(phrases, phrase)
			}
		}
	}
	slices.Sort(phrases)
	all = slices.DeleteFunc(all, func(p *person) bool { return !p.fits(phrases, 2*enrolling) })
	if len(all) < 2 || len(phrases) == 0 {
		return nil, nil, fmt.Errorf("%w: %s has no two people with %d typings of each phrase", errNoData, data, 2*enrolling)
	}
	return phrases, all[:2], nil
}

// readPeople reads those of the class, in the order they come.
func readPeople(r *corpus.Reader) ([]*person, error) {
	var all []*person
	byName := map[string]*person{}
	for t, err := range r.All() {
		if err != nil && !errors.Is(err, keystroke.ErrInvalid) {
			return nil, err
		}
		if err != nil || !strings.HasSuffix(t.User, class) {
			continue
		}
		p := byName[t.User]
		if p == nil {
			p = &person{t.User, map[string][]keystroke.Sample{}}
			byName[t.User], all = p, append(all, p)
		}
		p.typings[t.Sample.Phrase] = append(p.typings[t.Sample.Phrase], t.Sample.PressOnly())
	}
	return all, nil
}

// fits reports whether the daemon would take n typings of each phrase.
func (p *person) fits(phrases []string, n int) bool {
	for _, phrase := range phrases {
		samples := p.typings[phrase]
		if len(samples) < n {
			return false
		}
		for _, s := range samples {
			for i := 1; i < len(s.Events); i++ {
				if s.Events[i].Down-s.Events[i-1].Down > tooLong {
					return false
				}
			}
		}
	}
	return true
}

// enrolAll enrols people at once, each at a terminal of their own, and shows
// how far they are and how the first one's screen ended.
func enrolAll(ctx context.Context, env cli.Env, o options, ksd *daemon, people []*person) error {
	screens, errs := make([]string, len(people)), make([]error, len(people))
	var all sync.WaitGroup
	for i, p := range people {
		all.Go(func() {
			at := &Typist{Clock: env.Clock, Hands: p.hands}
			kept := 0
			at.Watch = func(line string) {
				if i == 0 && strings.HasPrefix(line, "Kept:") {
					kept++
					say(env, "   %s, typing %2d: %s", p.name, kept, line)
				}
			}
			var exit int
			screens[i], exit, errs[i] = at.Run(ctx, filepath.Join(o.bin, "ksd-enroll"), "-socket", ksd.socket, "-user", p.name)
			if errs[i] == nil && exit != cli.ExitOK && exit != cli.ExitRefused {
				errs[i] = fmt.Errorf("ksd-enroll of %s ended with %d:\n%s", p.name, exit, screens[i])
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	say(env, "\n   The end of %s's screen:\n", people[0].name)
	show(env, screens[0], 12)
	return nil
}

// retrain trains heads. Too little to train on is no failure: then the other
// scorers judge alone, and ksdctl has said why.
func retrain(ctx context.Context, env cli.Env, o options, ksd *daemon) error {
	cmd := exec.CommandContext(ctx, filepath.Join(o.bin, "ksdctl"), "retrain", "-socket", ksd.socket)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTime
	cmd.Stdout, cmd.Stderr = env.Stdout, env.Stdout
	err := cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == cli.ExitInput {
		say(env, "   The detector judges alone.")
		return nil
	}
	if err != nil {
		return fmt.Errorf("ksdctl retrain: %w", err)
	}
	return nil
}

// verify has who type as owner and shows the screen.
func verify(ctx context.Context, env cli.Env, o options, ksd *daemon, owner string, who *person) error {
	at := &Typist{Clock: env.Clock, Hands: who.hands}
	screen, exit, err := at.Run(ctx, filepath.Join(o.bin, "ksdctl"), "verify", owner, "-socket", ksd.socket)
	if errors.Is(err, ErrRunOut) {
		show(env, screen, 40)
		say(env, "   (given up: %v)", err)
		return nil
	}
	if err != nil {
		return err
	}
	if exit != cli.ExitOK && exit != cli.ExitRefused {
		return fmt.Errorf("ksdctl verify ended with %d:\n%s", exit, screen)
	}
	show(env, screen, 40)
	say(env, "   (exit code %d)", exit)
	return nil
}

// show prints the last n lines of a screen.
func show(env cli.Env, screen string, n int) {
	lines := strings.Split(strings.TrimRight(screen, "\n"), "\n")
	for _, l := range lines[max(0, len(lines)-n):] {
		say(env, "   | %s", cli.Clean(l))
	}
}

// hands returns a person's next typing of a phrase. None is given twice: the
// daemon would take it for a copy.
func (p *person) hands(phrase string) (keystroke.Sample, bool) {
	samples := p.typings[phrase]
	if len(samples) == 0 {
		return keystroke.Sample{}, false
	}
	p.typings[phrase] = samples[1:]
	return samples[0], true
}
