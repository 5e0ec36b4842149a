// Package evdev hears the keyboards of this machine: which key went down or up,
// and when, on the kernel's own stamps.
//
// What it reads are all keys of the machine, whoever types at whatever program.
// So it hears nothing unless it is asked to, from one prompt's beginning to its
// end, and asks before and after every read whether the keyboards are still the
// prompt's. On the first doubt it forgets everything and closes the devices. It
// never grabs a device and changes no setting that anybody else would notice: a
// process that is killed leaves nothing to be put back.
//
// # Format
//
// A device is a stream of struct input_event (linux/input.h): seconds and
// microseconds as two long, then type and code, 16 bits each, and the value, 32
// bits signed, all in the machine's byte order. Of them EV_KEY counts, and
// SYN_DROPPED, which says that some are missing.
package evdev

import "errors"

// The reasons to hear nothing, or nothing any more.
var (
	ErrNone      = errors.New("there is no keyboard that can be read")
	ErrTooMany   = errors.New("more keyboards, or more keys, than anybody has")
	ErrElsewhere = errors.New("the keyboards belong to another console")
	ErrDropped   = errors.New("the kernel dropped events")
	ErrLate      = errors.New("events came too late to know whose they are")
	ErrMalformed = errors.New("a device sent what is no event")
	ErrClosed    = errors.New("not listening any more")
)
