package capture

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ksd/internal/evdev"
	"ksd/internal/evdev/evdevtest"
	"ksd/internal/keystroke"
)

// usKeymap is the keymap that the kernel has built in, as far as tests need it.
func usKeymap(code uint16) meaning {
	switch code {
	case evdevtest.Backspace:
		return meaning{key: keystroke.Backspace}
	case evdevtest.Enter:
		return meaning{key: keystroke.Enter}
	case evdev.LeftShift, evdev.RightShift:
		return meaning{key: keystroke.ShiftKey}
	case evdevtest.LeftCtrl, evdevtest.RightCtrl:
		return meaning{key: keystroke.ControlKey}
	case evdevtest.LeftAlt, evdevtest.RightAlt:
		return meaning{key: keystroke.AltKey}
	case evdevtest.CapsLock:
		return meaning{key: keystroke.CapsLock}
	}
	const plain, shifted = "1234567890-=[];'`\\,./", `!@#$%^&*()_+{}:"~|<>?`
	for r, c := range evdevtest.Codes {
		if c == code {
			m := typingKey(r)
			if i := strings.IndexRune(plain, r); i >= 0 {
				m.runes = append(m.runes, rune(shifted[i]))
			}
			return m
		}
	}
	return meaning{key: keystroke.Other}
}

// keyNames are the keys of the tests beside characters.
var keyNames = map[string]uint16{
	"sp": 57, "bs": evdevtest.Backspace, "cr": evdevtest.Enter, "ls": evdev.LeftShift, "rs": evdev.RightShift, "ctrl": evdevtest.LeftCtrl,
	"altgr": evdevtest.RightAlt, "alt": evdevtest.LeftAlt, "caps": evdevtest.CapsLock, "f2": evdevtest.F2, "left": evdevtest.Left,
}

// pressed reads keys in the form "10+a 20*a 30-a 30+1:a": at 10 ms the key a goes
// down, at 20 it repeats, at 30 it goes up; then a of another keyboard goes down.
func pressed(t testing.TB, s string) (out []evdev.Event) {
	t.Helper()
	for _, one := range strings.Fields(s) {
		i := 1 + strings.IndexAny(one[1:], "+-*") // a time may be negative
		e := evdev.Event{Action: map[byte]evdev.Action{'+': evdev.Down, '-': evdev.Up, '*': evdev.Repeat}[one[i]]}
		e.At = ms(t, one[:i])
		name := one[i+1:]
		if board, rest, ok := strings.Cut(name, ":"); ok && board == "1" {
			e.Keyboard, name = 1, rest
		}
		var ok bool
		if e.Code, ok = keyNames[name]; !ok {
			if e.Code, ok = evdevtest.Codes[[]rune(name)[0]]; !ok {
				t.Fatalf("no key %q", name)
			}
		}
		out = append(out, e)
	}
	return out
}

func ms(t testing.TB, s string) time.Duration {
	t.Helper()
	at, err := time.ParseDuration(s + "ms")
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// brought reads what a tty brought, in the form "11:a 21:bs 31:cr".
func brought(t testing.TB, s string) (out []Input) {
	t.Helper()
	for _, one := range strings.Fields(s) {
		at, what, _ := strings.Cut(one, ":")
		bytes := map[string]string{"sp": " ", "bs": "\x7f", "cr": "\r", "^u": "\x15", "left": "\x1b[D", "tab": "\t", "alt-x": "\x1bx"}[what]
		if bytes == "" {
			bytes = what
		}
		var p Parser
		out = p.Feed(out, []byte(bytes), ms(t, at))
	}
	return out
}

func TestMatchRefuses(t *testing.T) {
	const keys, tty = "10+a 50-a 60+b 90-b 100+cr", "10:a 60:b 100:cr"
	for _, c := range []struct {
		name, keys, tty string
		want            error
	}{
		{"nothing at all", "", "", errUnmatched},
		{"no Enter", "10+a 50-a", "10:a", errUnmatched},
		{"text that no key brought", "", tty, errShort},
		{"the last press is missing", "10+a 50-a 60+b 90-b", tty, errShort},
		{"the first press is missing", "60+b 90-b 100+cr", tty, errUnmatched},
		{"a press in the middle is missing", "10+a 50-a 100+cr", tty, errUnmatched},
		{"a press too many", "10+a 50-a 55+c 60+b 90-b 100+cr", tty, errUnmatched},
		{"a press too many, of the same key", "10+a 20-a 25+a 50-a 60+b 90-b 100+cr", tty, errUnmatched},
		{"a press too many before the first", "5+x 10+a 50-a 60+b 90-b 100+cr", tty, errUnmatched},
		{"another order", "10+b 50-b 60+a 90-a 100+cr", tty, errUnmatched},
		{"another key", "10+a 50-a 60+v 90-v 100+cr", tty, errUnmatched},
		{"typed after it was read", keys, "10:a 59.999:b 100:cr", errUnmatched},
		{"read long after it was typed", keys, "10:a 110.001:b 110.002:cr", errUnmatched},
		{"a key that types nothing", "10+a 20+left 30-left 50-a 60+b 90-b 100+cr", tty, errUnmatched},
		{"an arrow that the tty told", "10+a 20+left 30-left 50-a 60+b 90-b 100+cr", "10:a 20:left 60:b 100:cr", errUnmatched},
		{"Ctrl-U", "10+a 20+ctrl 30+u 40-u 50-ctrl 60+b 90-b 100+cr", "10:a 30:^u 60:b 100:cr", errUnmatched},
		{"Tab", "10+a 50-a 100+cr", "10:a 60:tab 100:cr", errUnmatched},
		{"Alt with a key", "10+a 20+alt 30+x 40-x 50-alt 60+b 90-b 100+cr", "10:a 30:alt-x 60:b 100:cr", errUnmatched},
		{"Alt-F2", "10+a 20+alt 30+f2 40-f2 50-alt 60+b 90-b 100+cr", tty, errUnmatched},
		{"a lost release", "10+a 60+b 90-b 100+a 120+cr", "10:a 60:b 100:a 120:cr", errUnmatched},
		{"a lost release of Shift", "10+ls 20+a 30-a 40+ls 60+b 90-b 100+cr", "20:A 60:B 100:cr", errUnmatched},
		{"a repeat that typed nothing", "10+a 40*a 50-a 60+b 90-b 100+cr", tty, errUnmatched},
		{"a repeat without a press", "10*a 50-a 60+b 90-b 100+cr", tty, errUnmatched},
		{"a repeat of a key held before", "-5+a 10*a 50-a 60+b 90-b 100+cr", tty, errUnmatched},
		{"a press from before the prompt", "-5+a 50-a 60+b 90-b 100+cr", "1:a 60:b 100:cr", errUnmatched},
		{"two keyboards, one key too many", "10+a 50-a 60+b 60+1:b 90-b 100+cr", tty, errUnmatched},
		{"a letter that the keymap does not have", "10+a 50-a 60+b 100+cr", "10:a 60:é 100:cr", errUnmatched},
		{"a line of another key than Enter", "10+a 50-a 60+b 90-b 100+x", tty, errUnmatched},
		{"more keys than hands hold", heldKeys(maxDown + 1), heldTTY(maxDown + 1), errUnmatched},
		{"longer than a sample", "10+a 50-a 300010.001+b 300020-b 300030+cr", "10:a 300011:b 300030:cr", errUnmatched},
		{"more keys than a sample", manyKeys(keystroke.MaxEvents + 1), manyTTY(keystroke.MaxEvents + 1), errUnmatched},
	} {
		t.Run(c.name, func(t *testing.T) {
			if m, err := match(brought(t, c.tty), pressed(t, c.keys), 0, usKeymap); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v; %s", err, c.want, shape(keystroke.Sample{Events: m.events}))
			}
		})
	}
}

// heldKeys are n keys of two keyboards that are all down at once.
func heldKeys(n int) string {
	var b strings.Builder
	for i := range n - 1 {
		fmt.Fprintf(&b, "%d+%s%c ", 10+i, map[bool]string{true: "1:"}[i >= 26], 'a'+i%26)
	}
	fmt.Fprintf(&b, "%d+cr", 10+n)
	return b.String()
}

func heldTTY(n int) string {
	var b strings.Builder
	for i := range n - 1 {
		fmt.Fprintf(&b, "%d:%c ", 10+i, 'a'+i%26)
	}
	fmt.Fprintf(&b, "%d:cr", 10+n)
	return b.String()
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d+a %d-a ", 10+2*i, 11+2*i)
	}
	fmt.Fprintf(&b, "%d+cr", 20+2*n)
	return b.String()
}

func manyTTY(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d:a ", 10+2*i)
	}
	fmt.Fprintf(&b, "%d:cr", 20+2*n)
	return b.String()
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		name, keys, tty, want string
		held                  bool
	}{
		{"two keys", "10+a 50-a 60+b 90-b 100+cr 130-cr", "10:a 60.2:b 101:cr", "a 0-40, b 50-80", false},
		{"rolled over", "10+a 60+b 70-a 90-b 100+cr", "11:a 61:b 101:cr", "a 0-60, b 50-80", false},
		{"read late, as far as that goes", "10+a 40-a 50+b 60-b 70+cr", "60:a 60:b 120:cr", "a 0-30, b 40-50", false},
		{"all at one stamp", "10+a 10-a 10+b 10-b 10+cr", "10:a 10:b 10:cr", "a 0-0, b 0-0", false},
		{"held at the end", "10+a 50-a 60+b 100+cr", "10:a 60:b 100:cr", "a 0-40, b 50-", true},
		{"let go of after Enter", "10+a 50-a 60+b 100+cr 110-cr 120-b", "10:a 60:b 100:cr", "a 0-40, b 50-110", false},
		{"typed on after Enter", "10+a 50-a 100+cr 110+x 115+f2 120-x 125-cr 130+ls", "10:a 100:cr", "a 0-40", false},
		{"Enter held from before", "-80+cr 5-cr 10+a 50-a 100+cr", "10:a 100:cr", "a 0-40", false},
		{"a key of before, let go of", "-80+x -40*x 5-x 10+a 50-a 100+cr", "10:a 100:cr", "a 0-40", false},
		{"a release without a press", "5-x 10+a 50-a 55-b 100+cr", "10:a 100:cr", "a 0-40", false},
		{"Enter on an empty line", "10+cr 30-cr 40+a 70-a 100+cr", "10:cr 40:a 100:cr", "a 0-30", false},
		{"Backspace on an empty line", "10+bs 30-bs 40+a 70-a 100+cr", "10:bs 40:a 100:cr", "a 0-30", false},
		{"Backspace", "10+a 30-a 40+bs 70-bs 80+b 90-b 100+cr", "10:a 40:bs 80:b 100:cr", "a 0-20, <Backspace> 30-60, b 70-80", false},
		{"Backspace held at the end", "10+a 30-a 40+b 50-b 60+bs 100+cr", "10:a 40:b 60:bs 100:cr", "a 0-20, b 30-40, <Backspace> 50-", false},
		{"Shift before the first", "10+ls 40+a 60-a 70-ls 80+b 90-b 100+cr", "40:A 80:b 100:cr", "<Shift> 0-60, A+S+L 30-50, b 70-80", false},
		{"Shift in the middle", "10+a 20-a 30+rs 40+b 60-b 70-rs 100+cr", "10:a 40:B 100:cr", "a 0-10, <Shift> 20-60, B+S+R 30-50", false},
		{"both Shifts", "10+ls 20+rs 30+a 40-a 50-ls 60+1 65-1 70-rs 100+cr", "30:A 60:! 100:cr", "<Shift> 0-40, <Shift> 10-60, A+S+L+R 20-30, !+S+R 50-55", false},
		{"Shift of another keyboard", "10+1:rs 40+a 60-a 70-1:rs 100+cr", "40:A 100:cr", "<Shift> 0-60, A+S+R 30-50", false},
		{"Shift held, which repeats", "10+ls 20*ls 30*ls 40+a 60-a 70-ls 100+cr", "40:A 100:cr", "<Shift> 0-60, A+S+L 30-50", false},
		{"Shift held from before", "-10+ls 40+a 60-a 70-ls 80+b 90-b 100+cr", "40:A 80:b 100:cr", "A+S+L 0-20, b 40-50", false},
		{"Shift held at the end", "10+a 20-a 30+ls 40+b 60-b 100+cr", "10:a 40:B 100:cr", "a 0-10, <Shift> 20-, B+S+L 30-50", false},
		{"Shift hit in passing", "10+ls 20-ls 40+a 60-a 100+cr", "40:a 100:cr", "a 0-20", false},
		{"Caps Lock", "10+caps 20-caps 30+a 40-a 50+caps 60-caps 100+cr", "30:A 100:cr", "A 0-10, <CapsLock> 20-30", false},
		{"AltGr", "10+a 20-a 30+altgr 40+b 50-b 60-altgr 100+cr", "10:a 40:b 100:cr", "a 0-10, <Alt> 20-50, b 30-40", false},
		{"a held key repeats", "10+a 40*a 50*a 55-a 100+cr", "10:a 40:a 50:a 100:cr", "a 0-30, a 30-40, a 40-45", false},
		{"Backspace held repeats", "10+a 20-a 30+bs 40*bs 50-bs 60+b 70-b 100+cr", "10:a 30:bs 40:bs 60:b 100:cr", "a 0-10, <Backspace> 20-30, <Backspace> 30-40, b 50-60", false},
		{"two keyboards", "10+a 30+1:b 50-a 60-1:b 70+1:a 80-1:a 100+1:cr", "10:a 30:b 70:a 100:cr", "a 0-40, b 20-50, a 60-70", false},
		{"the same key on two keyboards", "10+a 20+1:a 30-a 60-1:a 100+cr", "10:a 20:a 100:cr", "a 0-20, a 10-50", false},
		{"a space and a sign", "10+sp 30-sp 40+/ 60-/ 100+cr", "10:sp 40:/ 100:cr", "  0-20, / 30-50", false},
		{"as many as a sample holds", manyKeys(keystroke.MaxEvents), manyTTY(keystroke.MaxEvents), "", false},
		{"as long as a sample", "0+a 300000+b 300001-b 300002+cr", "0:a 300000:b 300002:cr", "a 0-, b 300000-", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := match(brought(t, c.tty), pressed(t, c.keys), 0, usKeymap)
			if err != nil {
				t.Fatal(err)
			}
			s := keystroke.Sample{Channel: keystroke.Full, Events: m.events}
			if got := shape(s); c.want != "" && got != c.want || m.held() != c.held || s.Validate() != nil {
				t.Errorf("%s, held %v, %v, want %s, %v", got, m.held(), s.Validate(), c.want, c.held)
			}
			m.wipe()
			if slices.ContainsFunc(m.events[:cap(m.events)], func(e keystroke.Event) bool { return e != keystroke.Event{} }) {
				t.Error("not wiped")
			}
		})
	}
}

// FuzzMatch checks of any keys and any input that what is accepted is a sample of
// just what the tty brought, at times that a keyboard told.
func FuzzMatch(f *testing.F) {
	f.Add("ab\r", []byte{30, 1, 0, 10, 30, 0, 0, 10, 48, 1, 0, 10, 48, 0, 0, 10, 28, 1, 0, 10})
	f.Add("Aa\x7f\r", []byte{42, 1, 0, 10, 30, 1, 0, 10, 30, 2, 1, 10, 30, 0, 0, 10, 14, 1, 0, 1, 28, 1, 1, 0})
	f.Fuzz(func(t *testing.T, text string, b []byte) {
		var keys []evdev.Event
		stamps := map[time.Duration]bool{}
		var at time.Duration
		for ; len(b) >= 4; b = b[4:] {
			at += time.Duration(b[3]) * time.Millisecond
			keys = append(keys, evdev.Event{Keyboard: int(b[2] & 1), Code: uint16(b[0]), Action: evdev.Action(b[1] % 3), At: at})
			stamps[at] = true
		}
		// Each character is read when some key was pressed, in order.
		var typed []Input
		var p Parser
		i := 0
		for _, c := range []byte(text) {
			for i < len(keys) && (keys[i].Action == evdev.Up || modifier(usKeymap(keys[i].Code).key)) {
				i++
			}
			at = 0
			if i < len(keys) {
				at = keys[i].At
			}
			n := len(typed)
			if typed = p.Feed(typed, []byte{c}, at); len(typed) > n {
				i++
			}
		}
		m, err := match(typed, keys, 5*time.Millisecond, usKeymap)
		if err != nil {
			return
		}
		s := keystroke.Sample{Channel: keystroke.Full, Events: m.events}
		var want, got []rune
		for _, in := range typed {
			if in.Kind == Text {
				want = append(want, in.Event.Rune)
			}
		}
		for _, e := range m.events {
			if e.Rune != 0 {
				got = append(got, e.Rune)
			}
			if !stamps[m.start+e.Down] || e.Released && !stamps[m.start+e.Up] {
				t.Errorf("a time that no keyboard told: %+v", e)
			}
		}
		if !slices.Equal(got, want) || len(got) > 0 && s.Validate() != nil {
			t.Errorf("%q, want %q: %s, %v", string(got), string(want), shape(s), s.Validate())
		}
	})
}
