package capture

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ksd/internal/keystroke"
)

func TestWin32(t *testing.T) {
	ctrl, alt := keystroke.Ctrl, keystroke.Alt
	up := func(vk, scan, state int32) string { return fmt.Sprintf("<up %d>", codeOfWin32(vk, scan, state)) }
	for _, c := range []struct{ name, bytes, want string }{
		{"neither up nor down", "\x1b[65;30;97;2;0;1_x", "<bad>x"},
		{"unit beyond UTF-16", "\x1b[65;30;65536;1;0;1_x", "<bad>x"},
		{"virtual key beyond a word", "\x1b[65536;30;97;1;0;1_x", "<bad>x"},
		{"a seventh field", "\x1b[65;30;97;1;0;1;1_x", "<bad>x"},
		{"parts of a field", "\x1b[65;30;97:98;1;0;1_x", "<bad>x"},
		{"C1 as text", "\x1b[65;30;155;1;0;1_x", "<bad>x"},
		{"the replacement character", "\x1b[65;30;65533;1;0;1_x", "<bad>x"},
		{"the second half first", "\x1b[0;0;56832;1;0;1_x", "<bad>x"},
		{"two first halves", "\x1b[0;0;55357;1;0;1_\x1b[0;0;55357;1;0;1_x", "<bad>x"},
		{"a first half and a letter", "\x1b[0;0;55357;1;0;1_\x1b[65;30;97;1;0;1_x", "<bad>ax"},
		{"text without a key", "\x1b[0;0;26085;1;0;1_\x1b[231;0;26085;1;0;1_", "<ime><ime>"},
		{"without end", "\x1b[65;30;" + strings.Repeat("9;", 5000) + "_x", "<bad>x"},
		{"Ctrl-C within one", "\x1b[65;30;97;1\x03", "<int>"},

		{"press and release", "\x1b[65;30;97;1;0;1_\x1b[65;30;97;0;0;1_", "a" + up(65, 30, 0)},
		{"defaults", "\x1b[65;30;97;1_\x1b[65;30_", "a" + up(65, 30, 0)},
		{"repeat count", "\x1b[65;30;97;1;0;3_", "a*a*a"},
		{"repeat count of an attacker", "\x1b[65;30;97;1;0;65535_", "a" + strings.Repeat("*a", winMaxRepeat-1)},
		{"repeat count of none", "\x1b[65;30;97;1;0;0_x", "x"},
		{"left and right shift", "\x1b[16;42;0;1;16;1_\x1b[65;30;65;1;16;1_\x1b[16;42;0;0;0;1_\x1b[16;54;0;1;16;1_\x1b[16;54;0;0;0;1_", "<Shift+0>A<up 57441><Shift+0><up 57447>"},
		{"AltGr", "\x1b[17;29;0;1;8;1_\x1b[18;56;0;1;265;1_\x1b[81;16;64;1;9;1_", "<Control+0><Alt+0>@"},
		{"Alt with a letter", "\x1b[65;30;97;1;2;1_", fmt.Sprintf("<a+%d>", alt)},
		{"Ctrl and Alt of one side", "\x1b[65;30;0;1;10;1_", fmt.Sprintf("<a+%d>", ctrl|alt)},
		{"locks", "\x1b[20;58;0;1;128;1_\x1b[65;30;65;1;128;1_\x1b[144;69;0;1;32;1_\x1b[65;30;97;1;96;1_", "<CapsLock+0>A<Other+0>a"},
		{"Ctrl-C, Z, \\, D, U, W", "\x1b[67;46;3;1;8;1_\x1b[90;44;26;1;4;1_\x1b[220;43;28;1;8;1_\x1b[68;32;4;1;8;1_\x1b[85;22;21;1;8;1_\x1b[87;17;23;1;8;1_", "<int><int><int><eof><killline><killword>"},
		{"Ctrl-C without its character, Ctrl-Break", "\x1b[67;46;0;1;8;1_\x1b[67;46;99;1;40;1_\x1b[3;70;0;1;264;1_", "<int><int><int>"},
		{"Ctrl-C released", "\x1b[67;46;3;0;8;1_", up(67, 46, 0)},
		{"Enter, Backspace, Tab, Escape", "\x1b[13;28;13;1;0;1_\x1b[13;28;13;1;256;1_\x1b[8;14;8;1;0;1_\x1b[9;15;9;1;0;1_\x1b[27;1;27;1;0;1_", "<enter><enter><bs><Tab+0><Other+0>"},
		{"Ctrl-Backspace, Alt-Backspace", "\x1b[8;14;127;1;8;1_\x1b[8;14;8;1;2;1_", "<killword><killword>"},
		{"the two Enters are two keys", "\x1b[13;28;13;0;0;1_\x1b[13;28;13;0;256;1_", up(13, 28, 0) + up(13, 28, winEnhanced)},
		{
			"arrows and others", "\x1b[37;75;0;1;256;1_\x1b[38;72;0;1;256;1_\x1b[39;77;0;1;256;1_\x1b[40;80;0;1;256;1_\x1b[36;71;0;1;256;1_\x1b[35;79;0;1;256;1_\x1b[46;83;0;1;256;1_\x1b[112;59;0;1;0;1_\x1b[91;91;0;1;256;1_",
			"<ArrowLeft+0><ArrowUp+0><ArrowRight+0><ArrowDown+0><Home+0><End+0><Delete+0><Other+0><Super+0>",
		},
		{"a dead key and what comes of it", "\x1b[220;41;0;1;0;1_\x1b[69;18;234;1;0;1_", "<Other+0>ê"},
		{"beyond U+FFFF", "\x1b[65;1;55357;1;0;1_\x1b[65;1;55357;0;0;1_\x1b[65;1;56832;1;0;1_", up(65, 1, 0) + "😀"},
		{"beyond U+FFFF, without a key", "\x1b[0;0;55357;1;0;1_\x1b[0;0;56832;1;0;1_", "<ime>"},
		{"Space", "\x1b[32;57;32;1;0;1_", " "},
	} {
		t.Run(c.name, func(t *testing.T) { bytewise(t, Parser{}, c.bytes, c.want) })
	}
}

// TestWin32Codes tells keys apart that share a virtual key or a scan code.
func TestWin32Codes(t *testing.T) {
	seen := map[uint32]bool{}
	for _, k := range [][3]int32{{13, 28, 0}, {13, 28, winEnhanced}, {16, 42, 0}, {16, 54, 0}, {17, 29, 0}, {17, 29, winEnhanced}, {65, 30, 0}, {66, 30, 0}, {65, 31, 0}} {
		seen[codeOfWin32(k[0], k[1], k[2])] = true
		if codeOfWin32(k[0], k[1], k[2]|winShift|winLeftCtrl) != codeOfWin32(k[0], k[1], k[2]) {
			t.Errorf("%v: another key with modifiers", k)
		}
	}
	if len(seen) != 9 {
		t.Errorf("%d codes for 9 keys", len(seen))
	}
}

func TestWin32Event(t *testing.T) {
	var p Parser
	got := p.Feed(nil, []byte("\x1b[65;30;65;1;16;1_\x1b[81;16;64;1;25;1_"), 7)
	want := []Input{
		{Kind: Text, Code: codeOfWin32(65, 30, 0), Event: keystroke.Event{Key: 'a', Rune: 'A', Mods: keystroke.Shift, Down: 7}},
		{Kind: Text, Code: codeOfWin32(81, 16, 0), Event: keystroke.Event{Key: '@', Rune: '@', Mods: keystroke.Shift, Down: 7}},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
