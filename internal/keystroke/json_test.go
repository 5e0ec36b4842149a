package keystroke

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

var golden = []struct {
	json   string
	sample Sample
}{
	{
		`{"phrase":"É!","channel":"full","events":[{"key":"Shift","down_ns":0},` +
			`{"key":"é","text":"É","mods":5,"down_ns":120000001,"up_ns":120000001},{"key":"Backspace","mods":16,"down_ns":130000000,"up_ns":300000000000}]}`,
		Sample{Phrase: "É!", Channel: Full, Events: []Event{
			{Key: ShiftKey},
			{Key: 'é', Rune: 'É', Mods: Shift | ShiftRight, Down: 120*ms + 1, Up: 120*ms + 1, Released: true},
			{Key: Backspace, Mods: Ctrl, Down: 130 * ms, Up: MaxDuration, Released: true},
		}},
	},
	{
		`{"phrase":" ","channel":"press","events":[{"key":"Space","text":" ","down_ns":0}]}`,
		Sample{Phrase: " ", Channel: Press, Events: []Event{{Key: Space, Rune: ' '}}},
	},
	{
		// A release at the very first ns is told from none.
		`{"phrase":"","channel":"full","events":[{"key":"a","text":"a","down_ns":0,"up_ns":0}]}`,
		Sample{Channel: Full, Events: []Event{{Key: 'a', Rune: 'a', Released: true}}},
	},
}

func TestJSON(t *testing.T) {
	for _, g := range golden {
		b, err := json.Marshal(g.sample)
		if err != nil || string(b) != g.json {
			t.Errorf("written %s, %v, want %s", b, err, g.json)
		}
		var s Sample
		if err := json.Unmarshal([]byte(g.json), &s); err != nil || !reflect.DeepEqual(s, g.sample) {
			t.Errorf("read %+v, %v, want %+v", s, err, g.sample)
		}
	}
}

func sampleOf(events ...string) string {
	return `{"phrase":"x","channel":"full","events":[` + strings.Join(events, ",") + `]}`
}

func TestJSONRefused(t *testing.T) {
	const first = `{"key":"a","text":"a","down_ns":0}`
	for name, in := range map[string]string{
		"nothing":                 ``,
		"null":                    `null`,
		"a list":                  `[]`,
		"no channel":              `{"phrase":"x","events":[` + first + `]}`,
		"another channel":         `{"phrase":"x","channel":"","events":[` + first + `]}`,
		"no events":               sampleOf(),
		"events are null":         `{"channel":"full","events":null}`,
		"events are an object":    `{"channel":"full","events":{}}`,
		"events are a string":     `{"channel":"full","events":"aaaa"}`,
		"an event is a number":    sampleOf("1"),
		"too many events":         sampleOf(strings.Split(strings.Repeat(first+"\n", MaxEvents)+first, "\n")...),
		"first press not at 0":    sampleOf(`{"key":"a","down_ns":1}`),
		"negative time":           sampleOf(first, `{"key":"a","down_ns":-1}`),
		"back in time":            sampleOf(first, `{"key":"a","down_ns":2}`, `{"key":"a","down_ns":1}`),
		"beyond the longest":      sampleOf(first, fmt.Sprintf(`{"key":"a","down_ns":%d}`, MaxDuration+1)),
		"beyond an int64":         sampleOf(first, `{"key":"a","down_ns":9223372036854775808}`),
		"not whole":               sampleOf(first, `{"key":"a","down_ns":1.5}`),
		"up before down":          sampleOf(first, `{"key":"a","down_ns":5,"up_ns":4}`),
		"negative up":             sampleOf(`{"key":"a","down_ns":0,"up_ns":-9223372036854775808}`),
		"huge up":                 sampleOf(`{"key":"a","down_ns":0,"up_ns":9223372036854775807}`),
		"two characters":          sampleOf(`{"key":"a","text":"ab","down_ns":0}`),
		"half a character":        sampleOf("{\"key\":\"a\",\"text\":\"\xc3\",\"down_ns\":0}"),
		"a surrogate":             sampleOf(`{"key":"a","text":"\ud800","down_ns":0}`),
		"NUL is no character":     sampleOf(`{"key":"a","text":"\u0000","down_ns":0}`),
		"modifiers beyond a byte": sampleOf(`{"key":"a","mods":256,"down_ns":0}`),
		"negative modifiers":      sampleOf(`{"key":"a","mods":-1,"down_ns":0}`),
	} {
		s := Sample{Phrase: "before"}
		if err := json.Unmarshal([]byte(in), &s); err == nil {
			t.Errorf("%s: accepted as %+v", name, s)
		}
		if s.Phrase != "before" || s.Events != nil {
			t.Errorf("%s: left %+v behind", name, s)
		}
	}
	// A broken rule is told from broken JSON.
	var s Sample
	if err := json.Unmarshal([]byte(sampleOf(`{"key":"a","down_ns":1}`)), &s); !errors.Is(err, ErrInvalid) {
		t.Errorf("%v, want ErrInvalid", err)
	}
}

// TestJSONBounded checks that a list far beyond the limit is given up at the
// limit: an empty event takes 3 bytes to write and 48 to keep.
func TestJSONBounded(t *testing.T) {
	in := []byte("[" + strings.Repeat("{},", 1<<20) + "{}]")
	var es events
	got := testing.AllocsPerRun(1, func() {
		if err := es.UnmarshalJSON(in); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v, want ErrInvalid", err)
		}
	})
	if len(es) != MaxEvents {
		t.Errorf("%d events read of too many, want %d", len(es), MaxEvents)
	}
	if got > 20*MaxEvents {
		t.Errorf("%.0f allocations", got)
	}
}

// FuzzSampleJSON checks that whatever is accepted is valid and is read again as
// the same sample.
func FuzzSampleJSON(f *testing.F) {
	for _, g := range golden {
		f.Add([]byte(g.json))
	}
	f.Add([]byte(sampleOf(`{"key":"İ","text":"ǅ","mods":255,"down_ns":0,"up_ns":7}`, `{"key":"","down_ns":1e3}`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s, again Sample
		if json.Unmarshal(b, &s) != nil {
			return
		}
		if err := s.Validate(); err != nil {
			t.Fatalf("an invalid sample was accepted: %v", err)
		}
		out, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &again); err != nil || !reflect.DeepEqual(s, again) {
			t.Fatalf("%s\nread again as %+v, %v,\nwas %+v", out, again, err, s)
		}
		l := s.Line()
		if len(l.Strokes) != len([]rune(l.Text)) || l.Corrections > len(s.Events) {
			t.Fatalf("line %+v of %+v", l, s)
		}
		if p := s.PressOnly(); len(p.Events) > 0 && p.Validate() != nil || p.Line().Text != l.Text {
			t.Fatalf("without releases %+v is %+v", s, p)
		}
	})
}
