package ksdtest

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// speaker is what a Terminal answers as: *Kitty or *Win32.
type speaker interface {
	carryOut(seq string) (answer string) // one control sequence
	depth() int                          // how many modes are switched on
	late() time.Duration                 // what answers take, at most
}

// Every terminal answers this, to begin with.
const (
	attributes = "\x1b[c"
	iAmAVT220  = "\x1b[?62;c"
)

// Win32 is a terminal that speaks win32-input-mode, as Windows Terminal does
// (microsoft/terminal, doc/specs/#4999), and nothing else.
type Win32 struct{ on bool }

func (w *Win32) carryOut(seq string) string {
	switch {
	case seq == attributes:
		return iAmAVT220
	case seq == "\x1b[?9001$p" && w.on:
		return "\x1b[?9001;1$y"
	case seq == "\x1b[?9001$p":
		return "\x1b[?9001;2$y"
	case seq == "\x1b[?9001h", seq == "\x1b[?9001l":
		w.on = strings.HasSuffix(seq, "h")
	}
	return ""
}

func (w *Win32) depth() int {
	if w.on {
		return 1
	}
	return 0
}

func (w *Win32) late() time.Duration { return 0 }

// Win32Key is the record of a key that goes down or up, on a keyboard that has a
// key for every character. The key of a letter, a digit and the space bar has the
// number of its capital.
func Win32Key(r rune, down bool) string {
	state := 0
	if down {
		state = 1
	}
	key := unicode.ToUpper(r)
	return fmt.Sprintf("\x1b[%d;%d;%d;%d;0;1_", key, key, r, state)
}

// Speaks has the terminal be s from now on. depth tells how many modes are still
// switched on.
func (t *Terminal) Speaks(s speaker) (depth func() int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.speaks, t.heard = s, t.shown.Len()
	return func() int {
		t.mu.Lock()
		defer t.mu.Unlock()
		return s.depth()
	}
}

// answer returns what the terminal sends for what was shown since the last call.
func (t *Terminal) answer() (out string) {
	shown := t.shown.String()
	for t.speaks != nil {
		i := strings.IndexByte(shown[t.heard:], 0x1b)
		if i < 0 {
			t.heard = len(shown)
			break
		}
		t.heard += i
		end := sequenceEnd(shown[t.heard:])
		if end == 0 {
			break // the rest comes by and by
		}
		out += t.speaks.carryOut(shown[t.heard : t.heard+end])
		t.heard += end
	}
	return out
}

// sequenceEnd returns the length of the CSI that s begins with, 0 if it has not
// ended, 1 if it is none.
func sequenceEnd(s string) int {
	if len(s) > 1 && s[1] != '[' {
		return 1
	}
	for i := 2; i < len(s); i++ {
		if s[i] >= 0x40 && s[i] <= 0x7e {
			return i + 1
		}
	}
	return 0
}
