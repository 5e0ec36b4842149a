package daemon

import (
	"fmt"
	"time"

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
	leadUnusable    = "ksd: the terminal sent something else than typing; please try once more"
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
		text = "ksd: that could not be judged; please try again and type the phrase as shown"
	case wire.Failed:
		text = "ksd: the check could not be done; please try again, or ask your administrator"
	}
	return wire.Text{IsError: true, Text: text}
}

// plural returns n and its unit.
func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
