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
// phrase, which must not be empty, and hold at most maxCorrections corrections.
// The error wraps ErrText or ErrCorrections and never shows either text.
func CheckText(line keystroke.Line, phrase string, maxCorrections int) error {
	if phrase == "" || line.Text != phrase {
		return ErrText
	}
	if line.Corrections > maxCorrections {
		return fmt.Errorf("%w: %d, at most %d", ErrCorrections, line.Corrections, maxCorrections)
	}
	return nil
}
