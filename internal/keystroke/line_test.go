package keystroke

import (
	"testing"
	"time"
)

// joins writes a line's movements: "a" begins one, "-a" goes on from the key
// before.
func joins(l Line) string {
	var out string
	for _, st := range l.Strokes {
		if st.Joined {
			out += "-"
		}
		out += string(st.Rune)
	}
	return out
}

func TestLine(t *testing.T) {
	for _, c := range []struct {
		name        string
		keys        []Key
		joins       string
		text        string
		corrections int
	}{
		{"nothing", nil, "", "", 0},
		{"plain", []Key{'a', 'b', 'c'}, "a-b-c", "abc", 0},
		{"a space is a letter", []Key{'a', Space, 'c'}, "a- -c", "a c", 0},
		{"backspace", []Key{'a', 'x', Backspace, 'b', 'c'}, "ab-c", "abc", 1},
		{"two backspaces", []Key{'a', 'b', 'x', 'y', Backspace, Backspace, 'c'}, "a-bc", "abc", 2},
		{"everything taken back", []Key{'a', 'b', Backspace, Backspace, 'c', 'd'}, "c-d", "cd", 2},
		{"more taken back than there is", []Key{Backspace, 'a', Backspace, Backspace, 'b'}, "b", "b", 3},
		{"ends on a correction", []Key{'a', 'b', Backspace}, "a", "a", 1},
		{"delete takes nothing before it", []Key{'a', Delete, 'b'}, "ab", "ab", 1},
		{"shift does not break", []Key{'a', ShiftKey, 'B'}, "a-B", "aB", 0},
		{"leading shift", []Key{ShiftKey, 'A', 'b'}, "A-b", "Ab", 0},
		{"caps lock, control, alt and super do not break", []Key{'a', CapsLock, 'b', ControlKey, 'c', AltKey, 'd', SuperKey, 'e'}, "a-b-c-d-e", "abcde", 0},
		{"arrows break", []Key{'a', ArrowLeft, 'b', ArrowRight, 'c', ArrowUp, 'd', ArrowDown, 'e'}, "abcde", "abcde", 0},
		{"home, end, enter and tab break", []Key{'a', Home, 'b', End, 'c', Enter, 'd', Tab, 'e'}, "abcde", "abcde", 0},
		{"a lost key breaks", []Key{'a', Unknown, 'b', 'c'}, "ab-c", "abc", 0},
		{"another key breaks", []Key{'a', Other, ShiftKey, 'b', 'c'}, "ab-c", "abc", 0},
	} {
		var s Sample
		for i, k := range c.keys {
			s.Events = append(s.Events, press(k, time.Duration(i*100)))
		}
		l := s.Line()
		if l.Text != c.text || joins(l) != c.joins || l.Corrections != c.corrections || len(l.Strokes) != len([]rune(l.Text)) {
			t.Errorf("%s: %q %q with %d corrections, want %q %q with %d",
				c.name, l.Text, joins(l), l.Corrections, c.text, c.joins, c.corrections)
		}
	}
}

// A stroke knows what it typed, not the name of its key.
func TestLineOfRunes(t *testing.T) {
	s := Sample{Events: []Event{{Key: Unknown, Rune: 'ß'}, {Key: 'e', Rune: 'É'}, {Key: ShiftKey, Rune: '^'}}}
	if got := s.Line(); got.Text != "ßÉ^" || joins(got) != "ß-É-^" {
		t.Errorf("%q %q", got.Text, joins(got))
	}
}

func TestIntervals(t *testing.T) {
	s := Sample{Events: []Event{
		hold('a', 0, 90), hold('b', 100, 260), hold('c', 220, 300), press('d', 400),
		press(ShiftKey, 450), hold('e', 500, 560), press(Backspace, 600), hold('f', 700, 800),
	}}
	l := s.Line() // abcdf; e is gone
	for _, c := range []struct {
		i                int
		dd, flight       time.Duration
		hasDD, hasFlight bool
	}{
		{i: -1},
		{i: 0},
		{1, 100, 10, true, true},
		{2, 120, -40, true, true},
		{3, 180, 100, true, true},
		{4, 0, 0, false, false}, // after a correction
	} {
		dd, hasDD := l.DownDown(c.i)
		flight, hasFlight := l.Flight(c.i)
		if dd != c.dd*ms || hasDD != c.hasDD || flight != c.flight*ms || hasFlight != c.hasFlight {
			t.Errorf("stroke %d: %v %v, %v %v", c.i, dd, hasDD, flight, hasFlight)
		}
	}
	l = Sample{Events: s.Events[3:6]}.Line() // d, Shift, e
	if dd, ok := l.DownDown(1); dd != 100*ms || !ok {
		t.Errorf("over Shift: %v, %v, want 100ms", dd, ok)
	}
	if _, ok := l.Flight(1); ok {
		t.Error("a flight from a key that was not released")
	}
}
