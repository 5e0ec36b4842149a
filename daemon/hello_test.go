package daemon_test

import (
	"errors"
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

// TestBadHello opens conversations as nobody should. Each is refused, no
// terminal is touched, and no descriptor stays open.
func TestBadHello(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Training.Automatic = false }) // no timer but those of conversations
	d.Enrol("ana", ksdtest.NewTypist(1, quick))
	term, second := ksdtest.NewTerminal(t), ksdtest.NewTerminal(t)
	before := term.Settings(t)
	null := must(os.OpenFile(os.DevNull, os.O_RDWR, 0))(t)
	defer null.Close()
	file := must(os.Create(t.TempDir() + "/file"))(t)
	defer file.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	readOnly := must(os.OpenFile(term.TTY.Name(), os.O_RDONLY|unix.O_NOCTTY, 0))(t)
	defer readOnly.Close()
	good := "Hv=2\x00user=ana\x00service=su\x00source=tty:x\x00"
	for name, c := range map[string]struct {
		packet string
		files  []*os.File
	}{
		"no descriptor":      {good, nil},
		"two descriptors":    {good, []*os.File{term.TTY, second.TTY}},
		"/dev/null":          {good, []*os.File{null}},
		"a file":             {good, []*os.File{file}},
		"a pipe":             {good, []*os.File{w}},
		"a read-only tty":    {good, []*os.File{readOnly}},
		"empty field":        {"Hv=2\x00user=\x00service=su\x00source=x\x00", []*os.File{term.TTY}},
		"no fields":          {"H", []*os.File{term.TTY}},
		"a request with one": {"Nv=2\x00user=ana\x00service=su\x00source=x\x00", []*os.File{term.TTY}},
		"a request with two": {"Nv=2\x00user=ana\x00service=su\x00source=x\x00", []*os.File{term.TTY, second.TTY}},
		"a request's token":  {"Hv=2\x00user=ana\x00service=su\x00source=x\x00token=x\x00", []*os.File{term.TTY}},
		"term with a slash":  {"Hv=2\x00user=ana\x00service=su\x00source=x\x00term=a/b\x00", []*os.File{term.TTY}},
		"client with C1":     {"Hv=2\x00user=ana\x00service=su\x00source=x\x00client=\u009b\x00", []*os.File{term.TTY}},
		"no version":         {"Huser=ana\x00service=su\x00source=x\x00", []*os.File{term.TTY}},
		"another version":    {"Hv=1\x00user=ana\x00service=su\x00source=x\x00", []*os.File{term.TTY}},
		"unknown field":      {good + "more=1\x00", []*os.File{term.TTY}},
		"field twice":        {good + "user=bob\x00", []*os.File{term.TTY}},
		"not ended":          {good[:len(good)-1], []*os.File{term.TTY}},
		"not UTF-8":          {"Hv=2\x00user=\xff\x00service=su\x00source=x\x00", []*os.File{term.TTY}},
		"escape sequence":    {"Hv=2\x00user=a\x1b[2J\x00service=su\x00source=x\x00", []*os.File{term.TTY}},
		"packet of a daemon": {"Vcode=accept\x00", []*os.File{term.TTY}},
		"too long":           {good + strings.Repeat("x", wire.MaxPacket), []*os.File{term.TTY}},
		"253 descriptors":    {good, slices.Repeat([]*os.File{term.TTY}, 253)},
	} {
		open := openFiles(t)
		conn := dialLogin(t, d)
		sendPacket(t, conn, c.packet, c.files...)
		if v := readVerdict(t, conn); v != wire.Failed {
			t.Errorf("%s: verdict %q, want failed", name, v)
		}
		_ = conn.Close()
		if now := awaitFiles(t, open); now > open {
			t.Errorf("%s: %d descriptors left open", name, now-open)
		}
		if after := term.Settings(t); after != before {
			t.Errorf("%s: terminal %+v, was %+v", name, after, before)
		}
	}

	if log := d.Log.String(); strings.Count(log, "of another version of ksd; install") != 1 || !strings.Contains(log, "it says \\\"1\\\"") {
		t.Error("the log does not say once that a caller is of version 1")
	}
	// Only the read-only terminal got as far as being a claim.
	if got := outcomes(t, d, "ana"); !slices.Equal(got, []string{"failed"}) {
		t.Errorf("audit log %q, want one failed", got)
	}

	d.Clock.Advance(5 * time.Second) // timers of those before, should one still be set
	conn := dialLogin(t, d)          // says nothing at all
	d.Clock.AwaitTimer(5 * time.Second)
	d.Clock.Advance(5 * time.Second)
	if v := readVerdict(t, conn); v != wire.Failed {
		t.Errorf("silence: verdict %q", v)
	}
	conn = dialLogin(t, d) // goes away at once
	_ = conn.Close()
}

// openFiles counts the descriptors of this process, which the daemon is part of.
func openFiles(t *testing.T) int {
	t.Helper()
	return len(must(os.ReadDir("/proc/self/fd"))(t))
}

// awaitFiles waits for the daemon to close what it has, and returns what stays.
func awaitFiles(t *testing.T, most int) int {
	t.Helper()
	for range 200 {
		if openFiles(t) <= most {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return openFiles(t)
}

// TestFlood has one account open many conversations and connections and hold
// them. It gets its share; root gets in as if nothing were.
func TestFlood(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 4096 {
		t.Skipf("needs 4096 descriptors, has %d (%v)", limit.Cur, err)
	}
	d := ksdtest.Start(t)
	ana := ksdtest.NewTypist(1, quick)
	d.Enrol("ana", ana)
	d.As(d.UID("mallory"))
	for range 1000 {
		for _, path := range []string{d.Config.Daemon.LoginSocket, d.Config.Daemon.APISocket} {
			network := "unixpacket"
			if path == d.Config.Daemon.APISocket {
				network = "unix"
			}
			conn, err := net.Dial(network, path)
			if errors.Is(err, unix.EAGAIN) {
				continue // the backlog is full: just as well
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
		}
	}
	// Whoever comes after these has been accepted after them.
	last := dialLogin(t, d)
	if v := readVerdict(t, last); v != wire.Failed {
		t.Errorf("one more: verdict %q", v)
	}
	c, err := wire.Dial(t.Context(), d.Config.Daemon.APISocket)
	if err == nil {
		_, err = c.Status(t.Context())
	}
	if err == nil {
		t.Error("one more connection was answered")
	}
	d.As(0)
	term := ksdtest.NewTerminal(t)
	h := handOver(t.Context(), d, "ana", term)
	term.Type(t, ana, prompted(t, d, term))
	if code, _ := h.wait(t); code != wire.Accept {
		t.Errorf("root: %s", code)
	}
	if p := must(d.Client().User(t.Context(), "ana"))(t); p.Failures != 0 {
		t.Errorf("person %+v", p)
	}
}
