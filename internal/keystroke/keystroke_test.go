package keystroke

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"
)

const ms = time.Millisecond

// press is a key going down at a number of ms; a letter types itself.
func press(k Key, at time.Duration) Event {
	e := Event{Key: k, Down: at * ms}
	if k > 0 {
		e.Rune = rune(k)
	}
	return e
}

// hold is press with a release.
func hold(k Key, down, up time.Duration) Event {
	e := press(k, down)
	e.Up, e.Released = up*ms, true
	return e
}

func TestValidate(t *testing.T) {
	many := func(n int) []Event { return slices.Repeat([]Event{press('a', 0)}, n) }
	for _, c := range []struct {
		name string
		s    Sample
		ok   bool
	}{
		{"zero", Sample{}, false},
		{"no channel", Sample{Events: many(1)}, false},
		{"unknown channel", Sample{Channel: "Full", Events: many(1)}, false},
		{"no events", Sample{Channel: Press}, false},
		{"too many events", Sample{Channel: Press, Events: many(MaxEvents + 1)}, false},
		{"first not at 0", Sample{Channel: Press, Events: []Event{press('a', 1)}}, false},
		{"first before 0", Sample{Channel: Press, Events: []Event{press('a', -1)}}, false},
		{"back in time", Sample{Channel: Press, Events: []Event{press('a', 0), press('b', 9), press('c', 8)}}, false},
		{"below 0 later", Sample{Channel: Press, Events: []Event{press('a', 0), press('b', -9)}}, false},
		{"too long", Sample{Channel: Press, Events: []Event{press('a', 0), press('b', 300_001)}}, false},
		{"released too late", Sample{Channel: Full, Events: []Event{hold('a', 0, 300_001)}}, false},
		{"released before its press", Sample{Channel: Full, Events: []Event{hold('a', 0, 9), hold('b', 9, 8)}}, false},
		{"time without release", Sample{Channel: Full, Events: []Event{{Key: 'a', Up: ms}}}, false},
		{"negative time without release", Sample{Channel: Press, Events: []Event{{Key: 'a', Up: -1}}}, false},
		{"release on press", Sample{Channel: Press, Events: []Event{hold('a', 0, 9)}}, false},
		{"release on ssh-press", Sample{Channel: SSHPress, Events: []Event{hold('a', 0, 9)}}, false},

		{"one press", Sample{Channel: SSHPress, Events: many(1)}, true},
		{"most events, all at once", Sample{Channel: Press, Events: many(MaxEvents)}, true},
		{"longest", Sample{Channel: Full, Events: []Event{hold('a', 0, 300_000), press('b', 300_000)}}, true},
		{"overlap", Sample{Channel: Full, Events: []Event{hold('a', 0, 50), hold('b', 10, 20)}}, true},
		{"lost release", Sample{Channel: Full, Events: []Event{press('a', 0)}}, true},
		{"released at once", Sample{Channel: Full, Events: []Event{hold('a', 0, 0)}}, true},
	} {
		err := c.s.Validate()
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want valid %v", c.name, err, c.ok)
		}
	}
}

func TestDurationAndDwell(t *testing.T) {
	if got := (Sample{}).Duration(); got != 0 {
		t.Errorf("nothing lasts %v, want 0", got)
	}
	s := Sample{Events: []Event{hold('a', 0, 500), press('b', 120)}}
	if got := s.Duration(); got != 120*ms {
		t.Errorf("from the first press to the last it is %v, want 120ms", got)
	}
	if d, ok := s.Events[0].Dwell(); d != 500*ms || !ok {
		t.Errorf("dwell %v, %v, want 500ms, true", d, ok)
	}
	if _, ok := s.Events[1].Dwell(); ok {
		t.Error("a key that was not released has a dwell")
	}
}

func TestPressOnly(t *testing.T) {
	bang := Event{Key: '1', Rune: '!', Mods: Shift | ShiftLeft | Super | Alt | Ctrl, Down: 400 * ms, Up: 450 * ms, Released: true}
	full := Sample{Phrase: "T!", Channel: Full, Events: []Event{
		hold(ShiftKey, 0, 160), // held over the first letter
		press(Backspace, 20),   // nothing to correct yet
		press(ArrowLeft, 30),
		{Key: 't', Rune: 'T', Mods: Shift | ShiftRight, Down: 100 * ms, Up: 180 * ms, Released: true},
		hold(CapsLock, 190, 200),
		hold('x', 210, 250),
		hold(Backspace, 300, 350),
		hold(Delete, 360, 365),
		hold(ControlKey, 370, 375), hold(AltKey, 371, 376), hold(SuperKey, 372, 377),
		press(Unknown, 380),
		hold(ArrowRight, 390, 395),
		bang,
	}}
	before := slices.Clone(full.Events)
	got := full.PressOnly()
	want := Sample{Phrase: "T!", Channel: Press, Events: []Event{
		{Key: 't', Rune: 'T'},
		press('x', 110), press(Backspace, 200), press(Delete, 260), press(Unknown, 280), press(ArrowRight, 290),
		{Key: '!', Rune: '!', Mods: Alt | Ctrl, Down: 300 * ms},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if !slices.Equal(full.Events, before) {
		t.Error("the sample itself was changed")
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
	a, b := full.Line(), got.Line()
	if a.Text != b.Text || a.Strokes[1].Joined || b.Strokes[1].Joined {
		t.Errorf("the line changed: %+v, %+v", a, b)
	}
	if empty := (Sample{Channel: Full, Events: []Event{hold(ShiftKey, 0, 9)}}).PressOnly(); len(empty.Events) != 0 {
		t.Errorf("a lone Shift left %+v", empty.Events)
	}
}

// TestCoarser never lets a typing be taken for one that shows more.
func TestCoarser(t *testing.T) {
	for ch, want := range map[Channel][]Channel{
		"": nil, "Full": nil,
		Full: {Full, Press, SSHPress}, Press: {Press, SSHPress}, SSHPress: {SSHPress},
	} {
		if got := ch.Coarser(); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", ch, got, want)
		}
	}
	Channels()[0] = "mine"
	if !slices.Equal(Channels(), Full.Coarser()) {
		t.Errorf("%v: a caller changed them", Channels())
	}
}
