package capture

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode"
)

// emulator is a terminal that follows the documents of the kitty keyboard
// protocol and of win32-input-mode: it answers queries, keeps the flags' stack
// and encodes keys by the mode that it is in when they are hit. Its fields make
// it less of a terminal.
type emulator struct {
	flags  uint32            // that it knows of kitty's; 0: it ignores the protocol
	win32  int               // what it answers for win32-input-mode when that is off; 0 in DECRPM is "unknown"
	ignore []string          // sequences that it does not answer
	before map[string]func() // called before it carries out a sequence

	noise string // what somebody types before every fence

	send func(s string) // to the program

	mu    sync.Mutex
	rest  string
	stack []uint32
	on    bool // win32-input-mode
	mods  int32
	seen  []string // every sequence that it carried out
}

var sequence = regexp.MustCompile("^\x1b\\[([<=>?]?)([0-9;]*)([$]?)([@-~])")

// feed shows what the program writes.
func (e *emulator) feed(b []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rest += string(b)
	for e.rest != "" {
		if e.rest[0] != 0x1b {
			e.rest = e.rest[1:]
			continue
		}
		m := sequence.FindStringSubmatch(e.rest)
		if m == nil {
			if len(e.rest) > 32 {
				panic(fmt.Sprintf("no sequence: %q", e.rest))
			}
			return // the rest is to come
		}
		e.rest = e.rest[len(m[0]):]
		if f := e.before[m[0]]; f != nil {
			f()
		}
		if m[0] == fence && e.noise != "" {
			e.send(e.noise)
		}
		e.seen = append(e.seen, m[0])
		if !slices.Contains(e.ignore, m[0]) {
			e.carryOut(m[1]+m[3]+m[4], m[2])
		}
	}
}

func (e *emulator) carryOut(kind, params string) {
	switch {
	case kind == "c":
		e.send("\x1b[?62;22c")
	case kind == "?u" && e.flags != 0:
		e.send(fmt.Sprintf("\x1b[?%du", e.top()))
	case kind == ">u" && e.flags != 0:
		n, _ := strconv.Atoi(params)
		e.stack = append(e.stack, uint32(n)&e.flags)
	case kind == "<u" && len(e.stack) > 0:
		e.stack = e.stack[:len(e.stack)-1]
	case kind == "?$p" && params == "9001" && e.win32 >= 0:
		state := e.win32
		if e.on {
			state = modeSet
		}
		e.send(fmt.Sprintf("\x1b[?9001;%d$y", state))
	case kind == "?h" && params == "9001" && e.win32 == modeReset:
		e.on = true
	case kind == "?l" && params == "9001":
		e.on = false
	}
}

func (e *emulator) top() uint32 {
	if len(e.stack) == 0 {
		return 0
	}
	return e.stack[len(e.stack)-1]
}

// state says what is left switched on.
func (e *emulator) state() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return fmt.Sprint(e.stack, e.on)
}

// was reports how often the program sent a sequence.
func (e *emulator) was(s string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, x := range e.seen {
		if x == s {
			n++
		}
	}
	return n
}

// Keys that type nothing, beside the runes that name the others.
const (
	keyShiftLeft  = -1
	keyShiftRight = -2
	keyEnter      = '\r'
	keyBackspace  = 0x7f
)

// hit has somebody press (1), hold (2) or release (3) a key: the rune that it
// types without Shift.
func (e *emulator) hit(key rune, event int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.encode(key, event); s != "" {
		e.send(s)
	}
}

func (e *emulator) encode(key rune, event int) string {
	shift := key == keyShiftLeft || key == keyShiftRight
	if shift && event == kittyPress {
		e.mods |= kittyShift
	}
	if shift && event == kittyRelease {
		e.mods &^= kittyShift
	}
	text := key
	switch {
	case shift || key == keyEnter || key == keyBackspace:
		text = 0
	case e.mods&kittyShift != 0:
		text = unicode.ToUpper(key)
	}
	switch {
	case e.on:
		return e.win32Record(key, text, event)
	case e.top()&kittyAllKeys != 0:
		return e.kittyKey(key, text, event)
	case event == kittyRelease || shift:
		return ""
	case text == 0:
		return string(key)
	}
	return string(text)
}

func (e *emulator) kittyKey(key, text rune, event int) string {
	code := map[rune]rune{keyShiftLeft: codeShiftLeft, keyShiftRight: codeShiftRight}[key]
	if code == 0 {
		code = key
	}
	first, third := fmt.Sprint(code), ""
	if e.top()&kittyAlternates != 0 && e.mods&kittyShift != 0 && text > 0 {
		first += fmt.Sprintf(":%d", text)
	}
	if e.top()&kittyText != 0 && text > 0 && event != kittyRelease {
		third = fmt.Sprintf(";%d", text)
	}
	switch {
	case e.top()&kittyEvents == 0 && event == kittyRelease:
		return ""
	case e.top()&kittyEvents == 0:
		event = kittyPress
	}
	return fmt.Sprintf("\x1b[%s;%d:%d%su", first, e.mods+1, event, third)
}

func (e *emulator) win32Record(key, text rune, event int) string {
	vk, scan, down, state := unicode.ToUpper(key), rune(30), 1, 0
	switch key {
	case keyShiftLeft:
		vk, scan = 16, 42
	case keyShiftRight:
		vk, scan = 16, 54
	case keyBackspace:
		vk = 8
	case keyEnter:
		vk = 13
	}
	if event == kittyRelease {
		down = 0
	}
	if e.mods&kittyShift != 0 {
		state = winShift
	}
	return fmt.Sprintf("\x1b[%d;%d;%d;%d;%d;1_", vk, scan, text, down, state)
}

// types hits and releases the keys of text one after the other, with the left
// Shift for capitals.
func (e *emulator) types(text string) {
	for _, r := range text {
		if unicode.IsUpper(r) {
			e.hit(keyShiftLeft, kittyPress)
		}
		e.hit(unicode.ToLower(r), kittyPress)
		e.hit(unicode.ToLower(r), kittyRelease)
		if unicode.IsUpper(r) {
			e.hit(keyShiftLeft, kittyRelease)
		}
	}
}

// newEmulator puts an emulator behind a new console.
func newEmulator(t testing.TB, e *emulator) *console {
	t.Helper()
	con := newConsole(t)
	e.send = func(s string) { con.master.WriteString(s) }
	con.mu.Lock()
	con.hear = e.feed
	con.mu.Unlock()
	return con
}

// kitty is an emulator of all of that protocol, as kitty and Ghostty are.
func kittyTerminal() *emulator { return &emulator{flags: 31, win32: 0} }

// win32Terminal is an emulator of Windows Terminal's protocol.
func win32Terminal() *emulator { return &emulator{win32: modeReset} }

// TestEmulator checks the one the other tests rely on: that it answers as the
// document says, and encodes by its state.
func TestEmulator(t *testing.T) {
	var got strings.Builder
	e := kittyTerminal()
	e.send = func(s string) { got.WriteString(s) }
	for _, s := range []string{"x\x1b[?", "u\x1b[>1u\x1b[?u\x1b[>31u\x1b[?u", "\x1b[c\x1b[?9001$p\n"} {
		e.feed([]byte(s))
	}
	e.types("aB\r")
	e.feed([]byte("\x1b[<u\x1b[?u\x1b[<u\x1b[<u\x1b[?u"))
	e.types("aB\r")
	want := "\x1b[?0u\x1b[?1u\x1b[?31u\x1b[?62;22c\x1b[?9001;0$y" +
		"\x1b[97;1:1;97u\x1b[97;1:3u\x1b[57441;2:1u\x1b[98:66;2:1;66u\x1b[98:66;2:3u\x1b[57441;1:3u\x1b[13;1:1u\x1b[13;1:3u" +
		"\x1b[?1u\x1b[?0uaB\r"
	if got.String() != want {
		t.Errorf("got  %q\nwant %q", got.String(), want)
	}
}
