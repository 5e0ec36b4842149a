package daemon

import (
	"context"
	"fmt"
	"log/slog"

	"ksd/internal/audit"
	"ksd/internal/policy"
	"ksd/internal/wire"
)

// finding is what an attempt has shown. The zero value shows nothing and is
// refused.
type finding struct {
	// end says that the attempt, or the claim before its first, ended without a
	// judgement, and how: Locked, Unenrolled, Cancelled, Timeout, Unusable or
	// Failed.
	end wire.Code
	// Otherwise: the sum of the log-likelihood ratios of the phrases judged,
	// how many those are, how many there may be, and the thresholds.
	sum    float64
	typed  int
	most   int
	bounds policy.Bounds
	// entry is what is known of an attempt without a terminal; nil where there is
	// one.
	entry *policy.Entry
	// suspect says why the last typing is no person's at all, "" if it may be:
	// "copy" or "steady".
	suspect string
}

// ruling is what the gate made of a finding. The zero value is a refusal.
type ruling struct {
	more bool      // one more phrase is needed; nothing is decided
	code wire.Code // else the decision
}

// gate is the one place that decides. Every decision is in the audit log before
// anybody hears of it: where it cannot be recorded, the answer is Failed.
func (d *Daemon) gate(ctx context.Context, c *claim, f finding) ruling {
	event, code, outcome := "challenge", wire.Refuse, string(wire.Refuse)
	switch {
	case f.entry != nil:
		event = "noninteractive"
		code, outcome = entryCode(f.entry.Decide())
	case f.end == wire.Accept: // an attempt without a judgement is never accepted
	case f.end != "":
		code, outcome = f.end, string(f.end)
	case f.suspect != "":
		outcome = fmt.Sprintf("%s: %s", wire.Refuse, f.suspect)
	default:
		switch policy.Decide(f.sum, f.typed, f.most, f.bounds) {
		case policy.More:
			return ruling{more: true}
		case policy.Accept:
			code, outcome = wire.Accept, string(wire.Accept)
		}
	}
	e := audit.Entry{
		When: d.world.Now(), Event: event, User: c.user, Actor: c.peer.String(),
		Service: c.service, Source: c.source, Outcome: outcome, Model: short(d.known.Load().file),
	}
	if f.typed > 0 {
		e.Score = &f.sum
	}
	if err := d.audit.Record(ctx, e); err != nil {
		d.world.Log.Error("decision not recorded, so denied", slog.Any("error", err))
		return ruling{code: wire.Failed}
	}
	return ruling{code: code}
}

// entryCode puts a ruling on an attempt without a terminal into words: those of
// the protocol, and those of the audit log.
func entryCode(r policy.Ruling) (code wire.Code, outcome string) {
	switch r {
	case policy.LetIn:
		return wire.Accept, string(wire.Accept)
	case policy.LetInByToken:
		return wire.Accept, fmt.Sprintf("%s: token", wire.Accept)
	case policy.LockedOut:
		return wire.Locked, string(wire.Locked)
	case policy.NotEnrolled:
		return wire.Unenrolled, string(wire.Unenrolled)
	case policy.BadTokenUsed:
		return wire.Refuse, fmt.Sprintf("%s: token", wire.Refuse)
	}
	return wire.Refuse, string(wire.Refuse)
}
