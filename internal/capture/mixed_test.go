package capture

import (
	"errors"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

// FuzzRead types anything at all at a prompt in each mode, in reads of different
// lengths, and then Ctrl-C or Enter. The prompt must end by that at the latest;
// what it returns is valid; and what it keeps is bounded.
func FuzzRead(f *testing.F) {
	kitty := func(s string) { f.Add([]byte(s), uint8(Kitty), uint8(7)) }
	kitty(k('a', down, 0) + k('b', down, 0) + k('a', up, 0) + k('b', up, 0))
	kitty(shiftLeft(down) + k('A', down, 1) + k('A', rep, 1) + shiftLeft(up) + k('A', up, 0))
	kitty(k('a', down, 0) + k(0, down, 0, 127) + k(0, rep, 0, 127) + k(0, down, 4, 'u') + k('b', down, 0))
	kitty("\x1b[0;;26085u" + k('a', down, 0) + "\x1b[200~x\x1b[201~")
	kitty("\x1b[97;1:1;1604:1575u\x1b[57399;129;48u\x1b[?31u\x1b[?62c\x1b[1;1:3A")
	f.Add([]byte(w(65, 30, 'a', 1, 0)+w(65, 30, 'a', 1, 0)+w(65, 30, 'a', 0, 0)+w(16, 54, 0, 1, 16)+w(66, 48, 'B', 1, 16)), uint8(Win32), uint8(40))
	f.Add([]byte("\x1b[65;30;55357;1;0;1_\x1b[65;30;56832;1;0;200_"+k('a', down, 0)), uint8(Win32), uint8(3))
	f.Add([]byte("a\x1b[1;2A\x1b[57441u\x1b[98;2;66u"), uint8(Plain), uint8(8))
	f.Add([]byte("hello\x7f\x17\x15x\x1b[99;5:3u\x1b[1;1:3A"+k('a', rep, 0)+w(65, 30, 'a', 1, 0)), uint8(Plain), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, mode, size uint8) {
		if len(b) > 4096 {
			return
		}
		for _, end := range []string{"\x03", "\x1b[99;5u", "\r"} {
			read(t, b, Mode(mode%3), int(size)%64+1, end)
		}
	})
}

// read types b at a prompt and then end, and looks at what comes of it.
func read(t *testing.T, b []byte, mode Mode, size int, end string) {
	p, term := overStream(t, nil)
	term.mode = mode
	at := time.Hour
	for rest := b; len(rest) > 0; {
		n := min(size, len(rest))
		p.in = append(p.in, packet{string(rest[:n]), at})
		rest = rest[n:]
		at += 10 * time.Millisecond
	}
	// A character, so that Enter is not on an empty line; then the end, which is
	// never an end of the text before.
	p.in = append(p.in, packet{"\r", at}, packet{k('z', down, 0) + k('z', up, 0), at}, packet{end, at}, packet{"\r\r\r", at})
	p.change(func() { p.gone = true })
	r := &reader{t: term, w: term.link, p: Prompt{Phrase: "p", Mark: "> ", Burst: 2}, mode: mode}
	r.line.width = 79
	var err error
	for err == nil {
		if err = r.next(t.Context()); err == nil {
			_, err = r.take(nil)
		}
	}
	switch {
	case err == errDone:
		s := r.sample()
		if err := s.Validate(); err != nil {
			t.Fatalf("%q in mode %v: %v: %+v", b, mode, err, s)
		}
		if mode == Plain && s.Channel != keystroke.Press || len([]rune(s.Line().Text)) != len(r.line.runes) {
			t.Fatalf("%q in mode %v: %s, %d runes on the line, %d in the sample", b, mode, s.Channel, len(r.line.runes), len([]rune(s.Line().Text)))
		}
		if s.Channel == keystroke.Press {
			for _, e := range s.Events {
				if modifier(e.Key) || e.Mods&^(keystroke.Alt|keystroke.Ctrl) != 0 {
					t.Fatalf("%q in mode %v: %+v on a channel of presses", b, mode, e)
				}
			}
		}
	case errors.Is(err, ErrPaste), errors.Is(err, ErrUnusable), errors.Is(err, ErrInterrupted), errors.Is(err, ErrEOF):
	default:
		t.Fatalf("%q in mode %v and then %q: %v", b, mode, end, err)
	}
	if len(term.keys.down) > maxDown || len(r.events) > keystroke.MaxEvents || cap(term.inputs) > 8*len(r.buf) {
		t.Fatalf("%q in mode %v: %d keys, %d events, room for %d inputs", b, mode, len(term.keys.down), len(r.events), cap(term.inputs))
	}
}

// TestInterruptAfterGarbage ends prompts in each mode with every Ctrl-C there is,
// whatever came before.
func TestInterruptAfterGarbage(t *testing.T) {
	for _, garbage := range []string{"", "\x1b", "\x1b[", "\x1b[97;1", "\x1b[999999999", "\x1b]0;", "\x1bP", "\xe2\x82", "\x1b[65;30;55357;1;0;1_", "\x1bO", "\x1b[["} {
		for _, mode := range []Mode{Plain, Kitty, Win32} {
			for _, end := range []string{"\x03", "\x1a", "\x1c", "\x1b[99;5u", "\x1b[99;5:1u", "\x1b[67;46;3;1;8;1_", "\x1b[3;70;0;1;8;1_", "\x1b[27;5;99~"} {
				_, term := overStream(t, nil)
				term.mode = mode
				term.take([]byte(garbage), 0)
				r := &reader{t: term, w: term.link, p: Prompt{Burst: 2}, mode: mode}
				term.take([]byte(end), 0)
				if _, err := r.take(nil); !errors.Is(err, ErrInterrupted) {
					t.Errorf("%q and then %q in mode %v: %v", garbage, end, mode, err)
				}
			}
		}
	}
}
