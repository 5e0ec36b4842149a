package bench

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

const tsv = "user\tsample\ttext\tkey\tgap_ms\thold_ms\n" +
	"u1-c1\t1\tx\ta\t0\t80\n" +
	"u1-c2\t1\tx\ta\t0\t80\n" + "u1-c2\t1\tx\tb\t100\t90\n" +
	"u1-c2\t2\tx\ta\t0\t81\n" + "u1-c2\t1\ty\tc\t0\t82\n" +
	"u2-c2\t1\tx\ta\t0\t83\n"

func TestReadTypists(t *testing.T) {
	for _, ch := range []keystroke.Channel{keystroke.Full, keystroke.Press, keystroke.SSHPress} {
		got, err := ReadTypists(strings.NewReader(tsv), "c2", ch, 1)
		if err != nil || len(got) != 2 || got[0].name != "u1-c2" || got[1].name != "u2-c2" {
			t.Fatalf("%+v, %v", got, err)
		}
		if p := got[0]; !slices.Equal(p.texts, []string{"x", "y"}) || len(p.by["x"]) != 2 || len(p.by["y"]) != 1 ||
			len(p.all) != 3 || p.all[1].text != "x" || p.all[2].text != "y" {
			t.Errorf("%+v", p)
		}
		s := got[0].by["x"][0]
		if s.Channel != ch || s.Phrase != "ab" || s.Events[0].Released != (ch == keystroke.Full) {
			t.Errorf("%s: %+v", ch, s)
		}
	}
	if got, err := ReadTypists(strings.NewReader(tsv), "", keystroke.Full, 1); err != nil || len(got) != 3 {
		t.Errorf("all classes: %d people, %v, want 3", len(got), err)
	}
	press := strings.ReplaceAll(tsv, "\t83\n", "\t-\n")
	for name, err := range map[string]error{
		"no channel":            second(ReadTypists(strings.NewReader(tsv), "c2", "", 1)),
		"another channel":       second(ReadTypists(strings.NewReader(tsv), "c2", "evdev", 1)),
		"full asked of presses": second(ReadTypists(strings.NewReader(press), "c2", keystroke.Full, 1)),
	} {
		if !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v, want ErrProtocol", name, err)
		}
	}
	for _, in := range []string{"", "nonsense\n", tsv + "u\t1\tx\ta\t0\n"} {
		if got, err := ReadTypists(strings.NewReader(in), "", keystroke.Full, 1); err == nil || got != nil {
			t.Errorf("%q was read as %v", in, got)
		}
	}
}

// TestTicks checks that an ssh client's ticks hang on the seed and the typing,
// and on nothing else that is in the file.
func TestTicks(t *testing.T) {
	read := func(in, class string, seed uint64) keystroke.Sample {
		got, err := ReadTypists(strings.NewReader(in), class, keystroke.SSHPress, seed)
		if err != nil {
			t.Fatal(err)
		}
		return got[len(got)-1].by["x"][0]
	}
	head, before := "user\tsample\ttext\tkey\tgap_ms\thold_ms\n", "u1\t1\tx\ta\t0\t80\nu1\t1\tx\tb\t33\t80\n"
	typed := "u2\t1\tx\ta\t0\t80\n" + strings.Repeat("u2\t1\tx\tb\t133\t80\n", 20)
	a, b, c := read(head+before+typed, "", 1), read(head+typed, "2", 1), read(head+before+typed, "", 2)
	if !reflect.DeepEqual(a, b) || reflect.DeepEqual(a, c) {
		t.Errorf("%v\n%v\n%v", a, b, c)
	}
	for i, e := range a.Events {
		clean := time.Duration(i) * 133 * time.Millisecond
		if wait := e.Down - clean; wait < 0 || wait > 22*time.Millisecond {
			t.Errorf("key %d waits %v for a tick", i, wait)
		}
	}
}
