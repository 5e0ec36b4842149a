package capture

import (
	"time"
	"unicode/utf16"

	"ksd/internal/keystroke"
)

// Bits of dwControlKeyState (KEY_EVENT_RECORD of the Windows console).
const (
	winRightAlt  = 0x1
	winLeftAlt   = 0x2
	winRightCtrl = 0x4
	winLeftCtrl  = 0x8
	winShift     = 0x10
	winEnhanced  = 0x100 // the key beside the one that had this scan code first
)

const (
	winMaxRepeat = 8      // of one record; more than a keyboard sends
	winPacket    = 0xe7   // VK_PACKET: text that no key made
	winScanRight = 54     // of the right shift key; the left has 42
	winMaxWord   = 0xffff // of every number but the state
)

// win32 reports a record `CSI Vk ; Sc ; Uc ; Kd ; Cs ; Rc _`: virtual key, scan
// code, UTF-16 unit typed, 1 for down, state of the modifiers, how often. What
// is missing is 0, but the last, which is 1. What is malformed is Bad.
//
// The record does not tell the first press from repeats of a held key; whoever
// knows which keys are down does.
func (p *Parser) win32(in []Input, f fields, at time.Duration) []Input {
	vk, scan, unit := f.at(0, 0, 0), f.at(1, 0, 0), f.at(2, 0, 0)
	down, state, count := f.at(3, 0, 0), f.at(4, 0, 0), f.at(5, 0, 1)
	if !f.single(0) || max(vk, scan, unit, state, count) > winMaxWord || down > 1 {
		return emit(in, Bad, keystroke.Unknown, 0, at)
	}
	i := Input{Code: codeOfWin32(vk, scan, state), Event: keystroke.Event{Key: keyOfWin32(vk), Mods: modsOfWin32(state), Down: at}}
	if down == 0 {
		i.Kind = Release
		return append(in, i)
	}
	r, bad := p.half(unit)
	if bad {
		in = emit(in, Bad, keystroke.Unknown, 0, at)
	}
	if r == none {
		return in
	}
	i = typedOnWindows(i, vk, r)
	for n := range min(count, winMaxRepeat) {
		i.Repeat = n > 0
		in = append(in, i)
	}
	return in
}

// half puts characters beyond U+FFFF together, which come in two records. It
// returns none while one is open, and whether one was left open for good.
func (p *Parser) half(unit int32) (r rune, bad bool) {
	high := rune(p.high)
	p.high = 0
	switch {
	case high != 0 && utf16.IsSurrogate(unit):
		r = utf16.DecodeRune(high, unit)
		return r, false
	case unit >= 0xd800 && unit < 0xdc00:
		p.high = uint16(unit)
		return none, false
	}
	return unit, high != 0
}

// typedOnWindows says what a press means that typed r, 0 for nothing.
func typedOnWindows(i Input, vk int32, r rune) Input {
	ctrl := i.Event.Mods&keystroke.Ctrl != 0
	letter := vk >= 'A' && vk <= 'Z'
	switch {
	case vk == 3: // VK_CANCEL: Ctrl-Break
		i.Kind = Interrupt
	case i.Event.Key != keystroke.Unknown:
		return named(i)
	case ctrl && letter:
		i.Kind, i.Event.Key, i.Event.Mods = effect(byte(vk&0x1f), i.Event.Mods)
	case ctrl && r > 0 && r < ' ':
		i.Kind, i.Event.Key, i.Event.Mods = effect(byte(r), i.Event.Mods)
	case r < ' ' && r >= 0 || r == 0x7f: // F1, a dead key, Escape
		i.Event.Key = keystroke.Other
	case !character(r):
		i.Kind = Bad
	case vk == 0 || vk == winPacket:
		i.Kind = Composed
	case i.Event.Mods&(keystroke.Alt|keystroke.Ctrl) != 0:
		i.Event.Key = keystroke.KeyOf(r)
	default:
		i.Kind, i.Event.Key, i.Event.Rune = Text, keystroke.KeyOf(r), r
	}
	return i
}

// named says what a press means of a key that has a name.
func named(i Input) Input {
	switch i.Event.Key {
	case keystroke.Enter:
		i.Kind = Enter
	case keystroke.Backspace:
		i.Kind = Backspace
		if i.Event.Mods&(keystroke.Ctrl|keystroke.Alt) != 0 {
			i.Kind = KillWord
		}
	case keystroke.ShiftKey:
		i.Event.Mods &^= keystroke.Shift
	case keystroke.ControlKey:
		i.Event.Mods &^= keystroke.Ctrl
	case keystroke.AltKey:
		i.Event.Mods &^= keystroke.Alt
	case keystroke.SuperKey:
		i.Event.Mods &^= keystroke.Super
	}
	return i
}

// codeOfWin32 makes one number of what stays the same from press to release.
func codeOfWin32(vk, scan, state int32) uint32 {
	switch {
	case vk != 0x10:
		return codeWin32 | uint32(state&winEnhanced)<<22 | uint32(scan&0x3fff)<<16 | uint32(vk)
	case scan == winScanRight:
		return codeShiftRight
	}
	return codeShiftLeft
}

// modsOfWin32 translates modifiers. Right Alt with left Ctrl is AltGr, which is
// neither.
func modsOfWin32(state int32) (m keystroke.Mods) {
	if state&winShift != 0 {
		m |= keystroke.Shift
	}
	if state&winRightAlt != 0 && state&winLeftCtrl != 0 {
		return m
	}
	if state&(winLeftAlt|winRightAlt) != 0 {
		m |= keystroke.Alt
	}
	if state&(winLeftCtrl|winRightCtrl) != 0 {
		m |= keystroke.Ctrl
	}
	return m
}

// keyOfWin32 returns the key of a virtual key code, keystroke.Unknown for those
// that may type something.
func keyOfWin32(vk int32) keystroke.Key {
	switch vk {
	case 0x08:
		return keystroke.Backspace
	case 0x09:
		return keystroke.Tab
	case 0x0d:
		return keystroke.Enter
	case 0x10:
		return keystroke.ShiftKey
	case 0x11:
		return keystroke.ControlKey
	case 0x12:
		return keystroke.AltKey
	case 0x14:
		return keystroke.CapsLock
	case 0x23:
		return keystroke.End
	case 0x24:
		return keystroke.Home
	case 0x25:
		return keystroke.ArrowLeft
	case 0x26:
		return keystroke.ArrowUp
	case 0x27:
		return keystroke.ArrowRight
	case 0x28:
		return keystroke.ArrowDown
	case 0x2e:
		return keystroke.Delete
	case 0x5b, 0x5c:
		return keystroke.SuperKey
	}
	return keystroke.Unknown
}
