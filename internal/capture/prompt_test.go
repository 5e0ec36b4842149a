package capture

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

func TestReadRefuses(t *testing.T) {
	cases := []struct {
		name string
		send string
		want error
	}{
		{"Ctrl-C", "\x03", ErrInterrupted},
		{"Ctrl-Z", "\x1a", ErrInterrupted},
		{"Ctrl-\\", "\x1c", ErrInterrupted},
		{"Ctrl-C in an open sequence", "\x1b]0;\x03", ErrInterrupted},
		{"Ctrl-C at the end of a burst", "hello\x03", ErrInterrupted},
		{"Ctrl-D", "\x04", ErrEOF},
		{"three keys in one read", "abc", ErrPaste},
		{"repeats where nobody tells keys", "\x1b[97;1:2;97u\x1b[97;1:2;98u\x1b[97;1:2;99u", ErrPaste},
		{"a whole line in one read", "hello\r", ErrPaste},
		{"bracketed paste", "\x1b[200~hi\x1b[201~", ErrPaste},
		{"bracketed paste that never ends", "\x1b[200~h\r", ErrPaste},
		{"Ctrl-C in a paste", "\x1b[200~h\x03", ErrInterrupted},
		{"Latin-1", "\xe9\xe9", ErrUnusable},
		{"C1", "\u009b", ErrUnusable},
	}
	for _, c := range cases {
		for _, term := range []string{"xterm", "dumb"} {
			t.Run(c.name+" on "+term, func(t *testing.T) {
				t.Parallel()
				con := newConsole(t)
				before := con.settings()
				term := con.raw(term)
				ch := con.read(t.Context(), term, Prompt{Phrase: "phrase"})
				con.send(c.send)
				s, err := result(t, ch)
				if !errors.Is(err, c.want) {
					t.Errorf("error %v, want %v", err, c.want)
				}
				if len(s.Events) != 0 {
					t.Errorf("a sample beside the error: %v", s)
				}
				con.expect("\r\n")
				if err := term.Restore(); err != nil {
					t.Error(err)
				}
				if after := con.settings(); after != before {
					t.Errorf("settings before %+v\nafter %+v", before, after)
				}
			})
		}
	}
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name  string
		typed []string // each sent at once, then awaited as its echo
		echo  []string
		keys  string
		text  string
	}{
		{"plain", []string{"H", "i", " ", "!"}, nil, "Hi !", "Hi !"},
		{"Backspace", []string{"a", "x", "\x7f", "b", "\b"}, []string{"a", "x", "\b \b", "b", "\b \b"}, "ax<Backspace>b<Backspace>", "a"},
		{"UTF-8, wide", []string{"é", "日", "\x7f"}, []string{"é", "日", "\b\b  \b\b"}, "é日<Backspace>", "é"},
		{"a mark", []string{"e", "\u0301", "\x7f", "s"}, []string{"e", "\u0301", "\be", "s"}, "e\u0301<Backspace>s", "es"},
		{"rolled over", []string{"a", "bc", "d"}, nil, "abcd", "abcd"},
		{"Ctrl-U", []string{"a", "b", "\x15", "c"}, []string{"a", "b", "\b \b\b \b", "c"}, "ab<Backspace><Backspace>c", "c"},
		{"Ctrl-W", []string{"a", " ", "b", " ", "\x17", "c"}, []string{"a", " ", "b", " ", "\b \b\b \b", "c"}, "a b <Backspace><Backspace>c", "a c"},
		{"keys before the text", []string{"\x7f\x1b[A\r\t", "a"}, []string{"", "a"}, "a", "a"},
		{"keys within it", []string{"a", "\x1b[A\t\x04\x01\x1b[?62c", "b"}, []string{"a", "", "b"}, "a<ArrowUp><Tab><d><a>b", "ab"},
		{"Enter on a line emptied", []string{"a", "\x7f", "\r", "b"}, []string{"a", "\b \b", "", "b"}, "a<Backspace>b", "b"},
		{"formats are shown as ?", []string{"a", "\u202e"}, []string{"a", "?"}, "a\u202e", "a\u202e"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			con := newConsole(t)
			before := con.settings()
			term := con.raw("xterm-256color")
			ch := con.read(t.Context(), term, Prompt{Lead: "Type:", Phrase: "the phrase"})
			for i, s := range c.typed {
				con.send(s)
				if c.echo != nil {
					s = c.echo[i]
				}
				con.expect(s)
			}
			con.send("\r")
			s, err := result(t, ch)
			if err != nil {
				t.Fatal(err)
			}
			con.expect("\r\n")
			if got := keys(s); got != c.keys {
				t.Errorf("keys %s, want %s", got, c.keys)
			}
			if got := s.Line().Text; got != c.text {
				t.Errorf("text %q, want %q", got, c.text)
			}
			if err := s.Validate(); err != nil || s.Phrase != "the phrase" || s.Channel != keystroke.Press {
				t.Errorf("phrase %q, channel %q, %v", s.Phrase, s.Channel, err)
			}
			if err := term.Restore(); err != nil {
				t.Error(err)
			}
			con.expect(bracketsOff)
			if after := con.settings(); after != before {
				t.Errorf("settings before %+v\nafter %+v", before, after)
			}
			if got, want := con.shown(), bracketsOn+"Type:\r\nthe phrase\r\n> "; !strings.HasPrefix(got, want) {
				t.Errorf("shown %q, want %q first", got, want)
			}
		})
	}
}

func TestReadLimits(t *testing.T) {
	t.Run("keys", func(t *testing.T) {
		con := newConsole(t)
		term := con.raw("dumb")
		ch := con.read(t.Context(), term, Prompt{Phrase: "p"})
		for range keystroke.MaxEvents {
			con.typed("a")
		}
		con.send("a")
		if _, err := result(t, ch); !errors.Is(err, ErrUnusable) {
			t.Error(err)
		}
	})
	t.Run("duration", func(t *testing.T) {
		con := newConsole(t)
		var mu sync.Mutex
		var now time.Duration
		term, err := Open(con.tty, "dumb", func() time.Duration { mu.Lock(); defer mu.Unlock(); return now })
		if err != nil {
			t.Fatal(err)
		}
		if err := term.Raw(); err != nil {
			t.Fatal(err)
		}
		ch := con.read(t.Context(), term, Prompt{Phrase: "p"})
		con.typed("a")
		mu.Lock()
		now = keystroke.MaxDuration + 1
		mu.Unlock()
		con.send("b")
		if _, err := result(t, ch); !errors.Is(err, ErrUnusable) {
			t.Error(err)
		}
	})
}

// TestReadTimes types on a clock the test owns: every event carries the clock's
// time at its read, from the first press on.
func TestReadTimes(t *testing.T) {
	con := newConsole(t)
	var mu sync.Mutex
	now := time.Hour
	term, err := Open(con.tty, "xterm", func() time.Duration { mu.Lock(); defer mu.Unlock(); return now })
	if err != nil {
		t.Fatal(err)
	}
	if err := term.Raw(); err != nil {
		t.Fatal(err)
	}
	defer term.Restore()
	calls := 0
	status := func(s keystroke.Sample) string {
		mu.Lock()
		defer mu.Unlock()
		now += time.Second // a slow Status must not bend the times of what it was called for
		calls++
		return fmt.Sprintf("status %d\x1b[31m", len(s.Events))
	}
	ch := con.read(t.Context(), term, Prompt{Phrase: "p", Status: status})
	for i, key := range []string{"a", "\x7f", "bc"} {
		mu.Lock()
		now = time.Hour + time.Duration(i)*time.Minute
		mu.Unlock()
		con.send(key)
		con.expect("?[31m\r\x1b[A") // the status, made safe
	}
	con.send("\r")
	s, err := result(t, ch)
	if err != nil {
		t.Fatal(err)
	}
	con.expect("\r\n\x1b[J")
	var got []time.Duration
	for _, e := range s.Events {
		got = append(got, e.Down)
	}
	if want := "[0s 1m0s 2m0s 2m0s]"; fmt.Sprint(got) != want {
		t.Errorf("times %v, want %v", got, want)
	}
	if calls != 3 {
		t.Errorf("Status was called %d times, want 3", calls)
	}
	if !strings.Contains(con.shown(), "status 4") {
		t.Errorf("the last status is missing in %q", con.shown())
	}
}

func TestPasteDoesNotSpill(t *testing.T) {
	for name, paste := range map[string][]string{
		"bracketed": {"\x1b[200~first line\r", "second line\r", "third\x1b[201~rest\r"},
		"plain":     {strings.Repeat("one of many lines\r", 50)}, // several reads
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			con := newConsole(t)
			term := con.raw("xterm")
			ch := con.read(t.Context(), term, Prompt{Phrase: "p"})
			for _, s := range paste {
				con.send(s)
				con.waiting(0) // the next piece comes only when this one is read
			}
			if _, err := result(t, ch); !errors.Is(err, ErrPaste) {
				t.Fatal(err)
			}
			if n := con.unread(); n != 0 {
				t.Errorf("%d bytes of the paste were left", n)
			}
			if err := term.Println("Please type it.\x1b[2J"); err != nil {
				t.Fatal(err)
			}
			con.expect("\r\nPlease type it.?[2J\r\n")
			ch = con.read(t.Context(), term, Prompt{Phrase: "p"})
			con.typed("ok")
			con.send("\r")
			if s, err := result(t, ch); err != nil || keys(s) != "ok" {
				t.Errorf("the next prompt read %q, %v", keys(s), err)
			}
		})
	}
}

func TestInterruptWhileAPasteIsSwallowed(t *testing.T) {
	con := newConsole(t)
	term := con.raw("xterm")
	ch := con.read(t.Context(), term, Prompt{Phrase: "p"})
	con.send("\x1b[200~line\r")
	con.waiting(0)
	con.send("\x03")
	if _, err := result(t, ch); !errors.Is(err, ErrInterrupted) {
		t.Errorf("error %v, want ErrInterrupted", err)
	}
}

func TestBurst(t *testing.T) {
	con := newConsole(t)
	term := con.raw("xterm")
	ch := con.read(t.Context(), term, Prompt{Phrase: "p", Burst: 3})
	con.send("abc")
	con.expect("abc")
	con.send("defg")
	if _, err := result(t, ch); !errors.Is(err, ErrPaste) {
		t.Errorf("four keys at once: %v", err)
	}
}

func TestTypeAheadIsDropped(t *testing.T) {
	con := newConsole(t)
	con.send("early\nand") // as typed while a password was checked
	con.waiting(6)
	term := con.raw("xterm")
	if n := con.unread(); n != 0 {
		t.Errorf("%d bytes left after Raw", n)
	}
	con.send("later")
	con.waiting(5)
	ch := con.read(t.Context(), term, Prompt{Phrase: "p"})
	con.typed("x")
	con.send("\r")
	if s, err := result(t, ch); err != nil || keys(s) != "x" {
		t.Errorf("read %q, %v", keys(s), err)
	}
	con.send("y")
	con.waiting(1)
	if err := term.Restore(); err != nil {
		t.Fatal(err)
	}
	con.send("\n")
	con.waiting(1) // the line the shell gets: "\n" without the y
	b := make([]byte, 16)
	if n, _ := con.tty.Read(b); string(b[:n]) != "\n" {
		t.Errorf("left for the shell: %q", b[:n])
	}
}

// TestEscapeBeforeThePrompt hits Escape and Alt-] too early: neither swallows
// what is typed at the prompt.
func TestEscapeBeforeThePrompt(t *testing.T) {
	for _, early := range []string{"\x1b", "\x1b]", "\xe2\x82"} {
		con := newConsole(t)
		term := con.raw("xterm")
		con.send(early)
		con.waiting(len(early))
		ch := con.read(t.Context(), term, Prompt{Phrase: "p"})
		con.typed("[x")
		con.send("\r")
		if s, err := result(t, ch); err != nil || keys(s) != "[x" {
			t.Errorf("%q: read %q, %v", early, keys(s), err)
		}
	}
}

func TestLongPhraseInNarrowDumbTerminal(t *testing.T) {
	con := newConsole(t)
	term := con.raw("dumb")
	ch := con.read(t.Context(), term, Prompt{Phrase: strings.Repeat("long phrase ", 12), Status: func(keystroke.Sample) string { return "no" }})
	con.typed(strings.Repeat("x", 77))
	con.send("y")
	con.expect("\r\ny")
	con.send("\x7f")
	con.expect("\r\n  " + strings.Repeat("x", 77))
	con.send("\r")
	if s, err := result(t, ch); err != nil || s.Line().Text != strings.Repeat("x", 77) {
		t.Errorf("%q, %v", s.Line().Text, err)
	}
	if strings.Contains(con.shown(), "\x1b") || strings.Contains(con.shown(), "no") {
		t.Errorf("a dumb terminal was sent %q", con.shown())
	}
}

// TestTwentyAtOnce has twenty people type different words, key by key in turn.
func TestTwentyAtOnce(t *testing.T) {
	const people = 20
	word := func(i int) string { return strings.Repeat(string(rune('a'+i)), 12) }
	var cons [people]*console
	var terms [people]*Terminal
	for i := range cons {
		cons[i] = newConsole(t)
		terms[i] = cons[i].raw("xterm")
	}
	for range 3 {
		var out [people]<-chan outcome
		for i, con := range cons {
			out[i] = con.read(t.Context(), terms[i], Prompt{Phrase: word(i)})
		}
		for range len(word(0)) {
			for i, con := range cons {
				con.send(word(i)[:1])
			}
			for i, con := range cons {
				con.expect(word(i)[:1])
			}
		}
		for i, con := range cons {
			con.send("\r")
			if s, err := result(t, out[i]); err != nil || s.Line().Text != word(i) {
				t.Errorf("%d: %q, %v", i, s.Line().Text, err)
			}
		}
	}
}

func TestReadCancelled(t *testing.T) {
	con := newConsole(t)
	term := con.raw("xterm")
	ctx, cancel := context.WithCancel(t.Context())
	ch := con.read(ctx, term, Prompt{Phrase: "p"})
	con.typed("ab")
	cancel()
	if _, err := result(t, ch); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	con.expect("\r\n")
	// The next prompt is not troubled by the cancellation of this one.
	ch = con.read(t.Context(), term, Prompt{Phrase: "p"})
	con.typed("ab")
	con.send("\r")
	if _, err := result(t, ch); err != nil {
		t.Error(err)
	}
}
