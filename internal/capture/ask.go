package capture

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Limits of waiting for a terminal's answers.
const (
	askLimit   = 300 * time.Millisecond // for all that Ask asks
	leaveLimit = time.Second            // for the fence of Leave
	lateLimit  = time.Second            // after which nothing comes any more
)

// talk is what a terminal was asked and what it answered. The fence stands at
// the end of every question: its answer says that no other will come.
type talk struct {
	can   bool          // whether a terminal of this type is asked at all
	owed  int           // fences not answered yet
	at    time.Duration // of the last question
	heard bool          // whether anything was ever answered
	slow  bool          // whether it was later than Ask waits

	asked        bool // whether the first question was put
	kitty, win32 bool // what it may be switched to, as far as is known

	flags, state uint32 // what came since the last question, plus 1; 0 for nothing

	trips trips
}

// hear takes the answers out of what was read at a time, 0 for one that was not
// noted. Those to earlier questions come first, so the last ones stay.
func (k *talk) hear(in []Input, at time.Duration) {
	for _, i := range in {
		switch i.Kind {
		case KittyFlags:
			k.flags = i.Code + 1
		case Win32State:
			k.state = i.Code + 1
		case Attributes:
			k.owed = max(k.owed-1, 0)
			k.slow = k.slow || !k.trips.under && at-k.at > askLimit
			k.trips.back(at - k.at)
		}
		k.heard = k.heard || i.answer()
	}
}

// sent notes that a fence goes out, alone to be timed or behind something else.
func (k *talk) sent(at time.Duration, alone bool) {
	k.owed++
	k.at, k.trips.under = at, alone
}

// knowsWin32 reports whether the terminal has win32-input-mode, and whether it
// is in it.
func (k *talk) knowsWin32() (knows, on bool) {
	return k.state == modeSet+1 || k.state == modeReset+1, k.state == modeSet+1
}

// Ask has the terminal tell releases, if it can, and says what it made of it.
// The terminal must be raw, else the error is ErrNotRaw. From then on samples
// are on the channel of the mode, until the terminal is given back.
//
// It first asks which of the protocols the terminal knows, switches one on only
// after a yes, and asks again, because some grant less than they are asked for:
// the kitty protocol must tell releases of all keys. What is not granted is
// switched off again.
//
// It takes at most 300 ms, which is what a terminal costs that answers nothing,
// and that only once: a second Ask knows. Terminals of the types "", "dumb" and
// "linux" know no such modes and are not asked. Answers that come later are
// swallowed whenever they come. What is typed meanwhile is dropped, but Ctrl-C
// ends it with ErrInterrupted. Other errors are those of Read, no error is that
// the terminal tells presses only.
func (t *Terminal) Ask(ctx context.Context) (Asked, error) {
	w, err := t.held()
	if err != nil {
		return Asked{}, err
	}
	began := t.clock()
	k := &t.talk
	if k.can && t.in() == Plain {
		limited, cancel := context.WithTimeout(ctx, askLimit)
		err = t.negotiate(limited, w)
		cancel()
		if errors.Is(err, ErrTimeout) && ctx.Err() == nil {
			err = nil
		}
	}
	return Asked{Mode: t.in(), Silent: k.asked && !k.heard, Took: t.clock() - began}, err
}

// negotiate asks for the protocols, once, and tries those there are.
func (t *Terminal) negotiate(ctx context.Context, w link) error {
	k := &t.talk
	if !k.asked {
		k.asked = true
		err := t.question(ctx, w, kittyQuery+win32Query)
		k.kitty = k.flags > 0
		k.win32, _ = k.knowsWin32()
		if err != nil {
			k.kitty, k.win32 = false, false
			return err
		}
	}
	if k.kitty {
		ok, err := t.change(ctx, w, Kitty, kittyPush, kittyQuery)
		if k.kitty = ok; ok || err != nil {
			return err
		}
	}
	if k.win32 {
		ok, err := t.change(ctx, w, Win32, win32On, win32Query)
		k.win32 = ok
		return err
	}
	return nil
}

// change switches a mode on and asks whether it is on. If not, it is switched
// off again.
func (t *Terminal) change(ctx context.Context, w link, m Mode, on, query string) (bool, error) {
	undo := Undo(m)
	if _, set := t.talk.knowsWin32(); m == Win32 && set {
		undo = "" // it was on before us
	}
	if !t.switchOn(on, undo) {
		return false, nil
	}
	err := t.question(ctx, w, query)
	if err == nil && t.granted(m) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.link != w {
			return false, ErrNotRaw
		}
		t.mode = m
		return true, nil
	}
	t.switchOff(undo)
	return false, err
}

// granted reports whether the answers say that mode m is on.
func (t *Terminal) granted(m Mode) bool {
	k := &t.talk
	if m == Win32 {
		_, on := k.knowsWin32()
		return on
	}
	flags := max(k.flags, 1) - 1
	t.parser.untold = flags&kittyText == 0
	return kittyEnough(flags)
}

// switchOn writes what switches a mode on and keeps what takes it back, in one
// step, so that Restore on another goroutine sees both or neither. It fails if
// there is no room to write at once.
func (t *Terminal) switchOn(on, undo string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.link == nil || !t.dev.try(on) {
		return false
	}
	t.undo = undo + t.undo
	return true
}

// switchOff takes a mode back that was switched on last. Where there is no room
// it stays for Restore to do.
func (t *Terminal) switchOff(undo string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.link != nil && undo != "" && t.dev.try(undo) {
		t.undo = strings.TrimPrefix(t.undo, undo)
	}
}

// question writes q with the fence behind it, in one write, and waits until
// every fence is answered.
func (t *Terminal) question(ctx context.Context, w link, q string) error {
	k := &t.talk
	k.flags, k.state = 0, 0
	k.sent(t.clock(), false)
	if err := w.write(ctx, []byte(q+fence)); err != nil {
		return err
	}
	var b [256]byte
	defer t.wipe(b[:])
	for k.owed > 0 {
		if err := t.next(ctx, w, b[:]); err != nil {
			return err
		}
		t.keys.note(t.inputs)
		for _, i := range t.inputs {
			if i.Kind == Interrupt {
				return ErrInterrupted
			}
		}
	}
	return nil
}

// Leave is Restore that lets nothing of the prompt reach the next program. A
// terminal that tells releases is switched back first, and all it says until it
// has done so is dropped: at most a second, less if ctx is done earlier. An answer
// that Ask did not wait for is waited for as well, unless it is overdue by now.
// Without any of that Leave does not wait.
func (t *Terminal) Leave(ctx context.Context) error {
	if w, err := t.held(); err == nil {
		limited, cancel := context.WithTimeout(ctx, leaveLimit)
		t.letGo(limited, w)
		cancel()
	}
	return t.Restore()
}

// letGo switches the terminal back and waits until it has done so. Whatever goes
// wrong, Restore comes next and does what it can.
func (t *Terminal) letGo(ctx context.Context, w link) {
	k := &t.talk
	t.mu.Lock()
	last := ""
	if t.mode != Plain {
		last = t.undo + fence
	}
	ours := t.link == w && t.dev.try(last)
	if ours && last != "" {
		t.undo, t.mode = "", Plain
		k.sent(t.clock(), false)
	}
	t.mu.Unlock()
	if !ours || t.clock()-k.at > lateLimit {
		return
	}
	var b [256]byte
	defer t.wipe(b[:])
	for k.owed > 0 && t.next(ctx, w, b[:]) == nil {
	}
	t.keys.forget()
}
