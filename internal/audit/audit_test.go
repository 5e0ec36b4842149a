package audit

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"ksd/internal/store"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// open returns a Log over a real store, and what it writes, without times.
func open(t *testing.T) (*Log, *store.Store, *bytes.Buffer) {
	t.Helper()
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	var lines bytes.Buffer
	return New(st, slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))), st, &lines
}

func TestNowhere(t *testing.T) {
	_, st, lines := open(t)
	for name, l := range map[string]*Log{
		"nil": nil, "zero": {},
		"no store":  New(nil, slog.New(slog.NewTextHandler(lines, nil))),
		"no logger": New(st, nil),
	} {
		if err := l.Record(t.Context(), Entry{When: noon}); !errors.Is(err, ErrNowhere) {
			t.Errorf("%s: %v, want ErrNowhere", name, err)
		}
	}
	if got, err := st.Audit(t.Context(), "", 10); err != nil || len(got) != 0 || lines.Len() != 0 {
		t.Errorf("%v, %v, %q", got, err, lines)
	}
}

// Where the entry cannot be kept there is an error, which the caller denies
// on, and no line that tells of a decision that is nowhere else.
func TestStoreFails(t *testing.T) {
	l, st, lines := open(t)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Record(t.Context(), Entry{When: noon, Outcome: "accept"}); err == nil {
		t.Error("no error from a closed store")
	}
	if lines.Len() != 0 {
		t.Errorf("the log says %q", lines)
	}
}

func TestRecord(t *testing.T) {
	l, st, lines := open(t)
	score := 4.25
	e := Entry{
		When: noon, Event: "challenge", User: "ana", Actor: "uid:0", Service: "su",
		Source: "uid:1000", Outcome: "accept", Score: &score, Model: "0123456789ab",
	}
	if err := l.Record(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	want := "level=INFO msg=decision event=challenge user=ana actor=uid:0 service=su source=uid:1000 outcome=accept model=0123456789ab\n"
	if lines.String() != want {
		t.Errorf("the log says\n%s\nwant\n%s", lines, want)
	}
	if got, err := st.Audit(t.Context(), "ana", 10); err != nil || !reflect.DeepEqual(got, []Entry{e}) {
		t.Errorf("the store holds %+v, %v", got, err)
	}
}

// A client that hangs up after the decision does not take it off the record.
func TestCallerGone(t *testing.T) {
	l, st, lines := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Record(ctx, Entry{When: noon, User: "ana", Outcome: "refuse"}); err != nil {
		t.Fatal(err)
	}
	if got, err := st.Audit(t.Context(), "", 10); err != nil || len(got) != 1 || lines.Len() == 0 {
		t.Errorf("%v, %v, %q", got, err, lines)
	}
}

// A stranger's texts make neither a second line nor a terminal command, in the
// log or in what the administrator is shown from the store.
func TestHostileTexts(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"line", "ana\nlevel=INFO msg=decision outcome=accept", "ana\uFFFDlevel=INFO msg=decision outcome=accept"},
		{"escape", "\x1b[2Jana", "\uFFFD[2Jana"},
		{"C1", "a\u009b2J", "a\uFFFD2J"},
		{"NUL", "a\x00b", "a\uFFFDb"},
		{"not UTF-8", "a\xffb", "a\uFFFDb"},
		{"right to left", "a\u202eb", "a\uFFFDb"},
		{"line separator", "a\u2028b", "a\uFFFDb"},
		{"longest", strings.Repeat("x", 256), strings.Repeat("x", 256)},
		{"too long", strings.Repeat("x", 257), strings.Repeat("x", 253) + "…"},
		{"too long, of wide characters", strings.Repeat("ü", 200), strings.Repeat("ü", 126) + "…"},
		{"plain", "jürgen o'neill", "jürgen o'neill"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, st, lines := open(t)
			e := Entry{When: noon, Event: c.in, User: c.in, Actor: c.in, Service: c.in, Source: c.in, Outcome: c.in, Model: c.in}
			if err := l.Record(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			want := Entry{When: noon, Event: c.want, User: c.want, Actor: c.want, Service: c.want, Source: c.want, Outcome: c.want, Model: c.want}
			if got, err := st.Audit(t.Context(), "", 10); err != nil || !reflect.DeepEqual(got, []Entry{want}) {
				t.Errorf("the store holds %+v, %v, want %+v", got, err, want)
			}
			if strings.Count(lines.String(), "\n") != 1 || !utf8.Valid(lines.Bytes()) || strings.ContainsAny(lines.String(), "\x1b\x00") {
				t.Errorf("the log says %q", lines)
			}
		})
	}
}
