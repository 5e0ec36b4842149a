package daemon

import (
	"fmt"
	"time"

	"ksd/internal/policy"
	"ksd/internal/wire"
)

// Every text that a person gets to see stands here, in one voice: "ksd:", no
// capital, what to do next, no blame. None shows a score or says how close it
// was.
const (
	leadFirst       = "ksd: type this in your usual rhythm, then press Enter (Ctrl-C to give up)"
	leadMore        = "ksd: one more, please"
	leadAgain       = "ksd: that was not clear enough; take your time and type this one"
	leadPaste       = "ksd: that was pasted; please type it by hand"
	leadText        = "ksd: that read differently; please type it once more"
	leadCorrections = "ksd: too many corrections to hear the rhythm; please type it once more"
	leadLine        = "ksd: this line brings keys too unevenly to hear a rhythm; please type it once more"
	textNoTerminal  = "ksd: there is no terminal to type at; connect with a terminal (ssh -t), or ask an administrator for a token: ksdctl token %s"
	textBadToken    = "ksd: that token is not good, or not any more; ask an administrator for a new one: ksdctl token %s"
	textUnusable    = "ksd: that could not be judged; please try again and type the phrase as shown"
	textLine        = "ksd: the line is too rough to recognise anybody by; use a better connection, or ask your administrator for another way in"
	leadUnusable    = "ksd: the terminal sent something else than typing; please try once more"
)

// What the person is told where a terminal that tells releases would help: once,
// before the first phrase, and only where it would.
const (
	textTellsLess = "ksd: this terminal tells no key releases; kitty, foot or WezTerm would"
	textTellsMore = "ksd: this terminal tells key releases; enrol here too for a surer check"
)

// leadAfter returns the lead of the phrase after a typing.
func leadAfter(r wire.Reason) string {
	switch r {
	case "":
		return leadMore
	case wire.ReasonCorrections:
		return leadCorrections
	case wire.ReasonText:
		return leadText
	case wire.ReasonLine:
		return leadLine
	}
	return leadUnusable
}

// lastWord returns what the person is told when the claim is over, nothing
// where there is nothing to say.
func lastWord(c *claim, now time.Time) wire.Text {
	text := ""
	switch c.over {
	case wire.Refuse:
		text = "ksd: not recognised; try again, or ask your administrator"
	case wire.Locked:
		text = fmt.Sprintf("ksd: too many tries; please wait %s, then try again", wait(c.until.Sub(now)))
	case wire.Timeout:
		text = "ksd: no typing in time; please try again"
	case wire.Unusable:
		text = textUnusable
		if c.spoiled == wire.ReasonLine {
			text = textLine
		}
	case wire.Failed:
		text = "ksd: the check could not be done; please try again, or ask your administrator"
	}
	return wire.Text{IsError: true, Text: text}
}

// unattendedWord returns what is to be done about an attempt without a terminal,
// nothing where it was let in or is the caller's to decide.
func unattendedWord(c *claim, e *policy.Entry, now time.Time) wire.Text {
	if c.over != wire.Refuse || e == nil {
		return lastWord(c, now)
	}
	format := textNoTerminal
	if e.Token != policy.NoToken {
		format = textBadToken
	}
	return wire.Text{IsError: true, Text: fmt.Sprintf(format, c.user)}
}

// plural returns n and its unit.
func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
