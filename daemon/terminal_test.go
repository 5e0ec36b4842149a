package daemon_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ksd/conf"
	"ksd/internal/capture"
	"ksd/internal/keystroke"
	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

const kittyQuery = "\x1b[?u"

// lastChannel returns the channel of the typing that was accepted last.
func lastChannel(t *testing.T, d *ksdtest.Daemon) string {
	t.Helper()
	db := must(sql.Open("sqlite", filepath.Join(d.Config.Daemon.State, "ksd.db")))(t)
	defer db.Close()
	var channel string
	if err := db.QueryRow("SELECT json_extract(body, '$.channel') FROM probes ORDER BY id DESC LIMIT 1").Scan(&channel); err != nil {
		t.Fatal(err)
	}
	return channel
}

// conversed holds one conversation at a terminal as raw packets, with the keys
// of do, and returns every packet of the daemon.
func conversed(t *testing.T, d *ksdtest.Daemon, term *ksdtest.Terminal, h wire.Hello, do func(phrase string)) (replies []any) {
	t.Helper()
	conn := dialLogin(t, d)
	sendHello(t, conn, h, term.TTY)
	if do != nil {
		do(prompted(t, d, term))
	}
	_ = conn.SetReadDeadline(time.Now().Add(ksdtest.Patience))
	buf := make([]byte, wire.MaxPacket)
	for {
		n, err := conn.Read(buf)
		if err != nil || n == 0 {
			return replies
		}
		replies = append(replies, must(wire.DecodeReply(buf[:n]))(t))
	}
}

// TestChannels has people who are enrolled with releases, or without, come from
// terminals that tell them, or do not. Whatever the two have in common is judged,
// the person hears what would be better, and the terminal is left as it was.
func TestChannels(t *testing.T) {
	for _, c := range []struct {
		name     string
		enrolled keystroke.Channel
		term     string
		kitty    *ksdtest.Kitty // nil: it tells nothing
		modes    []any
		want     keystroke.Channel
		text     string
	}{
		{"full everywhere", keystroke.Full, "xterm-kitty", &ksdtest.Kitty{Grants: 31}, []any{wire.Plain, wire.Kitty, wire.Win32, wire.Plain, wire.Kitty}, keystroke.Full, ""},
		{"a terminal that grants less", keystroke.Full, "xterm-kitty", &ksdtest.Kitty{Grants: 1}, []any{wire.Plain, wire.Kitty, wire.Win32, wire.Plain}, keystroke.Press, "tells no key releases"},
		{"a terminal that answers and cannot", keystroke.Full, "xterm", &ksdtest.Kitty{Grants: 0}, []any{wire.Plain, wire.Kitty, wire.Win32, wire.Plain}, keystroke.Press, "tells no key releases"},
		{"a mute terminal", keystroke.Full, "xterm", &ksdtest.Kitty{Mute: true}, []any{wire.Plain, wire.Kitty, wire.Win32, wire.Plain}, keystroke.Press, "tells no key releases"},
		{"a dumb terminal", keystroke.Full, "dumb", nil, nil, keystroke.Press, "tells no key releases"},
		{"the console", keystroke.Full, "linux", nil, nil, keystroke.Press, "tells no key releases"},
		{"a terminal of no name", keystroke.Full, "", nil, nil, keystroke.Press, ""},
		{"releases that nothing is known of", keystroke.Press, "xterm-kitty", &ksdtest.Kitty{Grants: 31}, []any{wire.Plain, wire.Kitty, wire.Win32, wire.Plain, wire.Kitty}, keystroke.Press, "enrol here too"},
		{"presses everywhere", keystroke.Press, "dumb", nil, nil, keystroke.Press, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := ksdtest.Start(t, func(c *conf.Config) { c.Training.Automatic = false })
			ana := ksdtest.NewTypist(1, quick)
			d.EnrolOn("ana", ana, c.enrolled)
			term := ksdtest.NewTerminal(t)
			before := term.Settings(t)
			depth := func() int { return 0 }
			if c.kitty != nil {
				depth = term.Speaks(c.kitty)
			}
			h := wire.Hello{User: "ana", Service: "test", Source: "tty:x", Term: c.term}
			replies := conversed(t, d, term, h, func(phrase string) {
				if depth() > 0 {
					term.TypeKitty(t, ana, phrase)
				} else {
					term.Type(t, ana, phrase)
				}
			})
			want := append(slices.Clone(c.modes), wire.Verdict{Code: wire.Accept})
			if !slices.Equal(replies, want) {
				t.Errorf("the daemon said %v, want %v", replies, want)
			}
			if got := lastChannel(t, d); got != string(c.want) {
				t.Errorf("judged on %s, want %s", got, c.want)
			}
			shown := term.Shown()
			if c.text != "" && strings.Count(shown, c.text) != 1 || c.text == "" && (strings.Contains(shown, "releases") || strings.Contains(shown, "enrol")) {
				t.Errorf("the terminal shows %q, want %q once", shown, c.text)
			}
			if asked := strings.Contains(shown, kittyQuery); asked != (c.kitty != nil) || c.kitty == nil && c.term != "" && strings.Contains(shown, "\x1b[?") {
				t.Errorf("asked: %v; the terminal shows %q", asked, shown)
			}
			if n := depth(); n != 0 || term.Settings(t) != before {
				t.Errorf("%d modes are left; terminal %+v, was %+v", n, term.Settings(t), before)
			}
		})
	}
}

// TestStrangerWithReleases is refused, and asked again in between, in the mode
// that the terminal stays in.
func TestStrangerWithReleases(t *testing.T) {
	d := ksdtest.Start(t)
	ana := ksdtest.NewTypist(1, quick)
	d.EnrolOn("ana", ana, keystroke.Full)
	term := ksdtest.NewTerminal(t)
	depth := term.Speaks(&ksdtest.Kitty{Grants: 31})
	h := wire.Hello{User: "ana", Service: "test", Source: "tty:x", Term: "xterm-kitty"}
	replies := conversed(t, d, term, h, func(phrase string) {
		term.TypeKitty(t, ana.At(2*quick), phrase)
		term.Await(t, "take your time")
		term.TypeKitty(t, ana.At(2*quick), prompted(t, d, term))
	})
	if n := len(replies); n == 0 || replies[n-1] != (wire.Verdict{Code: wire.Refuse}) {
		t.Errorf("the daemon said %v", replies)
	}
	if n := strings.Count(term.Shown(), "\x1b[>31u"); n != 1 || depth() != 0 {
		t.Errorf("switched on %d times, %d left", n, depth())
	}
}

// TestSilentTerminal costs its time once: a terminal that answers nothing is not
// asked again, until a month has passed, and only for that person and type.
func TestSilentTerminal(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Training.Automatic, c.Lockout.Failures = false, 100 })
	d.Enrol("ana", ksdtest.NewTypist(1, quick))
	d.Enrol("ben", ksdtest.NewTypist(1, quick))
	for _, c := range []struct {
		user, term string
		later      time.Duration
		asked      bool
	}{
		{"ana", "xterm", 0, true},
		{"ana", "xterm", 0, false},
		{"ana", "screen", 0, true},
		{"ben", "xterm", 0, true},
		{"ana", "xterm", 29 * 24 * time.Hour, false},
		{"ana", "xterm", 2 * 24 * time.Hour, true},
		{"ana", "xterm", 0, false},
	} {
		d.Clock.Advance(c.later)
		term := ksdtest.NewTerminal(t)
		h := wire.Hello{User: c.user, Service: "test", Source: "tty:x", Term: c.term}
		replies := conversed(t, d, term, h, func(string) { term.Press(t, "\x03") })
		if n := len(replies); n == 0 || replies[n-1] != (wire.Verdict{Code: wire.Cancelled}) {
			t.Fatalf("%+v: the daemon said %v", c, replies)
		}
		if asked := strings.Contains(term.Shown(), kittyQuery); asked != c.asked {
			t.Errorf("%+v: asked %v", c, asked)
		}
	}
	if n := strings.Count(d.Log.String(), "terminal asked"); n != 4 || !strings.Contains(d.Log.String(), "silent=true took=") {
		t.Errorf("the log says %d times that a terminal was asked", n)
	}
}

// TestLateAnswer has a terminal answer nothing at first: it is remembered as
// silent, and no more once it has answered.
func TestLateAnswer(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Training.Automatic = false })
	ana := ksdtest.NewTypist(1, quick)
	d.EnrolOn("ana", ana, keystroke.Full)
	h := wire.Hello{User: "ana", Service: "test", Source: "tty:x", Term: "xterm"}
	for range 2 { // the second time it would not be asked if it were still remembered
		term := ksdtest.NewTerminal(t)
		conversed(t, d, term, h, func(phrase string) {
			term.Press(t, "\x1b[?0u\x1b[?62;c") // after the 300 ms
			term.Type(t, ana, phrase[:8])       // not the phrase: asked once more
			term.Await(t, "read differently")
			prompted(t, d, term)
			term.Press(t, "\x03")
		})
		if !strings.Contains(term.Shown(), kittyQuery) {
			t.Error("not asked")
		}
	}
}

// TestSilentOverAPI has programs that type for themselves told of terminals that
// do not answer, by what they said of them, for that person and type alone.
func TestSilentOverAPI(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Training.Automatic = false })
	ana := ksdtest.NewTypist(1, quick)
	d.Enrol("ana", ana)
	d.Enrol("ben", ana)
	c := d.Client()
	silent := func(user, term string) wire.Challenge {
		return must(c.Challenge(t.Context(), wire.ChallengeRequest{User: user, Service: "test", Term: term}))(t)
	}
	for _, says := range []struct{ before, now bool }{{false, true}, {true, true}, {true, false}, {false, false}} {
		ch := silent("ana", "xterm")
		if ch.Silent != says.before {
			t.Errorf("%+v: told %v", says, ch.Silent)
		}
		must(c.Answer(t.Context(), ch.ID, wire.Typing{Sample: ana.Sample(ch.Phrase), Silent: &says.now}))(t)
		for _, other := range [][2]string{{"ben", "xterm"}, {"ana", "screen"}, {"ana", ""}, {"ana", "x term"}} {
			if silent(other[0], other[1]).Silent {
				t.Errorf("%+v: %q is told so too", says, other)
			}
		}
	}
}

// TestLockedIsNotAsked leaves the terminal of somebody who is locked out alone.
func TestLockedIsNotAsked(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Lockout.Failures = 1 })
	d.Enrol("ana", ksdtest.NewTypist(1, quick))
	ask(t, d.Client(), "ana")
	term := ksdtest.NewTerminal(t)
	replies := conversed(t, d, term, wire.Hello{User: "ana", Service: "test", Source: "tty:x", Term: "xterm-kitty"}, nil)
	if len(replies) != 2 || replies[1] != (wire.Verdict{Code: wire.Locked}) || term.Shown() != "" {
		t.Errorf("the daemon said %v, the terminal shows %q", replies, term.Shown())
	}
}

// TestGoneInMode ends the caller while the terminal tells releases: it does not
// any more after that.
func TestGoneInMode(t *testing.T) {
	d := ksdtest.Start(t)
	d.EnrolOn("ana", ksdtest.NewTypist(1, quick), keystroke.Full)
	term := ksdtest.NewTerminal(t)
	depth := term.Speaks(&ksdtest.Kitty{Grants: 31})
	before := term.Settings(t)
	conn := dialLogin(t, d)
	sendHello(t, conn, wire.Hello{User: "ana", Service: "test", Source: "tty:x", Term: "xterm-kitty"}, term.TTY)
	prompted(t, d, term)
	if depth() != 1 {
		t.Fatalf("%d modes are on, want 1", depth())
	}
	_ = conn.Close()
	awaitSettings(t, term, before)
	term.Await(t, "\x1b[<u")
}

// TestCopyWithoutReleases replays the presses of a login that had releases, at a
// terminal that has none.
func TestCopyWithoutReleases(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) {
		c.Policy.Attempts = 1
		c.Challenge.Phrases = c.Challenge.Phrases[:1]
	})
	ana := ksdtest.NewTypist(1, tempo)
	d.EnrolOn("ana", ana, keystroke.Full)
	c := d.Client()
	ch := ask(t, c, "ana")
	taped := ana.FullSample(ch.Phrase)
	if a := answer(t, c, ch, taped); a.Code != wire.Accept {
		t.Fatalf("answer %+v", a)
	}
	if a := answer(t, c, ask(t, c, "ana"), taped.PressOnly()); a.Code != wire.Refuse {
		t.Errorf("its presses again: %+v", a)
	}
	if a := answer(t, c, ask(t, c, "ana"), ana.Sample(ch.Phrase)); a.Code != wire.Accept {
		t.Errorf("ana at a plain terminal: %+v", a)
	}
}

// TestTick has an ssh client deliver three keys at once: whether that is a paste
// depends on the client.
func TestTick(t *testing.T) {
	for client, want := range map[string]string{
		"": "pasted", "OpenSSH_9.4": "pasted", "PuTTY_Release_0.81": "pasted", "OpenSSH_9.5p1": "x: the keys count",
	} {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			d := ksdtest.Start(t)
			d.Enrol("ana", ksdtest.NewTypist(1, quick))
			term := ksdtest.NewTerminal(t)
			conn := dialLogin(t, d)
			sendHello(t, conn, wire.Hello{User: "ana", Service: "test", Source: "host:x", Client: client}, term.TTY)
			prompted(t, d, term)
			term.Press(t, "abc")
			if want == "pasted" {
				term.Await(t, want)
				return
			}
			term.Press(t, "\r")
			term.Await(t, "read differently")
		})
	}
}

// The words of the two packages are the same, or a client could not undo what
// the daemon did.
func TestModesAgree(t *testing.T) {
	for _, m := range []capture.Mode{capture.Plain, capture.Kitty, capture.Win32} {
		if !wire.Mode(m.String()).Valid() {
			t.Errorf("package wire knows no mode %q", m)
		}
	}
}

// TestKilledInMode kills a real daemon while the terminal tells releases. Its
// client takes the terminal out of that, and gives it back as it was.
func TestKilledInMode(t *testing.T) {
	k := startKsdd(t, stateFolder(t, "[training]\nautomatic = false\n"), nil)
	if err := ksdtest.EnrolOn(t.Context(), k.client(t), "ana", ksdtest.NewTypist(1, quick), keystroke.Full); err != nil {
		t.Fatal(err)
	}
	term := ksdtest.NewTerminal(t)
	depth := term.Speaks(&ksdtest.Kitty{Grants: 31})
	before := term.Settings(t)
	ended := make(chan error, 1)
	go func() {
		h := wire.Hello{User: "ana", Service: "test", Source: "tty:x", Term: "xterm-kitty"}
		_, err := wire.HandOver(t.Context(), filepath.Join(k.folder, "login.sock"), h, term.TTY, func(wire.Text) {})
		ended <- err
	}()
	term.Await(t, "> ")
	if depth() != 1 || term.Settings(t) == before {
		t.Fatalf("%d modes are on; the terminal is raw: %v", depth(), term.Settings(t) != before)
	}
	_ = k.Process.Kill()
	if err := <-ended; !errors.Is(err, wire.ErrNoVerdict) {
		t.Errorf("error %v", err)
	}
	term.Await(t, "\x1b[<u\x1b[?2004l")
	if n := depth(); n != 0 || term.Settings(t) != before {
		t.Errorf("%d modes are left; terminal %+v, was %+v", n, term.Settings(t), before)
	}
}

// TestRealModelOnEveryChannel has the real model judge typings with and without
// releases of people enrolled with and without them: each is judged, and none is
// refused for its channel.
func TestRealModelOnEveryChannel(t *testing.T) {
	k := startKsdd(t, stateFolder(t, "[training]\nautomatic = false\n"), nil)
	c := k.client(t)
	for user, enrolled := range map[string]keystroke.Channel{"ana": keystroke.Full, "ben": keystroke.Press} {
		hands := ksdtest.NewTypist(1, tempo)
		if err := ksdtest.EnrolOn(t.Context(), c, user, hands, enrolled); err != nil {
			t.Fatal(err)
		}
		for _, typing := range []func(string) keystroke.Sample{hands.FullSample, hands.Sample} {
			ch := ask(t, c, user)
			s := typing(ch.Phrase)
			if a := answer(t, c, ch, s); a.Reason != "" || a.Detail == nil || a.Detail.Score == 0 {
				t.Errorf("%s, enrolled on %s, typing on %s: %+v", user, enrolled, s.Channel, a)
			}
		}
	}
}
