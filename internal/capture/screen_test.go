package capture

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"ksd/internal/keystroke"
)

// screen is as much of a terminal as a prompt uses: enough to say what the
// person sees. It counts it as a fault if anything runs over the last column.
type screen struct {
	cols     int
	lines    [][]string // cells; the second cell of a wide character is ""
	row, col int
	fault    string
}

func (s *screen) write(b []byte) {
	for len(b) > 0 {
		if b[0] == 0x1b {
			n := strings.IndexAny(string(b), "ABCDHJKhlm")
			s.control(string(b[2:n]), b[n])
			b = b[n+1:]
			continue
		}
		r, n := utf8.DecodeRune(b)
		b = b[n:]
		s.put(r)
	}
}

func (s *screen) put(r rune) {
	switch r {
	case '\r':
		s.col = 0
		return
	case '\n': // as the driver passes it on: CR LF
		s.row++
		s.col = 0
		return
	case '\b':
		s.col--
		if s.col < 0 {
			s.fault = "backspace over the left edge"
			s.col = 0
		}
		return
	}
	s.room()
	w := columns(r)
	if w == 0 {
		i := s.col - 1
		for i > 0 && s.lines[s.row][i] == "" {
			i--
		}
		if i >= 0 {
			s.lines[s.row][i] += string(r)
		}
		return
	}
	if s.col+w > s.cols {
		s.fault = fmt.Sprintf("%q runs over column %d", r, s.cols)
		return
	}
	s.lines[s.row][s.col] = string(r)
	if w == 2 {
		s.lines[s.row][s.col+1] = ""
	}
	s.col += w
}

func (s *screen) control(params string, final byte) {
	s.room()
	n, err := strconv.Atoi(params)
	if err != nil {
		n = 1
	}
	switch final {
	case 'A':
		s.row = max(s.row-n, 0)
	case 'C':
		s.col = min(s.col+n, s.cols-1)
	case 'J':
		s.lines = s.lines[:s.row+1]
		s.blank(s.col)
	case 'K':
		s.blank(s.col)
	}
}

func (s *screen) room() {
	for len(s.lines) <= s.row {
		s.lines = append(s.lines, make([]string, s.cols))
		row := s.row
		s.row = len(s.lines) - 1
		s.blank(0)
		s.row = row
	}
}

func (s *screen) blank(from int) {
	for i := from; i < s.cols; i++ {
		s.lines[s.row][i] = " "
	}
}

func (s *screen) text(row int) string {
	if row >= len(s.lines) {
		return ""
	}
	return strings.TrimRight(strings.Join(s.lines[row], ""), " ")
}

// FuzzLine types and erases at random and compares the screen with the text
// broken into rows from scratch. Each byte of keys is one key.
func FuzzLine(f *testing.F) {
	f.Add([]byte("hello, world, this is longer\x7f\x7f than a row of the screen"), uint8(20), true, true)
	f.Add([]byte("aaaaaaaaaaaaaaaaaaaa\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f"), uint8(20), false, false)
	f.Add([]byte("\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x7f\x7f\x82\x82\x82\x7f\x82\x7f\x7f"), uint8(20), true, false)
	f.Add([]byte(strings.Repeat("a", 45)+strings.Repeat("\x7f", 45)), uint8(0), true, true)
	f.Add([]byte(strings.Repeat("a", 45)+strings.Repeat("\x7f", 45)), uint8(0), false, false)
	f.Add([]byte("a\x82\x7f\x82\x82\x7f\x7f\x7f\x83\x84"), uint8(20), false, false)
	odd := []rune{'é', '日', 0x301, '🙂', 0x202e, 0x200d}
	f.Fuzz(func(t *testing.T, keys []byte, cols uint8, moves, status bool) {
		keys = keys[:min(len(keys), keystroke.MaxEvents)]
		width := int(cols)%60 + 20
		s := &screen{cols: width}
		s.room()
		l := line{width: width - 1, moves: moves, status: status && moves, indent: 2, col: 2}
		s.write([]byte("> "))
		for _, k := range keys {
			var out []byte
			switch {
			case k == 0x7f:
				out = l.erase(nil)
			case k >= 0x80:
				out = l.insert(nil, odd[int(k)%len(odd)])
			case k >= 0x20:
				out = l.insert(nil, rune(k))
			default:
				continue
			}
			s.write(out)
			if l.status {
				s.write(l.below(nil, "status 日本 line "+strings.Repeat("=", int(k))))
			}
			check(t, s, &l)
		}
	})
}

// check compares the rows of l with the last rows of the screen.
func check(t *testing.T, s *screen, l *line) {
	t.Helper()
	if s.fault != "" {
		t.Fatal(s.fault)
	}
	want := []string{"> "}
	if !l.moves && len(l.rows) == 0 && strings.HasPrefix(strings.Join(s.lines[s.row], ""), "  ") {
		want[0] = "  " // drawn again by a terminal that cannot go back to its mark
	}
	col, left := l.indent, l.indent
	for _, r := range l.runes {
		w := columns(shown(r))
		if col+w > l.width {
			want, col, left = append(want, ""), 0, 0
		}
		if w > 0 || col > left {
			want[len(want)-1] += string(shown(r))
		}
		col += w
	}
	if s.col != col {
		t.Fatalf("%q: the cursor is in column %d, want %d", string(l.runes), s.col, col)
	}
	for i := range want {
		want := strings.TrimRight(want[len(want)-1-i], " ")
		if got := s.text(s.row - i); got != want {
			t.Fatalf("%q: %d rows up the screen reads %q, want %q", string(l.runes), i, got, want)
		}
		if !l.moves {
			break // the rows above are not always the last drawn
		}
	}
	if l.status && !strings.HasPrefix(s.text(s.row+1), "status") {
		t.Fatalf("%q: the line below reads %q", string(l.runes), s.text(s.row+1))
	}
	if n := len(s.lines) - s.row; l.status && n != 2 {
		t.Fatalf("%q: %d lines from the cursor's on, want 2: a status line was left behind", string(l.runes), n)
	}
}

func TestColumns(t *testing.T) {
	for text, want := range map[string]int{
		"hello": 5, "é": 1, "e\u0301": 1, "日本": 4, "한글": 4, "🙂": 2, "ｆ": 2, "\u200d": 0, "♥": 1, "\u1100\u1161": 2, "⚡": 2,
	} {
		n := 0
		for _, r := range text {
			n += columns(r)
		}
		if n != want {
			t.Errorf("%q takes %d columns, want %d", text, n, want)
		}
	}
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"plain é日🙂":               "plain é日🙂",
		"\x1b]0;x\a\r\n\t\x7f":    "?]0;x?????",
		"\u009b31m \u0085":        "?31m ?",
		"bad \xff\xfe":            "bad ??",
		"\u202eabc\u2066\u200b":   "?abc??",
		"line\u2028para\u2029":    "line?para?",
		"می\u200cخواهم \u00ad.":   "می\u200cخواهم ?.",
		"\ue000 \U0010ffff\u0000": "? ??",
	} {
		if got := clean(text); got != want {
			t.Errorf("clean(%q) = %q, want %q", text, got, want)
		}
	}
	if got := fit("日本語\x1b", 5); got != "日本" {
		t.Errorf("fit = %q", got)
	}
}
