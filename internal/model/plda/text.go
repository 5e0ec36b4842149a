package plda

import (
	"math"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
)

// Text is a text on a channel, place by place: a place is the press-press time
// before a key or, where releases are seen, the dwell of a key.
type Text struct {
	name   string
	full   bool
	places []place // intervals, then dwells

	intervals int // how many of them
}

// place is a time and the keys around it.
type place struct {
	dwell bool
	at    int // of the key in the text
	keys  []keystroke.Key
}

// kind is 0 for intervals and 1 for dwells.
func (p place) kind() int {
	if p.dwell {
		return 1
	}
	return 0
}

// NewText returns the places of a text: the press-press times of all keys but
// the first and, if full, the dwells of all.
func NewText(text string, full bool) *Text {
	var keys []keystroke.Key
	for _, r := range text {
		keys = append(keys, keystroke.KeyOf(r))
	}
	t := &Text{name: text, full: full}
	for i := 1; i < len(keys); i++ {
		t.places = append(t.places, place{false, i, keys})
	}
	t.intervals = len(t.places)
	for i := 0; full && i < len(keys); i++ {
		t.places = append(t.places, place{true, i, keys})
	}
	return t
}

// Len is the number of places.
func (t *Text) Len() int { return len(t.places) }

// Residuals appends the residual at each place to dst, NaN where it is not
// known. The strokes must be those of the text.
func (t *Text) Residuals(dst []float64, strokes []feature.Stroke) []float64 {
	for _, p := range t.places {
		s, x := strokes[p.at], math.NaN()
		switch {
		case p.dwell && s.HasDwell:
			x = s.ZDwell
		case !p.dwell && s.HasDD:
			x = s.ZDD
		}
		dst = append(dst, x)
	}
	return dst
}
