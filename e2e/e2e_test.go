package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ksd/demo"
	"ksd/internal/capture"
	"ksd/internal/wire"
)

// The acceptance test's own bounds; how good the score is, "ksdctl bench" says.
const (
	maxFAR = 1.0 / 10
	maxFRR = 1.0 / 4

	terminals = 50 // at once
)

// tally counts the logins of one kind.
type tally struct {
	mu      sync.Mutex
	in, out int
	vague   int // what was typed could not be judged
	odd     int // no verdict
}

func (c *tally) count(code wire.Code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch code {
	case wire.Accept:
		c.in++
	case wire.Refuse:
		c.out++
	case wire.Unusable:
		c.vague++
	default:
		c.odd++
	}
}

func (c *tally) add(more *tally) {
	c.in, c.out, c.vague, c.odd = c.in+more.in, c.out+more.out, c.vague+more.vague, c.odd+more.odd
}

// login is one person at a terminal, claiming to be another.
type login struct{ typist, as person }

// TestMain lets as many tests run side by side as want to: they wait for people
// who type, and not for processors.
func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "100")
	os.Exit(m.Run())
}

func TestLoginsOfRealPeople(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	w.enrolAll(t)
	if _, err := w.ctl(ctx, "retrain"); err != nil {
		t.Fatal(err)
	}
	ssh := newSSHWorld(t, w)
	t.Run("ways", func(t *testing.T) {
		t.Run("su, sudo and login", w.testDoors)
		ssh.testSessions(t)
	})
	t.Run("the daemon is killed", ssh.testDaemonKilled)
	w.start(t)
	t.Run("and started again", ssh.testStartedAgain)
	t.Run("how many get in", ssh.testRates)
	t.Run("by what they were judged", ssh.testChannels)
}

func (w *world) testDoors(t *testing.T) {
	t.Parallel()
	var owners, strangers tally
	var todo []func()
	plain := w.people[:people]
	for _, p := range plain {
		todo = append(todo, func() {
			for _, d := range doors {
				owners.count(w.login(t, d, login{p, p}, p.own))
			}
		})
		for _, other := range plain {
			if other.user != p.user {
				todo = append(todo, func() { strangers.count(w.login(t, doors[0], login{other, p}, other.hands(enrol))) })
			}
		}
	}
	atOnce(terminals, todo)

	frr := float64(owners.out) / float64(owners.in+owners.out)
	far := float64(strangers.in) / float64(strangers.in+strangers.out)
	t.Attr("FRR", fmt.Sprintf("%.1f %%: %d of %d owners' logins refused", 100*frr, owners.out, owners.in+owners.out))
	t.Attr("FAR", fmt.Sprintf("%.1f %%: %d of %d strangers' logins let in", 100*far, strangers.in, strangers.in+strangers.out))
	t.Attr("without-verdict", fmt.Sprintf("%d owners' and %d strangers': the recording ran out", owners.odd, strangers.odd))
	if owners.in+owners.out < people || strangers.in+strangers.out < people*(people-1)/2 {
		t.Fatal("too few logins came to a verdict")
	}
	if far > maxFAR {
		t.Errorf("FAR %.3f is above %.2f", far, maxFAR)
	}
	if frr > maxFRR {
		t.Errorf("FRR %.3f is above %.2f", frr, maxFRR)
	}
}

// atOnce runs all of todo, at most n at a time.
func atOnce(n int, todo []func()) {
	var all sync.WaitGroup
	free := make(chan struct{}, n)
	for _, f := range todo {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			f()
		})
	}
	all.Wait()
}

// enrolAll enrols everybody at once, each by ksd-enroll at a terminal of its own.
func (w *world) enrolAll(t *testing.T) {
	t.Helper()
	var all sync.WaitGroup
	for _, p := range w.people {
		all.Go(func() {
			v, err := startVisit(t, w.CommandAs(p.user, filepath.Join(w.bin, "ksd-enroll")), p.mode)
			if err != nil {
				t.Error(err)
				return
			}
			defer v.leave()
			exit := 0
			if err = v.typeAll(p.own); err == nil {
				exit, err = v.exit()
			}
			screen := v.Shown()
			// The check at the end may fail: it is a login as well.
			if err != nil || (exit != 0 && !strings.Contains(screen, "enrolled")) {
				t.Errorf("ksd-enroll of %s: exit %d, %v\n%s", p.user, exit, err, screen)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// login has somebody type at a door, at a terminal of its own.
func (w *world) login(t *testing.T, d door, l login, h *hands) wire.Code {
	v, err := startVisit(t, w.CommandAs(d.caller(l.as.user), d.argv(l.as.user)...), capture.Plain)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer v.leave()
	err = v.typeAll(h)
	screen := v.Shown()
	if err != nil {
		if !errors.Is(err, demo.ErrRunOut) {
			t.Errorf("%s at %s as %s: %v\n%s", l.typist.user, d.program, l.as.user, err, screen)
		}
		return ""
	}
	code, err := d.verdict(screen)
	if err != nil {
		t.Errorf("%s at %s as %s: %v", l.typist.user, d.program, l.as.user, err)
	}
	return code
}
