package policy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

func TestCheckText(t *testing.T) {
	const phrase = "cold water on stones"
	for _, c := range []struct {
		name, text, phrase string
		corrections, most  int
		want               error
	}{
		{"nothing for nothing", "", "", 0, 2, ErrText},
		{"nothing", "", phrase, 0, 2, ErrText},
		{"one letter short", phrase[:19], phrase, 0, 2, ErrText},
		{"one letter more", phrase + " ", phrase, 0, 2, ErrText},
		{"a capital", "Cold water on stones", phrase, 0, 2, ErrText},
		{"composed in another way", "u\u0308ber Bru\u0308cken", "über Brücken", 0, 2, ErrText},
		{"too many corrections", phrase, phrase, 3, 2, ErrCorrections},
		{"none allowed", phrase, phrase, 1, 0, ErrCorrections},
		{"fewer than none allowed", phrase, phrase, 0, -1, ErrCorrections},
		{"both wrong", "x", phrase, 3, 2, ErrText},
		{"as many as allowed", phrase, phrase, 2, 2, nil},
		{"clean", phrase, phrase, 0, 0, nil},
	} {
		err := CheckText(keystroke.Line{Text: c.text, Corrections: c.corrections}, c.phrase, c.most)
		if !errors.Is(err, c.want) || (err != nil) != (c.want != nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err != nil && c.text != "" && c.text != "x" && strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v shows what was typed", c.name, err)
		}
	}
}

// TestCheckTextCountsBreaks presses keys that type nothing between letters. Each
// hides an interval, as a correction does, and counts like one.
func TestCheckTextCountsBreaks(t *testing.T) {
	for _, c := range []struct {
		name, keys string // "<" is Backspace, "^" an arrow, "s" Shift
		most       int
		want       error
	}{
		{"an arrow between all letters", "c^o^l^d", 2, ErrCorrections},
		{"three of them", "^c^o^l^d", 2, ErrCorrections},
		{"two arrows and a correction", "c^o^lx<d", 2, ErrCorrections},
		{"one arrow where none is allowed", "co^ld", 0, ErrCorrections},
		{"two arrows", "co^l^d", 2, nil},
		{"two at one place", "co^^ld", 1, nil},
		{"an arrow before and after", "^cold^", 0, nil},
		{"Shift", "scsosls sd", 0, ErrText},
		{"Shift between all letters", "scsoslsd", 0, nil},
		{"as many corrections as breaks", "cx<ox<ld", 2, nil},
		{"corrections of corrections", "coldxy<<", 2, nil},
	} {
		var s keystroke.Sample
		for i, r := range c.keys {
			e := keystroke.Event{Down: time.Duration(i) * 100 * time.Millisecond}
			switch r {
			case '<':
				e.Key = keystroke.Backspace
			case '^':
				e.Key = keystroke.ArrowLeft
			case 's':
				e.Key = keystroke.ShiftKey
			default:
				e.Key, e.Rune = keystroke.KeyOf(r), r
			}
			s.Events = append(s.Events, e)
		}
		if err := CheckText(s.Line(), "cold", c.most); !errors.Is(err, c.want) || (err != nil) != (c.want != nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}
