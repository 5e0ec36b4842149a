package capture

import (
	"slices"
	"unicode"
	"unsafe"

	"golang.org/x/sys/unix"

	"ksd/internal/evdev"
	"ksd/internal/keystroke"
)

// seat is a virtual console of this machine: a tty whose keys are those of the
// machine's own keyboards while it is the one in front.
type seat interface {
	active() bool                // whether it is in front now; it does not wait
	meaning(code uint16) meaning // of a key on the console's keymap
}

// meaning is what a key does on a keymap. The zero value is nothing known.
type meaning struct {
	key   keystroke.Key // Backspace, Enter or a modifier; Unknown for a key that types
	runes []rune        // what it types, alone or with Shift, AltGr or both
}

// brings reports whether a press of the key can be what the tty brought.
func (m meaning) brings(in Input) bool {
	switch in.Kind {
	case Text:
		return slices.Contains(m.runes, in.Event.Rune)
	case Backspace:
		return m.key == keystroke.Backspace
	case Enter:
		return m.key == keystroke.Enter
	}
	return false
}

// The consoles of the kernel: /dev/tty1 to /dev/tty63.
const (
	consoleMajor = 4
	maxConsole   = 63
)

// seat returns the console that the tty is, nil if it is none. The kernel says
// which tty it is (TIOCGDEV) and no name or file does: what was handed over may
// have been opened as /dev/tty.
func (t *tty) seat() seat {
	var dev uint32
	err := control(t.conn, "console", func(fd int) (err error) {
		dev, err = unix.IoctlGetUint32(fd, unix.TIOCGDEV)
		return err
	})
	n := unix.Minor(uint64(dev))
	if err != nil || unix.Major(uint64(dev)) != consoleMajor || n < 1 || n > maxConsole {
		return nil
	}
	return virtual{t, uint16(n)}
}

// virtual is console n of the kernel.
type virtual struct {
	*tty
	n uint16
}

// Calls of consoles (linux/vt.h, linux/kd.h). Neither needs a privilege.
const (
	vtGetState = 0x5603
	kdGetEntry = 0x4b46 // KDGKBENT
)

// active asks with VT_GETSTATE, on the descriptor that was handed over.
func (v virtual) active() bool {
	var state struct{ active, signal, open uint16 } // struct vt_stat
	err := control(v.conn, "console", func(fd int) error { return ioctl(fd, vtGetState, &state) })
	return err == nil && state.active == v.n
}

func ioctl[T any](fd int, call uintptr, arg *T) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), call, uintptr(unsafe.Pointer(arg))); errno != 0 {
		return errno
	}
	return nil
}

// The tables of a keymap that a key which types may stand in: plain, Shift, AltGr,
// Shift with AltGr.
const tables = 4

// meaning reads the keymap.
func (v virtual) meaning(code uint16) (m meaning) {
	if code > 0xff {
		return meaning{}
	}
	for table := range uint8(tables) {
		entry := struct { // struct kbentry
			table, index uint8
			value        uint16
		}{table, uint8(code), 0}
		if control(v.conn, "keymap", func(fd int) error { return ioctl(fd, kdGetEntry, &entry) }) != nil {
			return meaning{}
		}
		one := symbol(entry.value)
		if table == 0 {
			m.key = one.key
		}
		if m.key == keystroke.Unknown {
			m.runes = append(m.runes, one.runes...)
		}
	}
	return m
}

// The types and values of a keymap's symbols (linux/keyboard.h), and what
// KDGKBENT adds to a character beyond Latin-1.
const (
	symLatin  = 0
	symSpec   = 2
	symShift  = 7
	symLetter = 11

	symEnter = symSpec<<8 | 1
	symCaps  = symSpec<<8 | 7

	symUnicode = 0xf000
)

// symbol is what one entry of a keymap means by itself.
func symbol(value uint16) meaning {
	kind, n := value>>8, rune(value&0xff)
	switch {
	case value >= symUnicode:
		return typingKey(rune(value ^ symUnicode))
	case value == symEnter:
		return meaning{key: keystroke.Enter}
	case value == symCaps:
		return meaning{key: keystroke.CapsLock}
	case kind == symShift:
		return meaning{key: shifting(n)}
	case kind == symLatin || kind == symLetter:
		return typingKey(n)
	}
	return meaning{key: keystroke.Other}
}

// typingKey is a key that types r. Caps Lock types the other case of a letter, so
// that is one of its characters wherever it stands.
func typingKey(r rune) meaning {
	switch r {
	case 0x08, 0x7f:
		return meaning{key: keystroke.Backspace}
	case '\r', '\n':
		return meaning{key: keystroke.Enter}
	}
	if !character(r) {
		return meaning{key: keystroke.Other}
	}
	return meaning{runes: []rune{r, unicode.ToUpper(r), unicode.ToLower(r)}}
}

// shifting is a key that shifts tables, by the table's bit (KG_SHIFT and so on).
func shifting(n rune) keystroke.Key {
	switch n {
	case 0, 4, 5, 8:
		return keystroke.ShiftKey
	case 1, 3:
		return keystroke.AltKey
	case 2, 6, 7:
		return keystroke.ControlKey
	}
	return keystroke.Other
}

// shiftSide says which Shift a key is, by its place.
func shiftSide(code uint16) keystroke.Mods {
	switch code {
	case evdev.LeftShift:
		return keystroke.ShiftLeft
	case evdev.RightShift:
		return keystroke.ShiftRight
	}
	return 0
}
