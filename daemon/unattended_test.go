package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ksd/conf"
	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

// admit asks to be let in without a terminal, from a source of that name.
func admit(t *testing.T, d *ksdtest.Daemon, user, source, token string) (wire.Code, string) {
	t.Helper()
	var texts []string
	ctx, cancel := context.WithTimeout(t.Context(), ksdtest.Patience)
	defer cancel()
	q := wire.Request{User: user, Service: "test", Source: source, Token: token}
	v, err := wire.Admit(ctx, d.Config.Daemon.LoginSocket, q, func(x wire.Text) { texts = append(texts, x.Text) })
	if err != nil {
		t.Fatalf("admit: %v", err)
	}
	return v.Code, strings.Join(texts, "|")
}

// entries returns "event outcome" of the audit log about a user, oldest first,
// without enrolments.
func entries(t *testing.T, d *ksdtest.Daemon, user string) []string {
	t.Helper()
	d.As(ksdtest.AdminUID)
	c := d.Client()
	defer c.Close()
	var out []string
	for _, e := range must(c.Audit(t.Context(), user, 100))(t) {
		if e.Event != "enrol" {
			out = append(out, e.Event+" "+e.Outcome)
		}
	}
	slices.Reverse(out)
	return out
}

// lockPerson has a person refused until it has to wait.
func lockPerson(t *testing.T, d *ksdtest.Daemon, user string) {
	t.Helper()
	for range d.Config.Lockout.Failures {
		ask(t, d.Client(), user)
	}
}

// TestNonInteractive is what each rule decides about each person, with the text
// and the record of it.
func TestNonInteractive(t *testing.T) {
	in := func(groups ...string) func(string, []string) (bool, error) {
		return func(user string, asked []string) (bool, error) {
			return user == "ana" && slices.ContainsFunc(asked, func(g string) bool { return slices.Contains(groups, g) }), nil
		}
	}
	failing := func(string, []string) (bool, error) { return true, errors.New("the directory is away") }
	const noTerminal = "ssh -t"
	for _, c := range []struct {
		name    string
		rule    conf.NonInteractive
		groups  []string
		members func(string, []string) (bool, error)
		user    string
		locked  bool
		want    wire.Code
		text    string
	}{
		{"the default", "", nil, nil, "ana", false, wire.Refuse, noTerminal},
		{"deny", conf.Deny, nil, in("backup"), "ana", false, wire.Refuse, "ksdctl token ana"},
		{"deny, unknown person", conf.Deny, nil, nil, "bob", false, wire.Unenrolled, ""},
		{"deny, no such account", conf.Deny, nil, nil, "nobody has this name", false, wire.Unenrolled, ""},
		{"deny, locked", conf.Deny, nil, nil, "ana", true, wire.Locked, "please wait"},
		{"a rule that does not exist", "sometimes", nil, nil, "ana", false, wire.Refuse, noTerminal},
		{"groups, in none", conf.Groups, []string{"backup", "deploy"}, nil, "ana", false, wire.Refuse, noTerminal},
		{"groups, in another", conf.Groups, []string{"backup"}, in("wheel"), "ana", false, wire.Refuse, noTerminal},
		{"groups, without any", conf.Groups, nil, in("wheel"), "ana", false, wire.Refuse, noTerminal},
		{"groups, database fails", conf.Groups, []string{"backup"}, failing, "ana", false, wire.Refuse, noTerminal},
		{"groups, unknown person", conf.Groups, []string{"backup"}, in("backup"), "bob", false, wire.Unenrolled, ""},
		{"groups, locked", conf.Groups, []string{"backup"}, in("backup"), "ana", true, wire.Locked, "please wait"},
		{"allow, locked", conf.Allow, nil, nil, "ana", true, wire.Locked, "please wait"},
		{"allow, unknown person", conf.Allow, nil, nil, "bob", false, wire.Unenrolled, ""},
		{"groups", conf.Groups, []string{"backup", "deploy"}, in("deploy"), "ana", false, wire.Accept, ""},
		{"allow", conf.Allow, nil, nil, "ana", false, wire.Accept, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := ksdtest.Start(t, func(conf *conf.Config) {
				conf.Login.NonInteractive, conf.Login.Groups = c.rule, c.groups
				conf.Training.Automatic, conf.Lockout.Failures = false, 2
			})
			d.Members(c.members)
			d.Enrol("ana", ksdtest.NewTypist(1, tempo))
			d.UID("bob")
			charged := 0
			if c.locked {
				lockPerson(t, d, "ana")
				charged = d.Config.Lockout.Failures
			}
			code, texts := admit(t, d, c.user, "host:192.0.2.1", "")
			if code != c.want || !strings.Contains(texts, c.text) || (c.text == "") != (texts == "") {
				t.Errorf("verdict %s, texts %q; want %s, %q", code, texts, c.want, c.text)
			}
			if got, want := entries(t, d, c.user), []string{"noninteractive " + string(c.want)}; !slices.Equal(got, want) {
				t.Errorf("audit log %q, want %q", got, want)
			}
			// Nothing was guessed at, so nobody is charged.
			if p := must(d.Client().User(t.Context(), "ana"))(t); p.Failures != charged {
				t.Errorf("person %+v", p)
			}
		})
	}
}

// TestNonInteractiveOfOthers: root names anybody, everybody else only itself, and
// its source is what the kernel says.
func TestNonInteractiveOfOthers(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Login.NonInteractive = conf.Allow })
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	d.As(d.UID("mallory"))
	if code, texts := admit(t, d, "ana", "host:192.0.2.1", ""); code != wire.Failed || texts != "" {
		t.Errorf("mallory: %s, %q", code, texts)
	}
	if got := entries(t, d, "ana"); len(got) != 0 {
		t.Errorf("audit log %q", got)
	}
	uid := d.UID("ana")
	d.As(uid)
	if code, _ := admit(t, d, "ana", "host:192.0.2.1", ""); code != wire.Accept {
		t.Errorf("ana herself: %s", code)
	}
	d.As(ksdtest.AdminUID)
	want := fmt.Sprintf("uid:%d", uid)
	e := must(d.Client().Audit(t.Context(), "ana", 1))(t)
	if len(e) != 1 || e[0].Source != want || e[0].Actor != want || e[0].Service != "test" {
		t.Errorf("recorded %+v, want %s", e, want)
	}
	for _, q := range []wire.Request{
		{User: "a\u202eb", Service: "test", Source: "x"},
		{User: "ana", Service: strings.Repeat("x", 65), Source: "x"},
		{User: "ana", Service: "test", Source: strings.Repeat("x", 129)},
	} {
		if v, err := wire.Admit(t.Context(), d.Config.Daemon.LoginSocket, q, func(wire.Text) {}); err != nil || v.Code != wire.Failed {
			t.Errorf("%+v: %v, %v", q, v, err)
		}
	}
}

// TestSilentRequest shows no text, and the verdict all the same.
func TestSilentRequest(t *testing.T) {
	d := ksdtest.Start(t)
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	q := wire.Request{User: "ana", Service: "test", Source: "x", Silent: true}
	v, err := wire.Admit(t.Context(), d.Config.Daemon.LoginSocket, q, func(x wire.Text) { t.Errorf("text %q", x.Text) })
	if err != nil || v.Code != wire.Refuse {
		t.Errorf("%v, %v", v, err)
	}
}

// TestSlowGroups has a group database that does not answer: after a few seconds
// the answer is no, whoever asks; and no more than so many look-ups wait.
func TestSlowGroups(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) {
		c.Login = conf.Login{NonInteractive: conf.Groups, Groups: []string{"backup"}}
		c.Training.Automatic = false
	})
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	d.As(0) // others hold eight conversations at most
	hold := make(chan struct{})
	var begun atomic.Int32
	d.Members(func(string, []string) (bool, error) {
		begun.Add(1)
		<-hold
		return true, nil
	})
	defer close(hold)
	const most = 16
	var all sync.WaitGroup
	for range most {
		all.Go(func() {
			// The clock that the look-ups run against is that of writing a verdict
			// too, so this may hear none. It must not hear a yes.
			q := wire.Request{User: "ana", Service: "test", Source: "host:192.0.2.1"}
			if v, _ := wire.Admit(t.Context(), d.Config.Daemon.LoginSocket, q, func(wire.Text) {}); v.Code != wire.Refuse && v.Code != "" {
				t.Errorf("verdict %s while nobody knows", v.Code)
			}
		})
	}
	for deadline := time.Now().Add(ksdtest.Patience); begun.Load() < most && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if code, _ := admit(t, d, "ana", "host:192.0.2.1", ""); code != wire.Refuse { // at once
		t.Errorf("one more: %s", code)
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	for waiting := true; waiting; {
		d.Clock.Advance(5 * time.Second)
		select {
		case <-done:
			waiting = false
		case <-time.After(time.Millisecond):
		}
	}
	if n := begun.Load(); n != most {
		t.Errorf("%d look-ups, want %d", n, most)
	}
	if log := d.Log.String(); !strings.Contains(log, "no answer in 5s") || !strings.Contains(log, "16 look-ups are under way") {
		t.Error("the log does not say why")
	}
}

// TestUnattendedNeedsAudit lets nobody in where it cannot be recorded.
func TestUnattendedNeedsAudit(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Login.NonInteractive = conf.Allow })
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	token := must(d.Client().Token(t.Context(), "ana", time.Minute))(t)
	execSQL(t, d, "ALTER TABLE audit RENAME TO elsewhere")
	if _, err := d.Client().Token(t.Context(), "ana", time.Minute); err == nil {
		t.Error("a token was made without a trace")
	}
	for _, word := range []string{"", token.Token} {
		if code, _ := admit(t, d, "ana", "host:192.0.2.1", word); code != wire.Failed {
			t.Errorf("token %q: verdict %s", word, code)
		}
	}
	execSQL(t, d, "ALTER TABLE elsewhere RENAME TO audit")
	if code, _ := admit(t, d, "ana", "host:192.0.2.1", token.Token); code != wire.Refuse {
		t.Errorf("a token that was tried without a trace: %s", code)
	}
}
