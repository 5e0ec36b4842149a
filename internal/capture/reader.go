package capture

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode"

	"ksd/internal/keystroke"
)

// errDone ends the loop of a reader: Enter was pressed.
var errDone = errors.New("done")

// reader is one prompt in progress.
type reader struct {
	t *Terminal
	w *waiter
	p Prompt

	buf    [256]byte
	parser Parser
	inputs []Input
	paste  bool // between the brackets of a paste

	line   line
	events []keystroke.Event
	start  time.Duration // the first press, on the clock
}

// show draws the prompt and drops what was typed before its mark stood there.
func (r *reader) show(ctx context.Context) error {
	r.line.moves = r.t.moves
	r.line.status = r.t.moves && r.p.Status != nil
	r.line.width = r.t.width() - 1
	mark := fit(r.p.Mark, r.line.width/2)
	for _, c := range mark {
		r.line.indent += columns(c)
	}
	r.line.col = r.line.indent

	text := clean(r.p.Phrase) + "\n"
	if r.p.Lead != "" {
		text = clean(r.p.Lead) + "\n" + text
	}
	if err := r.w.write(ctx, []byte(text)); err != nil {
		return err
	}
	// Not after the mark: whoever waits for it may type at once.
	if err := r.t.flush(); err != nil {
		return err
	}
	return r.w.write(ctx, []byte(mark))
}

// run reads until Enter or an error.
func (r *reader) run(ctx context.Context) error {
	var out []byte
	for {
		if err := r.next(ctx); err != nil {
			return err
		}
		before := len(r.events)
		var err error
		out, err = r.take(out[:0])
		if werr := r.w.write(ctx, out); werr != nil {
			return werr
		}
		if err == errDone {
			return nil
		}
		if err != nil {
			return err
		}
		if r.line.status && len(r.events) != before {
			// After the echo, for Status may take its time.
			out = r.line.below(out[:0], r.p.Status(r.sample()))
			if err := r.w.write(ctx, out); err != nil {
				return err
			}
		}
	}
}

// next reads once and parses into r.inputs.
func (r *reader) next(ctx context.Context) error {
	n, at, err := r.w.read(ctx, r.buf[:])
	if err != nil {
		return err
	}
	r.inputs = r.parser.Feed(r.inputs[:0], r.buf[:n], at)
	return nil
}

// take carries out the inputs of one read and appends their echo to out.
func (r *reader) take(out []byte) ([]byte, error) {
	err := r.refusal()
	for _, in := range r.inputs {
		if err != nil {
			break
		}
		out, err = r.key(out, in)
	}
	return out, err
}

// refusal says why the inputs of one read, taken together, end the prompt. An
// interrupt does wherever it stands.
func (r *reader) refusal() error {
	texts, bad, pasted := 0, false, r.paste
	for _, in := range r.inputs {
		switch in.Kind {
		case Interrupt:
			return ErrInterrupted
		case PasteBegin:
			r.paste, pasted = true, true
		case PasteEnd:
			r.paste = false
		case Text:
			texts++
		case Bad:
			bad = true
		}
	}
	switch {
	case pasted:
		return ErrPaste
	case texts > r.p.Burst:
		return fmt.Errorf("%w: %d keys at once", ErrPaste, texts)
	case bad:
		return fmt.Errorf("%w: not UTF-8", ErrUnusable)
	}
	return nil
}

// key carries out one input.
func (r *reader) key(out []byte, in Input) ([]byte, error) {
	switch in.Kind {
	case Text:
		err := r.record(in.Event)
		if err != nil {
			return out, err
		}
		return r.line.insert(out, in.Event.Rune), nil
	case Backspace:
		return r.erase(out, in.Event, 1)
	case KillWord:
		return r.erase(out, in.Event, r.lastWord())
	case KillLine:
		return r.erase(out, in.Event, len(r.line.runes))
	case Enter:
		if len(r.line.runes) > 0 {
			return out, errDone
		}
		return out, nil
	case EOF:
		if len(r.line.runes) == 0 {
			return out, ErrEOF
		}
	case PasteEnd:
		return out, nil
	}
	return out, r.record(in.Event)
}

// erase is n Backspaces at the time of e.
func (r *reader) erase(out []byte, e keystroke.Event, n int) ([]byte, error) {
	e.Key = keystroke.Backspace
	for range n {
		if err := r.record(e); err != nil {
			return out, err
		}
		out = r.line.erase(out)
	}
	return out, nil
}

// lastWord counts the runes of the last word and of the spaces after it.
func (r *reader) lastWord() int {
	i := len(r.line.runes)
	for i > 0 && unicode.IsSpace(r.line.runes[i-1]) {
		i--
	}
	for i > 0 && !unicode.IsSpace(r.line.runes[i-1]) {
		i--
	}
	return len(r.line.runes) - i
}

// record adds an event to the sample, which begins with the first character.
func (r *reader) record(e keystroke.Event) error {
	if len(r.events) == 0 {
		if e.Rune == 0 {
			return nil
		}
		r.start = e.Down
	}
	e.Down -= r.start
	switch {
	case len(r.events) == keystroke.MaxEvents:
		return fmt.Errorf("%w: more than %d keys", ErrUnusable, keystroke.MaxEvents)
	case e.Down > keystroke.MaxDuration:
		return fmt.Errorf("%w: longer than %v", ErrUnusable, keystroke.MaxDuration)
	}
	r.events = append(r.events, e)
	return nil
}

func (r *reader) sample() keystroke.Sample {
	return keystroke.Sample{Phrase: r.p.Phrase, Channel: keystroke.Press, Events: r.events}
}

// drain swallows what is left of input that was refused, so that neither the
// next prompt nor a shell gets it, and returns cause unless something more
// urgent happens.
func (r *reader) drain(ctx context.Context, cause error) error {
	all, cancel := context.WithTimeout(ctx, pasteLimit)
	defer cancel()
	for {
		quiet := pasteQuiet
		if r.paste {
			quiet = bracketsQuiet
		}
		pause, cancel := context.WithTimeout(all, quiet)
		err := r.next(pause)
		cancel()
		switch {
		case errors.Is(err, ErrTimeout):
			return cause
		case err != nil:
			return err
		}
		if err := r.refusal(); errors.Is(err, ErrInterrupted) {
			return err
		}
	}
}

// freshLine moves to the start of an empty line, whatever became of the prompt.
func (r *reader) freshLine() error {
	end := "\n"
	if r.line.status {
		end += "\x1b[J"
	}
	return r.t.print(r.w, end)
}

// wipe clears what the person typed out of the buffers. The sample's events
// belong to the caller.
func (r *reader) wipe() {
	clear(r.buf[:])
	clear(r.inputs[:cap(r.inputs)])
	clear(r.line.runes[:cap(r.line.runes)])
	r.parser = Parser{}
}
