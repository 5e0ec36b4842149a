package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"ksd/internal/capture"
	"ksd/internal/keystroke"
	"ksd/internal/wire"
)

// maxTries is how often a person is asked again after a typing that could not
// be captured, or an answer that was none.
const maxTries = 5

// Dialogue is a talk with the person at the terminal.
type Dialogue struct {
	Screen Screen
	term   *capture.Terminal
	kind   string // its type, as TERM names it
}

// Dialogue opens the talk. The error wraps ErrNoTerminal if there is nobody to
// talk to.
func (e Env) Dialogue() (*Dialogue, error) {
	if e.Tty == nil {
		return nil, ErrNoTerminal
	}
	term, err := capture.Open(e.Tty, e.Var("TERM"), e.Clock)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoTerminal, err)
	}
	return &Dialogue{e.Screen(e.Tty), term, e.Var("TERM")}, nil
}

// Captured says in a word what the terminal tells of keys that come on ch, and
// what would be better.
func (d *Dialogue) Captured(ch keystroke.Channel) string {
	const better = "A terminal with the kitty keyboard protocol, such as kitty, foot or Ghostty, would also tell releases"
	switch {
	case ch == keystroke.Full:
		return "Captured: key presses and releases."
	case strings.HasPrefix(d.kind, "tmux") || strings.HasPrefix(d.kind, "screen"):
		return "Captured: key presses only, for tmux and screen pass no releases on. " + better + " outside of them, and recognise you with fewer keys."
	}
	return "Captured: key presses only. " + better + " and recognise you with fewer keys."
}

// Say prints sentences, broken into lines that fit the screen, then an empty
// line.
func (d *Dialogue) Say(format string, args ...any) {
	for _, paragraph := range strings.Split(fmt.Sprintf(format, args...), "\n") {
		d.Lines(wrap(Clean(paragraph), d.Screen.width()-1)...)
	}
	d.Lines("")
}

// Lines prints lines as they are.
func (d *Dialogue) Lines(lines ...string) {
	for _, l := range lines {
		fmt.Fprintln(d.Screen.W, l)
	}
}

// Clear begins an empty page where the terminal can; elsewhere it leaves one
// line empty.
func (d *Dialogue) Clear() {
	if d.Screen.Cursor {
		fmt.Fprint(d.Screen.W, "\x1b[H\x1b[2J")
		return
	}
	d.Lines("")
}

// Type asks for one typing of phrase and returns it. After a paste or bytes
// that are no typing it says so and asks again. limit bounds the wait, 0 for
// none. status, which may be nil, is shown below what is typed. Errors: those of
// capture, ctx.Err().
func (d *Dialogue) Type(ctx context.Context, phrase string, limit time.Duration, status func(keystroke.Sample) string) (keystroke.Sample, error) {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	p := capture.Prompt{Phrase: "  " + phrase, Status: status}
	for try := 1; ; try++ {
		s, err := d.read(ctx, p, true)
		s.Phrase = phrase
		switch {
		case try == maxTries:
			return s, err
		case errors.Is(err, capture.ErrPaste):
			d.Say("That came in all at once, as a paste does. A paste has no rhythm: please type it.")
		case errors.Is(err, capture.ErrUnusable):
			d.Say("That was not typing I can read. Please type the line as it stands.")
		default:
			return s, err
		}
	}
}

// Choose asks a question and returns the one of the answers that the person
// began to type. Errors are those of Type.
func (d *Dialogue) Choose(ctx context.Context, question string, answers ...string) (string, error) {
	mark := strings.Join(answers, " or ") + "? "
	for try := 1; ; try++ {
		s, err := d.read(ctx, capture.Prompt{Phrase: question, Mark: mark, Burst: keystroke.MaxEvents}, false)
		if err != nil && !errors.Is(err, capture.ErrUnusable) && !errors.Is(err, capture.ErrPaste) {
			return "", err
		}
		said := strings.ToLower(strings.TrimSpace(s.Line().Text))
		i := slices.IndexFunc(answers, func(a string) bool { return strings.HasPrefix(a, said) })
		switch {
		case said != "" && i >= 0:
			return answers[i], nil
		case try == maxTries:
			return "", fmt.Errorf("%w: no answer to %q", capture.ErrUnusable, question)
		}
		d.Lines("Please type " + strings.Join(answers, " or ") + ", or the first letter, then Enter.")
	}
}

// ConfirmDelete asks whether all that is held of p is to be deleted. Errors are
// those of Type.
func (d *Dialogue) ConfirmDelete(ctx context.Context, p wire.Person) (bool, error) {
	d.Say("ksd holds %d typings of %s, from %d sittings. Once deleted they are gone for good.", p.Samples, p.User, p.Sittings)
	answer, err := d.Choose(ctx, "Delete them?", "delete", "keep")
	return answer == "delete" && err == nil, err
}

// Ask finds out on which channel typings will come, and leaves the terminal as it
// was. Errors are those of Type.
func (d *Dialogue) Ask(ctx context.Context) (keystroke.Channel, error) {
	var asked capture.Asked
	err := d.hold(ctx, func() (err error) {
		asked, err = d.term.Ask(ctx)
		return err
	})
	return asked.Mode.Channel(), err
}

// JitterMS is how rough the line to the terminal is, as wire.Typing has it.
func (d *Dialogue) JitterMS() float64 { return JitterMS(d.term) }

// JitterMS is how rough the line to a terminal is, as wire.Typing has it.
func JitterMS(t *capture.Terminal) float64 {
	sd, _ := t.Jitter()
	return float64(sd) / float64(time.Millisecond)
}

// read asks for one line, with releases where they matter and the terminal tells
// them.
func (d *Dialogue) read(ctx context.Context, p capture.Prompt, releases bool) (s keystroke.Sample, err error) {
	err = d.hold(ctx, func() error {
		if releases {
			if _, err := d.term.Ask(ctx); err != nil {
				return err
			}
		}
		s, err = d.term.Read(ctx, p)
		return err
	})
	return s, err
}

// hold holds the terminal raw for one prompt only, so that it is as the person
// knows it at all other times. Also who is told to stop gives it back properly.
func (d *Dialogue) hold(ctx context.Context, f func() error) error {
	if err := d.term.Raw(); err != nil {
		return err
	}
	err := f()
	return errors.Join(err, d.term.Leave(context.WithoutCancel(ctx)))
}

// wrap breaks text at blanks into lines of at most n characters; a longer word
// gets a line of its own.
func wrap(text string, n int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > n {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
