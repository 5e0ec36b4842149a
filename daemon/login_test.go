package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ksd/conf"
	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

// quick is a tempo for real terminals: fast enough for a test, and slow enough
// not to look like a paste on a busy machine.
const quick = 60 * time.Millisecond

// handOver runs HandOver of a terminal in the background.
func handOver(ctx context.Context, d *ksdtest.Daemon, user string, term *ksdtest.Terminal) *call {
	c := &call{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		h := wire.Hello{User: user, Service: "test", Source: "tty:pts/7"}
		c.verdict, c.err = wire.HandOver(ctx, d.Config.Daemon.LoginSocket, h, term.TTY, func(x wire.Text) {
			c.texts = append(c.texts, x.Text)
		})
	}()
	return c
}

// call is a HandOver under way.
type call struct {
	done    chan struct{}
	verdict wire.Verdict
	texts   []string
	err     error
}

// wait returns the verdict and the texts.
func (c *call) wait(t *testing.T) (wire.Code, string) {
	t.Helper()
	select {
	case <-c.done:
	case <-time.After(ksdtest.Patience):
		t.Fatal("no verdict")
	}
	if c.err != nil {
		t.Fatalf("hand-over: %v", c.err)
	}
	return c.verdict.Code, strings.Join(c.texts, "|")
}

// prompted waits for the next prompt and returns its phrase.
func prompted(t *testing.T, d *ksdtest.Daemon, term *ksdtest.Terminal) string {
	t.Helper()
	_, phrase := term.AwaitAny(t, d.Config.Challenge.Phrases...)
	term.Await(t, "> ")
	return phrase
}

// TestBug meets a bug in the middle of a conversation. It is a denial, the
// terminal is as it was, and the next conversation goes on as ever.
func TestBug(t *testing.T) {
	d := ksdtest.Start(t)
	ana := ksdtest.NewTypist(1, quick)
	d.Enrol("ana", ana)
	d.Ear.Broken.Store(true)
	for _, want := range []wire.Code{wire.Failed, wire.Accept} {
		term := ksdtest.NewTerminal(t)
		before := term.Settings(t)
		c := handOver(t.Context(), d, "ana", term)
		term.Type(t, ana, prompted(t, d, term))
		if code, _ := c.wait(t); code != want {
			t.Errorf("verdict %q, want %q", code, want)
		}
		if term.Settings(t) != before {
			t.Error("the terminal is not as it was")
		}
		d.Ear.Broken.Store(false)
	}
	if !strings.Contains(d.Log.String(), "conversation broke") {
		t.Error("the log says nothing of it")
	}
}

// TestHandOver is every end a conversation at a terminal can have. The terminal
// is the same before and after, and the log has what happened.
func TestHandOver(t *testing.T) {
	// hands are the person's own, or a stranger's, who types slowly.
	type hands = *ksdtest.Typist
	mistyped := func(t *testing.T, d *ksdtest.Daemon, term *ksdtest.Terminal, ana hands) {
		phrase := prompted(t, d, term)
		term.Type(t, ana, phrase[:8])
		if again := prompted(t, d, term); again != phrase {
			t.Errorf("asked for %q after %q was mistyped", again, phrase)
		}
	}
	for _, c := range []struct {
		name string
		do   func(t *testing.T, d *ksdtest.Daemon, term *ksdtest.Terminal, ana hands)
		want wire.Code
		text string
		log  []string
	}{
		{"refuse", func(t *testing.T, d *ksdtest.Daemon, term *ksdtest.Terminal, ana hands) {
			term.Type(t, ana.At(2*quick), prompted(t, d, term))
			term.Await(t, "take your time")
			term.Type(t, ana.At(2*quick), prompted(t, d, term))
		}, wire.Refuse, "not recognised", []string{"refuse", "refuse"}},
		{"Ctrl-C", func(t *testing.T, d *ksdtest.Daemon, term *ksdtest.Terminal, ana hands) {
			prompted(t, d, term)
			term.Press(t, "\x03")
		}, wire.Cancelled, "", []string{"cancelled"}},
		{"Ctrl-D", func(t *testing.T, d *ksdtest.Daemon, term *ksdtest.Terminal, ana hands) {
			prompted(t, d, term)
			term.Press(t, "\x04")
		}, wire.Cancelled, "", []string{"cancelled"}},
		{"timeout", func(t *testing.T, d *ksdtest.Daemon, term *ksdtest.Terminal, ana hands) {
			prompted(t, d, term)
			d.Clock.AwaitTimer(d.Config.Challenge.TypingTime)
			d.Clock.Advance(d.Config.Challenge.TypingTime)
		}, wire.Timeout, "no typing in time", []string{"timeout"}},
		{"unusable", func(t *testing.T, d *ksdtest.Daemon, term *ksdtest.Terminal, ana hands) {
			mistyped(t, d, term, ana)
			term.Press(t, "cold water on the stones")
			term.Await(t, "pasted")
			term.Type(t, ana, prompted(t, d, term)+"x")
		}, wire.Unusable, "could not be judged", []string{"unusable"}},
		{"accept", func(t *testing.T, d *ksdtest.Daemon, term *ksdtest.Terminal, ana hands) {
			term.Type(t, ana, prompted(t, d, term))
		}, wire.Accept, "", []string{"accept"}},
		{"accept after a mistake", func(t *testing.T, d *ksdtest.Daemon, term *ksdtest.Terminal, ana hands) {
			mistyped(t, d, term, ana)
			term.Type(t, ana, d.Config.Challenge.Phrases[0])
		}, wire.Accept, "", []string{"accept"}},
		{"accept with one more phrase", func(t *testing.T, d *ksdtest.Daemon, term *ksdtest.Terminal, ana hands) {
			first := prompted(t, d, term)
			term.Type(t, ana.At(quick*14/10), first)
			term.Await(t, "one more")
			second := prompted(t, d, term)
			if second == first {
				t.Errorf("asked for %q twice", first)
			}
			term.Type(t, ana, second)
		}, wire.Accept, "", []string{"accept"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := ksdtest.Start(t, func(conf *conf.Config) {
				conf.Training.Automatic = false
				if c.name == "accept after a mistake" {
					conf.Challenge.Phrases = conf.Challenge.Phrases[:1]
				}
			})
			ana := ksdtest.NewTypist(1, quick)
			d.Enrol("ana", ana)
			term := ksdtest.NewTerminal(t)
			before := term.Settings(t)
			h := handOver(t.Context(), d, "ana", term)
			c.do(t, d, term, ana)
			code, texts := h.wait(t)
			if code != c.want || (c.text == "") != (texts == "") || !strings.Contains(texts, c.text) {
				t.Errorf("verdict %s, texts %q; want %s, %q", code, texts, c.want, c.text)
			}
			if after := term.Settings(t); after != before {
				t.Errorf("terminal %+v, was %+v", after, before)
			}
			if got := outcomes(t, d, "ana"); !slices.Equal(got, c.log) {
				t.Errorf("audit log %q, want %q", got, c.log)
			}
		})
	}
}

// TestHandOverWithoutTyping is what is decided before anybody is asked.
func TestHandOverWithoutTyping(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Lockout.Failures = 1 })
	d.Enrol("ana", ksdtest.NewTypist(1, quick))
	d.UID("bob")
	ask(t, d.Client(), "ana") // shown, so paid for: she is locked
	for _, c := range []struct {
		user string
		as   uint32
		want wire.Code
		text string
	}{
		{"bob", d.UID("ana"), wire.Failed, ""}, // somebody else
		{"a\u202eb", 0, wire.Failed, ""},       // turns the line round
		{strings.Repeat("x", 65), 0, wire.Failed, ""},
		{"bob", 0, wire.Unenrolled, ""},
		{"bob", d.UID("bob"), wire.Unenrolled, ""},
		{"nobody has this name", 0, wire.Unenrolled, ""},
		{"ana", 0, wire.Locked, "please wait 30 seconds"},
		{"ana", d.UID("ana"), wire.Locked, "please wait 30 seconds"},
	} {
		d.As(c.as)
		term := ksdtest.NewTerminal(t)
		before := term.Settings(t)
		code, texts := handOver(t.Context(), d, c.user, term).wait(t)
		if code != c.want || !strings.Contains(texts, c.text) || (c.text == "") != (texts == "") {
			t.Errorf("%s as %d: %s %q, want %s %q", c.user, c.as, code, texts, c.want, c.text)
		}
		if c.as >= 1000 && c.want != wire.Failed {
			d.As(ksdtest.AdminUID)
			want := fmt.Sprintf("uid:%d", c.as)
			if e := must(d.Client().Audit(t.Context(), c.user, 1))(t); len(e) != 1 || e[0].Source != want || e[0].Actor != want {
				t.Errorf("%s as %d: recorded %+v, want source and actor %s", c.user, c.as, e, want)
			}
		}
		if shown := term.Shown(); shown != "" {
			t.Errorf("%s as %d: the terminal shows %q", c.user, c.as, shown)
		}
		if after := term.Settings(t); after != before {
			t.Errorf("%s as %d: terminal %+v, was %+v", c.user, c.as, after, before)
		}
	}
}

// TestCallerGone ends the caller in the middle of a prompt: the daemon puts the
// terminal back and the attempt stays paid for.
func TestCallerGone(t *testing.T) {
	d := ksdtest.Start(t)
	d.Enrol("ana", ksdtest.NewTypist(1, quick))
	term := ksdtest.NewTerminal(t)
	before := term.Settings(t)
	conn := dialLogin(t, d)
	sendHello(t, conn, wire.Hello{User: "ana", Service: "test", Source: "tty:x"}, term.TTY)
	prompted(t, d, term)
	if term.Settings(t) == before {
		t.Fatal("the terminal is not raw")
	}
	_ = conn.Close() // as the kernel does for a caller that is killed
	awaitSettings(t, term, before)
	if p := must(d.Client().User(t.Context(), "ana"))(t); p.Failures != 1 {
		t.Errorf("%d failures, want 1", p.Failures)
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	d.Start()
	if got := outcomes(t, d, "ana"); !slices.Equal(got, []string{"cancelled"}) {
		t.Errorf("audit log %q", got)
	}
}

// TestHangUp closes the other side of the terminal in the middle of a prompt.
func TestHangUp(t *testing.T) {
	d := ksdtest.Start(t)
	d.Enrol("ana", ksdtest.NewTypist(1, quick))
	term := ksdtest.NewTerminal(t)
	h := handOver(t.Context(), d, "ana", term)
	prompted(t, d, term)
	_ = term.Keys.Close()
	if code, _ := h.wait(t); code != wire.Cancelled {
		t.Errorf("verdict %s, want cancelled", code)
	}
}

// TestChatter says more than hello: the conversation is over.
func TestChatter(t *testing.T) {
	d := ksdtest.Start(t)
	d.Enrol("ana", ksdtest.NewTypist(1, quick))
	term := ksdtest.NewTerminal(t)
	before := term.Settings(t)
	conn := dialLogin(t, d)
	hello := wire.Hello{User: "ana", Service: "test", Source: "tty:x"}
	sendHello(t, conn, hello, term.TTY)
	prompted(t, d, term)
	sendHello(t, conn, hello, term.TTY)
	if v := readVerdict(t, conn); v != wire.Cancelled {
		t.Errorf("verdict %s", v)
	}
	if term.Settings(t) != before {
		t.Error("terminal changed")
	}
}

// TestStopAtPrompt stops the daemon while two people are at a prompt: one
// finishes in time, the other is sent away, and both terminals are as before.
func TestStopAtPrompt(t *testing.T) {
	d := ksdtest.Start(t)
	ana := ksdtest.NewTypist(1, quick)
	d.Enrol("ana", ana)
	one, two := ksdtest.NewTerminal(t), ksdtest.NewTerminal(t)
	before := one.Settings(t)
	first, second := handOver(t.Context(), d, "ana", one), handOver(t.Context(), d, "ana", two)
	phrase := prompted(t, d, one)
	prompted(t, d, two)
	d.Quit()
	awaitRefused(t, d)
	one.Type(t, ana, phrase)
	if code, _ := first.wait(t); code != wire.Accept {
		t.Errorf("who finished in time: %s", code)
	}
	d.Clock.Advance(10 * time.Second)
	code, texts := second.wait(t)
	if code != wire.Failed || !strings.Contains(texts, "could not be done") {
		t.Errorf("who did not: %s %q", code, texts)
	}
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
	for _, term := range []*ksdtest.Terminal{one, two} {
		if after := term.Settings(t); after != before {
			t.Errorf("terminal %+v, was %+v", after, before)
		}
	}
}

// awaitRefused waits until nobody new is taken.
func awaitRefused(t *testing.T, d *ksdtest.Daemon) {
	t.Helper()
	deadline := time.Now().Add(ksdtest.Patience)
	for {
		conn, err := net.Dial("unixpacket", d.Config.Daemon.LoginSocket)
		if err != nil {
			return
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("the socket still answers")
		}
	}
}

// awaitSettings waits until the terminal has the given settings.
func awaitSettings(t *testing.T, term *ksdtest.Terminal, want unix.Termios) {
	t.Helper()
	deadline := time.Now().Add(ksdtest.Patience)
	for term.Settings(t) != want {
		if time.Now().After(deadline) {
			t.Fatalf("terminal %+v, want %+v", term.Settings(t), want)
		}
		time.Sleep(time.Millisecond)
	}
}

func dialLogin(t *testing.T, d *ksdtest.Daemon) *net.UnixConn {
	t.Helper()
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: d.Config.Daemon.LoginSocket, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func sendHello(t *testing.T, conn *net.UnixConn, h wire.Hello, files ...*os.File) {
	t.Helper()
	sendPacket(t, conn, string(must(wire.EncodeHello(h))(t)), files...)
}

func sendPacket(t *testing.T, conn *net.UnixConn, packet string, files ...*os.File) {
	t.Helper()
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	if _, _, err := conn.WriteMsgUnix([]byte(packet), oob, nil); err != nil {
		t.Fatal(err)
	}
}

// readVerdict reads up to the verdict; "" means there was none.
func readVerdict(t *testing.T, conn *net.UnixConn) wire.Code {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(ksdtest.Patience))
	buf := make([]byte, wire.MaxPacket)
	for {
		n, err := conn.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("no verdict")
		}
		if err != nil || n == 0 {
			return ""
		}
		if v, ok := must(wire.DecodeReply(buf[:n]))(t).(wire.Verdict); ok {
			return v.Code
		}
	}
}
