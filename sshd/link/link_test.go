package link

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ksd/internal/keystroke"
	"ksd/internal/wire"
)

// pair returns both ends of a link.
func pair(t testing.TB) (network, monitor *Conn) {
	t.Helper()
	n, m, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	ends := [2]*Conn{}
	for i, f := range []*os.File{n, m} {
		if ends[i], err = NewConn(f); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ends[i].Close() })
	}
	return ends[0], ends[1]
}

// served serves m over a link and returns the network half's end of it, and
// what came of it.
func served(t testing.TB, m Monitor) (*Conn, chan error) {
	network, monitor := pair(t)
	done := make(chan error, 1)
	go func() { done <- Serve(context.Background(), monitor, m) }()
	t.Cleanup(func() { network.Close() })
	return network, done
}

// fake answers what it was told to, and remembers what it was asked.
type fake struct {
	Monitor // what is not overridden panics
	mu      sync.Mutex
	asked   []any
	hold    chan struct{}
	err     error
}

func (f *fake) note(v any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, v)
	return f.err
}

func (f *fake) Hello(context.Context) (Hello, error) {
	return Hello{HostKeys: [][]byte{{1, 2}}, LoginGrace: time.Minute, AcceptEnv: []string{"LC_*"}}, f.note(OpHello)
}

func (f *fake) Key(_ context.Context, k Key) (Proof, error) { return Proof{OK: true}, f.note(k) }

func (f *fake) Answer(_ context.Context, a Answer) (Judged, error) {
	return Judged{Next: &wire.Challenge{Phrase: "next"}}, f.note(a)
}

func (f *fake) Wait(ctx context.Context, w Wait) (Exited, error) {
	select {
	case <-f.hold:
		return Exited{Status: uint32(w.Session)}, nil
	case <-ctx.Done():
		return Exited{}, ctx.Err()
	}
}

func (f *fake) Signal(_ context.Context, s Signal) error { return f.note(s) }

// Start returns as many pipes as are asked for, each with a word in it.
func (f *fake) Start(_ context.Context, s Start) (Started, []*os.File, error) {
	var files []*os.File
	for _, word := range []string{"in", "out", "err", "agent"} {
		if s.Pty != nil && (word == "out" || word == "err") || word == "agent" && !s.Agent {
			continue
		}
		r, w, err := os.Pipe()
		if err != nil {
			return Started{}, files, err
		}
		if _, err := w.WriteString(word); err != nil {
			return Started{}, files, err
		}
		w.Close()
		files = append(files, r)
	}
	return Started{Session: 7}, files, f.note(s)
}

func TestCalls(t *testing.T) {
	f := &fake{}
	network, _ := served(t, f)
	c := NewClient(network)
	defer c.Close()
	ctx := t.Context()
	if h, err := c.Hello(ctx); err != nil || h.LoginGrace != time.Minute || h.AcceptEnv[0] != "LC_*" || h.HostKeys[0][1] != 2 {
		t.Errorf("hello: %+v, %v", h, err)
	}
	want := Key{User: "ana", Key: []byte("k"), Proven: true}
	if p, err := c.Key(ctx, want); err != nil || !p.OK {
		t.Errorf("key: %+v, %v", p, err)
	}
	sample := keystroke.Sample{Phrase: "ab", Channel: keystroke.Press, Events: []keystroke.Event{
		{Key: keystroke.KeyOf('a'), Rune: 'a'}, {Key: keystroke.KeyOf('b'), Rune: 'b', Down: time.Second},
	}}
	if j, err := c.Answer(ctx, Answer{Sample: sample}); err != nil || j.Next == nil || j.Next.Phrase != "next" {
		t.Errorf("answer: %+v, %v", j, err)
	}
	if err := c.Signal(ctx, Signal{3, "TERM"}); err != nil {
		t.Error(err)
	}
	if got := []any{OpHello, want, Answer{Sample: sample}, Signal{3, "TERM"}}; !reflect.DeepEqual(f.all(), got) {
		t.Errorf("the monitor was asked %+v, want %+v", f.all(), got)
	}
}

func TestFiles(t *testing.T) {
	network, _ := served(t, &fake{})
	c := NewClient(network)
	defer c.Close()
	for _, s := range []Start{{}, {Agent: true}, {Pty: &Pty{}}, {Pty: &Pty{}, Agent: true}} {
		_, files, err := c.Start(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, f := range files {
			b, err := io.ReadAll(f)
			words = append(words, string(b))
			if err != nil || f.Close() != nil {
				t.Error(err)
			}
		}
		want := map[bool]string{false: "in out err", true: "in"}[s.Pty != nil] + map[bool]string{true: " agent"}[s.Agent]
		if got := strings.Join(words, " "); got != want {
			t.Errorf("%+v: files %q, want %q", s, got, want)
		}
	}
}

// An error is a reason and nothing more; the files of what failed are closed.
func TestReasons(t *testing.T) {
	network, done := served(t, &fake{err: Exhausted})
	c := NewClient(network)
	before := open(t)
	for range 20 {
		if _, files, err := c.Start(t.Context(), Start{}); !errors.Is(err, Exhausted) || files != nil {
			t.Fatalf("%v, %v, want %v", files, err, Exhausted)
		}
	}
	runtime.GC() // the fake's own files
	if now := open(t); now > before+60 {
		t.Errorf("%d descriptors, %d before", now, before)
	}
	c.Close()
	if err := <-done; err != nil {
		t.Errorf("serve: %v", err)
	}
	if _, err := c.Hello(t.Context()); !errors.Is(err, ErrEnded) {
		t.Errorf("after the end: %v", err)
	}
}

// Any other error of the monitor ends the link, without a word to the network half.
func TestErrorEnds(t *testing.T) {
	bad := errors.New("out of order")
	network, done := served(t, &fake{err: bad})
	c := NewClient(network)
	if _, err := c.Hello(t.Context()); !errors.Is(err, ErrEnded) {
		t.Errorf("the network half got %v", err)
	}
	if err := <-done; !errors.Is(err, bad) {
		t.Errorf("serve: %v, want %v", err, bad)
	}
}

// Requests overlap; a context that ends gives up one of them alone.
func TestOverlap(t *testing.T) {
	f := &fake{hold: make(chan struct{})}
	network, _ := served(t, f)
	c := NewClient(network)
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	given := make(chan error)
	go func() {
		_, err := c.Wait(ctx, Wait{1})
		given <- err
	}()
	waited := make(chan Exited)
	go func() {
		e, err := c.Wait(t.Context(), Wait{2})
		if err != nil {
			t.Error(err)
		}
		waited <- e
	}()
	if _, err := c.Hello(t.Context()); err != nil { // beside the two
		t.Fatal(err)
	}
	cancel()
	if err := <-given; !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	close(f.hold)
	if e := <-waited; e.Status != 2 {
		t.Errorf("the answer of another: %+v", e)
	}
	if _, err := c.Hello(t.Context()); err != nil {
		t.Errorf("after an answer that nobody waited for: %v", err)
	}
}

// What breaks a rule ends the link for the monitor.
func TestHostileNetwork(t *testing.T) {
	big := `{"id":1,"op":"key","body":{"user":"` + strings.Repeat("x", MaxPacket) + `"}}`
	for name, packet := range map[string]string{
		"no JSON":         "hello",
		"empty object":    "{}",
		"no body":         `{"id":1,"op":"key"}`,
		"no operation":    `{"id":1,"op":"reboot","body":{}}`,
		"unknown field":   `{"id":1,"op":"key","body":{"user":"a"},"root":true}`,
		"unknown in body": `{"id":1,"op":"key","body":{"user":"a","root":true}}`,
		"wrong type":      `{"id":1,"op":"key","body":{"user":7}}`,
		"negative id":     `{"id":-1,"op":"hello","body":{}}`,
		"two objects":     `{"id":1,"op":"hello","body":{}}{"id":2,"op":"hello","body":{}}`,
		"an array":        `[1]`,
		"too large":       big,
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{}
			network, done := served(t, f)
			if _, err := network.unix.Write([]byte(packet)); err != nil {
				t.Fatal(err)
			}
			if err := <-done; !errors.Is(err, ErrProtocol) {
				t.Errorf("%v, want %v", err, ErrProtocol)
			}
			if len(f.all()) > 0 {
				t.Errorf("the monitor was asked %v", f.all())
			}
		})
	}
	t.Run("empty packet", func(t *testing.T) {
		network, done := served(t, &fake{})
		if _, err := network.unix.Write(nil); err != nil {
			t.Fatal(err)
		}
		network.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("descriptors", func(t *testing.T) {
		f := &fake{}
		network, done := served(t, f)
		before := open(t)
		if err := network.Send(request{1, OpHello, json.RawMessage("{}")}, os.Stdin, os.Stderr); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, ErrProtocol) || len(f.all()) > 0 {
			t.Errorf("%v, asked %v", err, f.all())
		}
		if now := open(t); now > before {
			t.Errorf("%d descriptors, %d before", now, before)
		}
	})
}

// A monitor that answers what was not asked, or with other descriptors, is none.
func TestHostileMonitor(t *testing.T) {
	for name, answer := range map[string]answer{
		"an answer to nothing":     {ID: 9, Body: json.RawMessage("{}")},
		"descriptors to a hello":   {ID: 1, Body: json.RawMessage("{}")},
		"an unknown field in it":   {ID: 1, Body: json.RawMessage(`{"root":1}`)},
		"neither body nor error":   {ID: 1},
		"no object, and a reason?": {ID: 1, Body: json.RawMessage(`7`)},
	} {
		t.Run(name, func(t *testing.T) {
			network, monitor := pair(t)
			c := NewClient(network)
			go func() {
				var r request
				if _, err := monitor.Receive(&r, 0); err == nil {
					var files []*os.File
					if strings.HasPrefix(name, "descriptors") {
						files = append(files, os.Stdin)
					}
					_ = monitor.Send(answer, files...)
				}
			}()
			if h, err := c.Hello(t.Context()); err == nil {
				t.Errorf("it was believed: %+v", h)
			}
			c.Close()
		})
	}
}

func TestNotALink(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := NewConn(r); err == nil {
		t.Error("a pipe is taken for a link")
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	if _, err := NewConn(os.NewFile(uintptr(fds[0]), "stream")); err == nil {
		t.Error("a stream is taken for a link")
	}
}

// all returns what the monitor was asked.
func (f *fake) all() []any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// open counts the descriptors of this process.
func open(t testing.TB) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("without /proc descriptors cannot be counted: %v", err)
	}
	return len(names)
}

// Whatever comes is either refused or means the same when it is sent again.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"id":1,"op":"hello","body":{}}`))
	f.Add([]byte(`{"id":2,"op":"start","body":{"command":"aWQ=","env":{"A":"Yg=="},"pty":{"term":"xterm","window":{"columns":80},"modes":{"53":1}}}}`))
	f.Add([]byte(`{"id":3,"op":"sign","body":{"key":0,"data":"AAAA","algorithm":"ssh-ed25519"}}`))
	f.Add([]byte(`{"id":4,"op":"answer","body":{"sample":{"phrase":"a","channel":"press","events":[{"key":"a","down_ns":0}]}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r request
		if err := decode(b, &r); err != nil {
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var r2 request
		if err := decode(again, &r2); err != nil || r2.ID != r.ID || r2.Op != r.Op {
			t.Fatalf("%q became %q: %v", b, again, err)
		}
		_, _, err = dispatch(t.Context(), refusing{}, r)
		if err != nil && !errors.Is(err, ErrProtocol) && !errors.Is(err, Refused) {
			t.Fatalf("%q: %v", b, err)
		}
	})
}
