package evdev_test

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"ksd/internal/evdev"
	"ksd/internal/evdev/evdevtest"
)

func TestDecode(t *testing.T) {
	key := func(at time.Duration, code uint16, a evdev.Action) []byte {
		return evdevtest.Packet(evdev.Event{Code: code, Action: a, At: at})
	}
	good := key(time.Second, 30, evdev.Down)
	for _, c := range []struct {
		name string
		in   []byte
		err  error
		want []evdev.Event
	}{
		{"half an event", good[:evdev.EventSize-1], evdev.ErrMalformed, nil},
		{"an event and a half", good[:evdev.EventSize+8], evdev.ErrMalformed, nil},
		{"a value beyond repeat", append(slices.Clone(good), evdevtest.Raw(1, 30, 3, 1, 0)...), evdev.ErrMalformed, nil},
		{"a negative value", evdevtest.Raw(1, 30, -1, 1, 0), evdev.ErrMalformed, nil},
		{"a million microseconds", evdevtest.Raw(1, 30, 1, 1, 1e6), evdev.ErrMalformed, nil},
		{"negative microseconds", evdevtest.Raw(1, 30, 1, 1, -1), evdev.ErrMalformed, nil},
		{"negative seconds", evdevtest.Raw(1, 30, 1, -1, 0), evdev.ErrMalformed, nil},
		{"seconds beyond any", evdevtest.Raw(1, 30, 1, math.MaxInt64, 0), evdev.ErrMalformed, nil},
		{"dropped", evdevtest.Dropped(), evdev.ErrDropped, nil},
		{"dropped after a key", append(slices.Clone(good), evdevtest.Dropped()...), evdev.ErrDropped, nil},
		{"dropped before a key", append(evdevtest.Dropped(), good...), evdev.ErrDropped, nil},
		{"nothing", nil, nil, nil},
		{"no key: light, mouse, code 3 of another type", slices.Concat(evdevtest.Raw(17, 0, 1, 1, 0), evdevtest.Raw(2, 0, -5, 1, 0), evdevtest.Raw(4, 3, 0, 1, 0)), nil, nil},
		{
			"press, repeat and release",
			slices.Concat(key(0, 30, evdev.Down), key(1500*time.Microsecond, 30, evdev.Repeat), key(3*time.Second+999999*time.Microsecond, 0x2ff, evdev.Up)), nil,
			[]evdev.Event{{7, 30, evdev.Down, 0}, {7, 30, evdev.Repeat, 1500 * time.Microsecond}, {7, 0x2ff, evdev.Up, 3*time.Second + 999999*time.Microsecond}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := evdev.Event{Code: 1}
			got, err := evdev.Decode([]evdev.Event{before}, 7, c.in)
			if !errors.Is(err, c.err) || len(got) == 0 || got[0] != before || !slices.Equal(got[1:], c.want) {
				t.Errorf("%v, %v, want %v, %v", got, err, c.want, c.err)
			}
			if rest := got[len(got):cap(got)]; slices.ContainsFunc(rest, func(e evdev.Event) bool { return e != evdev.Event{} }) {
				t.Errorf("left behind: %v", rest)
			}
		})
	}
}

// FuzzDecode checks that whatever is accepted is sound, and that what is written
// of it is read again.
func FuzzDecode(f *testing.F) {
	f.Add(evdevtest.Packet(evdev.Event{Code: 30, Action: evdev.Down, At: time.Hour}))
	f.Add(append(evdevtest.Packet(evdev.Event{Code: 28, Action: evdev.Repeat}), evdevtest.Dropped()...))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.Clone(b)
		got, err := evdev.Decode(nil, 3, b)
		if !bytes.Equal(b, in) || err != nil && len(got) > 0 || len(got) > len(b)/evdev.EventSize {
			t.Fatalf("%v, %v of %x", got, err, in)
		}
		var again []byte
		for _, e := range got {
			if e.Action > evdev.Repeat || e.At < 0 || e.Keyboard != 3 {
				t.Fatalf("%+v", e)
			}
			again = append(again, evdevtest.Packet(e)...)
		}
		if twice, err := evdev.Decode(nil, 3, again); err != nil || !slices.Equal(twice, got) {
			t.Fatalf("%v, read again %v, %v", got, twice, err)
		}
	})
}
