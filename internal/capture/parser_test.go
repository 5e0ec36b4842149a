package capture

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"ksd/internal/keystroke"
)

// say writes inputs in a short notation: text as itself, everything else as
// <kind:key+mods>. A repeat has * before it, a release says which code.
func say(in []Input) string {
	names := map[Kind]string{
		Other: "other", Backspace: "bs", KillWord: "killword", KillLine: "killline", Enter: "enter",
		Interrupt: "int", EOF: "eof", PasteBegin: "paste", PasteEnd: "/paste", Bad: "bad",
		Composed: "ime", Attributes: "da",
	}
	var b strings.Builder
	for _, i := range in {
		if i.Repeat {
			b.WriteByte('*')
		}
		switch {
		case i.Kind == Text:
			b.WriteRune(i.Event.Rune)
		case i.Kind == Other:
			fmt.Fprintf(&b, "<%v+%d>", i.Event.Key, i.Event.Mods)
		case i.Kind == Release:
			fmt.Fprintf(&b, "<up %d>", i.Code)
		case i.Kind == KittyFlags:
			fmt.Fprintf(&b, "<kitty %d>", i.Code)
		case i.Kind == Win32State:
			fmt.Fprintf(&b, "<win32 %d>", i.Code)
		default:
			fmt.Fprintf(&b, "<%s>", names[i.Kind])
		}
	}
	return b.String()
}

// bytewise feeds a parser whole and byte by byte and expects the same of both.
func bytewise(t *testing.T, p Parser, bytes, want string) {
	t.Helper()
	whole, single := p, p
	if got := say(whole.Feed(nil, []byte(bytes), 0)); got != want {
		t.Errorf("fed whole: %s, want %s", got, want)
	}
	var in []Input
	for i := range len(bytes) {
		in = single.Feed(in, []byte{bytes[i]}, time.Duration(i))
	}
	if got := say(in); got != want {
		t.Errorf("fed by bytes: %s, want %s", got, want)
	}
}

func TestParser(t *testing.T) {
	alt, ctrl := int(keystroke.Alt), int(keystroke.Ctrl)
	for _, c := range []struct{ name, bytes, want string }{
		{"stray continuation", "a\x80b", "a<bad>b"},
		{"raw C1 CSI is no introducer", "\x9b200~", "<bad>200~"},
		{"C1 in UTF-8", "\u009b", "<bad>"},
		{"Latin-1", "caf\xe9!", "caf<bad>!"},
		{"cut short", "\xe2\x82a", "<bad>a"},
		{"cut short by Ctrl-C", "\xe2\x82\x03", "<bad><int>"},
		{"overlong", "\xc0\xaf", "<bad><bad>"},
		{"surrogate", "\xed\xa0\x80", "<bad><bad><bad>"},
		{"beyond Unicode", "\xf4\x90\x80\x80", "<bad><bad><bad><bad>"},
		{"two begun", "\xe2\x82\xe2\x82\xac", "<bad>€"},
		{"replacement character", "\ufffd", "<bad>"},
		{"Ctrl-C in a CSI", "\x1b[20\x03", "<int>"},
		{"Ctrl-C after ESC", "\x1b\x03", "<int>"},
		{"Ctrl-C in an OSC", "\x1b]52;c;abc\x03", "<int>"},
		{"Ctrl-C in a DCS at its end", "\x1bP1$r\x1b\x03", "<int>"},
		{"Ctrl-C in SS3", "\x1bO\x03", "<int>"},
		{"Ctrl-C on the Linux console", "\x1b[[\x03", "<int>"},
		{"Ctrl-D, Ctrl-Z, Ctrl-\\ in a sequence", "\x1b[1;\x04\x1b]\x1a\x1b[?\x1c", "<eof><int><int>"},
		{"Enter ends a string", "\x1b]0;title\rx", "<enter>x"},
		{"UTF-8 breaks a CSI", "\x1b[1é", "é"},

		{"text", "Ab z~!", "Ab z~!"},
		{"UTF-8", "äß€日🙂", "äß€日🙂"},
		{"controls", "\x7f\b\r\n\x15\x17\x03\x1a\x1c\x04", "<bs><bs><enter><enter><killline><killword><int><int><int><eof>"},
		{"Tab and other controls", "\t\x01\x00\x1d", fmt.Sprintf("<Tab+0><a+%d><@+%d><]+%d>", ctrl, ctrl, ctrl)},
		{"Alt", "\x1ba\x1bé\x1b b", fmt.Sprintf("<a+%d><é+%d><Space+%d>b", alt, alt, alt)},
		{"Alt-Backspace", "\x1b\x7f\x1b\b", "<killword><killword>"},
		{"Alt and broken UTF-8", "\x1b\xe2ab", "<bad>ab"},
		{"ESC ESC", "\x1b\x1b[Ax", "<ArrowUp+0>x"},
		{"arrows", "\x1b[A\x1bOB\x1b[1;5C\x1b[D\x1b[H\x1bOF", fmt.Sprintf("<ArrowUp+0><ArrowDown+0><ArrowRight+%d><ArrowLeft+0><Home+0><End+0>", ctrl)},
		{"function keys", "\x1bOP\x1b[15~\x1b[1;2Q\x1b[Z\x1b[3~x", fmt.Sprintf("<Other+0><Other+0><Other+%d><Other+0><Delete+0>x", keystroke.Shift)},
		{"Linux console F1", "\x1b[[Ax", "<Other+0>x"},
		{"SS3 with a modifier", "\x1bO5Px", "<Other+0>x"},
		{"paste", "\x1b[200~hi\x1b[201~", "<paste>hi</paste>"},
		{"paste with a modifier is none", "\x1b[200;1~x", "<Other+0>x"},
		{"DA1", "\x1b[?62;1;4cx", "<da>x"},
		{"DA2 and DA3", "\x1b[>1;10;0c\x1bP!|00000000\x1b\\x", "x"},
		{"long DA1", "\x1b[?" + strings.Repeat("62;", 100) + "cx", "<da>x"},
		{"kitty flags and mode reports", "\x1b[?31u\x1b[?9001;2$y\x1b[?9001;0$yx", "<kitty 31><win32 2><win32 0>x"},
		{"answers that are none of ours", "\x1b[?u\x1b[?1;2u\x1b[?1!u\x1b[?2004;2$y\x1b[?9001;2;1$y\x1b[?9001$y\x1b[>1u\x1b[?9001;2yx", "x"},
		{"cursor and size reports", "\x1b[24;80R\x1b[8;24;80t\x1b[0nx", "x"},
		{"mouse", "\x1b[<0;1;1M\x1b[<0;1;1mx", "x"},
		{"focus", "\x1b[I\x1b[Ox", "x"},
		{"OSC ended by BEL", "\x1b]11;rgb:0000/0000/0000\ax", "x"},
		{"OSC ended by ST, UTF-8 inside", "\x1b]0;日本\x1b\\x", "x"},
		{"APC, PM, SOS", "\x1b_Gi=1;OK\x1b\\\x1b^a\x1b\\\x1bXb\x1b\\x", "x"},
		{"a string broken by a sequence", "\x1b]0;\x1b[Ax", "<ArrowUp+0>x"},
		{"overlong CSI", "\x1b[" + strings.Repeat("1;", 5000) + "Ax", "x"},
		{"long string", "\x1bP" + strings.Repeat("q", 100000) + "\x1b\\x", "x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bytewise(t, Parser{}, c.bytes, c.want)
		})
	}
}

func TestParserEvent(t *testing.T) {
	var p Parser
	in := p.Feed(nil, []byte("A\xc3"), 5)
	in = p.Feed(in, []byte("\x84\x7f"), 9)
	want := []Input{
		{Kind: Text, Event: keystroke.Event{Key: 'a', Rune: 'A', Down: 5}},
		{Kind: Text, Event: keystroke.Event{Key: 'ä', Rune: 'Ä', Down: 9}},
		{Kind: Backspace, Event: keystroke.Event{Key: keystroke.Backspace, Down: 9}},
	}
	if !slices.Equal(in, want) {
		t.Errorf("got %+v\nwant %+v", in, want)
	}
}

// FuzzParser holds the parser to what its comment says: splits change nothing
// but times, no input without a byte, text is what Prompt may show and store,
// Ctrl-C always counts, and it always comes back into step.
func FuzzParser(f *testing.F) {
	for _, s := range []string{
		"hello\r", "\x1b[200~a\x1b[201~", "\x1b]0;x\a", "\xe2\x82\xac", "\x1b\x1b", "\x1bP\x1b\\", "\x1b[[A",
		"\x1b[?62;c", "\x1bO5P", "\x1b\xe2\x82", "a\x80\x9b", "\x1b[11111111111111111111A", "\x1b[99;5:3u", "\x1b[99;5u",
		"\x1b[65;30;97;1;0;1_", "\x1b[97;1;97u\x1b[97;1:2;97u\x1b[97;1:3u", "\x1b[57441;2u\x1b[97:65:97;2;65:66u",
		"\x1b[1;1:3A\x1b[3;1:2~\x1b[57414u", "\x1b[?31u\x1b[?9001;1$y", "\x1b[0;0;55357;1;0;1_\x1b[0;0;56832;1;0;9_",
	} {
		f.Add([]byte(s), uint8(1), uint8(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, a, d uint8) {
		whole := Parser{untold: d%2 == 1}
		single, split := whole, whole
		want := whole.Feed(nil, b, 1)
		var bytewise, pieces []Input
		for i := range b {
			bytewise = single.Feed(bytewise, b[i:i+1], 1)
		}
		for i, n := 0, int(a)%7+1; i < len(b); n = (n*31+int(d))%11 + 1 {
			end := min(i+n, len(b))
			pieces = split.Feed(pieces, b[i:end], 1)
			i = end
		}
		if !slices.Equal(want, bytewise) || !slices.Equal(want, pieces) {
			t.Fatalf("%q\nwhole    %s\nby bytes %s\npieces   %s", b, say(want), say(bytewise), say(pieces))
		}
		if whole != single || whole != split {
			t.Fatalf("%q: the states differ: %+v, %+v, %+v", b, whole, single, split)
		}
		if len(want) > len(b)+1 {
			t.Fatalf("%q: %d inputs of %d bytes", b, len(want), len(b))
		}
		interrupts := 0
		for _, in := range want {
			switch {
			case in.Kind == Interrupt && in.Code != 0: // of a sequence
			case in.Kind == Interrupt:
				interrupts++
			case in.Kind == Text && (in.Event.Rune < ' ' || unicode.IsControl(in.Event.Rune) || in.Event.Rune == utf8.RuneError || !utf8.ValidRune(in.Event.Rune)):
				t.Fatalf("%q: text %q", b, in.Event.Rune)
			case in.Kind != Text && in.Event.Rune != 0:
				t.Fatalf("%q: %q typed by a key that is no text", b, in.Event.Rune)
			case in.Event.Down != 1:
				t.Fatalf("%q: time %v", b, in.Event.Down)
			}
		}
		if n := bytes.Count(b, []byte{3}) + bytes.Count(b, []byte{0x1a}) + bytes.Count(b, []byte{0x1c}); n != interrupts {
			t.Fatalf("%q: %d interrupts, want %d", b, interrupts, n)
		}
		for _, resume := range []struct{ bytes, want string }{
			{"\x03", "<int>"},
			{"\rok", "<enter>ok"},
			{"\x1b[99;5u", "<int>"},
			{"\x1b[97;1;97u\x1b[97;1:3u", "a<up 97>"},
			{"\x1b[67;46;3;1;8;1_", "<int>"},
			{"\x1b[?62c", "<da>"},
		} {
			again := single
			if got := say(again.Feed(nil, []byte(resume.bytes), 1)); !strings.HasSuffix(got, resume.want) {
				t.Fatalf("%q: out of step, %q read as %s", b, resume.bytes, got)
			}
		}
	})
}

func BenchmarkParser(b *testing.B) {
	text := []byte(strings.Repeat("the quick brown föx \x1b[A\x7f日本\x1b[?62;4c", 100))
	in := make([]Input, 0, len(text)+1)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		var p Parser
		in = p.Feed(in[:0], text, 1)
	}
}
