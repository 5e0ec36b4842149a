package network

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"ksd/internal/keystroke"
)

// TestReleases types at a terminal that speaks the kitty keyboard protocol: the
// typing arrives with releases and with the times it was typed at, as far as a
// loopback can do.
func TestReleases(t *testing.T) {
	m := newMonitor(t)
	r := serve(t, m, realEnv())
	p := r.at(r.dial()).terminal("xterm-kitty")
	if err := p.s.Shell(); err != nil {
		t.Fatal(err)
	}
	p.expect("\x1b[?u")
	p.press("\x1b[?0u\x1b[?9001;0$y\x1b[?62c")
	p.expect("\x1b[>31u")
	p.expect("\x1b[c")
	p.press("\x1b[?31u\x1b[?62c")
	p.expect("> ")
	var gaps []time.Duration
	last := time.Now()
	for _, k := range phrase {
		time.Sleep(30 * time.Millisecond)
		gaps, last = append(gaps, time.Since(last)), time.Now()
		p.press(fmt.Sprintf("\x1b[%d;1:1;%du", k, k))
		time.Sleep(20 * time.Millisecond)
		p.press(fmt.Sprintf("\x1b[%d;1:3u", k))
	}
	p.press("\x1b[13;1:1u\x1b[13;1:3u")
	p.expect("\x1b[<u")
	p.expect("\x1b[c")
	p.press("\x1b[?62c")
	p.expect("$ ")
	p.press("exit\n")
	if _, err := p.wait(); err != nil {
		t.Error(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.samples[0]
	if s.Channel != keystroke.Full || len(s.Events) != len(phrase) || s.Line().Text != phrase {
		t.Fatalf("%+v", s)
	}
	for i, e := range s.Events {
		if !e.Released || e.Up-e.Down < 10*time.Millisecond {
			t.Errorf("event %d: %+v", i, e)
		}
		if i > 0 {
			if off := e.Down - s.Events[i-1].Down - gaps[i]; off < -15*time.Millisecond || off > 15*time.Millisecond {
				t.Logf("interval %d is off by %v", i, off) // a busy machine's, not ours to fail for
			}
		}
	}
}

// TestSilentTerminal asks a terminal for releases, and says what it answered,
// unless it is known to be silent.
func TestSilentTerminal(t *testing.T) {
	for name, known := range map[string]bool{"a new one": false, "a known one": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMonitor(t)
			m.mute = known
			r := serve(t, m, realEnv())
			p := r.at(r.dial()).terminal("xterm")
			if err := p.s.Shell(); err != nil {
				t.Fatal(err)
			}
			p.types(phrase)
			p.expect("$ ")
			p.press("exit\n")
			if _, err := p.wait(); err != nil {
				t.Error(err)
			}
			if asked := strings.Contains(p.out.all(), "\x1b[?u"); asked == known {
				t.Errorf("asked: %v", asked)
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			switch {
			case known && m.silent != nil:
				t.Errorf("said of one that was not asked: %v", *m.silent)
			case !known && (m.silent == nil || !*m.silent):
				t.Error("its silence is not told")
			}
		})
	}
}

// TestAdvice is told once per connection, after the challenge, to somebody whose
// client ticks.
func TestAdvice(t *testing.T) {
	const line = "ObscureKeystrokeTiming no"
	for name, c := range map[string]struct {
		version string
		want    int
	}{
		"a client that ticks": {"SSH-2.0-OpenSSH_9.9p1 Debian-3", 1},
		"one that cannot":     {"SSH-2.0-OpenSSH_9.2p1 Debian-2", 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMonitor(t)
			r := serve(t, m, realEnv())
			cfg := clientConfig()
			cfg.ClientVersion = c.version
			client, err := ssh.Dial("tcp", r.addr, cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			p := r.at(client).shell()
			stop := make(chan struct{})
			go func() { // what hides the keys among others
				for {
					select {
					case <-stop:
						return
					case <-time.After(10 * time.Millisecond):
						_, _, _ = client.SendRequest("chaff", false, nil)
					}
				}
			}()
			p.expect("> ")
			for _, k := range phrase {
				time.Sleep(120 * time.Millisecond)
				p.press(string(k))
			}
			p.press("\r")
			p.expect("$ ")
			close(stop)
			p.press("exit\n")
			if _, err := p.wait(); err != nil {
				t.Error(err)
			}
			if n := strings.Count(p.out.all(), line); n != c.want {
				t.Errorf("told %d times: %q", n, p.out.all())
			}
			p = r.at(client).shell()
			p.expect("$ ")
			if strings.Contains(p.out.all(), line) {
				t.Error("told again")
			}
		})
	}
}

// TestBurst takes three keys of one packet from a client that may tick, and from
// no other.
func TestBurst(t *testing.T) {
	for version, taken := range map[string]bool{"SSH-2.0-OpenSSH_9.9p1": true, "SSH-2.0-PuTTY_Release_0.83": false} {
		m := newMonitor(t)
		r := serve(t, m, realEnv())
		cfg := clientConfig()
		cfg.ClientVersion = version
		client, err := ssh.Dial("tcp", r.addr, cfg)
		if err != nil {
			t.Fatal(err)
		}
		p := r.at(client).shell()
		p.expect("> ")
		p.press(phrase[:3])
		if !taken {
			p.expect("as a paste does")
		} else {
			p.expect(phrase[:3])
			for _, k := range phrase[3:] {
				p.press(string(k))
				p.expect(string(k))
			}
			p.press("\r")
			p.expect("$ ")
		}
		client.Close()
		r.end()
	}
}

// TestNarrow resizes the window before and during the challenge: the line is
// broken where the window ends, and the shell begins in the newest size.
func TestNarrow(t *testing.T) {
	const long = "warm bread with salted butter"
	m := newMonitor(t)
	m.shell, m.ask = "stty size; exec cat", long
	r := serve(t, m, realEnv())
	p := r.at(r.dial()).terminal("dumb")
	if err := p.s.WindowChange(24, 20); err != nil {
		t.Fatal(err)
	}
	if err := p.s.Shell(); err != nil {
		t.Fatal(err)
	}
	p.expect("> ")
	if err := p.s.WindowChange(40, 33); err != nil {
		t.Fatal(err)
	}
	for i, k := range long {
		p.press(string(k))
		if i == 17 { // the mark and 17 letters are 19 columns
			p.expect("\r\n")
		}
		p.expect(string(k))
	}
	p.press("\r")
	p.expect("40 33\r\n")
}
