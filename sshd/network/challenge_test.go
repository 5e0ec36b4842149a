package network

import (
	"errors"
	"strings"
	"testing"

	"ksd/internal/keystroke"
	"ksd/internal/wire"
	"ksd/sshd/link"
)

// TestLogin goes the whole way: key, challenge, shell.
func TestLogin(t *testing.T) {
	r := serve(t, newMonitor(t), realEnv())
	c := r.dial()
	p := r.at(c).shell()
	p.expect("usual rhythm")
	p.types(phrase)
	p.expect("Welcome\r\nto the test\r\n")
	p.press("echo $((40+2)); tty; exit 7\n")
	p.expect("42")
	p.expect("/dev/")
	if status, err := p.wait(); status != 7 {
		t.Errorf("status %d, %v; shown %q", status, err, p.out.all())
	}
	c.Close()
	if err := r.end(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if s := r.m.samples; len(s) != 1 || s[0].Channel != keystroke.Press || s[0].Line().Text != phrase {
		t.Errorf("samples %+v", s)
	}
}

// TestChallengeEnds goes through the ways in which a challenge ends without a
// shell.
func TestChallengeEnds(t *testing.T) {
	for name, c := range map[string]struct {
		judge func(keystroke.Sample) link.Judged
		do    func(*person)
		want  string
	}{
		"refused": {
			func(keystroke.Sample) link.Judged { return link.Judged{Code: wire.Refuse} },
			func(p *person) { p.types(phrase) }, "Not recognised",
		},
		"the monitor's own words": {
			func(keystroke.Sample) link.Judged { return link.Judged{Code: wire.Locked, Text: "wait a minute\x1b"} },
			func(p *person) { p.types(phrase) }, "wait a minute?",
		},
		"no word at all": {
			func(keystroke.Sample) link.Judged { return link.Judged{} },
			func(p *person) { p.types(phrase) }, "could not do its work",
		},
		"a code of no kind": {
			func(keystroke.Sample) link.Judged { return link.Judged{Code: "yes"} },
			func(p *person) { p.types(phrase) }, "could not do its work",
		},
		"Ctrl-C": {nil, func(p *person) { p.expect("> "); p.press("\x03") }, "Given up"},
		"Ctrl-D": {nil, func(p *person) { p.expect("> "); p.press("\x04") }, "Given up"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMonitor(t)
			m.judge = c.judge
			r := serve(t, m, realEnv())
			client := r.dial()
			p := r.at(client).shell()
			c.do(p)
			p.expect(c.want)
			if status, err := p.wait(); status != 1 {
				t.Errorf("status %d, %v", status, err)
			}
			if _, err := client.NewSession(); err == nil {
				t.Error("another session after that")
			}
			if err := r.end(); !errors.Is(err, errNotPassed) {
				t.Errorf("Serve: %v", err)
			}
			if len(m.starts) > 0 {
				t.Error("something was started")
			}
		})
	}
}

// TestChallengeExpires has nobody type in time, and TestChallengeHangUp somebody
// who leaves.
func TestChallengeExpires(t *testing.T) {
	m := newMonitor(t)
	soon := next(2)
	soon.ExpireMS = 200
	m.judge = func(keystroke.Sample) link.Judged { return link.Judged{Next: soon} }
	r := serve(t, m, realEnv())
	p := r.at(r.dial()).shell()
	p.types(phrase)
	p.expect("another try")
	p.expect("Too late")
	if status, err := p.wait(); status != 1 {
		t.Errorf("status %d, %v", status, err)
	}
	if err := r.end(); !errors.Is(err, errNotPassed) {
		t.Errorf("Serve: %v", err)
	}
}

func TestChallengeHangUp(t *testing.T) {
	r := serve(t, newMonitor(t), realEnv())
	c := r.dial()
	p := r.at(c).shell()
	p.expect("> ")
	p.press("w")
	p.expect("w")
	p.s.Close()
	if err := r.end(); !errors.Is(err, errNotPassed) {
		t.Errorf("Serve: %v", err)
	}
	if len(r.m.samples)+len(r.m.starts) > 0 {
		t.Error("half a line counted")
	}
}

// TestChallengeGoesOn has more typings than one.
func TestChallengeGoesOn(t *testing.T) {
	m := newMonitor(t)
	answers := []link.Judged{
		{Reason: wire.ReasonCorrections, Next: next(1)}, {Next: next(1)}, {Next: next(2)}, {Code: wire.Accept},
	}
	m.judge = func(keystroke.Sample) link.Judged {
		j := answers[0]
		answers = answers[1:]
		return j
	}
	m.opened.Texts = []string{"Your password expires tomorrow."}
	r := serve(t, m, realEnv())
	p := r.at(r.dial()).shell()
	p.expect("expires tomorrow")
	p.types(phrase)
	p.expect("Too many corrections")
	p.types(phrase)
	p.expect("One more")
	p.types(phrase)
	p.expect("another try")
	p.expect("> ")
	p.press("pasted all at once")
	p.expect("as a paste does")
	p.types(phrase)
	p.expect("Welcome")
	p.press("exit\n")
	if status, err := p.wait(); err != nil {
		t.Errorf("status %d, %v", status, err)
	}
	if strings.Contains(p.out.all(), "ticks") {
		t.Error("a client that does not tick is told that it does")
	}
}
