package login

import (
	"context"
	"errors"
	"fmt"

	"ksd/internal/wire"
)

// verdictError is a verdict that is not Accept.
type verdictError struct {
	code     wire.Code
	terminal bool // the person was asked to type
}

func (e verdictError) Error() string { return "the verdict is " + string(e.code) }
func (verdictError) Unwrap() error   { return ErrRefused }

// advice returns the one line for somebody who is not let in: what happened, and
// what to do.
func advice(err error) string {
	var v verdictError
	if errors.As(err, &v) {
		return v.advice()
	}
	for _, a := range advices {
		if errors.Is(err, a.is) {
			return a.line
		}
	}
	return fmt.Sprintf("%v; try again, or ask your administrator", err)
}

func (e verdictError) advice() string {
	switch {
	case e.code == wire.Unenrolled:
		return `no rhythm of you is known; have your administrator enrol you (ksd-enroll) or change your login shell`
	case e.code == wire.Cancelled:
		return "stopped; log in again when you like"
	case !e.terminal:
		return `without a terminal nobody is let in here; try "ssh -t", or ask your administrator for a token`
	}
	return fmt.Sprintf("not let in (%s); try again, or ask your administrator", e.code)
}

var advices = []struct {
	is   error
	line string
}{
	{wire.ErrNoDaemon, `the typing check is not running, so nobody is let in; ask your administrator to look at "systemctl status ksdd ksdd-login.socket"`},
	{wire.ErrServer, `what answers for the typing check is not to be trusted; do not type here, and tell your administrator`},
	{wire.ErrNoVerdict, `the typing check broke off; try again, or ask your administrator to look at "journalctl -u ksdd"`},
	{context.DeadlineExceeded, `the typing check did not answer in time; try again, or ask your administrator to look at "journalctl -u ksdd"`},
	{context.Canceled, "stopped by a signal"},
	{ErrBackground, `it takes the terminal's foreground; start it without "&"`},
	{ErrOneWay, "its terminal is not open for both reading and writing; log in without redirecting it"},
	{ErrToken, "what " + tokenName + ` holds is not a token; ask your administrator for one ("ksdctl token")`},
}
