package policy

import (
	"errors"
	"strings"
	"testing"

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
