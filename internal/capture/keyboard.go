package capture

import (
	"slices"
	"time"

	"ksd/internal/keystroke"
)

// keyboard knows which keys are down, where a terminal tells. It outlives
// prompts: a key may be held from one to the next.
type keyboard struct {
	down []downKey // in order of press, at most maxDown
}

// downKey is a key that has not gone up yet.
type downKey struct {
	code  uint32
	key   keystroke.Key
	at    time.Duration // of the press, on the clock
	event int           // its place in the typing, or one of:
}

const (
	noEvent = -1 // pressed at this prompt, and in the typing not or not yet
	earlier = -2 // pressed before this prompt was shown
)

// maxDown is more keys than hands hold. Beyond it the oldest is forgotten.
const maxDown = 32

func (k *keyboard) find(code uint32) int {
	return slices.IndexFunc(k.down, func(d downKey) bool { return d.code == code })
}

// holds reports whether a key is known to be down.
func (k *keyboard) holds(code uint32) bool { return code != 0 && k.find(code) >= 0 }

// release takes a key up. Nothing is found where its press was not seen: the
// Enter that started a program, or a key that a paste of events made up.
func (k *keyboard) release(code uint32) (downKey, bool) {
	i := k.find(code)
	if i < 0 {
		return downKey{}, false
	}
	d := k.down[i]
	k.down = slices.Delete(k.down, i, i+1)
	return d, true
}

// press puts a key down, without an event yet. A key that is down already lost
// its release, when the terminal lost the focus, and so did a Shift that the
// terminal no longer counts among the modifiers: they are forgotten, and what
// they typed stays without a release.
func (k *keyboard) press(in Input) {
	k.down = slices.DeleteFunc(k.down, func(d downKey) bool {
		return d.code == in.Code || d.key == keystroke.ShiftKey && in.Event.Key != keystroke.ShiftKey && in.Event.Mods&keystroke.Shift == 0
	})
	if len(k.down) == maxDown {
		k.down = slices.Delete(k.down, 0, 1)
	}
	k.down = append(k.down, downKey{in.Code, in.Event.Key, in.Event.Down, noEvent})
}

// note keeps account of what comes while nobody types for a prompt.
func (k *keyboard) note(in []Input) {
	for _, i := range in {
		switch {
		case i.Code == 0 || i.Code == codeSame || i.answer():
		case i.Kind == Release:
			k.release(i.Code)
		case !i.Repeat && !k.holds(i.Code):
			k.press(i)
		}
	}
}

// begin makes what is down now a matter of the past.
func (k *keyboard) begin() {
	for i := range k.down {
		k.down[i].event = earlier
	}
}

// is says which event of the typing the key pressed last was.
func (k *keyboard) is(code uint32, event int) {
	if i := k.find(code); i >= 0 {
		k.down[i].event = event
	}
}

// sides returns which Shift keys are down. It is neither where Shift was held
// before anybody looked: then only the terminal's word for it counts.
func (k *keyboard) sides() (m keystroke.Mods) {
	if k.holds(codeShiftLeft) {
		m |= keystroke.ShiftLeft
	}
	if k.holds(codeShiftRight) {
		m |= keystroke.ShiftRight
	}
	return m
}

// forget lets go of everything, after bytes were lost.
func (k *keyboard) forget() {
	clear(k.down[:cap(k.down)])
	k.down = k.down[:0]
}

// modifier reports whether a key only changes what others mean.
func modifier(k keystroke.Key) bool {
	switch k {
	case keystroke.ShiftKey, keystroke.CapsLock, keystroke.ControlKey, keystroke.AltKey, keystroke.SuperKey:
		return true
	}
	return false
}
