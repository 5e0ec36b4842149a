package corpus

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"ksd/internal/keystroke"
)

// tsv makes a file of lines whose columns are parted by spaces.
func tsv(lines ...string) string {
	s := header + "\n"
	for _, l := range lines {
		s += strings.Join(strings.Fields(l), "\t") + "\n"
	}
	return s
}

func TestReaderRefuses(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"empty":          {"", "line 1: malformed corpus: the file is empty"},
		"other header":   {"user\tsample\n", "line 1: malformed corpus: the header is not"},
		"five columns":   {tsv("u 0 p a 0"), "line 2, column 5: malformed corpus: want 6 columns"},
		"seven columns":  {tsv("u 0 p a 0 1 2"), "line 2, column 6: malformed corpus: want 6 columns"},
		"an empty line":  {header + "\n\n", "line 2, column 1: malformed corpus"},
		"no user":        {header + "\n\t0\tp\ta\t0\t1\n", "line 2, column user: malformed corpus"},
		"no text":        {header + "\nu\t0\t\ta\t0\t1\n", "line 2, column text: malformed corpus"},
		"user not UTF-8": {tsv("\xff 0 p a 0 1"), "line 2, column user"},
		"control in id":  {tsv("a\x1b[2J 0 p a 0 1"), "line 2, column user"},
		"sample -1":      {tsv("u 0 p a 0 1", "u -1 p a 0 1"), "line 3, column sample"},
		"sample word":    {tsv("u x p a 0 1"), "line 2, column sample"},
		"key unknown":    {tsv("u 0 p Hyper 0 1"), `line 2, column key: malformed corpus: no key is called "Hyper"`},
		"key not UTF-8":  {tsv("u 0 p \xff 0 1"), "line 2, column key"},
		"key control":    {tsv("u 0 p \x01 0 1"), "line 2, column key"},
		"no key":         {header + "\nu\t0\tp\t\t0\t1\n", "line 2, column key"},
		"gap empty":      {header + "\nu\t0\tp\ta\t\t1\n", "line 2, column gap_ms"},
		"gap unknown":    {tsv("u 0 p a - 1"), "line 2, column gap_ms"},
		"gap exponent":   {tsv("u 0 p a 1e3 1"), "line 2, column gap_ms"},
		"gap NaN":        {tsv("u 0 p a NaN 1"), "line 2, column gap_ms"},
		"gap too fine":   {tsv("u 0 p a 1.0000001 1"), "line 2, column gap_ms"},
		"gap too large":  {tsv("u 0 p a 1000000000 1"), "line 2, column gap_ms"},
		"gap ends in .":  {tsv("u 0 p a 1. 1"), "line 2, column gap_ms"},
		"hold sign":      {tsv("u 0 p a 0 +1"), "line 2, column hold_ms"},
		"long line":      {header + "\n" + strings.Repeat("u", MaxLine+1), "line 2: malformed corpus: longer than 4096 bytes"},
		"broken gzip":    {"\x1f\x8bnothing like gzip", "malformed corpus: gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readAll(strings.NewReader(c.in))
			if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func readAll(r io.Reader) ([]Typing, error) {
	t, err := NewReader(r)
	if err != nil {
		return nil, err
	}
	var out []Typing
	for typing, err := range t.All() {
		if err != nil {
			return out, err
		}
		out = append(out, typing)
	}
	return out, nil
}

func TestReaderReads(t *testing.T) {
	in := tsv(
		"ana 0 p1 Shift 0 120", "ana 0 p1 h 50 80.5", "ana 0 p1 i 70 90", "ana 0 p1 Space 100 60", "ana 0 p1 1 200 60",
		"ana 1 p1 A 0 -", "ana 1 p1 b 100.25 -",
		"ana 1 p2 a 0 10",
		"bob 1 p2 Left 0 10", "bob 1 p2 Backspace 5 10", "bob 1 p2 x 5 10",
	)
	want := []Typing{
		{User: "ana", Number: 0, Text: "p1", Line: 2, Sample: keystroke.Sample{
			Phrase: "Hi 1", Channel: keystroke.Full, Events: []keystroke.Event{
				{Key: keystroke.ShiftKey, Up: ms6(120), Released: true},
				{Key: 'h', Rune: 'H', Mods: keystroke.Shift, Down: ms6(50), Up: ms6(130.5), Released: true},
				{Key: 'i', Rune: 'i', Down: ms6(120), Up: ms6(210), Released: true},
				{Key: keystroke.Space, Rune: ' ', Down: ms6(220), Up: ms6(280), Released: true},
				{Key: '1', Rune: '1', Down: ms6(420), Up: ms6(480), Released: true},
			},
		}},
		{User: "ana", Number: 1, Text: "p1", Line: 7, Sample: keystroke.Sample{
			Phrase: "Ab", Channel: keystroke.Press, Events: []keystroke.Event{
				{Key: 'a', Rune: 'A'}, {Key: 'b', Rune: 'b', Down: ms6(100.25)},
			},
		}},
		{User: "ana", Number: 1, Text: "p2", Line: 9, Sample: keystroke.Sample{
			Phrase: "a", Channel: keystroke.Full, Events: []keystroke.Event{{Key: 'a', Rune: 'a', Up: ms6(10), Released: true}},
		}},
		{User: "bob", Number: 1, Text: "p2", Line: 10, Sample: keystroke.Sample{
			Phrase: "x", Channel: keystroke.Full, Events: []keystroke.Event{
				{Key: keystroke.ArrowLeft, Up: ms6(10), Released: true},
				{Key: keystroke.Backspace, Down: ms6(5), Up: ms6(15), Released: true},
				{Key: 'x', Rune: 'x', Down: ms6(10), Up: ms6(20), Released: true},
			},
		}},
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write([]byte(in))
	z.Close()
	for name, r := range map[string]io.Reader{
		"plain":        strings.NewReader(in),
		"no last end":  strings.NewReader(strings.TrimSuffix(in, "\n")),
		"CR LF":        strings.NewReader(strings.ReplaceAll(in, "\n", "\r\n")),
		"byte by byte": iotest.OneByteReader(strings.NewReader(in)),
		"gzip":         &zipped,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readAll(r)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("read\n%+v, %v\nwant\n%+v", got, err, want)
			}
		})
	}
}

func ms6(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

func TestReaderReportsInvalidSamplesAndGoesOn(t *testing.T) {
	long := make([]string, keystroke.MaxEvents+5)
	for i := range long {
		long[i] = "long 0 p a 0 1"
	}
	lines := append([]string{"back 0 p a 0 1", "back 0 p b -5 1", "late 0 p a 3 1", "slow 0 p a 0 300001"}, long...)
	r, err := NewReader(strings.NewReader(tsv(append(lines, "good 0 p a 0 1")...)))
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"back", "late", "slow", "long"} {
		typing, err := r.Next()
		if typing.User != user || !errors.Is(err, keystroke.ErrInvalid) || !strings.Contains(err.Error(), "user "+user) {
			t.Errorf("got %s: %v, want %s and ErrInvalid", typing.User, err, user)
		}
		if n := len(typing.Sample.Events); n > keystroke.MaxEvents+1 {
			t.Errorf("%s holds %d events", user, n)
		}
	}
	if typing, err := r.Next(); err != nil || typing.User != "good" {
		t.Errorf("got %v, %v, want the good one", typing, err)
	}
	for range 2 {
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("got %v at the end, want io.EOF", err)
		}
	}
}

func TestReaderPassesOnReadErrors(t *testing.T) {
	broken := errors.New("the disk is gone")
	in := io.MultiReader(strings.NewReader(tsv("u 0 p a 0 1")), iotest.ErrReader(broken))
	if _, err := readAll(in); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

func TestBoundedSaysSo(t *testing.T) {
	r := &bounded{strings.NewReader("0123456789"), 4}
	b, err := io.ReadAll(r)
	if string(b) != "0123" || !errors.Is(err, ErrFormat) {
		t.Errorf("read %q, %v", b, err)
	}
}
