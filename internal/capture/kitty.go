package capture

import (
	"time"
	"unicode"

	"ksd/internal/keystroke"
)

// The events of the kitty keyboard protocol.
const (
	kittyPress   = 1
	kittyRepeat  = 2
	kittyRelease = 3
)

// The modifiers of the kitty keyboard protocol. Num Lock (bit 7) changes the
// code of the keypad's keys and is of no further interest.
const (
	kittyShift = 1 << iota
	kittyAlt
	kittyCtrl
	kittySuper
	kittyHyper
	kittyMeta
	kittyCapsLock
)

// Codes of the shift keys, in win32-input-mode too.
const (
	codeShiftLeft  = 57441
	codeShiftRight = 57447
)

const (
	codeEnter       = 13
	codeKeypadEnter = 57414
)

// kittyMods reads the second field: the modifiers held and which event it is.
func kittyMods(f fields) (mods int32, event int32, ok bool) {
	mods, event = f.at(1, 0, 1)-1, f.at(1, 1, kittyPress)
	ok = mods >= 0 && mods <= 0xff && event >= kittyPress && event <= kittyRelease && f.n[1][2] == none && f.n[1][3] == none
	return mods, event, ok
}

// kindOf is the kind of a key that types nothing.
func kindOf(event int32) Kind {
	if event == kittyRelease {
		return Release
	}
	return Other
}

// kitty reports a key as `CSI code:shifted:base ; mods:event ; text u` tells it.
// All but the code may be missing. What is malformed is Bad.
func (p *Parser) kitty(in []Input, f fields, at time.Duration) []Input {
	code := f.n[0][0]
	mods, event, ok := kittyMods(f)
	key := keyOfCode(code)
	typed := key == keystroke.Unknown
	if !ok || code == none || f.count > 3 || f.n[0][3] != none || (typed || code == 0) && !printable(f) {
		return emit(in, Bad, keystroke.Unknown, 0, at)
	}
	if code == 0 {
		// Text without a key: what an input method made of many. It has no time
		// of its own, and none of its presses was seen.
		return emit(in, Composed, keystroke.Unknown, 0, at)
	}
	i := Input{Code: uint32(code), Repeat: event == kittyRepeat, Event: keystroke.Event{Key: key, Mods: modsOfKitty(mods), Down: at}}
	switch {
	case event == kittyRelease:
		i.Kind = Release
	case typed:
		return p.kittyText(in, i, f, mods)
	default:
		i = named(i)
	}
	return append(in, i)
}

// kittyText reports a key that may type something. The protocol has a field for
// the text; of a terminal that leaves it out, it is what stands on the key.
//
// A key without text is one that types none, such as a dead key: the character
// comes with the key after it, whose release may be missing.
func (p *Parser) kittyText(in []Input, i Input, f fields, mods int32) []Input {
	i.Event.Key = keystroke.KeyOf(f.n[0][0])
	text := f.n[2]
	if text[0] == none && p.untold {
		text[0] = engraved(f, mods)
	}
	// Ctrl and Alt together are AltGr on some keyboards, if they type something.
	if mods&kittyCtrl != 0 && (mods&kittyAlt == 0 || text[0] == none) {
		if c := asciiOf(f); c >= '@' && c <= '~' || c == ' ' {
			i.Kind, i.Event.Key, i.Event.Mods = effect(byte(c&0x1f), i.Event.Mods)
		}
		return append(in, i)
	}
	for n, r := range text {
		if r == none {
			break
		}
		if n > 0 { // the rest of what one press typed: a ligature, an accent by itself
			i.Code = codeSame
		}
		i.Kind, i.Event.Key, i.Event.Rune = Text, keystroke.KeyOf(r), r
		in = append(in, i)
	}
	if i.Kind != Text {
		in = append(in, i)
	}
	return in
}

// printable reports whether the text of a key is fit to be shown and stored, as
// it is if there is none. The protocol forbids control characters.
func printable(f fields) bool {
	for _, r := range f.n[2] {
		if r != none && !character(r) {
			return false
		}
	}
	return true
}

// engraved is what a key types, as far as its codes and the modifiers tell, none
// where they do not.
func engraved(f fields, mods int32) rune {
	r, shift, caps := f.n[0][0], mods&kittyShift != 0, mods&kittyCapsLock != 0
	if keypad, ok := keypadRune(r); ok {
		return keypad
	}
	switch {
	case mods&(kittyAlt|kittyCtrl|kittySuper|kittyHyper|kittyMeta) != 0:
		return none
	case caps && shift && unicode.IsLetter(r):
	case shift:
		r = f.n[0][1]
	case caps:
		r = unicode.ToUpper(r)
	}
	if !character(r) {
		return none
	}
	return r
}

// asciiOf returns the key's code on the layout in use, or where that has other
// letters, on the standard one: Ctrl-C is Ctrl-C on a Cyrillic keyboard too.
func asciiOf(f fields) rune {
	if c := f.n[0][0]; c < 0x80 || f.n[0][2] == none {
		return c
	}
	return f.n[0][2]
}

// modsOfKitty translates modifiers.
func modsOfKitty(mods int32) (m keystroke.Mods) {
	if mods&kittyShift != 0 {
		m |= keystroke.Shift
	}
	if mods&(kittyAlt|kittyMeta) != 0 {
		m |= keystroke.Alt
	}
	if mods&kittyCtrl != 0 {
		m |= keystroke.Ctrl
	}
	if mods&(kittySuper|kittyHyper) != 0 {
		m |= keystroke.Super
	}
	return m
}

// keyOfCode returns the key of a code, keystroke.Unknown for those that may type
// something.
func keyOfCode(code rune) keystroke.Key {
	switch code {
	case 8, 127:
		return keystroke.Backspace
	case 9:
		return keystroke.Tab
	case codeEnter, codeKeypadEnter:
		return keystroke.Enter
	case 57358:
		return keystroke.CapsLock
	case 57417:
		return keystroke.ArrowLeft
	case 57418:
		return keystroke.ArrowRight
	case 57419:
		return keystroke.ArrowUp
	case 57420:
		return keystroke.ArrowDown
	case 57423:
		return keystroke.Home
	case 57424:
		return keystroke.End
	case 57426:
		return keystroke.Delete
	case codeShiftLeft, codeShiftRight:
		return keystroke.ShiftKey
	case 57442, 57448:
		return keystroke.ControlKey
	case 57443, 57449, 57446, 57452, 57453, 57454: // Alt, Meta, AltGr (level 3 and 5 shift)
		return keystroke.AltKey
	case 57444, 57450, 57445, 57451: // Super, Hyper
		return keystroke.SuperKey
	}
	if _, ok := keypadRune(code); !ok && (code < ' ' || code >= 0xe000 && code < 0xf900) {
		return keystroke.Other // escape, F13, volume and the like
	}
	return keystroke.Unknown
}

// keypadRune returns what a key of the keypad types.
func keypadRune(code rune) (rune, bool) {
	const keys = "0123456789./*-+\x00=," // 57414, the gap, is Enter
	i := code - 57399
	if i < 0 || int(i) >= len(keys) || keys[i] == 0 {
		return 0, false
	}
	return rune(keys[i]), true
}
