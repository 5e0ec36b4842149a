package capture

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

// step is what arrives in one read at a number of ms.
type step struct {
	at    int
	bytes string
}

// k is a key event of the kitty protocol, as kitty writes it: what it types, its
// event and modifiers, and its code where that is not the key of the character.
func k(text rune, event, mods int, code ...rune) string {
	c := rune(keystroke.KeyOf(text))
	if len(code) > 0 {
		c = code[0]
	}
	if event == kittyRelease || text == 0 {
		return fmt.Sprintf("\x1b[%d;%d:%du", c, mods+1, event)
	}
	return fmt.Sprintf("\x1b[%d;%d:%d;%du", c, mods+1, event, text)
}

// w is a record of win32-input-mode.
func w(vk, scan int, text rune, down, state int) string {
	return fmt.Sprintf("\x1b[%d;%d;%d;%d;%d;1_", vk, scan, text, down, state)
}

const (
	down = kittyPress
	rep  = kittyRepeat
	up   = kittyRelease
)

var (
	shiftLeft  = func(event int) string { return k(0, event, 1, codeShiftLeft) }
	shiftRight = func(event int) string { return k(0, event, 1, codeShiftRight) }
	enter      = "\x1b[13;1:1u\x1b[13;1:3u"
)

// typing is a terminal in a mode, at which keys arrive at known times.
func typing(t *testing.T, e *emulator) func(p Prompt, steps []step) (keystroke.Sample, error) {
	t.Helper()
	stream, term := overStream(t, e)
	if asked, err := term.Ask(t.Context()); err != nil || asked.Mode == Plain {
		t.Fatalf("%+v, %v", asked, err)
	}
	return func(p Prompt, steps []step) (keystroke.Sample, error) {
		t.Helper()
		for len(steps) > 0 && steps[0].at < 0 { // before the prompt
			stream.put(steps[0].bytes, 0)
			steps = steps[1:]
		}
		ch := stream.read(t.Context(), term, p)
		for _, s := range steps {
			stream.put(s.bytes, time.Hour+time.Duration(s.at)*time.Millisecond)
		}
		s, err := result(t, ch)
		held := map[uint32]bool{}
		for _, d := range term.keys.down {
			held[d.code] = true
		}
		if n := len(term.keys.down); n > maxDown || len(held) != n {
			t.Errorf("%d keys are held, %d of them different", n, len(held))
		}
		return s, err
	}
}

// shape says what a sample holds: for each event what it typed or which key it
// was, the Shift that was held, and when it went down and up, in ms.
func shape(s keystroke.Sample) string {
	var out []string
	for _, e := range s.Events {
		what := keys(keystroke.Sample{Events: []keystroke.Event{e}})
		for _, m := range []struct {
			mod  keystroke.Mods
			name string
		}{{keystroke.Shift, "+S"}, {keystroke.ShiftLeft, "+L"}, {keystroke.ShiftRight, "+R"}, {keystroke.Ctrl, "+C"}, {keystroke.Alt, "+A"}} {
			if e.Mods&m.mod != 0 {
				what += m.name
			}
		}
		what += fmt.Sprintf(" %d-", e.Down/time.Millisecond)
		if e.Released {
			what += fmt.Sprint(int(e.Up / time.Millisecond))
		}
		out = append(out, what)
	}
	return strings.Join(out, ", ")
}

func TestFullRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		send string
		want error
	}{
		{"text without a key", "a", ErrPaste},
		{"text among keys", k('a', down, 0) + "b" + k('a', up, 0), ErrPaste},
		{"text and Enter without keys", "a\r", ErrPaste},
		{"a bracketed paste", "\x1b[200~hi\x1b[201~", ErrPaste},
		{"three keys in one read", k('a', down, 0) + k('a', up, 0) + k('b', down, 0) + k('b', up, 0) + k('c', down, 0), ErrPaste},
		{"an input method", "\x1b[0;;26085u", ErrUnusable},
		{"UTF-8 of an input method", "日", ErrPaste},
		{"an impossible key", "\x1b[97;0;97u", ErrUnusable},
		{"Latin-1", "\xe9\xe9", ErrUnusable},
		{"Ctrl-C", k(0, down, 4, 'c'), ErrInterrupted},
		{"Ctrl-Z", k(0, down, 4, 'z'), ErrInterrupted},
		{"Ctrl-\\", k(0, down, 4, '\\'), ErrInterrupted},
		{"Ctrl-C as a byte", "\x03", ErrInterrupted},
		{"Ctrl-C after a paste", "abc" + k(0, down, 4, 'c'), ErrInterrupted},
		{"Ctrl-D", k(0, down, 4, 'd'), ErrEOF},
		{"Ctrl-D as a byte", "\x04", ErrEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			con, term := asks(t, kittyTerminal())
			ch := con.read(t.Context(), term, Prompt{Phrase: "p"})
			con.send(c.send)
			if s, err := result(t, ch); !errors.Is(err, c.want) || len(s.Events) != 0 {
				t.Errorf("%v beside %v, want %v", s, err, c.want)
			}
			con.expect("\r\n")
		})
	}
}

func TestFull(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []step
		want  string
	}{
		{"one key after the other", []step{
			{0, k('a', down, 0)}, {80, k('a', up, 0)}, {150, k('b', down, 0)}, {230, k('b', up, 0)}, {300, enter},
		}, "a 0-80, b 150-230"},
		{"rolled over", []step{
			{10, k('a', down, 0)}, {90, k('b', down, 0)}, {100, k('a', up, 0)}, {150, k('c', down, 0)}, {160, k('c', up, 0)}, {170, k('b', up, 0)}, {300, enter},
		}, "a 0-90, b 80-160, c 140-150"},
		{"in one read", []step{{0, k('a', down, 0) + k('b', down, 0) + k('a', up, 0)}, {70, k('b', up, 0)}, {300, enter}}, "a 0-0, b 0-70"},
		{"split in the middle", []step{{0, "\x1b[97;1:"}, {5, "1;97u\x1b[97;"}, {60, "1:3u"}, {300, enter}}, "a 0-55"},
		{"left and right Shift", []step{
			{0, shiftLeft(down)},
			{50, k('A', down, 1)},
			{100, k('A', up, 1)},
			{120, shiftLeft(up)},
			{200, shiftRight(down)},
			{260, k('!', down, 1, '1')},
			{300, shiftRight(up)},
			{310, k('!', up, 0, '1')},
			{400, enter},
		}, "<Shift> 0-120, A+S+L 50-100, <Shift> 200-300, !+S+R 260-310"},
		{"both Shifts", []step{
			{0, shiftLeft(down) + shiftRight(down)}, {50, k('A', down, 1)}, {90, k('A', up, 1) + shiftLeft(up) + shiftRight(up)}, {400, enter},
		}, "<Shift> 0-90, <Shift> 0-90, A+S+L+R 50-90"},
		{"a Shift let go before the text is no part of it", []step{
			{0, shiftLeft(down)}, {50, shiftLeft(up)}, {200, k('a', down, 0)}, {250, k('a', up, 0)}, {400, enter},
		}, "a 0-50"},
		{"Shift from before anybody looked", []step{{0, k('A', down, 1)}, {50, k('A', up, 1)}, {80, shiftLeft(up)}, {400, enter}}, "A+S 0-50"},
		{"auto-repeat", []step{
			{0, k('a', down, 0)}, {500, k('a', rep, 0)}, {530, k('a', rep, 0)}, {540, k('a', up, 0)}, {600, k('\x7f', down, 0, 127)}, {900, k('\x7f', rep, 0, 127)}, {910, k('\x7f', up, 0, 127)}, {950, enter},
		}, "a 0-500, a 500-530, a 530-540, <Backspace> 600-900, <Backspace> 900-910"},
		{"a repeated Shift is one", []step{
			{0, shiftLeft(down)}, {500, shiftLeft(rep)}, {530, k('A', down, 1)}, {560, k('A', up, 1)}, {570, shiftLeft(rep)}, {600, shiftLeft(up)}, {950, enter},
		}, "<Shift> 0-600, A+S+L 530-560"},
		{"a release is lost with the focus", []step{
			{0, k('a', down, 0)}, {900, k('b', down, 0)}, {950, k('b', up, 0)}, {1000, k('a', down, 0)}, {1080, k('a', down, 0)}, {1100, k('a', up, 0)}, {1200, k('c', down, 0)}, {1300, enter},
		}, "a 0-, b 900-950, a 1000-, a 1080-1100, c 1200-"},
		{"that of Shift is", []step{
			{0, shiftLeft(down)},
			{20, k('A', down, 1)},
			{50, k('A', up, 1)},
			{900, k('b', down, 0)},
			{950, k('b', up, 0)},
			{1000, shiftRight(down)},
			{1030, k('C', down, 1)},
			{1080, k('C', up, 1)},
			{1090, shiftLeft(up) + shiftRight(up)},
			{1300, enter},
		}, "<Shift> 0-, A+S+L 20-50, b 900-950, <Shift> 1000-1090, C+S+R 1030-1080"},
		{"releases of what was pressed elsewhere", []step{
			{0, k(0, up, 0, 13) + k('x', up, 0)}, {10, k('a', down, 0)}, {30, k('x', up, 0) + k('a', up, 0) + k('a', up, 0)}, {300, enter},
		}, "a 0-20"},
		{"a repeat of what was pressed elsewhere", []step{
			{0, k(0, rep, 0, 13)}, {5, k('x', rep, 0)}, {10, k('a', down, 0)}, {20, k('a', up, 0)}, {30, k(0, rep, 0, 13)}, {300, enter},
		}, "a 0-10"},
		{"Enter before the last keys are up", []step{
			{0, k('a', down, 0)}, {80, k('b', down, 0)}, {150, k(0, down, 0, 13)}, {160, k('b', up, 0)}, {170, k('a', up, 0)},
		}, "a 0-170, b 80-160"},
		{"Enter and the last releases in one read", []step{{0, k('a', down, 0)}, {80, k(0, down, 0, 13) + k('a', up, 0) + k('x', down, 0)}}, "a 0-80"},
		{"a key that is not let go of", []step{{0, k('a', down, 0)}, {50, k('a', up, 0)}, {80, k('b', down, 0)}, {150, k(0, down, 0, 13)}}, "a 0-50, b 80-"},
		{"a dead key", []step{
			{0, k('a', down, 0)}, {50, k('a', up, 0)}, {80, "\x1b[94;1:1u"}, {150, "\x1b[101;1:1;234u"}, {170, "\x1b[94;1:3u"}, {300, enter},
		}, "a 0-50, <^> 80-170, ê 150-"},
		{"several characters of one key", []step{{0, "\x1b[97;1:1;1604:1575u"}, {60, "\x1b[97;1:3u"}, {300, enter}}, "ل 0-60, ا 0-"},
		{"Backspace, Ctrl-W, Ctrl-U", []step{
			{0, k('a', down, 0)},
			{5, k('a', up, 0)},
			{10, k(0, down, 0, 127)},
			{20, k(0, up, 0, 127)},
			{30, k('b', down, 0)},
			{35, k('b', up, 0)},
			{40, k(0, down, 4, 'w')},
			{50, k(0, up, 4, 'w')},
			{60, k('c', down, 0)},
			{65, k('c', up, 0)},
			{70, k(0, down, 4, 'u')},
			{80, k(0, up, 4, 'u')},
			{90, k('d', down, 0)},
			{95, k('d', up, 0)},
			{300, enter},
		}, "a 0-5, <Backspace> 10-20, b 30-35, <Backspace>+C 40-50, c 60-65, <Backspace>+C 70-80, d 90-95"},
		{"Enter, Backspace and arrows of a terminal that was reset", []step{
			{0, k('a', down, 0)}, {10, k('a', up, 0)}, {20, k('b', down, 0)}, {30, k('b', up, 0)}, {40, "\x7f"}, {50, "\x1bOA"}, {60, "\r"},
		}, "a 0-10, b 20-30, <Backspace> 40-, <ArrowUp> 50-"},
		{"answers in between", []step{{0, k('a', down, 0)}, {10, "\x1b[?31u\x1b[?9001;1$y\x1b[?62c"}, {20, k('a', up, 0)}, {300, enter}}, "a 0-20"},
		{"not one release", []step{{0, k('A', down, 1)}, {40, k('b', down, 0)}, {80, k('c', down, 0)}, {300, "\r"}}, "A 0-, b 40-, c 80-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := typing(t, kittyTerminal())(Prompt{Phrase: "p"}, c.steps)
			if err != nil {
				t.Fatal(err)
			}
			if got := shape(s); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			want := keystroke.Full
			if c.name == "not one release" {
				want = keystroke.Press
			}
			if err := s.Validate(); err != nil || s.Channel != want || s.Phrase != "p" {
				t.Errorf("channel %s, %v", s.Channel, err)
			}
		})
	}
}

func TestFullWin32(t *testing.T) {
	enter := w(13, 28, 13, 1, 0) + w(13, 28, 13, 0, 0)
	for _, c := range []struct {
		name  string
		steps []step
		want  string
	}{
		{"rolled over", []step{{0, w(65, 30, 'a', 1, 0)}, {50, w(66, 48, 'b', 1, 0)}, {70, w(65, 30, 'a', 0, 0)}, {90, w(66, 48, 'b', 0, 0)}, {200, enter}}, "a 0-70, b 50-90"},
		{"left and right Shift", []step{
			{0, w(16, 42, 0, 1, 16)},
			{20, w(65, 30, 'A', 1, 16)},
			{40, w(16, 42, 0, 0, 0)},
			{60, w(65, 30, 'a', 0, 0)},
			{100, w(16, 54, 0, 1, 16)},
			{120, w(66, 48, 'B', 1, 16)},
			{140, w(66, 48, 'B', 0, 16)},
			{160, w(16, 54, 0, 0, 0)},
			{200, enter},
		}, "<Shift> 0-40, A+S+L 20-60, <Shift> 100-160, B+S+R 120-140"},
		{"auto-repeat", []step{
			{0, w(16, 42, 0, 1, 16)},
			{3, w(16, 42, 0, 1, 16)},
			{5, w(65, 30, 'A', 1, 16)},
			{50, w(65, 30, 'A', 1, 16)},
			{80, w(65, 30, 'A', 1, 16) + w(65, 30, 'A', 1, 16) + w(65, 30, 'A', 1, 16)},
			{90, w(65, 30, 'A', 0, 16)},
			{95, w(16, 42, 0, 0, 0)},
			{200, enter},
		}, "<Shift> 0-95, A+S+L 5-50, A+S+L 50-80, A+S+L 80-80, A+S+L 80-80, A+S+L 80-90"},
		{"AltGr", []step{
			{0, w(17, 29, 0, 1, 8) + w(18, 56, 0, 1, 9+256)}, {20, w(81, 16, '@', 1, 9)}, {40, w(81, 16, '@', 0, 9)}, {50, w(17, 29, 0, 0, 0) + w(18, 56, 0, 0, 256)}, {200, enter},
		}, "<Control> 0-50, <Alt> 0-50, @ 20-40"},
		{"beyond U+FFFF", []step{{0, w(65, 30, 0xd83d, 1, 0) + w(65, 30, 0xd83d, 0, 0)}, {1, w(65, 30, 0xde00, 1, 0)}, {60, w(65, 30, 0xde00, 0, 0)}, {200, enter}}, "😀 0-59"},
		{"Enter before the last key is up", []step{{0, w(65, 30, 'a', 1, 0)}, {50, w(13, 28, 13, 1, 0)}, {60, w(65, 30, 'a', 0, 0)}}, "a 0-60"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := typing(t, win32Terminal())(Prompt{Phrase: "p"}, c.steps)
			if err != nil {
				t.Fatal(err)
			}
			if got := shape(s); got != c.want || s.Channel != keystroke.Full || s.Validate() != nil {
				t.Errorf("got  %s on %s\nwant %s", got, s.Channel, c.want)
			}
		})
	}
}

// TestHeldFromPromptToPrompt holds Enter and Shift over the end of a prompt.
func TestHeldFromPromptToPrompt(t *testing.T) {
	for name, c := range map[string]struct {
		e             *emulator
		first, second []step
		wantSecond    string
	}{
		"kitty": {
			e:     kittyTerminal(),
			first: []step{{0, k('a', down, 0)}, {10, k('a', up, 0)}, {20, shiftRight(down)}, {30, k(0, down, 1, 13)}},
			second: []step{
				{500, k(0, rep, 1, 13)}, {510, k('B', down, 1)}, {520, k('B', up, 1)}, {530, k(0, rep, 1, 13)}, {535, k('C', down, 1)}, {538, k('C', up, 1)}, {540, k(0, up, 1, 13)}, {550, shiftRight(up)}, {600, enter},
			},
			wantSecond: "B+S+R 0-10, C+S+R 25-28",
		},
		"win32": {
			e:          win32Terminal(),
			first:      []step{{0, w(65, 30, 'a', 1, 0)}, {10, w(65, 30, 'a', 0, 0)}, {20, w(66, 48, 'b', 1, 0)}, {30, w(13, 28, 13, 1, 0)}},
			second:     []step{{-1, w(66, 48, 'b', 0, 0)}, {500, w(66, 48, 'b', 1, 0)}, {510, w(13, 28, 13, 1, 0)}, {515, w(67, 46, 'c', 1, 0)}, {520, w(66, 48, 'b', 0, 0) + w(67, 46, 'c', 0, 0)}, {530, w(13, 28, 13, 0, 0)}, {600, w(13, 28, 13, 1, 0)}},
			wantSecond: "b 0-20, c 15-20",
		},
	} {
		t.Run(name, func(t *testing.T) {
			types := typing(t, c.e)
			if _, err := types(Prompt{Phrase: "p"}, c.first); err != nil {
				t.Fatal(err)
			}
			s, err := types(Prompt{Phrase: "q"}, c.second)
			if err != nil || shape(s) != c.wantSecond {
				t.Errorf("%s, %v, want %s", shape(s), err, c.wantSecond)
			}
		})
	}
}

// TestFullBounds holds more keys than there are fingers, and a key for ever.
func TestFullBounds(t *testing.T) {
	types := typing(t, kittyTerminal())
	var steps []step
	for i := range 200 {
		steps = append(steps, step{i, k(rune(0x4e00+i), down, 0)})
	}
	steps = append(steps, step{300, k(0x4e00, up, 0) + k(0x4e00+199, up, 0)}, step{301, enter})
	s, err := types(Prompt{Phrase: "p"}, steps)
	if err != nil || s.Events[0].Released || !s.Events[199].Released {
		t.Errorf("%v, %d events", err, len(s.Events))
	}
	s, err = types(Prompt{Phrase: "p"}, []step{
		{0, k('a', down, 0)}, {10, k('b', down, 0)}, {20, k('b', up, 0)}, {int(keystroke.MaxDuration/time.Millisecond) + 1, k('a', up, 0) + enter},
	})
	if err != nil || shape(s) != "a 0-, b 10-20" || s.Validate() != nil {
		t.Errorf("%s, %v", shape(s), err)
	}
}

// TestEcho counts what is sent back: a listener to a secure shell tells packets
// by their length.
func TestEcho(t *testing.T) {
	con, term := asks(t, kittyTerminal())
	ch := con.read(t.Context(), term, Prompt{Phrase: "p"})
	for range tripsEach {
		con.expect(fence)
	}
	before := len(con.shown())
	con.send(k('a', down, 0))
	con.expect("a")
	con.send(shiftLeft(down) + k('a', up, 0))
	con.waiting(0)
	con.send(k('B', down, 1))
	con.expect("B")
	con.send(shiftLeft(up) + k('B', up, 0) + enter)
	if _, err := result(t, ch); err != nil {
		t.Fatal(err)
	}
	con.expect("\r\n")
	if got := con.shown()[before:]; got != "aB\r\n" {
		t.Errorf("two keys were echoed as %q", got)
	}
}

// TestTypedAtTheSwitch types while the terminal is being switched: some keys come
// as text, some as events. An honest person's prompt is not spoiled by either.
func TestTypedAtTheSwitch(t *testing.T) {
	e := kittyTerminal()
	e.before = map[string]func(){
		kittyPush: func() { e.send("early") },
		fence:     func() { e.send(e.encode('x', kittyPress)) },
	}
	con, term := asks(t, e)
	e.mu.Lock()
	e.before = nil
	e.ignore = []string{fence} // an answer would come behind the half key's other half
	e.mu.Unlock()
	e.types("more")
	con.send("\x1b[120;") // half of a key: the rest comes after the prompt
	n := len("\x1b[120;")
	for _, r := range "more" {
		n += len(k(r, down, 0) + k(r, up, 0))
	}
	con.waiting(n)
	ch := con.read(t.Context(), term, Prompt{Phrase: "p"})
	con.send("1:3u")
	e.types("ok\r")
	if s, err := result(t, ch); err != nil || keys(s) != "ok" {
		t.Errorf("%s, %v", keys(s), err)
	}
}
