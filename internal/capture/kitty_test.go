package capture

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ksd/internal/keystroke"
)

func TestKitty(t *testing.T) {
	ctrl, alt, super := keystroke.Ctrl, keystroke.Alt, keystroke.Super
	for _, c := range []struct{ name, bytes, want string }{
		{"no code", "\x1b[ux", "<bad>x"},
		{"no code but modifiers", "\x1b[;2ux", "<bad>x"},
		{"code beyond Unicode", "\x1b[1114112;1ux", "<bad>x"},
		{"number that overflows", "\x1b[99999999999999999999ux", "<bad>x"},
		{"modifiers of nothing", "\x1b[97;0ux", "<bad>x"},
		{"modifiers that do not exist", "\x1b[97;257;97ux", "<bad>x"},
		{"event that does not exist", "\x1b[97;1:4;97ux\x1b[97;1:0ux", "<bad>x<bad>x"},
		{"a third part of the event", "\x1b[97;1:1:1;97ux", "<bad>x"},
		{"a fourth code", "\x1b[97:65:97:97;1;97ux", "<bad>x"},
		{"a fourth field", "\x1b[97;1;97;1ux", "<bad>x"},
		{"escape as text", "\x1b[97;1;27ux", "<bad>x"},
		{"C1 as text", "\x1b[97;1;155ux", "<bad>x"},
		{"DEL as text", "\x1b[97;1;127ux", "<bad>x"},
		{"a surrogate as text", "\x1b[97;1;55357ux", "<bad>x"},
		{"the replacement character as text", "\x1b[97;1;65533ux", "<bad>x"},
		{"a control among the text", "\x1b[97;1;97:3ux", "<bad>x"},
		{"more text than a key types", "\x1b[97;1;97:98:99:100:101ux", "<bad>x"},
		{"text without end", "\x1b[97;1;" + strings.Repeat("97:", 5000) + "97ux", "<bad>x"},
		{"letters between", "\x1b[97!1ux", "<bad>x"},
		{"text without a key", "\x1b[0;;26085:26412ux", "<ime>x"},
		{"neither text nor key", "\x1b[0ux", "<ime>x"},
		{"control text without a key", "\x1b[0;;3ux", "<bad>x"},
		{"Ctrl-C within one", "\x1b[99;5\x03", "<int>"},
		{"broken by UTF-8", "\x1b[97;1é", "é"},

		{"press, repeat, release", "\x1b[97;;97u\x1b[97;1:2;97u\x1b[97;1:3u", "a*a<up 97>"},
		{"shortest press", "\x1b[97;1;97u\x1b[97;1:1;97u", "aa"},
		{"shift", "\x1b[57441;2u\x1b[97:65;2;65u\x1b[97;2:3u\x1b[57441;1:3u", "<Shift+0>A<up 97><up 57441>"},
		{"right shift", "\x1b[57447;2:1u\x1b[49:33;2;33u", "<Shift+0>!"},
		{"caps lock, num lock", "\x1b[57358;65u\x1b[97;65;65u\x1b[97;129;97u\x1b[57360;129u", "<CapsLock+0>Aa<Other+0>"},
		{"Ctrl-C, Z, \\, D, U, W", "\x1b[99;5u\x1b[122;5u\x1b[92;5u\x1b[100;5u\x1b[117;5u\x1b[119;5u", "<int><int><int><eof><killline><killword>"},
		{"Ctrl-C with everything held and locked", "\x1b[99:67:99;256u\x1b[99;133:2u", "<int>*<int>"},
		{"Ctrl-C released", "\x1b[99;5:3u", "<up 99>"},
		{"Ctrl-C on a Cyrillic keyboard", "\x1b[1089::99;5u\x1b[1089;5u", fmt.Sprintf("<int><с+%d>", ctrl)},
		{"Ctrl-H, I, J, M", "\x1b[104;5u\x1b[105;5u\x1b[106;5u\x1b[109;5u", "<bs><Tab+0><enter><enter>"},
		{"Ctrl-Space, Ctrl-3", "\x1b[32;5u\x1b[51;5u", fmt.Sprintf("<@+%d><3+%d>", ctrl, ctrl)},
		{"Alt, Super", "\x1b[97;3u\x1b[97;9u\x1b[97;33u", fmt.Sprintf("<a+%d><a+%d><a+%d>", alt, super, alt)},
		{"option that types", "\x1b[97;3;229u\x1b[97;;229u", "åå"},
		{"AltGr as Ctrl and Alt", "\x1b[113;7;64u\x1b[113;7u", fmt.Sprintf("@<q+%d>", ctrl|alt)},
		{"Enter, Backspace, Tab, Escape", "\x1b[13u\x1b[127u\x1b[8u\x1b[9u\x1b[27u", "<enter><bs><bs><Tab+0><Other+0>"},
		{"with text that is none", "\x1b[13;1;13u\x1b[9;1;9u\x1b[127;1;127u\x1b[27;1;27u", "<enter><Tab+0><bs><Other+0>"},
		{"Shift-Enter, Ctrl-Enter, repeated Enter", "\x1b[13;2u\x1b[13;5u\x1b[13;1:2u\x1b[13;1:3u", "<enter><enter>*<enter><up 13>"},
		{"Ctrl-Backspace, Alt-Backspace, Shift-Backspace", "\x1b[127;5u\x1b[127;3u\x1b[127;2u", "<killword><killword><bs>"},
		{"keypad", "\x1b[57399;129;48u\x1b[57409;129;46u\x1b[57413;1;43u\x1b[57414u", "0.+<enter>"},
		{"keypad without Num Lock", "\x1b[57417u\x1b[57418u\x1b[57419u\x1b[57420u\x1b[57423u\x1b[57424u\x1b[57425u\x1b[57426u", "<ArrowLeft+0><ArrowRight+0><ArrowUp+0><ArrowDown+0><Home+0><End+0><Other+0><Delete+0>"},
		{
			"modifiers", "\x1b[57442;5u\x1b[57448;5u\x1b[57443;3u\x1b[57449;3u\x1b[57444;9u\x1b[57445;17u\x1b[57446;33u\x1b[57453;1u\x1b[57454;1u",
			"<Control+0><Control+0><Alt+0><Alt+0><Super+0><Super+0><Alt+0><Alt+0><Alt+0>",
		},
		{"F13, volume, menu, unknown", "\x1b[57376u\x1b[57438u\x1b[57363u\x1b[60000u", "<Other+0><Other+0><Other+0><Other+0>"},
		{"a dead key and what comes of it", "\x1b[94;1u\x1b[101;;234u\x1b[101;1:3u", "<^+0>ê<up 101>"},
		{"several characters of one key", "\x1b[97;;1604:1575u", "لا"},
		{"arrows and F keys with events", "\x1b[1;1:1A\x1b[1;1:3A\x1b[1;2:2D\x1b[1;1:3R\x1b[1;1:1P", fmt.Sprintf("<ArrowUp+0><up %d>*<ArrowLeft+1><up %d><Other+0>", codeLetter+'A', codeLetter+'R')},
		{"keys with a number and events", "\x1b[3;1:1~\x1b[3;1:3~\x1b[7~\x1b[8;1:2~\x1b[57427;1:3~", fmt.Sprintf("<Delete+0><up %d><Home+0>*<End+0><up %d>", codeTilde+3, codeTilde+57427)},
		{"an event that does not exist, of an arrow", "\x1b[1;1:9Ax", "x"},
		{"xterm's modifyOtherKeys", "\x1b[27;5;99~\x1b[27;2;65~", "<int><a+1>"},
		{"Space", "\x1b[32;;32u\x1b[32;1:3u", " <up 32>"},
	} {
		t.Run(c.name, func(t *testing.T) { bytewise(t, Parser{}, c.bytes, c.want) })
	}
}

// TestKittyWithoutText reads a terminal that grants everything but the text, as
// foot 1.13 does.
func TestKittyWithoutText(t *testing.T) {
	for _, c := range []struct{ name, bytes, want string }{
		{"Shift without a shifted key", "\x1b[49;2u", "<1+1>"},
		{"Alt, Ctrl, Super", "\x1b[97;3u\x1b[97;5u\x1b[97;9u", fmt.Sprintf("<a+%d><a+%d><a+%d>", keystroke.Alt, keystroke.Ctrl, keystroke.Super)},
		{"a control as the shifted key", "\x1b[97:3;2u", "<a+1>"},
		{"private use", "\x1b[57376u", "<Other+0>"},
		{"letters", "\x1b[97u\x1b[97:65;2u\x1b[233u\x1b[97;1:3u", "aAé<up 97>"},
		{"Shift and signs", "\x1b[49:33;2u\x1b[32;2:1u", "!<Space+1>"},
		{"caps lock", "\x1b[97;65u\x1b[97:65;66u\x1b[49:33;66u\x1b[49;65u", "Aa!1"},
		{"keypad", "\x1b[57400;129u\x1b[57410u\x1b[57416u", "1/,"},
		{"text after all", "\x1b[97;;98u", "b"},
	} {
		t.Run(c.name, func(t *testing.T) { bytewise(t, Parser{untold: true}, c.bytes, c.want) })
	}
}

func TestKittyEvent(t *testing.T) {
	var p Parser
	got := p.Feed(nil, []byte("\x1b[97:65;2;6"), 5)
	got = p.Feed(got, []byte("5u\x1b[97;;228:98u\x1b[57441;6:3u"), 9)
	want := []Input{
		{Kind: Text, Code: 97, Event: keystroke.Event{Key: 'a', Rune: 'A', Mods: keystroke.Shift, Down: 9}},
		{Kind: Text, Code: 97, Event: keystroke.Event{Key: 'ä', Rune: 'ä', Down: 9}},
		{Kind: Text, Code: codeSame, Event: keystroke.Event{Key: 'b', Rune: 'b', Down: 9}},
		{Kind: Release, Code: codeShiftLeft, Event: keystroke.Event{Key: keystroke.ShiftKey, Mods: keystroke.Shift | keystroke.Ctrl, Down: 9}},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestKittyEnough(t *testing.T) {
	for flags, want := range map[uint32]bool{0: false, 1: false, 3: false, 9: false, 8: false, 11: false, 2: false, 21: false, 15: true, 27: true, 31: true, 63: true} {
		if got := kittyEnough(flags); got != want {
			t.Errorf("%d: %v", flags, got)
		}
	}
}
