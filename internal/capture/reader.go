package capture

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode"

	"ksd/internal/keystroke"
)

// errDone ends the loop of a reader: Enter was pressed.
var errDone = errors.New("done")

// reader is one prompt in progress.
type reader struct {
	t    *Terminal
	w    link
	p    Prompt
	mode Mode

	buf   [256]byte
	paste bool // between the brackets of a paste

	line   line
	events []keystroke.Event
	start  time.Duration // the first press, on the clock

	hearing hearing // what the machine's keyboards tell meanwhile
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
	r.listen()
	// Not after the mark: whoever waits for it may type at once.
	if err := r.t.drop(r.w); err != nil {
		return err
	}
	r.hearing.since = r.t.clock()
	r.t.talk.trips.left, r.t.talk.trips.late = tripsEach, 0
	r.t.keys.begin()
	if r.mode == Plain && r.t.talk.owed == 0 {
		r.t.parser = Parser{} // an Escape hit before is not the beginning of this
	}
	return r.w.write(ctx, []byte(mark))
}

// run reads until Enter or an error.
func (r *reader) run(ctx context.Context) error {
	var out []byte
	for {
		if err := r.t.measure(ctx, r.w); err != nil {
			return err
		}
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
			return r.settle(ctx)
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

// next reads once and parses into the terminal's inputs.
func (r *reader) next(ctx context.Context) error { return r.t.next(ctx, r.w, r.buf[:]) }

// take carries out the inputs of one read and appends their echo to out. After
// Enter only releases count.
func (r *reader) take(out []byte) ([]byte, error) {
	err := r.refusal()
	for i, in := range r.t.inputs {
		switch {
		case in.Kind == Release:
			r.release(in)
		case err != nil:
			r.t.keys.note(r.t.inputs[i : i+1])
		case r.pressed(&in):
			r.hearing.note(in)
			out, err = r.key(out, in)
		}
	}
	return out, err
}

// refusal says why the inputs of one read, taken together, end the prompt. An
// interrupt does wherever it stands.
//
// Text without a key, where the terminal tells keys, is no typing: somebody sent
// it to the terminal, or pasted it into one that does not bracket pastes. None
// of it can be left over from before the terminal was switched: Ask waits until
// the terminal says that it is, and what came before its answer is dropped.
// Enter, Backspace and the like are taken as they come: they carry no rhythm,
// and a terminal that was reset meanwhile shall not trap anybody.
func (r *reader) refusal() error {
	texts, bad, composed, pasted := 0, false, false, r.paste
	for _, in := range r.t.inputs {
		switch in.Kind {
		case Interrupt:
			return ErrInterrupted
		case PasteBegin:
			r.paste, pasted = true, true
		case PasteEnd:
			r.paste = false
		case Text:
			pasted = pasted || r.mode != Plain && in.Code == 0
			held := in.Repeat || in.Code == codeSame || r.t.keys.holds(in.Code)
			if r.mode == Plain || !held {
				texts++
			}
		case Composed:
			composed = true
		case Bad:
			bad = true
		}
	}
	switch {
	case pasted:
		return ErrPaste
	case texts > r.p.Burst:
		return fmt.Errorf("%w: %d keys at once", ErrPaste, texts)
	case composed:
		return fmt.Errorf("%w: text that no key typed", ErrUnusable)
	case bad:
		return fmt.Errorf("%w: not UTF-8", ErrUnusable)
	}
	return nil
}

// key carries out one input.
func (r *reader) key(out []byte, in Input) ([]byte, error) {
	switch in.Kind {
	case Text:
		err := r.record(in)
		if err != nil {
			return out, err
		}
		return r.line.insert(out, in.Event.Rune), nil
	case Backspace:
		return r.erase(out, in, 1)
	case KillWord:
		return r.erase(out, in, r.lastWord())
	case KillLine:
		return r.erase(out, in, len(r.line.runes))
	case Enter:
		if len(r.line.runes) > 0 {
			return out, errDone
		}
		return out, nil
	case EOF:
		if len(r.line.runes) == 0 {
			return out, ErrEOF
		}
	case PasteEnd, KittyFlags, Win32State, Attributes:
		return out, nil
	}
	return out, r.record(in)
}

// erase is n Backspaces at the time of one key.
func (r *reader) erase(out []byte, in Input, n int) ([]byte, error) {
	in.Event.Key = keystroke.Backspace
	for range n {
		if err := r.record(in); err != nil {
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

// record adds an event to the sample, which begins with the first character. A
// Shift that is held for it comes with it.
func (r *reader) record(in Input) error {
	if len(r.events) == 0 {
		if in.Event.Rune == 0 {
			return nil
		}
		r.start = in.Event.Down
		if err := r.lead(); err != nil {
			return err
		}
	}
	return r.add(in.Event, in.Code)
}

// lead adds the modifiers that were pressed at this prompt and are still held.
func (r *reader) lead() error {
	for _, d := range r.t.keys.down {
		if !modifier(d.key) || d.event != noEvent {
			continue
		}
		if len(r.events) == 0 {
			r.start = d.at
		}
		if err := r.add(keystroke.Event{Key: d.key, Down: d.at}, d.code); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) add(e keystroke.Event, code uint32) error {
	e.Down -= r.start
	switch {
	case len(r.events) == keystroke.MaxEvents:
		return fmt.Errorf("%w: more than %d keys", ErrUnusable, keystroke.MaxEvents)
	case e.Down > keystroke.MaxDuration:
		return fmt.Errorf("%w: longer than %v", ErrUnusable, keystroke.MaxDuration)
	}
	r.t.keys.is(code, len(r.events))
	r.events = append(r.events, e)
	return nil
}

// sample returns what was typed so far. Where not one release came, the path
// swallows them, and presses are all there is.
func (r *reader) sample() keystroke.Sample {
	s := keystroke.Sample{Phrase: r.p.Phrase, Channel: r.mode.Channel(), Events: r.events}
	if r.hearing.matched {
		s.Channel = keystroke.Full
	}
	if s.Channel == keystroke.Full && !slices.ContainsFunc(s.Events, func(e keystroke.Event) bool { return e.Rune != 0 && e.Released }) {
		return s.PressOnly()
	}
	return s
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
		r.t.keys.note(r.t.inputs)
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
	r.t.wipe(r.buf[:])
	clear(r.line.runes[:cap(r.line.runes)])
	r.hearing.wipe()
}
