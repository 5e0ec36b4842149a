package daemon

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"time"

	"ksd/conf"
	"ksd/internal/channel"
	"ksd/internal/keystroke"
	"ksd/internal/model"
	"ksd/internal/policy"
	"ksd/internal/store"
	"ksd/internal/wire"
)

// answer brings what was typed at the phrase asked for, and how rough the line is
// that it came over, in ms as wire.Typing has it. It returns why it could not be
// judged, "" if it was; the claim then goes on with ask, or is over.
func (c *claim) answer(ctx context.Context, s keystroke.Sample, jitterMS float64) wire.Reason {
	ctx = context.WithoutCancel(ctx)
	c.d.judging.Lock()
	defer c.d.judging.Unlock()
	c.judged = nil
	if c.over != "" || c.asked == "" {
		c.end(ctx, wire.Failed)
		return ""
	}
	if s.Channel == keystroke.Full && c.channel != keystroke.Full {
		s = s.PressOnly() // the person's templates have no releases
	}
	reason := c.usable(s)
	if reason == "" && rough(c.config.Challenge, s, jitterMS) {
		c.d.world.Log.Info("the line is rougher than challenge.jitter", slog.String("user", c.user), slog.Float64("jitter_ms", math.Round(jitterMS)))
		reason = wire.ReasonLine
	}
	if reason != "" {
		return c.spoil(ctx, reason)
	}
	score, err := c.d.known.Load().verifier.Score(c.user, s)
	switch {
	case errors.Is(err, model.ErrUnusable):
		return c.spoil(ctx, wire.ReasonText)
	case errors.Is(err, model.ErrPhrase):
		return c.spoil(ctx, wire.ReasonChannel)
	case errors.Is(err, model.ErrUnenrolled): // deleted meanwhile
		c.end(ctx, wire.Unenrolled)
		return ""
	case err != nil:
		c.d.world.Log.Error("typing cannot be judged", slog.Any("error", err))
		c.end(ctx, wire.Failed)
		return ""
	}
	c.judge(ctx, s, score)
	return ""
}

// usable returns why s cannot be judged, "" if it can. A typing without releases
// can be whatever was expected: it is compared with the presses of typings that
// have them, and package model tells from its times whether it was ticked. That
// it was is believed of nobody's word.
func (c *claim) usable(s keystroke.Sample) wire.Reason {
	err := policy.CheckText(s.Line(), c.asked, c.config.Challenge.Corrections)
	switch {
	case s.Channel != c.channel && s.Channel != keystroke.Press:
		return wire.ReasonChannel
	case s.Phrase != c.asked || errors.Is(err, policy.ErrText):
		return wire.ReasonText
	case err != nil:
		return wire.ReasonCorrections
	}
	return ""
}

// tickJitter is what a client's tick adds to the jitter of a line that is
// measured by round trips, at most: half of them take a tick longer.
const tickJitter = 0.7 * float64(channel.TickInterval) / float64(time.Millisecond)

// rough reports whether a line is too rough to tell a rhythm that came over it.
// Where the keys lie on a tick, answers do too; over a rough line they do not.
func rough(c conf.Challenge, s keystroke.Sample, jitterMS float64) bool {
	limit := ms(c.Jitter)
	if channel.Ticked(s) {
		limit = math.Hypot(limit, tickJitter)
	}
	return jitterMS > limit
}

// spoil counts a typing that could not be judged. The last of them ends the
// claim.
func (c *claim) spoil(ctx context.Context, reason wire.Reason) wire.Reason {
	c.spoiled = reason
	if c.unusable++; c.unusable >= c.config.Policy.Tries {
		c.end(ctx, wire.Unusable)
	}
	return reason
}

// judge adds a score to the attempt and asks the gate.
func (c *claim) judge(ctx context.Context, s keystroke.Sample, score model.Score) {
	bounds := policy.NewBounds(c.config.Policy.FMR, c.config.Policy.FNMR)
	c.asked = ""
	c.typed++
	c.sum += score.LLR
	c.judged = &judged{s, score, c.sum, bounds}
	f := finding{sum: c.sum, typed: c.typed, most: c.most(), bounds: bounds}
	var err error
	if f.suspect, err = c.suspect(ctx, s, score); err != nil {
		c.d.world.Log.Error("earlier logins cannot be read", slog.Any("error", err))
		f = finding{end: wire.Failed}
	}
	c.probes = append(c.probes, s)
	switch r := c.d.gate(ctx, c, f); {
	case r.more:
	case r.code == wire.Accept:
		c.accepted(ctx)
	case r.code == wire.Refuse:
		c.refused(ctx)
	default:
		c.charged(ctx)
		c.over = r.code
	}
}

// suspect says why a typing is no person's, "" if it may be one's: hands neither
// repeat themselves nor keep time that well.
func (c *claim) suspect(ctx context.Context, s keystroke.Sample, score model.Score) (string, error) {
	probes, err := c.d.store.Probes(ctx, c.user)
	if err != nil {
		return "", err
	}
	earlier := slices.Clone(c.probes)
	for _, p := range probes {
		earlier = append(earlier, p.Sample)
	}
	near := score.NearCopy ||
		slices.ContainsFunc(earlier, func(e keystroke.Sample) bool { return model.NearCopy(s, e) }) ||
		c.pool != nil && model.Spliced(s, earlier)
	switch {
	case near:
		return "copy", nil
	case score.TooSteady:
		return "steady", nil
	}
	return "", nil
}

// accepted ends the claim well. The decision is recorded already: what fails
// here is logged and does not undo it.
func (c *claim) accepted(ctx context.Context) {
	c.over, c.open = wire.Accept, false
	for _, s := range c.subjects() {
		if err := c.d.store.ClearFailures(ctx, s.name); err != nil {
			c.d.world.Log.Error("refusals not cleared", slog.Any("error", err))
		}
	}
	for _, s := range c.probes {
		if err := c.d.store.AddProbe(ctx, c.user, store.Probe{Taken: c.d.world.Now(), Sample: s}); err != nil {
			c.d.world.Log.Error("probe not kept", slog.Any("error", err))
		}
	}
	c.grow(ctx)
	c.probes = nil
}

// refused ends the attempt, and the claim if there is no further one.
func (c *claim) refused(ctx context.Context) {
	c.charged(ctx)
	c.sum, c.typed, c.unusable, c.probes = 0, 0, 0, nil
	if c.attempt >= c.config.Policy.Attempts {
		c.over = wire.Refuse
	}
}

// end ends the claim without a judgement.
func (c *claim) end(ctx context.Context, code wire.Code) {
	if c.over != "" {
		return
	}
	ctx = context.WithoutCancel(ctx)
	f := finding{end: code}
	if c.typed > 0 {
		f.sum, f.typed = c.sum, c.typed
	}
	if c.open {
		c.charged(ctx)
	}
	c.asked, c.probes = "", nil
	if c.over = c.d.gate(ctx, c, f).code; !c.over.Valid() || c.over == wire.Accept {
		c.over = wire.Failed
	}
}

// charged ends an attempt that was not accepted: it counts against its source,
// and confirms nothing.
func (c *claim) charged(ctx context.Context) {
	c.open = false
	c.unconfirmed(ctx)
	c.chargeSource(ctx)
}

// chargeSource counts a refusal against where the attempt comes from.
func (c *claim) chargeSource(ctx context.Context) {
	_, err := c.d.store.RecordFailure(ctx, c.origin().name, c.d.world.Now(), c.config.Lockout.Forget)
	if err != nil {
		c.d.world.Log.Error("refusal not counted", slog.Any("error", err))
	}
}

// judged is a typing and what came of it.
type judged struct {
	sample keystroke.Sample
	score  model.Score
	sum    float64 // of the attempt by then
	bounds policy.Bounds
}

// detail is what an administrator is shown of the typing judged last, nil where
// none was.
func (c *claim) detail() *wire.Detail {
	if c.judged == nil {
		return nil
	}
	s, b := c.judged.score, c.judged.bounds
	out := &wire.Detail{Score: s.LLR, Sum: c.judged.sum, Accept: b.Accept, Refuse: b.Refuse, Detector: s.Detector}
	if s.HasHead {
		out.Head = &s.Head
	}
	for _, b := range c.d.known.Load().verifier.Rhythm(c.user, c.judged.sample) {
		out.Rhythm = append(out.Rhythm, wire.Beat{
			Text: string(b.Rune), TypedMS: ms(b.Typed), UsualMS: ms(b.Usual), SpreadMS: ms(b.Spread),
		})
	}
	return out
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
