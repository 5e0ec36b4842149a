package cli

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"ksd/internal/wire"
)

var update = flag.Bool("update", false, "write the golden pictures anew")

func TestScreenFollowsTheTerminal(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, c := range []struct {
		vars            string
		columns         int
		cursor, unicode bool
	}{
		{"TERM=xterm LANG=C.UTF-8", 80, true, true},
		{"TERM=xterm LANG=de_DE.utf8", 132, true, true},
		{"TERM=xterm LANG=C.UTF-8 LC_ALL=C", 80, true, false},
		{"TERM=xterm LC_CTYPE=C.UTF-8 LANG=C", 80, true, true},
		{"TERM=xterm", 80, true, false},
		{"TERM=linux LANG=C.UTF-8", 80, true, false},
		{"TERM=dumb LANG=C.UTF-8", 80, false, false},
		{"LANG=C.UTF-8", 80, false, true},
		{"TERM=xterm LANG=C.UTF-8", 0, false, true}, // no terminal
	} {
		vars := map[string]string{}
		for _, v := range strings.Fields(c.vars) {
			name, value, _ := strings.Cut(v, "=")
			vars[name] = value
		}
		e := Env{Getenv: func(n string) string { return vars[n] }, Width: func(*os.File) int { return c.columns }}
		s := e.Screen(f)
		want := Screen{f, c.cursor, c.unicode, max(c.columns, 0)}
		if c.columns == 0 {
			want.Columns = 80
		}
		if s != want {
			t.Errorf("%s, %d columns: %+v, want %+v", c.vars, c.columns, s, want)
		}
	}
}

func TestProgressDrawsOverOneLine(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress(Screen{W: &b, Cursor: true, Unicode: true, Columns: 80})
	p.Set(0, "samples")
	p.Set(0.5, strings.Repeat("words ", 40))
	p.Set(1, "done")
	p.Done()
	p.Done()
	parts := strings.Split(b.String(), "\r")
	if len(parts) != 4 || !strings.HasSuffix(b.String(), "100 %  done\x1b[K\n") {
		t.Errorf("drew %q", b.String())
	}
	for _, l := range parts[1:] {
		if n := utf8.RuneCountInString(strings.TrimRight(strings.TrimSuffix(l, "\n"), "\x1b[K")); n > 79 {
			t.Errorf("%d columns: %q", n, l)
		}
	}
}

func TestProgressIsPlainLinesInAFile(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress(Screen{W: &b})
	for i := range 1001 {
		p.Set(float64(i)/1000, "training")
	}
	p.Done()
	if n := strings.Count(b.String(), "\n"); n != 11 || strings.ContainsAny(b.String(), "\r\x1b") {
		t.Errorf("%d lines: %q", n, b.String())
	}
}

func TestBarKeepsItsWidth(t *testing.T) {
	for _, done := range []float64{-1, 0, 0.5, 1, 2, math.NaN(), math.Inf(1)} {
		if bar := (Screen{}).Bar(done, 20); len(bar) != 20 {
			t.Errorf("Bar(%v) = %q", done, bar)
		}
	}
}

// beats is a phrase typed at the owner's times, with two keys out of range.
func beats(phrase string) []wire.Beat {
	var out []wire.Beat
	for i, r := range phrase {
		b := wire.Beat{Text: string(r), UsualMS: 100 + 40*float64(i%5), SpreadMS: 30}
		b.TypedMS = b.UsualMS + 20*float64(i%3-1)
		if i == 4 || i == 9 {
			b.TypedMS = 600
		}
		if i == 0 {
			b.TypedMS, b.UsualMS = 0, 0
		}
		out = append(out, b)
	}
	return out
}

func TestPictures(t *testing.T) {
	long := strings.Repeat("a longer phrase ", 4)
	head := 2.25
	attempt := Attempt{Code: wire.Accept, Judged: []Judged{
		{"y", 1, wire.Detail{Score: -3}},
		{"x", 2, wire.Detail{Score: 1}},
		{"the water", 2, wire.Detail{Score: 2.5, Sum: 3.5, Accept: 4.6, Refuse: -3, Detector: 0.7, Head: &head, Rhythm: beats("the water")}},
	}}
	for name, lines := range map[string][]string{
		"rhythm-unicode": Rhythm(Screen{Unicode: true, Columns: 80}, beats("the water under the stone")),
		"rhythm-ascii":   Rhythm(Screen{Columns: 80}, beats("the water under the stone")),
		"rhythm-long":    Rhythm(Screen{Unicode: true, Columns: 80}, beats(long)),
		"rhythm-narrow":  Rhythm(Screen{Columns: 40}, beats("the water under the stone")),
		"attempt":        attempt.Picture(Screen{Unicode: true, Columns: 80}),
		"gauges": {
			Gauge(Screen{Columns: 80}, -3, 4.6, -9), Gauge(Screen{Columns: 80}, -3, 4.6, 0.5), Gauge(Screen{Columns: 80}, -3, 4.6, 9),
			Gauge(Screen{Columns: 80}, -3, 4.6, math.NaN()), Gauge(Screen{Columns: 40}, -3, 4.6, 1), Gauge(Screen{Columns: 80}, 0, 0, 0),
		},
	} {
		text := strings.Join(lines, "\n") + "\n"
		path := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || text != string(want) {
			t.Errorf("%s: %v\n%swant\n%s", name, err, text, want)
		}
		for _, l := range lines {
			if n := utf8.RuneCountInString(l); n > 80 {
				t.Errorf("%s: %d columns: %s", name, n, l)
			}
		}
	}
}

func TestRhythmOfNothing(t *testing.T) {
	if lines := Rhythm(Screen{}, []wire.Beat{{Text: "a"}}); lines != nil {
		t.Errorf("drew %q", lines)
	}
	if lines := (Attempt{}).Picture(Screen{}); lines != nil {
		t.Errorf("drew %q", lines)
	}
}

// FuzzRhythm: whatever the daemon sends, the picture is safe to print and
// narrow enough.
func FuzzRhythm(f *testing.F) {
	f.Add("the water", 120.0, 100.0, 30.0, true)
	f.Add("\x1b[2J", math.Inf(1), math.NaN(), -5.0, false)
	f.Fuzz(func(t *testing.T, text string, typed, usual, spread float64, uni bool) {
		var in []wire.Beat
		for i, r := range text {
			in = append(in, wire.Beat{Text: string(r), TypedMS: typed * float64(i), UsualMS: usual, SpreadMS: spread})
		}
		for _, l := range Rhythm(Screen{Unicode: uni, Columns: 80}, append(in, wire.Beat{Text: text})) {
			if Clean(l) != l || utf8.RuneCountInString(l) > 80 {
				t.Fatalf("drew %q", l)
			}
		}
	})
}
