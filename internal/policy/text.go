package policy

import (
	"errors"
	"fmt"

	"ksd/internal/keystroke"
)

// The facts CheckText states.
var (
	ErrText        = errors.New("the line is not the phrase that was asked for")
	ErrCorrections = errors.New("too many corrections")
)

// CheckText says whether a typed line may be judged: it must read exactly as
// phrase, which must not be empty, hold at most maxCorrections corrections, and
// be broken off no more often than those explain. A key that types nothing, an
// arrow or Tab, breaks a movement off as a correction does: without a bound, a
// stranger could hide every interval but those in which people are alike.
//
// The error wraps ErrText or ErrCorrections and never shows either text.
func CheckText(line keystroke.Line, phrase string, maxCorrections int) error {
	if phrase == "" || line.Text != phrase {
		return ErrText
	}
	if line.Corrections > maxCorrections {
		return fmt.Errorf("%w: %d, at most %d", ErrCorrections, line.Corrections, maxCorrections)
	}
	if n := breaks(line); n > maxCorrections {
		return fmt.Errorf("%w: the movement breaks off %d times, at most %d", ErrCorrections, n, maxCorrections)
	}
	return nil
}

// breaks counts the strokes after the first to which no one movement leads.
func breaks(line keystroke.Line) (n int) {
	for i := range line.Strokes {
		if _, whole := line.DownDown(i); i > 0 && !whole {
			n++
		}
	}
	return n
}
