package keystroke

import (
	"unicode"
	"unicode/utf8"
)

// Key names a key. A key that types a character is the lower-case rune it
// types without Shift where that is known, and the rune as typed where it is
// not; a key that types none is one of the named constants.
type Key rune

// The keys that type no character. Unknown is the zero value.
const (
	Unknown Key = -iota
	Backspace
	Delete
	Enter
	Tab
	ShiftKey
	CapsLock
	ControlKey
	AltKey
	SuperKey
	ArrowLeft
	ArrowRight
	ArrowUp
	ArrowDown
	Home
	End
	Other // any other key that types nothing
)

// Space is the space bar.
const Space Key = ' '

// names are the words of the TSV exchange format for keys that have no
// printable rune of their own.
var names = map[Key]string{
	Space: "Space", Backspace: "Backspace", Delete: "Delete", Enter: "Enter", Tab: "Tab",
	ShiftKey: "Shift", CapsLock: "CapsLock", ControlKey: "Control", AltKey: "Alt", SuperKey: "Super",
	ArrowLeft: "ArrowLeft", ArrowRight: "ArrowRight", ArrowUp: "ArrowUp", ArrowDown: "ArrowDown",
	Home: "Home", End: "End", Other: "Other", Unknown: "Unknown",
}

var byName = func() map[string]Key {
	m := make(map[string]Key, len(names))
	for k, n := range names {
		m[n] = k
	}
	return m
}()

// String returns the key's word in the TSV exchange format: the rune itself,
// or a name such as Space or Backspace.
func (k Key) String() string {
	if n, ok := names[k]; ok {
		return n
	}
	if k < 0 {
		return "Other"
	}
	return string(rune(k))
}

// ParseKey reads what String wrote. A word it does not know is Other.
func ParseKey(s string) Key {
	if k, ok := byName[s]; ok {
		return k
	}
	if r, n := utf8.DecodeRuneInString(s); n == len(s) && r != utf8.RuneError {
		return KeyOf(r)
	}
	return Other
}

// KeyOf returns the key that types r: its lower-case form. Control characters
// have no key of their own and are Other.
func KeyOf(r rune) Key {
	if r < 0 || unicode.IsControl(r) {
		return Other
	}
	return Key(unicode.ToLower(r))
}
