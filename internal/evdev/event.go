package evdev

import (
	"encoding/binary"
	"strconv"
	"time"
)

// Event is one thing that happened to one key.
type Event struct {
	Keyboard int    // which of those that are heard, from 0
	Code     uint16 // KEY_ of linux/input-event-codes.h: the place on the board, whatever it types
	Action   Action
	At       time.Duration // CLOCK_MONOTONIC, to the microsecond
}

// Action is what happened to the key.
type Action uint8

// The actions, with the values that the kernel gives them.
const (
	Up Action = iota
	Down
	Repeat // it is held
)

// Codes that mean the same on every keymap because hands know them by place.
const (
	LeftShift  = 42
	RightShift = 54
)

// The sizes of struct input_event and of a long in it, in bytes.
const (
	long      = strconv.IntSize / 8
	EventSize = 2*long + 8
)

const (
	evSyn      = 0
	evKey      = 1
	synDropped = 3

	maxMicroseconds = 999_999
	maxSeconds      = 1 << 32 // a machine that ran for a century
)

// Decode appends the key events of b to dst, as those of one keyboard. b is
// what one read brought, whole events. The error is ErrMalformed, or ErrDropped
// where events are missing; dst is then as it was.
func Decode(dst []Event, keyboard int, b []byte) ([]Event, error) {
	if len(b)%EventSize != 0 {
		return dst, ErrMalformed
	}
	was := len(dst)
	for ; len(b) > 0; b = b[EventSize:] {
		kind, code := binary.NativeEndian.Uint16(b[2*long:]), binary.NativeEndian.Uint16(b[2*long+2:])
		value := binary.NativeEndian.Uint32(b[2*long+4:])
		switch {
		case kind == evSyn && code == synDropped:
			return forget(dst, was), ErrDropped
		case kind != evKey:
			continue
		}
		at, ok := stamp(b)
		if !ok || value > uint32(Repeat) {
			return forget(dst, was), ErrMalformed
		}
		dst = append(dst, Event{Keyboard: keyboard, Code: code, Action: Action(value), At: at})
	}
	return dst, nil
}

// forget wipes what was appended since dst had n events.
func forget(dst []Event, n int) []Event {
	clear(dst[n:])
	return dst[:n]
}

// stamp reads the time of an event.
func stamp(b []byte) (time.Duration, bool) {
	s, us := word(b), word(b[long:])
	if s > maxSeconds || us > maxMicroseconds {
		return 0, false
	}
	return time.Duration(s)*time.Second + time.Duration(us)*time.Microsecond, true
}

// word reads a long; a negative one is too large for any time.
func word(b []byte) uint64 {
	if long == 4 {
		return uint64(binary.NativeEndian.Uint32(b))
	}
	return binary.NativeEndian.Uint64(b)
}
