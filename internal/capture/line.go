package capture

import (
	"fmt"
	"strings"
)

// line is what has been typed, and where it stands on the screen. It breaks
// rows itself, one column early, so that it always knows where the cursor is
// and needs no terminal's own idea of wrapping. Its methods append the bytes
// that carry the change to the screen. "\n" is a new line from its start on, as
// rawSettings has the driver make it.
type line struct {
	runes  []rune
	rows   []int // index of the first rune of each row after the first
	col    int   // the cursor's column
	indent int   // columns the prompt's mark takes in the first row
	width  int   // columns used, at most
	moves  bool  // the terminal knows cursor movement and erasing
	status bool  // a status line is kept below
}

// insert types r: at most two bytes besides r itself (CR LF), unless a status line has
// to make room.
func (l *line) insert(out []byte, r rune) []byte {
	if l.col+columns(shown(r)) > l.width {
		out = append(out, "\n"...)
		if l.status {
			out = append(out, "\x1b[J"...)
		}
		l.rows = append(l.rows, len(l.runes))
		l.col = 0
	}
	l.runes = append(l.runes, r)
	if columns(shown(r)) == 0 && l.col == l.left() {
		return out // a mark with nothing to stand on is not drawn
	}
	l.col += columns(shown(r))
	return append(out, string(shown(r))...)
}

// erase takes the last rune away, if there is one.
func (l *line) erase(out []byte) []byte {
	last := len(l.runes) - 1
	if last < 0 {
		return out
	}
	r := l.runes[last]
	l.runes = l.runes[:last]
	n := columns(shown(r))
	switch {
	case n == 0:
		return l.unmark(out)
	case len(l.rows) > 0 && l.rows[len(l.rows)-1] == last:
		l.rows = l.rows[:len(l.rows)-1]
		return l.rowUp(out)
	}
	l.col -= n
	for _, s := range []string{"\b", " ", "\b"} {
		out = append(out, strings.Repeat(s, n)...)
	}
	return out
}

// unmark draws the last cell again without the mark that was taken off it.
func (l *line) unmark(out []byte) []byte {
	i := len(l.runes) - 1
	for i >= 0 && columns(shown(l.runes[i])) == 0 {
		i--
	}
	if i < 0 {
		return out
	}
	out = append(out, strings.Repeat("\b", columns(shown(l.runes[i])))...)
	return append(out, clean(string(l.runes[i:]))...)
}

// rowUp goes back to the end of the row above. A terminal that cannot move up
// gets that row drawn once more.
func (l *line) rowUp(out []byte) []byte {
	start := 0
	if len(l.rows) > 0 {
		start = l.rows[len(l.rows)-1]
	}
	row := l.runes[start:]
	for len(row) > 0 && columns(shown(row[0])) == 0 {
		row = row[1:]
	}
	l.col = l.left()
	indent := strings.Repeat(" ", l.col)
	for _, r := range row {
		l.col += columns(shown(r))
	}
	if l.moves {
		return append(append(out, "\r\x1b[J\x1b[A"...), forward(l.col)...)
	}
	return append(append(append(out, "\n"...), indent...), clean(string(row))...)
}

// left is the column in which the row of the cursor begins.
func (l *line) left() int {
	if len(l.rows) == 0 {
		return l.indent
	}
	return 0
}

// below draws text on the line under the cursor's and comes back.
func (l *line) below(out []byte, text string) []byte {
	out = append(out, "\n\x1b[K"+fit(text, l.width)+"\r\x1b[A"...)
	return append(out, forward(l.col)...)
}

func forward(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dC", n)
}
