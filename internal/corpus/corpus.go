// Package corpus reads and writes typing kept in files: the TSV exchange format
// and the CSV of the CMU benchmark. Both may be gzip'd; the reader notices.
//
// # The TSV exchange format (version 1)
//
// UTF-8; tab-separated; the first line is
//
//	user	sample	text	key	gap_ms	hold_ms
//
// and every further line is one key going down, in order of press:
//
//	user     an opaque id
//	sample   number of the typing within the user (and text), in the order typed
//	text     id of what was to be typed; "-" for free composition
//	key      a character, or one of keystroke's key names such as Space or Shift;
//	         Left, Right, Up and Down are read as the arrows
//	gap_ms   press minus the press before it in the sample, 0 for the first
//	hold_ms  release minus press; "-" if the release was not seen
//
// Lines of one typing stand together. Times are decimal ms with at most six
// places, so nanoseconds survive. A letter typed while a Shift line covers its
// press stands for its capital; a capital written as such stands for itself
// (a plain terminal reports no Shift).
//
// What the format cannot say: other modifiers than Shift, and that presses came
// through ssh. A typing without any release is read as keystroke.Press.
//
// Limits: MaxLine bytes a line, MaxSize bytes a file (unpacked), so that a
// small gzip file cannot fill the memory or run for ever.
package corpus

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"ksd/internal/keystroke"
)

// Limits of both formats, in bytes.
const (
	MaxLine = 4096
	MaxSize = 4 << 30 // unpacked
)

// ErrFormat is the fact that a file breaks a rule of its format.
var ErrFormat = errors.New("malformed corpus")

// Typing is one typing of one person.
type Typing struct {
	User   string
	Number int    // the sample column
	Text   string // the text column: an id, or "-"
	Line   int    // where it starts in the file, from 1
	Sample keystroke.Sample
}

// open unpacks r if it is gzip'd and bounds what can be read from it.
func open(r io.Reader) (*bufio.Reader, error) {
	br := bufio.NewReaderSize(r, MaxLine)
	head, err := br.Peek(2)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(head) < 2 || head[0] != 0x1f || head[1] != 0x8b {
		return bufio.NewReaderSize(&bounded{br, MaxSize}, MaxLine), nil
	}
	z, err := gzip.NewReader(br)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return bufio.NewReaderSize(&bounded{z, MaxSize}, MaxLine), nil
}

// bounded is io.LimitedReader that says so when the limit is met: a file cut
// off silently would be read as a shorter one.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("%w: more than %d bytes", ErrFormat, int64(MaxSize))
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
