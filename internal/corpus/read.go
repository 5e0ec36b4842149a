package corpus

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"ksd/internal/keystroke"
)

const header = "user\tsample\ttext\tkey\tgap_ms\thold_ms"

var columns = [...]string{"user", "sample", "text", "key", "gap_ms", "hold_ms"}

// Reader reads typings from the TSV exchange format, one at a time.
type Reader struct {
	br   *bufio.Reader
	line int  // number of the line in next
	next *row // read, but of the following typing
	row  row
	err  error // that ended the file
}

// row is one line. user and text are kept as strings of the typing they belong
// to, so that a line costs no allocation.
type row struct {
	user, text string
	number     int
	key        keystroke.Key
	r          rune
	gap, hold  time.Duration
	released   bool
}

// NewReader reads the header. Errors wrap ErrFormat, or are the reader's own.
func NewReader(r io.Reader) (*Reader, error) {
	br, err := open(r)
	if err != nil {
		return nil, err
	}
	t := &Reader{br: br}
	b, err := t.readLine()
	if err == io.EOF {
		return nil, fmt.Errorf("line 1: %w: the file is empty", ErrFormat)
	}
	if err != nil {
		return nil, err
	}
	if string(b) != header {
		return nil, fmt.Errorf("line 1: %w: the header is not %q", ErrFormat, header)
	}
	return t, nil
}

// Next returns the next typing, io.EOF after the last. With an error that
// wraps keystroke.ErrInvalid the typing is returned as well, breaks a rule of
// keystroke.Sample.Validate, and reading can go on; any other error is final.
// A typing of more than keystroke.MaxEvents keys is cut after one more.
func (t *Reader) Next() (Typing, error) {
	if t.err != nil {
		return Typing{}, t.err
	}
	if t.next == nil {
		if t.err = t.advance(); t.err != nil {
			return Typing{}, t.err
		}
	}
	first := *t.next
	out := Typing{User: first.user, Number: first.number, Text: first.text, Line: t.line}
	var b builder
	for t.next != nil && first.user == t.next.user && first.number == t.next.number && first.text == t.next.text {
		b.add(t.next)
		if t.err = t.advance(); t.err != nil && t.err != io.EOF {
			return Typing{}, t.err
		}
	}
	out.Sample = b.sample()
	if err := out.Sample.Validate(); err != nil {
		return out, fmt.Errorf("line %d: user %s, sample %d of %s: %w", out.Line, out.User, out.Number, out.Text, err)
	}
	return out, nil
}

// All returns the remaining typings. It ends after the first final error.
func (t *Reader) All() iter.Seq2[Typing, error] {
	return func(yield func(Typing, error) bool) {
		for {
			typing, err := t.Next()
			if err == io.EOF {
				return
			}
			if !yield(typing, err) || t.err != nil && t.err != io.EOF {
				return
			}
		}
	}
}

// advance reads one line into t.next, nil at the end.
func (t *Reader) advance() error {
	t.next = nil
	b, err := t.readLine()
	if err != nil {
		return err
	}
	if err := t.row.parse(b); err != nil {
		return fmt.Errorf("line %d, %w", t.line, err)
	}
	t.next = &t.row
	return nil
}

// readLine returns the next line without its end; it is good until the next
// call.
func (t *Reader) readLine() ([]byte, error) {
	t.line++
	b, err := t.br.ReadSlice('\n')
	switch {
	case err == bufio.ErrBufferFull:
		return nil, fmt.Errorf("line %d: %w: longer than %d bytes", t.line, ErrFormat, MaxLine)
	case err == io.EOF && len(b) > 0: // the last line needs no end
	case err == io.EOF:
		return nil, io.EOF
	case err != nil:
		return nil, fmt.Errorf("line %d: %w", t.line, err)
	}
	b = bytes.TrimSuffix(b, []byte("\n"))
	return bytes.TrimSuffix(b, []byte("\r")), nil
}

func (w *row) parse(b []byte) error {
	var cells [len(columns)][]byte
	for i := range cells {
		cell, rest, more := bytes.Cut(b, []byte("\t"))
		if more == (i == len(cells)-1) {
			return fmt.Errorf("column %d: %w: want %d columns", i+1, ErrFormat, len(columns))
		}
		cells[i], b = cell, rest
	}
	for i, parse := range [...]func([]byte) error{w.setUser, w.setNumber, w.setText, w.setKey, w.setGap, w.setHold} {
		if err := parse(cells[i]); err != nil {
			return fmt.Errorf("column %s: %w", columns[i], err)
		}
	}
	return nil
}

func (w *row) setUser(b []byte) error   { return setWord(&w.user, b) }
func (w *row) setText(b []byte) error   { return setWord(&w.text, b) }
func (w *row) setGap(b []byte) error    { return setMS(&w.gap, b) }
func (w *row) setNumber(b []byte) error { return setInt(&w.number, b) }

func (w *row) setHold(b []byte) error {
	w.hold, w.released = 0, string(b) != "-"
	if !w.released {
		return nil
	}
	return setMS(&w.hold, b)
}

func (w *row) setKey(b []byte) error {
	r, n := utf8.DecodeRune(b)
	if n == len(b) && n > 0 && r != utf8.RuneError && !unicode.IsControl(r) {
		w.key, w.r = keystroke.KeyOf(r), r
		return nil
	}
	w.key, w.r = keystroke.ParseKey(string(b)), 0
	switch string(b) {
	case "Space":
		w.r = ' '
	case "Left":
		w.key = keystroke.ArrowLeft
	case "Right":
		w.key = keystroke.ArrowRight
	case "Up":
		w.key = keystroke.ArrowUp
	case "Down":
		w.key = keystroke.ArrowDown
	}
	if w.key == keystroke.Other && string(b) != "Other" {
		return fmt.Errorf("%w: no key is called %q", ErrFormat, b)
	}
	return nil
}

// setWord leaves the old string in place if it is the same, so that a file of
// millions of lines makes one string for each typing at most.
func setWord(to *string, b []byte) error {
	if *to == string(b) && len(b) > 0 {
		return nil
	}
	if len(b) == 0 || !utf8.Valid(b) || bytes.ContainsFunc(b, unicode.IsControl) {
		return fmt.Errorf("%w: %q is not a word", ErrFormat, b)
	}
	*to = string(b)
	return nil
}

func setInt(to *int, b []byte) error {
	n, err := strconv.ParseUint(string(b), 10, 31)
	if err != nil {
		return fmt.Errorf("%w: %q is not a number from 0 on", ErrFormat, b)
	}
	*to = int(n)
	return nil
}

// setMS reads decimal ms exactly: no float comes between the file and the ns.
func setMS(to *time.Duration, b []byte) error {
	digits, negative := bytes.CutPrefix(b, []byte("-"))
	whole, places, point := bytes.Cut(digits, []byte("."))
	if len(whole) == 0 || len(whole) > 9 || len(places) > 6 || point && len(places) == 0 {
		return fmt.Errorf("%w: %q is not a time in ms", ErrFormat, b)
	}
	var ns int64
	for i := range len(whole) + 6 {
		d := byte('0')
		if i < len(whole) {
			d = whole[i]
		} else if i-len(whole) < len(places) {
			d = places[i-len(whole)]
		}
		if d < '0' || d > '9' {
			return fmt.Errorf("%w: %q is not a time in ms", ErrFormat, b)
		}
		ns = ns*10 + int64(d-'0')
	}
	if negative {
		ns = -ns
	}
	*to = time.Duration(ns)
	return nil
}

// builder puts lines together to a sample.
type builder struct {
	at     time.Duration
	shift  time.Duration // until when a Shift key is known to be down
	full   bool
	events []keystroke.Event
}

func (b *builder) add(w *row) {
	if len(b.events) > keystroke.MaxEvents {
		return
	}
	b.at += w.gap
	e := keystroke.Event{Key: w.key, Rune: w.r, Down: b.at, Released: w.released}
	if w.released {
		e.Up = e.Down + w.hold
		b.full = true
	}
	if b.at < b.shift && w.key != keystroke.ShiftKey {
		e.Mods = keystroke.Shift
		e.Rune = shifted(w.r)
	}
	if w.key == keystroke.ShiftKey {
		b.shift = max(b.shift, e.Up)
	}
	b.events = append(b.events, e)
}

func (b *builder) sample() keystroke.Sample {
	s := keystroke.Sample{Channel: keystroke.Press, Events: b.events}
	if b.full {
		s.Channel = keystroke.Full
	}
	s.Phrase = s.Line().Text
	return s
}

// shifted is what a letter becomes under Shift. What other keys become depends
// on the keyboard's layout, which the format does not tell.
func shifted(r rune) rune {
	if unicode.IsLetter(r) {
		return unicode.ToUpper(r)
	}
	return r
}
