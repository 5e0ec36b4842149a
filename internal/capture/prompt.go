package capture

import (
	"context"
	"errors"
	"time"

	"ksd/internal/keystroke"
)

// Prompt asks for one typing of one phrase.
type Prompt struct {
	Lead   string // a line above the phrase; none if empty
	Phrase string // the text asked for, on a line of its own
	Mark   string // stands before what is typed; "> " if empty

	// Burst is how many text keys one read may bring; more are a paste. 0 means
	// 2: fingers that roll over two keys can share a wake-up, three cannot. Paths
	// that deliver keys in ticks need 3.
	Burst int

	// Status, if set, returns a line to keep below what is typed. It is called
	// after every read that changed the sample, once the echo is out, and must
	// return fast and not keep the events. A dumb terminal shows none.
	Status func(keystroke.Sample) string
}

// Limits of what is swallowed after a refused paste.
const (
	pasteQuiet    = 150 * time.Millisecond // silence that ends a paste without brackets
	bracketsQuiet = time.Second            // silence that ends one whose closing bracket is lost
	pasteLimit    = 5 * time.Second        // in all
)

// Read shows the prompt and returns what was typed up to Enter: every text key,
// every correction and every other key from the first text key on, without the
// Enter itself. The sample is on channel Press, on Full after Ask brought a mode
// that tells releases. The sample is valid, and its line holds
// at least one character: Enter on an empty line does nothing. Whether the text
// is the phrase is for the caller to judge.
//
// Backspace takes one code point. Ctrl-W and Ctrl-U are as many Backspaces as
// they take characters, all at the time of the one key.
//
// Input from before the prompt was shown is dropped. The context's deadline ends
// the prompt with ErrTimeout, its cancellation with the context's error. After a
// paste or unusable bytes, the rest is swallowed until the terminal falls quiet.
// Whatever the outcome, the cursor then stands at the start of a fresh line,
// unless the terminal is gone.
func (t *Terminal) Read(ctx context.Context, p Prompt) (keystroke.Sample, error) {
	w, err := t.held()
	if err != nil {
		return keystroke.Sample{}, err
	}
	if p.Mark == "" {
		p.Mark = "> "
	}
	if p.Burst == 0 {
		p.Burst = 2
	}
	r := &reader{t: t, w: w, p: p, mode: t.in()}
	defer r.wipe()
	defer t.stopListening()
	if err = r.show(ctx); err == nil {
		err = r.run(ctx)
	}
	if errors.Is(err, ErrPaste) || errors.Is(err, ErrUnusable) {
		err = r.drain(ctx, err)
	}
	if end := r.freshLine(); err == nil {
		err = end
	}
	if err != nil {
		clear(r.events)
		return keystroke.Sample{}, err
	}
	return r.sample(), nil
}
