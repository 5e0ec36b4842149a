package cli

import (
	"context"
	"errors"
	"io/fs"

	"ksd/internal/capture"
	"ksd/internal/corpus"
	"ksd/internal/keystroke"
	"ksd/internal/wire"
)

// ErrNoTerminal is the fact that a program which asks a person to type has no
// terminal to do it at.
var ErrNoTerminal = errors.New("there is no terminal to type at")

// ErrNotRecognised is the fact that an attempt ended in anything but Accept.
var ErrNotRecognised = errors.New("the rhythm was not recognised")

// DefaultSocket is where the installed daemon's API lies.
const DefaultSocket = "/run/ksd/ksd.sock"

// The daemon behind a socket, as systemd knows it.
const startDaemon = `is the daemon running? try "systemctl status ksdd", then "systemctl start ksdd"`

// advice is the one table from errors to exit codes and hints. The first line
// that matches counts, so the special stand above the general.
var advice = []struct {
	is    error
	exit  int
	hints []string
}{
	{ErrUsage, ExitUsage, nil},
	{ErrNoTerminal, ExitNoTerminal, []string{`run it at a terminal; over ssh, "ssh -t" gives you one`}},

	{ErrNotRecognised, ExitRefused, nil},

	{wire.ErrNoDaemon, ExitNoDaemon, []string{startDaemon, `if its socket lies elsewhere, name it with -socket`}},
	{wire.ErrServer, ExitNoDaemon, []string{`do not type here: the socket must belong to root, the ksd account or yourself; tell your administrator`}},

	{&wire.Error{Code: wire.CodeForbidden}, ExitForbidden, []string{`only root may do that for others; try "sudo"`}},
	{&wire.Error{Code: wire.CodeProof}, ExitForbidden, []string{`pass "ksd-enroll verify" first, or ask an administrator`}},
	{&wire.Error{Code: wire.CodeUnenrolled}, ExitRefused, []string{`"ksd-enroll" enrols you; "ksdctl users" shows who is enrolled`}},
	{&wire.Error{Code: wire.CodeLocked}, ExitRefused, []string{`wait a little, or have an administrator run "ksdctl unlock USER"`}},
	{&wire.Error{Code: wire.CodeExpired}, ExitRefused, []string{`run it again and type a little sooner; what was kept is kept`}},
	{&wire.Error{Code: wire.CodeNotFound}, ExitRefused, []string{`the connection was lost in between, or the daemon is of another version; run it again`}},
	{&wire.Error{Code: wire.CodeBusy}, ExitFailed, []string{`try again in a minute; "ksdctl status" shows what the daemon is doing`}},
	{&wire.Error{Code: wire.CodeTooFew}, ExitInput, []string{`enrol more people or more sittings first: "ksd-enroll"`}},
	{&wire.Error{Code: wire.CodeBadRequest}, ExitInput, nil},
	{&wire.Error{Code: wire.CodeCancelled}, ExitCancelled, nil},
	{&wire.Error{Code: wire.CodeInternal}, ExitFailed, []string{`the daemon's log tells more: "journalctl -u ksdd"`}},

	{capture.ErrInterrupted, ExitCancelled, nil},
	{capture.ErrEOF, ExitCancelled, nil},
	{capture.ErrHangup, ExitCancelled, nil},
	{context.Canceled, ExitCancelled, nil},
	{capture.ErrTimeout, ExitInput, []string{`run it again when you have a minute`}},
	{capture.ErrPaste, ExitInput, []string{`type it by hand: a paste has no rhythm`}},
	{capture.ErrUnusable, ExitInput, []string{`type the phrase as it is shown, with nothing else`}},
	{capture.ErrNotTerminal, ExitNoTerminal, []string{`run it at a terminal; over ssh, "ssh -t" gives you one`}},
	{context.DeadlineExceeded, ExitNoDaemon, []string{`the daemon took too long; "journalctl -u ksdd" may say why`}},

	{corpus.ErrFormat, ExitInput, nil},
	{keystroke.ErrInvalid, ExitInput, nil},
	{fs.ErrPermission, ExitForbidden, []string{`you may not open that; try "sudo"`}},
	{fs.ErrNotExist, ExitInput, []string{`look at the path again`}},
}

// Held returns an error with wire.CodeUnenrolled if nothing is held of p: the
// daemon tells about anybody, enrolled or not.
func Held(p wire.Person) error {
	if p.Samples > 0 || p.Sittings > 0 {
		return nil
	}
	return &wire.Error{Code: wire.CodeUnenrolled, Message: "no rhythm of " + p.User + " is held"}
}

// Advice returns the exit code for an error and what can be done about it.
func Advice(err error) (exit int, hints []string) {
	for _, a := range advice {
		if errors.Is(err, a.is) {
			return a.exit, a.hints
		}
	}
	return ExitFailed, nil
}
