package capture

import (
	"time"

	"ksd/internal/keystroke"
)

// Mode is how a terminal tells of keys. The zero value is what every terminal
// can do.
type Mode uint8

// The modes.
const (
	Plain Mode = iota // characters: presses only
	Kitty             // the kitty keyboard protocol: presses, repeats and releases
	Win32             // win32-input-mode: the same, of Windows Terminal
)

// String returns "plain", "kitty" or "win32".
func (m Mode) String() string {
	switch m {
	case Kitty:
		return "kitty"
	case Win32:
		return "win32"
	}
	return "plain"
}

// Channel returns what a terminal in this mode shows of typing.
func (m Mode) Channel() keystroke.Channel {
	if m == Kitty || m == Win32 {
		return keystroke.Full
	}
	return keystroke.Press
}

// Undo returns what takes a terminal out of mode m: for whoever restores it for
// a process that died. It is "" for Plain.
func Undo(m Mode) string {
	switch m {
	case Kitty:
		return kittyPop
	case Win32:
		return win32Off
	}
	return ""
}

// What is sent, of the kitty keyboard protocol
// (https://sw.kovidgoyal.net/kitty/keyboard-protocol/), of win32-input-mode
// (microsoft/terminal, doc/specs/#4999), and of the DEC terminals, whose primary
// device attributes every terminal answers.
const (
	kittyQuery = "\x1b[?u"
	kittyPush  = "\x1b[>31u" // all that there is
	kittyPop   = "\x1b[<u"

	win32Query = "\x1b[?9001$p" // DECRQM
	win32On    = "\x1b[?9001h"
	win32Off   = "\x1b[?9001l"

	fence = "\x1b[c" // DA1
)

// Flags of the kitty protocol.
const (
	kittyEvents     = 1 << 1 // repeats and releases
	kittyAlternates = 1 << 2 // what a key types with Shift
	kittyAllKeys    = 1 << 3 // also of keys that type
	kittyText       = 1 << 4 // what was typed
)

// kittyEnough reports whether a terminal in these flags tells all that is needed:
// releases of all keys and, one way or the other, what was typed.
func kittyEnough(flags uint32) bool {
	return flags&kittyEvents != 0 && flags&kittyAllKeys != 0 && flags&(kittyAlternates|kittyText) != 0
}

// What DECRQM answers for a mode that the terminal knows.
const (
	modeSet   = 1
	modeReset = 2
)

// Asked is what came of asking a terminal for releases.
type Asked struct {
	Mode   Mode          // how it tells of keys from now on
	Silent bool          // it answered nothing at all, not even what every terminal answers
	Took   time.Duration // how long it took
}
