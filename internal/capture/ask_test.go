package capture

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// asks takes a terminal of an emulator and asks it.
func asks(t *testing.T, e *emulator) (*console, *Terminal) {
	t.Helper()
	con := newEmulator(t, e)
	term := con.raw("xterm-256color")
	asked, err := term.Ask(t.Context())
	if err != nil || asked.Mode == Plain {
		t.Fatalf("asked: %+v, %v", asked, err)
	}
	return con, term
}

func TestAsk(t *testing.T) {
	const start = kittyQuery + win32Query + fence
	const kitty = start + kittyPush + kittyQuery + fence
	const win32 = start + win32On + win32Query + fence
	for _, c := range []struct {
		name   string
		e      *emulator
		mode   Mode
		silent bool
		shown  string // after the brackets
		left   string // switched on
	}{
		{"silent", &emulator{win32: -1, ignore: []string{fence}}, Plain, true, start, "[] false"},
		{"silent, but somebody types", &emulator{win32: -1, ignore: []string{fence}, noise: "x"}, Plain, true, start, "[] false"},
		{"DA1 only", &emulator{win32: -1}, Plain, false, start, "[] false"},
		{"win32 unknown", &emulator{win32: 0}, Plain, false, start, "[] false"},
		{"win32 off for good", &emulator{win32: 4}, Plain, false, start, "[] false"},
		{"no fence", &emulator{flags: 31, win32: 0, ignore: []string{fence}}, Plain, false, start, "[] false"},
		{"zellij: one flag only", &emulator{flags: 1}, Plain, false, kitty + kittyPop, "[] false"},
		{"no releases", &emulator{flags: 29}, Plain, false, kitty + kittyPop, "[] false"},
		{"releases, but not of all keys", &emulator{flags: 23}, Plain, false, kitty + kittyPop, "[] false"},
		{"nobody says what was typed", &emulator{flags: 11}, Plain, false, kitty + kittyPop, "[] false"},
		{"push forgotten", &emulator{flags: 31, ignore: []string{kittyPush}}, Plain, false, kitty + kittyPop, "[] false"},
		{"win32 not switched on", &emulator{win32: modeReset, ignore: []string{win32On}}, Plain, false, win32 + win32Off, "[] false"},

		{"kitty", &emulator{flags: 31}, Kitty, false, kitty, "[31] false"},
		{"kitty without text", &emulator{flags: 15}, Kitty, false, kitty, "[15] false"},
		{"a stack in use", &emulator{flags: 31, stack: []uint32{1}}, Kitty, false, kitty, "[1 31] false"},
		{"win32", &emulator{win32: modeReset}, Win32, false, win32, "[] true"},
		{"win32 on already", &emulator{win32: modeReset, on: true}, Win32, false, win32, "[] true"},
		{"both", &emulator{flags: 31, win32: modeReset}, Kitty, false, kitty, "[31] false"},
		{
			"kitty too little, then win32", &emulator{flags: 1, win32: modeReset}, Win32, false,
			kitty + kittyPop + win32On + win32Query + fence, "[] true",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := c.e
			before := fmt.Sprint(e.stack, e.on)
			con := newEmulator(t, e)
			term := con.raw("xterm-256color")
			asked, err := term.Ask(t.Context())
			if err != nil || asked.Mode != c.mode || asked.Silent != c.silent || asked.Took <= 0 {
				t.Errorf("%+v, %v; want %v, silent %v", asked, err, c.mode, c.silent)
			}
			if again, err := term.Ask(t.Context()); err != nil || again.Mode != c.mode || again.Silent != c.silent {
				t.Errorf("again: %+v, %v", again, err)
			}
			term.Println("[end]")
			con.expect("[end]")
			got, _, _ := strings.Cut(strings.TrimPrefix(con.shown(), bracketsOn), "[end]")
			if got != c.shown || e.state() != c.left {
				t.Errorf("shown %q, want %q; left on %s, want %s", got, c.shown, e.state(), c.left)
			}
			if err := term.Leave(t.Context()); err != nil {
				t.Error(err)
			}
			con.tty.WriteString("[left]")
			con.expect("[left]")
			if e.state() != before {
				t.Errorf("before %s, after Leave %s", before, e.state())
			}
		})
	}
}

// TestAskNobody looks at terminals that have no such modes.
func TestAskNobody(t *testing.T) {
	for _, kind := range []string{"", "dumb", "linux"} {
		con := newConsole(t)
		term := con.raw(kind)
		asked, err := term.Ask(t.Context())
		if err != nil || asked.Mode != Plain || asked.Silent {
			t.Errorf("%q: %+v, %v", kind, asked, err)
		}
		if err := term.Leave(t.Context()); err != nil {
			t.Error(err)
		}
		con.tty.WriteString("[end]")
		con.expect("[end]")
		if con.shown() != "[end]" {
			t.Errorf("%q was sent %q", kind, con.shown())
		}
	}
}

func TestAskEnds(t *testing.T) {
	silent := func() *emulator { return &emulator{win32: -1, ignore: []string{fence}} }
	t.Run("not raw", func(t *testing.T) {
		con := newConsole(t)
		term, err := Open(con.tty, "xterm", Monotonic)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := term.Ask(t.Context()); !errors.Is(err, ErrNotRaw) {
			t.Errorf("%v, want ErrNotRaw", err)
		}
		if err := term.Leave(t.Context()); err != nil || con.shown() != "" {
			t.Errorf("Leave: %v, shown %q", err, con.shown())
		}
	})
	t.Run("Ctrl-C", func(t *testing.T) {
		e := silent()
		e.before = map[string]func(){fence: func() { e.send("a\x03") }}
		con := newEmulator(t, e)
		if _, err := con.raw("xterm").Ask(t.Context()); !errors.Is(err, ErrInterrupted) {
			t.Errorf("%v, want ErrInterrupted", err)
		}
	})
	t.Run("Ctrl-C after the push", func(t *testing.T) {
		e := kittyTerminal()
		e.before = map[string]func(){kittyPush: func() { e.send("\x03") }}
		con := newEmulator(t, e)
		term := con.raw("xterm")
		if _, err := term.Ask(t.Context()); !errors.Is(err, ErrInterrupted) {
			t.Errorf("%v, want ErrInterrupted", err)
		}
		con.expect(kittyPop)
	})
	t.Run("hang-up", func(t *testing.T) {
		con := newConsole(t)
		term := con.raw("xterm")
		con.master.Close()
		if _, err := term.Ask(t.Context()); !errors.Is(err, ErrHangup) {
			t.Errorf("%v, want ErrHangup", err)
		}
		if err := term.Leave(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		con := newEmulator(t, silent())
		term := con.raw("xterm")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := term.Ask(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want Canceled", err)
		}
	})
	t.Run("deadline of the caller", func(t *testing.T) {
		con := newEmulator(t, silent())
		term := con.raw("xterm")
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := term.Ask(ctx); !errors.Is(err, ErrTimeout) {
			t.Errorf("%v, want ErrTimeout", err)
		}
	})
	t.Run("restored meanwhile", func(t *testing.T) {
		e := kittyTerminal()
		con := newEmulator(t, e)
		term := con.raw("xterm")
		e.mu.Lock()
		e.before = map[string]func(){kittyPush: func() { term.Restore() }}
		e.mu.Unlock()
		if _, err := term.Ask(t.Context()); !errors.Is(err, ErrNotRaw) {
			t.Errorf("%v, want ErrNotRaw", err)
		}
		con.expect(bracketsOff)
		if e.state() != "[] false" {
			t.Errorf("left on: %s", e.state())
		}
	})
}

// TestAskAfterRestore asks again once the terminal was given back: it is known
// by then what it can do.
func TestAskAfterRestore(t *testing.T) {
	e := kittyTerminal()
	con, term := asks(t, e)
	if err := errors.Join(term.Leave(t.Context()), term.Raw()); err != nil {
		t.Fatal(err)
	}
	if asked, err := term.Ask(t.Context()); err != nil || asked.Mode != Kitty {
		t.Fatalf("%+v, %v", asked, err)
	}
	if n := e.was(win32Query); n != 1 {
		t.Errorf("asked what it can do %d times", n)
	}
	if err := term.Restore(); err != nil {
		t.Fatal(err)
	}
	con.expect(kittyPop + bracketsOff)
}

// TestLateAnswers has a terminal answer when nobody waits any more.
func TestLateAnswers(t *testing.T) {
	for name, answers := range map[string]string{
		"of all":            "\x1b[?0u\x1b[?9001;2$y\x1b[?62;22c",
		"after the refusal": "\x1b[?31u\x1b[?62c\x1b[?31u\x1b[?62c",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			con := newConsole(t)
			term := con.raw("xterm")
			if asked, err := term.Ask(t.Context()); err != nil || asked.Mode != Plain || !asked.Silent {
				t.Fatalf("%+v, %v", asked, err)
			}
			con.send(answers[:1])
			con.waiting(1)
			ch := con.read(t.Context(), term, Prompt{Phrase: "p"})
			answers := answers[1:]
			for i := range answers { // a slow line
				con.send(answers[i : i+1])
				con.waiting(0)
			}
			con.typed("ab")
			con.send("\r")
			if s, err := result(t, ch); err != nil || keys(s) != "ab" {
				t.Errorf("keys %s, %v", keys(s), err)
			}
		})
	}
}

// TestPushAnsweredLate has a terminal that grants everything, but says so too
// late: it is taken back, and what it says meanwhile is understood.
func TestPushAnsweredLate(t *testing.T) {
	e := kittyTerminal()
	e.before = map[string]func(){kittyPush: func() { e.ignore = []string{kittyQuery, fence} }}
	con := newEmulator(t, e)
	term := con.raw("xterm")
	asked, err := term.Ask(t.Context())
	if err != nil || asked.Mode != Plain || asked.Silent || e.was(kittyPush) != 1 {
		t.Fatalf("%+v, %v", asked, err)
	}
	con.expect(kittyPop)
	ch := con.read(t.Context(), term, Prompt{Phrase: "p"})
	con.send("\x1b[104;1:1;104u\x1b[104;1:3u") // hit before the pop came through
	con.expect("h")
	con.send("\x1b[?31u\x1b[?62c")
	e.types("i\r")
	if s, err := result(t, ch); err != nil || keys(s) != "hi" || s.Events[0].Released || s.Channel != "press" {
		t.Errorf("%s, %+v, %v", keys(s), s, err)
	}
}

// TestLeave releases a key while the terminal is being given back: nothing of it
// may reach the next program.
func TestLeave(t *testing.T) {
	for name, open := range map[string]func() *emulator{"kitty": kittyTerminal, "win32": win32Terminal} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := open()
			undo := kittyPop
			if name == "win32" {
				undo = win32Off
			}
			// On its way when the terminal is switched back.
			e.before = map[string]func(){undo: func() { e.send(e.encode('x', kittyRelease)) }}
			con := newEmulator(t, e)
			before := con.settings()
			term := con.raw("xterm")
			if asked, err := term.Ask(t.Context()); err != nil || asked.Mode == Plain {
				t.Fatalf("%+v, %v", asked, err)
			}
			e.hit('x', kittyPress)
			if err := term.Leave(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := con.unread(); n != 0 || e.state() != "[] false" || con.settings() != before {
				t.Errorf("%d bytes unread; left on %s; settings restored %v", n, e.state(), con.settings() == before)
			}
			e.types("ls\r")
			con.waiting(3)
			b := []byte("......")
			if n, _ := con.tty.Read(b); string(b[:n]) != "ls\n" {
				t.Errorf("the next program reads %q", b[:n])
			}
			if n := strings.Count(con.shown(), bracketsOff); n != 1 || e.was(fence) != 3 {
				t.Errorf("brackets switched off %d times, %d fences", n, e.was(fence))
			}
		})
	}
	t.Run("never answered", func(t *testing.T) {
		e := kittyTerminal()
		e.before = map[string]func(){kittyPop: func() { e.ignore = []string{fence} }}
		con, term := asks(t, e)
		if err := term.Leave(t.Context()); err != nil || e.state() != "[] false" || con.settings() == *rawSettings(con.settings()) {
			t.Errorf("%v, left on %s", err, e.state())
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		e := kittyTerminal()
		con, term := asks(t, e)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := term.Leave(ctx); err != nil {
			t.Error(err)
		}
		con.expect(kittyPop)
	})
	t.Run("plain", func(t *testing.T) {
		con := newEmulator(t, &emulator{win32: -1})
		term := con.raw("xterm")
		if _, err := term.Ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := term.Leave(t.Context()); err != nil {
			t.Error(err)
		}
		con.expect(bracketsOff)
		if n := strings.Count(con.shown(), fence); n != 1 {
			t.Errorf("%d fences, want that of Ask alone", n)
		}
	})
	t.Run("an answer to Ask is owed", func(t *testing.T) {
		p, term := overStream(t, nil)
		if asked, err := term.Ask(t.Context()); err != nil || !asked.Silent {
			t.Fatalf("%+v, %v", asked, err)
		}
		done := make(chan error, 1)
		p.reading(func() { go func() { done <- term.Leave(t.Context()) }() })
		p.put("\x1b[?62;22c", 0)
		if err := <-done; err != nil || len(p.in) > 0 {
			t.Errorf("%v, %v for the next program", err, p.in)
		}
	})
	t.Run("somebody else has taken over", func(t *testing.T) {
		e := kittyTerminal()
		con, term := asks(t, e)
		shell := con.settings()
		shell.Lflag |= 2 // ICANON
		setSettings(t, con, shell)
		con.send("ls\n")
		con.waiting(3)
		if err := term.Leave(t.Context()); err != nil {
			t.Error(err)
		}
		con.waiting(3)
		if con.settings() != shell || e.was(kittyPop) != 0 {
			t.Error("what another program uses was touched")
		}
	})
}

func TestUndo(t *testing.T) {
	for m, want := range map[Mode]string{Plain: "", Kitty: "\x1b[<u", Win32: "\x1b[?9001l", 9: ""} {
		if got := Undo(m); got != want {
			t.Errorf("%v: %q, want %q", m, got, want)
		}
	}
	for m, want := range map[Mode]string{Plain: "plain press", Kitty: "kitty full", Win32: "win32 full", 9: "plain press"} {
		if got := m.String() + " " + string(m.Channel()); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
