package corpus

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ksd/internal/keystroke"
)

// WriteTSV writes typings in the TSV exchange format. What NewReader read comes
// back as it was. Two typings that follow each other must differ in user,
// number or text, or they would be read as one. Errors wrap ErrFormat or
// keystroke.ErrInvalid, or are the writer's own.
func WriteTSV(w io.Writer, typings []Typing) error {
	bw := bufio.NewWriter(w)
	bw.WriteString(header + "\n")
	for i, t := range typings {
		if err := checkTyping(t); err != nil {
			return fmt.Errorf("typing %d: %w", i, err)
		}
		if i > 0 && typings[i-1].User == t.User && typings[i-1].Number == t.Number && typings[i-1].Text == t.Text {
			return fmt.Errorf("typing %d: %w: it has the name of the one before it", i, ErrFormat)
		}
		if err := writeTyping(bw, t); err != nil {
			return fmt.Errorf("typing %d: %w", i, err)
		}
	}
	return bw.Flush()
}

func checkTyping(t Typing) error {
	for _, s := range []string{t.User, t.Text} {
		if s == "" || len(s) > MaxLine/4 || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
			return fmt.Errorf("%w: %q is not a word", ErrFormat, s)
		}
	}
	if t.Number < 0 {
		return fmt.Errorf("%w: sample number %d", ErrFormat, t.Number)
	}
	return t.Sample.Validate()
}

func writeTyping(w *bufio.Writer, t Typing) error {
	name := t.User + "\t" + strconv.Itoa(t.Number) + "\t" + t.Text + "\t"
	var last, shift time.Duration
	for _, e := range t.Sample.Events {
		hold := "-"
		if e.Released {
			hold = ms(e.Up - e.Down)
		}
		cell := cellOf(e, e.Down < shift && e.Key != keystroke.ShiftKey)
		if _, err := w.WriteString(name + cell + "\t" + ms(e.Down-last) + "\t" + hold + "\n"); err != nil {
			return err
		}
		if e.Key == keystroke.ShiftKey {
			shift = max(shift, e.Up)
		}
		last = e.Down
	}
	return nil
}

// cellOf returns the word of the key, or the character itself where the word
// would be read as another one.
func cellOf(e keystroke.Event, shift bool) string {
	word := e.Key.String()
	if e.Rune == 0 || unicode.IsControl(e.Rune) {
		return word
	}
	typed := rune(e.Key)
	if shift {
		typed = shifted(typed)
	}
	if typed == e.Rune {
		return word
	}
	return string(e.Rune)
}

// ms writes d as decimal ms without superfluous zeros.
func ms(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	s := fmt.Sprintf("%s%d.%06d", sign, int64(d)/1e6, int64(d)%1e6)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
