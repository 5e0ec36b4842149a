// Package clitest lets tests sit at a terminal: a pseudo-terminal with a screen
// that can be read, and a typist whose clock the test owns. Tests only.
//
//	term := clitest.Open(t, "xterm")
//	env := term.Env("ksd-enroll", "-socket", path)
//	done := term.Go(func() int { return enroll.Run(ctx, env) })
//	term.Wait("> ")
//	term.Type("the water under the stone\r", 120*time.Millisecond)
package clitest

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Screen is what a terminal of 80 columns and 24 lines shows. It knows what
// ksd's programs use of ECMA-48, and shows anything else as it came.
type Screen struct {
	cells    [24][80]rune
	row, col int
	rest     []byte   // an incomplete sequence
	told     []string // sequences that are not for the screen, not seen to yet
}

// Write shows bytes as a terminal would. It never fails.
func (s *Screen) Write(p []byte) (int, error) {
	b := append(s.rest, p...)
	for len(b) > 0 {
		n := s.step(b)
		if n == 0 {
			break
		}
		b = b[n:]
	}
	s.rest = append([]byte(nil), b...)
	return len(p), nil
}

// String returns the lines of the screen down to the last that is not empty.
func (s *Screen) String() string {
	var lines []string
	for row := range s.cells {
		lines = append(lines, s.line(row))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n"
}

// line returns one line without the blanks at its end.
func (s *Screen) line(row int) string {
	return strings.TrimRight(strings.ReplaceAll(string(s.cells[row][:]), "\x00", " "), " ")
}

// beforeCursor returns what stands on the cursor's line to the left of it.
func (s *Screen) beforeCursor() string { return string(s.cells[s.row][:s.col]) }

// step takes one character or sequence and returns its length, 0 if it is not
// complete.
func (s *Screen) step(b []byte) int {
	switch {
	case b[0] == 0x1b:
		return s.escape(b)
	case b[0] == 0:
	case b[0] == '\r':
		s.col = 0
	case b[0] == '\n':
		s.lineFeed()
	case b[0] == '\b':
		s.col = max(0, s.col-1)
	case !utf8.FullRune(b):
		return 0
	default:
		r, n := utf8.DecodeRune(b)
		s.put(r)
		return n
	}
	return 1
}

func (s *Screen) put(r rune) {
	if s.col == len(s.cells[0]) {
		s.col = 0
		s.lineFeed()
	}
	s.cells[s.row][s.col] = r
	s.col++
}

func (s *Screen) lineFeed() {
	if s.row < len(s.cells)-1 {
		s.row++
		return
	}
	copy(s.cells[:], s.cells[1:])
	s.cells[s.row] = [80]rune{}
}

// escape carries out ESC [ parameters final.
func (s *Screen) escape(b []byte) int {
	if len(b) < 3 {
		return 0
	}
	end := 2
	for end < len(b) && b[end] < 0x40 {
		end++
	}
	if b[1] != '[' || end == len(b) {
		if b[1] == '[' {
			return 0
		}
		s.put('?')
		return 1
	}
	n, _ := strconv.Atoi(string(b[2:end]))
	switch b[end] {
	case 'H':
		s.row, s.col = 0, 0
	case 'A':
		s.row = max(0, s.row-max(1, n))
	case 'C':
		s.col = min(len(s.cells[0])-1, s.col+max(1, n))
	case 'K':
		clear(s.cells[s.row][s.col:])
	case 'J':
		if n == 2 {
			s.cells = [24][80]rune{}
			break
		}
		clear(s.cells[s.row][min(s.col, 79):])
		clear(s.cells[s.row+1:])
	case 'h', 'l': // modes
	case 'u', 'p', 'c': // what a program asks the terminal
		s.told = append(s.told, string(b[:end+1]))
	default:
		s.put('?')
	}
	return end + 1
}
