// Package evdevtest holds keyboards that tests type on: a pipe that speaks as a
// device does, and, where the kernel has uinput, a device that is one.
package evdevtest

import (
	"encoding/binary"
	"os"
	"strconv"
	"testing"
	"time"

	"ksd/internal/evdev"
)

// Codes of keys that are not in Codes (linux/input-event-codes.h).
const (
	Backspace = 14
	Enter     = 28
	LeftCtrl  = 29
	LeftAlt   = 56
	CapsLock  = 58
	F2        = 60
	RightCtrl = 97
	RightAlt  = 100
	Left      = 105
)

// Codes are the keys that type a character on a US keyboard without Shift.
var Codes = func() map[rune]uint16 {
	codes := map[rune]uint16{' ': 57}
	for first, row := range map[uint16]string{2: "1234567890-=", 16: "qwertyuiop[]", 30: "asdfghjkl;'`", 43: `\zxcvbnm,./`} {
		for i, r := range row {
			codes[r] = first + uint16(i)
		}
	}
	return codes
}()

const long = strconv.IntSize / 8

// Raw is one struct input_event.
func Raw(kind, code uint16, value int32, seconds, micros int64) []byte {
	b := make([]byte, evdev.EventSize)
	if long == 4 {
		binary.NativeEndian.PutUint32(b, uint32(seconds))
		binary.NativeEndian.PutUint32(b[4:], uint32(micros))
	} else {
		binary.NativeEndian.PutUint64(b, uint64(seconds))
		binary.NativeEndian.PutUint64(b[8:], uint64(micros))
	}
	binary.NativeEndian.PutUint16(b[2*long:], kind)
	binary.NativeEndian.PutUint16(b[2*long+2:], code)
	binary.NativeEndian.PutUint32(b[2*long+4:], uint32(value))
	return b
}

// Packet is what a real keyboard sends for one event of a key: its scan code, the
// event, and the end of the packet.
func Packet(e evdev.Event) []byte {
	s, us := int64(e.At/time.Second), int64(e.At%time.Second/time.Microsecond)
	b := Raw(4, 4, int32(e.Code), s, us)
	b = append(b, Raw(1, e.Code, int32(e.Action), s, us)...)
	return append(b, Raw(0, 0, 0, s, us)...)
}

// Dropped says that events are missing.
func Dropped() []byte { return Raw(0, 3, 0, 1, 0) }

// Pipe is a keyboard that tells what is written to it.
type Pipe struct {
	tb    testing.TB
	clock func() time.Duration
	w     *os.File
}

// NewPipe returns the keyboard and the end that a Recorder reads and closes.
func NewPipe(tb testing.TB, clock func() time.Duration) (*Pipe, *os.File) {
	tb.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { w.Close() })
	return &Pipe{tb, clock, w}, r
}

// Try sends bytes, whatever they are. It fails once nobody reads.
func (p *Pipe) Try(b []byte) error {
	_, err := p.w.Write(b)
	return err
}

// Write is Try that must not fail.
func (p *Pipe) Write(b []byte) {
	p.tb.Helper()
	if err := p.Try(b); err != nil {
		p.tb.Fatal(err)
	}
}

// Does sends an event of now, and returns its stamp.
func (p *Pipe) Does(code uint16, a evdev.Action) time.Duration {
	p.tb.Helper()
	at := p.clock().Truncate(time.Microsecond)
	p.Write(Packet(evdev.Event{Code: code, Action: a, At: at}))
	return at
}

// Closed reports whether nobody reads the keyboard any more.
func (p *Pipe) Closed() bool { return p.Try(Raw(4, 4, 0, 0, 0)) != nil }

// Close unplugs the keyboard.
func (p *Pipe) Close() { p.w.Close() }
