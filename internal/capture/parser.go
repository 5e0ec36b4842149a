package capture

import (
	"time"
	"unicode"
	"unicode/utf8"

	"ksd/internal/keystroke"
)

// Kind says what an Input means to a line that is being typed.
type Kind uint8

// The kinds. The zero value is a key without meaning here.
const (
	Other      Kind = iota // an arrow, a function key, a modifier, Tab, Alt or Ctrl with a letter
	Text                   // Event.Rune is the character
	Backspace              // 0x7f or 0x08
	KillWord               // Ctrl-W, Alt-Backspace
	KillLine               // Ctrl-U
	Enter                  // CR or LF
	Interrupt              // Ctrl-C, Ctrl-\ or Ctrl-Z
	EOF                    // Ctrl-D
	PasteBegin             // the terminal announces a paste
	PasteEnd               // and its end
	Bad                    // a byte that is not UTF-8, a C1 control, a key that cannot be
	Release                // the key of Code went up
	Composed               // text that no key brought, as input methods make it
	KittyFlags             // the terminal's answer: Code is the flags of the kitty protocol
	Win32State             // its answer: Code is DECRPM's value for win32-input-mode
	Attributes             // its answer to the fence
)

// Input is one thing the person or the terminal did. Event.Down is the time of
// the read that completed it.
type Input struct {
	Kind  Kind
	Event keystroke.Event

	// Code says which key it was, so that a release finds its press. It is 0
	// where the terminal tells characters and not keys. It stays the same from
	// press to release; else it has no meaning.
	Code   uint32
	Repeat bool // the keyboard repeats a key that is held
}

// Parser makes inputs of a terminal's bytes. It is a pure function of the bytes
// and times fed to it: how the bytes are split over reads changes nothing but
// the times. It keeps at most maxParams bytes. The zero value is ready.
//
// Sequences follow ECMA-48 as terminals send them: CSI, SS3 and the strings OSC,
// DCS, SOS, PM and APC are swallowed whole, keys among them reported as Other.
// A control character ends an open sequence and counts as itself, so Ctrl-C and
// Enter always get through and bring the parser back into step. An ESC alone
// waits for the next byte, however late, and makes it an Alt key: a reply split
// over two reads must not become text.
type Parser struct {
	state state
	alt   bool            // the character begun follows ESC
	buf   [maxParams]byte // an incomplete character, or the parameters of a CSI
	n     int             // bytes in buf; maxParams+1 once a CSI outgrew it

	high   uint16 // the first half of a character of win32-input-mode
	untold bool   // a kitty terminal that does not tell the text of its keys
}

// maxParams is the longest parameter string that could mean something.
const maxParams = 64

type state uint8

const (
	ground    state = iota
	gathering       // within a UTF-8 sequence
	escape          // after ESC
	csi             // after ESC [
	csiLinux        // after ESC [ [, as the Linux console sends F1 to F5
	ss3             // after ESC O
	str             // within OSC, DCS, SOS, PM or APC
	strEscape       // after ESC within one: most likely ESC \, its end
)

// Feed appends the inputs that b completes to in. at is when b was read, on the
// caller's clock.
func (p *Parser) Feed(in []Input, b []byte, at time.Duration) []Input {
	for _, c := range b {
		in = p.step(in, c, at)
	}
	return in
}

func (p *Parser) step(in []Input, c byte, at time.Duration) []Input {
	switch p.state {
	case ground:
		return p.ground(in, c, at)
	case gathering:
		return p.gather(in, c, at)
	}
	switch {
	case c == 0x1b && (p.state == str || p.state == strEscape):
		p.state = strEscape
	case c == 0x1b:
		p.begin(escape)
	case c == 0x07 && p.state == str:
		p.begin(ground)
	case c < 0x20 || c == 0x7f:
		alt := p.state == escape && (c == 0x7f || c == 0x08)
		p.begin(ground)
		if alt {
			return emit(in, KillWord, keystroke.Backspace, keystroke.Alt, at)
		}
		return p.ground(in, c, at)
	default:
		return p.sequence(in, c, at)
	}
	return in
}

// begin drops whatever was open.
func (p *Parser) begin(s state) { p.state, p.n, p.alt = s, 0, false }

// ground takes the first byte of whatever comes next.
func (p *Parser) ground(in []Input, c byte, at time.Duration) []Input {
	switch {
	case c == 0x1b:
		p.begin(escape)
		return in
	case c >= 0x80:
		p.state, p.n = gathering, 0
		return p.gather(in, c, at)
	case c >= 0x20 && c != 0x7f:
		return p.text(in, rune(c), at)
	}
	kind, key, mods := effect(c, keystroke.Ctrl)
	return emit(in, kind, key, mods, at)
}

// effect says what a control character does to a line, and which key types it.
// ctrl are the modifiers that it takes where it has no key of its own.
func effect(c byte, ctrl keystroke.Mods) (Kind, keystroke.Key, keystroke.Mods) {
	switch c {
	case 0x7f, 0x08:
		return Backspace, keystroke.Backspace, ctrl &^ keystroke.Ctrl
	case '\r', '\n':
		return Enter, keystroke.Enter, ctrl &^ keystroke.Ctrl
	case '\t':
		return Other, keystroke.Tab, ctrl &^ keystroke.Ctrl
	}
	kind := Other
	switch c {
	case 0x03, 0x1a, 0x1c:
		kind = Interrupt
	case 0x04:
		kind = EOF
	case 0x15:
		kind = KillLine
	case 0x17:
		kind = KillWord
	}
	return kind, keystroke.KeyOf(rune(c | 0x40)), ctrl
}

// gather takes a byte of one UTF-8 sequence. Each longest valid beginning of a broken
// one is a single Bad, as the Unicode Standard (3.9, U+FFFD substitution) has it.
func (p *Parser) gather(in []Input, c byte, at time.Duration) []Input {
	p.buf[p.n] = c
	p.n++
	if !utf8.FullRune(p.buf[:p.n]) {
		return in
	}
	r, size := utf8.DecodeRune(p.buf[:p.n])
	first := p.n == 1
	p.state, p.n = ground, 0
	switch {
	case size > 1 && character(r):
		return p.text(in, r, at)
	case size > 1 || first:
		p.alt = false
		return emit(in, Bad, keystroke.Unknown, 0, at)
	}
	p.alt = false
	return p.ground(emit(in, Bad, keystroke.Unknown, 0, at), c, at)
}

func (p *Parser) text(in []Input, r rune, at time.Duration) []Input {
	if p.alt {
		p.alt = false
		return emit(in, Other, keystroke.KeyOf(r), keystroke.Alt, at)
	}
	e := keystroke.Event{Key: keystroke.KeyOf(r), Rune: r, Down: at}
	return append(in, Input{Kind: Text, Event: e})
}

// sequence takes a byte of an open sequence that is no control character.
func (p *Parser) sequence(in []Input, c byte, at time.Duration) []Input {
	switch p.state {
	case str:
		return in
	case strEscape:
		if c == '\\' {
			p.begin(ground)
			return in
		}
		return p.escape(in, c, at)
	case escape:
		return p.escape(in, c, at)
	}
	if c >= 0x80 { // in CSI or SS3 only a fault can bring it
		p.begin(ground)
		return p.ground(in, c, at)
	}
	switch {
	case p.state == csiLinux:
		p.begin(ground)
		return emit(in, Other, keystroke.Other, 0, at)
	case p.state == csi && p.n == 0 && c == '[':
		p.state = csiLinux
		return in
	case c < 0x40:
		p.param(c)
		return in
	case p.state == ss3:
		p.begin(ground)
		return emit(in, Other, keyOfFinal(c), 0, at)
	}
	in = p.finished(in, c, at)
	p.begin(ground)
	return in
}

func (p *Parser) escape(in []Input, c byte, at time.Duration) []Input {
	switch c {
	case '[':
		p.begin(csi)
		return in
	case 'O':
		p.begin(ss3)
		return in
	case ']', 'P', 'X', '^', '_':
		p.begin(str)
		return in
	}
	p.begin(ground)
	p.alt = true
	return p.ground(in, c, at)
}

func (p *Parser) param(c byte) {
	if p.n < maxParams {
		p.buf[p.n] = c
		p.n++
		return
	}
	p.n = maxParams + 1
}

// character reports whether r is one that may be typed, shown and stored.
func character(r rune) bool {
	return utf8.ValidRune(r) && r != utf8.RuneError && !unicode.IsControl(r)
}

func emit(in []Input, kind Kind, key keystroke.Key, mods keystroke.Mods, at time.Duration) []Input {
	return append(in, Input{Kind: kind, Event: keystroke.Event{Key: key, Mods: mods, Down: at}})
}

// answer reports whether i is the terminal's and not the person's.
func (i Input) answer() bool {
	return i.Kind == KittyFlags || i.Kind == Win32State || i.Kind == Attributes
}

// wipe clears what lies behind the state in the buffer.
func (p *Parser) wipe() { clear(p.buf[min(p.n, maxParams):]) }
