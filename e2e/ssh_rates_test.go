package e2e

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ksd/demo"
	"ksd/internal/capture"
	"ksd/internal/keystroke"
	"ksd/internal/wire"
)

// rate is a row of the table: people of one kind who log in over lines of one
// kind.
type rate struct {
	name              string
	people            []person
	releases          bool // at terminals that tell them
	ticks             bool // by a client that hides when keys are pressed
	at                place
	servers           func(i int) []sshServer // that person number i comes to
	each              int                     // logins to each of them as oneself
	strangers         int                     // who try each of them
	owners, impostors tally
	typings           atomic.Int64 // of owners who got in
	told              atomic.Int64 // who were told that the line is too rough
}

func (r *rate) String() string {
	o, s := &r.owners, &r.impostors
	return fmt.Sprintf("FRR %.1f %% (%d of %d), FAR %.1f %% (%d of %d), %.2f typings to get in; could not be judged: %d owners, %d strangers, %d of all for a line too rough; the recording ran out: %d",
		100*share(o.out+o.vague, o.in), o.out+o.vague, o.in+o.out+o.vague, 100*share(s.in, s.out+s.vague), s.in, s.in+s.out+s.vague,
		float64(r.typings.Load())/float64(max(1, o.in)), o.vague, s.vague, r.told.Load(), o.odd+s.odd)
}

// share is a of a and b.
func share(a, b int) float64 { return float64(a) / float64(max(1, a+b)) }

// The lines that people come over.
const (
	roughly  = 5 * time.Millisecond
	tooRough = 20 * time.Millisecond
)

// roughLast is what servers say last to whom they could not judge for the line.
var roughLast = regexp.MustCompile(`line is (too )?rough`)

// testRates has fifty people at a time log in, as themselves and as others.
func (w *sshWorld) testRates(t *testing.T) {
	loopback, rough, rougher := w.here(), w.roughLine(t, roughly), w.roughLine(t, tooRough)
	both := func(int) []sshServer { return sshServers }
	one := func(i int) []sshServer { return sshServers[i%2:][:1] }
	other := func(i int) []sshServer { return sshServers[(i+1)%2:][:1] }
	plain, full := w.people[:people], w.people[people:]
	rates := []*rate{
		{name: "press only, ±20 ms", people: plain, at: rougher, servers: other, each: 1, strangers: 1},
		{name: "releases, ±20 ms", people: full, releases: true, at: rougher, servers: other, each: 1, strangers: 1},
		{name: "press only, ±5 ms", people: plain, at: rough, servers: one, each: 1, strangers: 1},
		{name: "releases, ±5 ms", people: full, releases: true, at: rough, servers: one, each: 1, strangers: 1},
		{name: "press only", people: plain, at: loopback, servers: both, each: 1, strangers: 1},
		{name: "releases", people: full, releases: true, at: loopback, servers: both, each: 1, strangers: 2},
		{name: "the same people at terminals that tell none", people: full, at: loopback, servers: both, each: 1, strangers: 2},
	}
	if len(w.whole) > 0 { // from OpenSSH 9.5 on
		rates = append(
			rates,
			&rate{name: "press only, in ticks", people: plain, ticks: true, at: loopback, servers: both, each: 1, strangers: 1},
			&rate{name: "releases, in ticks", people: full, releases: true, ticks: true, at: loopback, servers: both, each: 1, strangers: 1},
			&rate{name: "in ticks, ±5 ms", people: w.people, releases: true, ticks: true, at: rough, servers: one, each: 1},
		)
	}
	var todo []func()
	for _, r := range rates {
		for i, p := range r.people {
			for _, s := range r.servers(i) {
				for range r.each {
					todo = append(todo, func() { w.try(t, r, s, p, p, p.own) })
				}
				for n := range r.strangers {
					o := r.people[(i+1+n)%len(r.people)]
					todo = append(todo, func() { w.try(t, r, s, o, p, o.hands(enrol)) })
				}
			}
		}
	}
	began := time.Now()
	atOnce(terminals, todo)
	together := map[place]*rate{}
	for _, r := range rates {
		t.Attr("rates", r.name+": "+r.String())
		sum := together[r.at]
		if sum == nil {
			sum = &rate{name: r.at.server}
			together[r.at] = sum
		}
		sum.owners.add(&r.owners)
		sum.impostors.add(&r.impostors)
		sum.told.Add(r.told.Load())
	}
	for at, r := range together {
		o, s := &r.owners, &r.impostors
		if at == rougher {
			if all := o.in + o.out + s.in + s.out + o.vague + s.vague; 2*int(r.told.Load()) < all || s.in > 0 {
				t.Errorf("over ±%v: %v; want most told that the line is too rough, and no stranger let in", tooRough, r)
			}
			continue
		}
		if far, frr := share(s.in, s.out+s.vague), share(o.out+o.vague, o.in); far > maxFAR || frr > maxFRR || o.odd > o.in || s.odd > s.out {
			t.Errorf("all who come to %s: %v; want at most FRR %.2f and FAR %.2f", r.name, r, maxFRR, maxFAR)
		}
	}
	t.Attr("logins", fmt.Sprintf("%d, %d at once, in %.0f s, none hung", len(todo), terminals, time.Since(began).Seconds()))
}

// testChannels looks at what the daemon kept of the logins: whose terminals tell
// releases were judged by them, in both protocols, and nobody else was.
func (w *sshWorld) testChannels(t *testing.T) {
	db, err := sql.Open("sqlite", w.Path("/home/"+account+"/state/ksd.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	full := map[capture.Mode]int{}
	for _, p := range w.people {
		n := 0
		err := db.QueryRow("SELECT count(*) FROM probes JOIN people ON people.id = person WHERE name = ? AND json_extract(body, '$.channel') = 'full'", p.user).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		full[p.mode] += n
	}
	t.Attr("typings-with-releases", fmt.Sprintf("by the kitty protocol %d, by win32-input-mode %d, by plain terminals %d", full[capture.Kitty], full[capture.Win32], full[capture.Plain]))
	if full[capture.Kitty] < releasing/2 || full[capture.Win32] < releasing/2 || full[capture.Plain] > 0 {
		t.Error("not judged on the channel of their terminals")
	}
}

// try has somebody log in as somebody.
func (w *sshWorld) try(t *testing.T, r *rate, s sshServer, typist, as person, h *hands) {
	options, mode := []string{"-tt"}, capture.Plain
	if r.releases {
		mode = typist.mode
	}
	if r.ticks {
		options = append(options, "-o", "ObscureKeystrokeTiming=yes")
	}
	v, err := startVisit(t, w.ssh(s, r.at, as.user, options), mode)
	if err != nil {
		t.Error(err)
		return
	}
	defer v.leave()
	code, err := v.recognise(h)
	if err == nil && code == wire.Accept {
		if _, err = io.WriteString(v.Keys, "echo in-$((6*7)); exit 7\r"); err == nil {
			_, err = v.await(regexp.MustCompile("in-42"))
		}
		if exit, failed := v.exit(); failed != nil || exit != 7 {
			err = errors.Join(err, failed, fmt.Errorf("exit code %d", exit))
		}
	}
	if err != nil && !errors.Is(err, demo.ErrRunOut) {
		t.Errorf("%s as %s to %s: %v\n%q", typist.user, as.user, s.name, err, v.Shown())
	}
	if code == wire.Unusable && roughLast.MatchString(v.Shown()) {
		r.told.Add(1)
	}
	if typist.user == as.user {
		r.owners.count(code)
		if code == wire.Accept {
			r.typings.Add(int64(v.typings))
		}
	} else {
		r.impostors.count(code)
	}
}

// settled runs a program and says how it ended, and whether the terminal's
// settings are then as they were before.
const settled = `before=$(stty -g); "$@"; code=$?; [ "$(stty -g)" = "$before" ] || echo changed; echo "[exit $code]"`

// testDaemonKilled kills the daemon while people type: they get their terminal
// back, and who comes next is told what to look at.
func (w *sshWorld) testDaemonKilled(t *testing.T) {
	var visits []*visit
	for i, s := range sshServers {
		for _, p := range []person{w.people[i], w.people[people+i]} {
			cmd := w.ssh(s, w.here(), p.user, []string{"-tt"})
			led := exec.Command("sh", append([]string{"-c", settled, "sh"}, cmd.Args...)...)
			led.Env = cmd.Env
			v, err := startVisit(t, led, p.mode)
			if err == nil {
				_, err = v.await(challenged)
			}
			if err != nil {
				t.Fatalf("%v\n%q", err, v.Shown())
			}
			visits = append(visits, v)
		}
	}
	if err := w.daemon.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for i, v := range visits {
		if i < 2 { // ksd-sshd learns of it when it brings what was typed
			if err := v.types(keystroke.Sample{Events: []keystroke.Event{{Rune: 'a'}}}); err != nil {
				t.Error(err)
			}
		}
		m, err := v.await(regexp.MustCompile(`(changed\s+)?\[exit (\d+)\]`))
		if err != nil || m[1] != "" || m[2] != "1" || v.depth() != 0 {
			t.Errorf("%v, %q\n%q", err, m, v.Shown())
		}
	}
	for _, s := range sshServers {
		v, err := startVisit(t, w.ssh(s, w.here(), w.people[0].user, []string{"-tt"}), capture.Plain)
		if err != nil {
			t.Fatal(err)
		}
		v.wantExit(t, 1)
		time.Sleep(100 * time.Millisecond)
		t.Attr("without-the-daemon", s.name+": "+strings.Join(strings.Fields(v.Shown()), " "))
		if !strings.Contains(v.Shown(), "systemctl status ksdd") {
			t.Errorf("%s: not told what to look at: %q", s.name, v.Shown())
		}
	}
}

// testStartedAgain has somebody log in to the daemon after that.
func (w *sshWorld) testStartedAgain(t *testing.T) {
	for i, s := range sshServers {
		mine := crew{people: w.people[i*4 : i*4+4]}
		v, _ := w.enter(t, s, w.here(), &mine, nil, nil)
		v.say(t, "exit 7", "logout")
		v.wantExit(t, 7)
	}
}
