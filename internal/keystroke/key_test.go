package keystroke

import (
	"testing"
	"unicode"
)

func TestKeyNames(t *testing.T) {
	for k, name := range names {
		if got := k.String(); got != name {
			t.Errorf("Key(%d).String() = %q, want %q", k, got, name)
		}
		if got := ParseKey(name); got != k {
			t.Errorf("ParseKey(%q) = %v, want %v", name, got, k)
		}
	}
	if len(byName) != len(names) {
		t.Errorf("%d names for %d keys: two share one", len(byName), len(names))
	}
}

func TestParseKey(t *testing.T) {
	for in, want := range map[string]Key{
		"": Other, "Hyper": Other, "ab": Other, "\xff": Other, "\uFFFD": Other, "\n": Other, "\x00": Other, "space": Other,
		"a": 'a', "A": 'a', "Ä": 'ä', "7": '7', "#": '#', " ": Space,
	} {
		if got := ParseKey(in); got != want {
			t.Errorf("ParseKey(%q) = %v, want %v", in, got, want)
		}
	}
	if got := Key(-1000).String(); got != "Other" {
		t.Errorf("a key that has no name is %q, want Other", got)
	}
}

// TestKeyOfEveryRune checks that every character has a key that survives being
// written, and that control characters have none.
func TestKeyOfEveryRune(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		k := KeyOf(r)
		switch {
		case unicode.IsControl(r):
			if k != Other {
				t.Errorf("KeyOf(%U) = %v, want Other", r, k)
			}
		case r == unicode.ReplacementChar || r >= 0xD800 && r < 0xE000: // cannot be written
		case ParseKey(k.String()) != k:
			t.Errorf("KeyOf(%U) = %d, written and read it is %d", r, k, ParseKey(k.String()))
		}
	}
	if got := KeyOf(-1); got != Other {
		t.Errorf("KeyOf(-1) = %v, want Other", got)
	}
}
