// Package capture turns what arrives at a terminal into keystrokes with times,
// and holds the terminal in raw mode meanwhile.
//
// It has two users: the daemon, which is handed terminals that are not its own
// (SCM_RIGHTS) and serves many at once as an unprivileged user, and programs
// that talk to the person at their own terminal.
//
//	t, err := capture.Open(tty, term, clock)
//	defer t.Restore()
//	err = t.Raw()
//	asked, err := t.Ask(ctx)
//	sample, err := t.Read(ctx, capture.Prompt{Phrase: "..."})
//	err = t.Leave(ctx)
//
// Where the terminal is no tty but the channel of an SSH session, Over takes the
// place of Open.
//
// # Times
//
// The clock is the caller's CLOCK_MONOTONIC. It is read as soon as the
// goroutine that waits for a key runs again, before the bytes are fetched,
// parsed or echoed. A waiting prompt holds one descriptor and no thread. A
// program whose goroutines keep all its processors (GOMAXPROCS) busy delays the
// stamps by 10 ms and more: leave one free.
//
// # The terminal's settings
//
// Raw switches off what would edit, echo, translate or signal the input. Output
// is processed: LF begins a new line, so that others may print meanwhile.
// Restore puts back exactly what Raw found, but only while the settings are
// still those that Raw made: a shell that has gone on is left alone. It may be
// called from any goroutine, any number of times, and never waits.
//
// A process that is killed outright restores nothing. Whoever handed over the
// terminal must keep its settings and put them back when the other side goes.
//
// O_NONBLOCK is never touched, since it belongs to the open file description
// and so to everybody who shares the terminal. Reads cannot block because VMIN
// and VTIME are 0; writes are at most writeChunk bytes after the terminal
// reported room.
//
// # Which keys, and when they go up
//
// A plain terminal tells characters, not keys: Shift is not reported, and
// Event.Mods holds only Ctrl and Alt, where the byte itself says so. Nothing
// that a terminal may send of its own accord (replies, focus, mouse) is a key.
// Samples are on channel Press.
//
// Ask has a terminal tell keys, by the kitty keyboard protocol or by
// win32-input-mode. Samples are then on channel Full and look as the corpora do
// that models are trained on:
//
//   - Event.Key is the key of the character typed, whatever stands on the key cap:
//     "?" is a key of its own.
//   - Shift and its like are events of their own. The sample begins with the
//     first character, or with the modifiers pressed for it and still held.
//   - Event.Mods has Shift, and ShiftLeft or ShiftRight where the press of that
//     key was seen.
//   - A repeat of a held key goes up the one before and is a press of its own.
//     Modifiers do not repeat.
//   - A release without a press is ignored. A press without a release stays
//     without: keys let go of while another window has the focus, characters that
//     a dead key began, what is held for longer than settleLimit after Enter.
//   - Text that no key brought is no typing: ErrPaste for plain bytes, ErrUnusable
//     for what an input method made.
//
// A virtual console of this machine is plain, but Listen has prompts hear the
// keyboards themselves (package evdev) beside it. The tty decides what was typed,
// the keyboards when, and where the two do not agree the typing is as the tty told
// it, on channel Press.
//
// Leave takes a terminal out of its mode again and lets nothing of what it
// says meanwhile reach the next program; Restore does so as well as it can
// without waiting; Undo is for whoever restores for a process that died.
//
// The echo of a key is what it typed and no more. Of a key that types ASCII that
// is a byte (two more where a row ends, three of a Backspace): a listener to a
// secure shell learns little from the lengths of packets.
package capture

import "errors"

// The ways in which a prompt ends without a sample. Read may also return the
// error of a context that was cancelled.
var (
	ErrNotTerminal = errors.New("not a terminal open for reading and writing")
	ErrNotRaw      = errors.New("the terminal is not in raw mode")
	ErrInterrupted = errors.New("interrupted at the keyboard")              // Ctrl-C, Ctrl-\ or Ctrl-Z
	ErrEOF         = errors.New("end of input")                             // Ctrl-D on an empty line
	ErrHangup      = errors.New("the terminal hung up")                     // its other end is gone
	ErrTimeout     = errors.New("the time for the prompt is over")          // the context's deadline, or output that stays stuck
	ErrPaste       = errors.New("the text was pasted, not typed")           // bracketed, or too many keys at once
	ErrUnusable    = errors.New("what was typed cannot be used for timing") // not UTF-8, too many keys, too long
)
