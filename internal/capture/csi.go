package capture

import (
	"time"

	"ksd/internal/keystroke"
)

// Where the codes of keys lie that are not kitty's own numbers. They only serve
// to find the press that a release belongs to.
const (
	codeSame   = 1 << 24 // of a further character that a key typed at one press
	codeLetter = 1 << 25 // plus the last byte of the sequence
	codeTilde  = 1 << 26 // plus the number
	codeWin32  = 1 << 31 // plus bits of the virtual key and the scan code
)

// finished reports a CSI if a key, a paste or an answer of ours made it.
func (p *Parser) finished(in []Input, final byte, at time.Duration) []Input {
	b := p.buf[:min(p.n, maxParams)]
	if len(b) > 0 && b[0] >= '<' {
		return p.answer(in, b, final, at)
	}
	f, ok := parseFields(b)
	ok = ok && p.n <= maxParams
	switch {
	case final == 'u' && ok:
		return p.kitty(in, f, at)
	case final == '_' && ok:
		return p.win32(in, f, at)
	case final == 'u' || final == '_': // keys that no keyboard has
		return emit(in, Bad, keystroke.Unknown, 0, at)
	case !ok:
		return in
	case final == '~':
		return p.tilde(in, f, at)
	}
	if k := keyOfFinal(final); k != keystroke.Other || functionKey(final, f) {
		return functional(in, k, codeLetter|uint32(final), f, at)
	}
	return in // a reply
}

// answer reports the replies to what is asked in ask.go, whenever they come.
func (p *Parser) answer(in []Input, b []byte, final byte, at time.Duration) []Input {
	if b[0] != '?' {
		return in
	}
	if final == 'c' {
		return append(in, Input{Kind: Attributes, Event: keystroke.Event{Down: at}})
	}
	kind, field := KittyFlags, 0
	switch {
	case final == 'u':
		b = b[1:]
	case final == 'y' && b[len(b)-1] == '$':
		kind, field, b = Win32State, 1, b[1:len(b)-1]
	default:
		return in
	}
	f, ok := parseFields(b)
	n := f.n[field][0]
	if !ok || p.n > maxParams || f.count != field+1 || n == none || kind == Win32State && f.n[0][0] != 9001 {
		return in
	}
	return append(in, Input{Kind: kind, Code: uint32(n), Event: keystroke.Event{Down: at}})
}

// tilde is one of the keys that have a number, or the bracket of a paste.
func (p *Parser) tilde(in []Input, f fields, at time.Duration) []Input {
	n := f.at(0, 0, 0)
	key := keystroke.Other
	switch {
	case n == 200 && f.count == 1:
		return emit(in, PasteBegin, keystroke.Unknown, 0, at)
	case n == 201 && f.count == 1:
		return emit(in, PasteEnd, keystroke.Unknown, 0, at)
	case n == 27 && f.count == 3: // xterm's modifyOtherKeys, if a program left it on
		f.n[0][0], f.n[2][0], f.count = f.n[2][0], none, 2
		return p.kitty(in, f, at)
	case n == 3:
		key = keystroke.Delete
	case n == 7:
		key = keystroke.Home
	case n == 8:
		key = keystroke.End
	}
	return functional(in, key, codeTilde|uint32(n), f, at)
}

// functional is a key that types nothing and has a sequence of its own. The
// second part of the modifiers' field is kitty's.
func functional(in []Input, key keystroke.Key, code uint32, f fields, at time.Duration) []Input {
	mods, event, ok := kittyMods(f)
	if !ok {
		return in
	}
	return append(in, Input{
		Kind: kindOf(event), Code: code, Repeat: event == kittyRepeat,
		Event: keystroke.Event{Key: key, Mods: modsOfKitty(mods), Down: at},
	})
}

// keyOfFinal returns the key of xterm's CSI and SS3 sequences by their last
// byte, Other where it is none of ours.
func keyOfFinal(c byte) keystroke.Key {
	switch c {
	case 'A':
		return keystroke.ArrowUp
	case 'B':
		return keystroke.ArrowDown
	case 'C':
		return keystroke.ArrowRight
	case 'D':
		return keystroke.ArrowLeft
	case 'H':
		return keystroke.Home
	case 'F':
		return keystroke.End
	}
	return keystroke.Other
}

// functionKey reports whether a CSI that ends in final is one of xterm's other
// keys (middle of the keypad, back-tab, F1 to F4) and not a terminal's reply.
// F3 with a modifier looks like a cursor report and is taken for one, but where
// kitty's event stands beside the modifier.
func functionKey(final byte, f fields) bool {
	switch final {
	case 'E', 'Z', 'P', 'Q', 'S':
		return true
	}
	return final == 'R' && f.n[1][1] != none
}
