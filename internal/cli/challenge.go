package cli

import (
	"context"
	"time"

	"ksd/internal/wire"
)

// Attempt is how one attempt to be recognised went.
type Attempt struct {
	User   string    `json:"user"`
	Code   wire.Code `json:"code"`
	Judged []Judged  `json:"judged,omitempty"` // administrators only
}

// Judged is one typing of an attempt.
type Judged struct {
	Phrase string      `json:"phrase"`
	Try    int         `json:"try"` // from 1; each begins with a sum of 0
	Detail wire.Detail `json:"detail"`
}

// Challenge takes the person at the terminal through one attempt, phrase by
// phrase, to the last word of the daemon. Errors: those of wire.Client and of
// Dialogue.Type.
func (d *Dialogue) Challenge(ctx context.Context, c *wire.Client, r wire.ChallengeRequest) (Attempt, error) {
	out := Attempt{User: r.User, Code: wire.Failed}
	ch, err := c.Challenge(ctx, r)
	if err != nil {
		return out, err
	}
	next := &ch
	for next != nil {
		s, err := d.Type(ctx, next.Phrase, time.Duration(next.ExpireMS)*time.Millisecond, nil)
		if err != nil {
			return out, err
		}
		a, err := c.Answer(ctx, next.ID, wire.Typing{Sample: s, JitterMS: d.JitterMS()})
		if err != nil {
			return out, err
		}
		if a.Detail != nil {
			out.Judged = append(out.Judged, Judged{next.Phrase, next.Try, *a.Detail})
		}
		if a.Reason != "" {
			d.Say("%s", ReasonText(a.Reason))
		}
		if a.Code != "" {
			out.Code = a.Code
			return out, nil
		}
		switch {
		case a.Reason != "":
		case a.Next != nil && a.Next.Try > next.Try:
			d.Lines("", "That was not recognised. Here is another try:")
		case a.Next != nil:
			d.Lines("", "Not clear yet. One more:")
		}
		next = a.Next
	}
	return out, nil
}

// ReasonText tells a person why a typing was not taken.
func ReasonText(r wire.Reason) string {
	switch r {
	case wire.ReasonText:
		return "That was not the line that was asked for."
	case wire.ReasonCorrections:
		return "Too many corrections to see your rhythm. Take your time."
	case wire.ReasonUnlike:
		return "That typing was quite unlike your others."
	case wire.ReasonDuplicate:
		return "That was a copy of an earlier typing, to the millisecond. Hands do not do that."
	case wire.ReasonTooSlow:
		return "There was a long pause in the middle. Type it in one go."
	case wire.ReasonChannel:
		return "These keys came in by another way than those you enrolled with."
	case wire.ReasonLine:
		return "Keys arrive here too unevenly to tell your rhythm: the line is rough. Use a better connection."
	}
	return "That typing could not be used."
}

// VerdictText tells a person the last word of an attempt.
func VerdictText(c wire.Code) string {
	switch c {
	case wire.Accept:
		return "Recognised: this is the rhythm that was enrolled."
	case wire.Refuse:
		return "Not recognised: the rhythm is another one."
	case wire.Locked:
		return "Locked: there were too many refusals. Wait a little."
	case wire.Unenrolled:
		return "Nobody of that name is enrolled."
	case wire.Cancelled:
		return "Given up."
	case wire.Timeout:
		return "Too late: nothing was typed in time."
	case wire.Unusable:
		return "No verdict: what was typed could not be judged."
	}
	return "No verdict: the daemon could not do its work."
}

// Exit returns the exit code of a program that was asked for a verdict. Only
// Accept is a yes.
func (a Attempt) Exit() int {
	switch a.Code {
	case wire.Accept:
		return ExitOK
	case wire.Refuse, wire.Locked, wire.Unenrolled:
		return ExitRefused
	case wire.Cancelled:
		return ExitCancelled
	case wire.Timeout, wire.Unusable:
		return ExitInput
	}
	return ExitFailed
}

// Picture shows how the last typing was judged: the sum of evidence between
// the limits, the figures, and the rhythm over the usual one. It is empty where
// the daemon told none.
func (a Attempt) Picture(s Screen) []string {
	if len(a.Judged) == 0 {
		return nil
	}
	d := a.Judged[len(a.Judged)-1].Detail
	lines := []string{figures(a), Gauge(s, d.Refuse, d.Accept, d.Sum), ""}
	return append(lines, Rhythm(s, d.Rhythm)...)
}
