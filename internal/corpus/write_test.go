package corpus

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"ksd/internal/keystroke"
)

func TestWriteTSVRefuses(t *testing.T) {
	good := keystroke.Sample{Channel: keystroke.Press, Events: []keystroke.Event{{Key: 'a', Rune: 'a'}}}
	for name, c := range map[string]struct {
		typings []Typing
		want    error
	}{
		"no user":        {[]Typing{{Text: "p", Sample: good}}, ErrFormat},
		"no text":        {[]Typing{{User: "u", Sample: good}}, ErrFormat},
		"tab in user":    {[]Typing{{User: "u\tv", Text: "p", Sample: good}}, ErrFormat},
		"number -1":      {[]Typing{{User: "u", Text: "p", Number: -1, Sample: good}}, ErrFormat},
		"no events":      {[]Typing{{User: "u", Text: "p", Sample: keystroke.Sample{Channel: keystroke.Full}}}, keystroke.ErrInvalid},
		"the same twice": {[]Typing{{User: "u", Text: "p", Sample: good}, {User: "u", Text: "p", Sample: good}}, ErrFormat},
	} {
		t.Run(name, func(t *testing.T) {
			if err := WriteTSV(&bytes.Buffer{}, c.typings); !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
}

func TestWriteTSVKeepsWhatTheTerminalTold(t *testing.T) {
	in := []Typing{{User: "u", Number: 3, Text: "-", Line: 2, Sample: keystroke.Sample{
		Phrase: "Aé", Channel: keystroke.Press, Events: []keystroke.Event{
			{Key: 'a', Rune: 'A'},
			{Key: keystroke.Backspace, Down: 1},
			{Key: 'a', Rune: 'A', Down: 123456789},
			{Key: 'é', Rune: 'é', Down: 200000000},
		},
	}}}
	var b bytes.Buffer
	if err := WriteTSV(&b, in); err != nil {
		t.Fatal(err)
	}
	want := tsv("u 3 - A 0 -", "u 3 - Backspace 0.000001 -", "u 3 - A 123.456788 -", "u 3 - é 76.543211 -")
	if b.String() != want {
		t.Errorf("wrote\n%s\nwant\n%s", b.String(), want)
	}
	got, err := readAll(&b)
	if err != nil || !reflect.DeepEqual(got, in) {
		t.Errorf("read %+v, %v\nwant %+v", got, err, in)
	}
}

// FuzzTSV: whatever can be read and is valid comes back the same after being
// written.
func FuzzTSV(f *testing.F) {
	f.Add(tsv("u 0 p Shift 0 50", "u 0 p a 10 20.000001", "u 0 p Space 5 -", "u 1 p A 0 1"))
	f.Add(tsv("u 0 p ǅ 0 50", "u 0 p Shift 0 9", "u 0 p ß 1 1", "u 0 p ı 1 1", "u 0 p Left 1 1"))
	f.Add("\x1f\x8b\x08")
	f.Fuzz(func(t *testing.T, in string) {
		r, err := NewReader(strings.NewReader(in))
		if err != nil {
			return
		}
		var first []Typing
		for typing, err := range r.All() {
			if err == nil {
				typing.Line = 0
				first = append(first, typing)
			}
		}
		var b bytes.Buffer
		if err := WriteTSV(&b, first); err != nil {
			if errors.Is(err, ErrFormat) {
				return // an invalid typing stood between two of one name, or a name fills the line
			}
			t.Fatal(err)
		}
		second, err := readAll(&b)
		for i := range second {
			second[i].Line = 0
		}
		if err != nil || !reflect.DeepEqual(first, second) {
			t.Fatalf("read\n%+v\nthen\n%+v, %v", first, second, err)
		}
	})
}
