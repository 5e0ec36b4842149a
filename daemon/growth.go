package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"ksd/internal/audit"
	"ksd/internal/keystroke"
	"ksd/internal/policy"
	"ksd/internal/store"
	"ksd/internal/wire"
)

// renewAfter is how long typings that joined wait for the templates to be built
// anew: everybody's are, and many people may come at the same time.
const renewAfter = time.Minute

// grow has an accepted login confirm the one before and wait to be confirmed
// itself. It counts only if an administrator's program asked for it, which stands
// behind a password or a key: at its own unlocked shell an account can be tried
// as often as the lock-out lets anybody.
func (c *claim) grow(ctx context.Context) {
	if !c.d.admin(c.peer) {
		return
	}
	if !c.config.Adapt.Enabled {
		c.unconfirmed(ctx)
		return
	}
	if _, err := c.d.confirm(ctx, c, c.probes); err != nil {
		c.d.world.Log.Error("templates do not grow", slog.String("user", c.user), slog.Any("error", err))
	}
}

// unconfirmed drops what waits of the person: an attempt was not accepted.
func (c *claim) unconfirmed(ctx context.Context) {
	if err := c.d.store.DropWaiting(ctx, c.user); err != nil {
		c.d.world.Log.Error("unconfirmed typings not dropped", slog.String("user", c.user), slog.Any("error", err))
	}
}

// confirm has what waits of the claim's person join its templates, as far as
// policy.Growth lets it, and the typings of the new login wait. d.judging must
// be held.
func (d *Daemon) confirm(ctx context.Context, c *claim, fresh []keystroke.Sample) (out wire.Growth, err error) {
	p, err := d.store.Person(ctx, c.user)
	if err != nil {
		return out, err
	}
	waiting, err := d.waiting(p)
	if err != nil {
		return out, err
	}
	now := d.world.Now()
	rule := policy.Growth{Window: c.config.Adapt.Window, PerWeek: c.config.Adapt.PerWeek}
	joins, leaves := rule.Confirm(joined(p), waiting, policy.NewBounds(c.config.Policy.FMR, c.config.Policy.FNMR), now)
	out.Waited = len(waiting)
	if len(joins) > 0 || len(fresh) == 0 { // root's word is recorded, whatever came of it
		err := d.audit.Record(ctx, audit.Entry{
			When: now, Event: "grow", User: c.user, Actor: c.peer.String(), Service: c.service, Source: c.source,
			Outcome: fmt.Sprintf("%d of %s joined", len(joins), plural(len(waiting), "typing")), Model: short(d.known.Load().file),
		})
		if err != nil {
			return out, err
		}
	}
	step := store.Growth{Joins: numbers(joins), At: now, Leaves: numbers(leaves)}
	for _, s := range fresh {
		if d.asked(c.user, s) {
			step.Waits = append(step.Waits, store.Grown{Taken: now, Sample: s})
		}
	}
	if out.Joined, err = d.store.Grow(ctx, c.user, step); out.Joined > 0 {
		d.renewal.ask(renewAfter)
	}
	return out, err
}

// asked reports whether s is a typing of a phrase that its person can be asked
// for: a text that never comes again would have a window of its own for ever.
func (d *Daemon) asked(user string, s keystroke.Sample) bool {
	k := d.known.Load().people[user]
	return k != nil && slices.Contains(k.phrases[s.Channel], s.Phrase)
}

// joined returns what joined a person's templates, in the rule's words.
func joined(p store.Person) []policy.Typing {
	out := make([]policy.Typing, len(p.Grown))
	for i, g := range p.Grown {
		out[i] = policy.Typing{ID: g.ID, Text: text(g.Sample), Joined: g.Joined}
	}
	return out
}

// waiting returns what waits to join, each judged by the enrolment alone: by
// the scorers without heads, because those have learnt what joined before.
func (d *Daemon) waiting(p store.Person) ([]policy.Typing, error) {
	v, err := d.model.NewVerifier(forModel([]store.Person{p}, false), nil)
	if err != nil {
		return nil, err
	}
	out := make([]policy.Typing, len(p.Waiting))
	for i, g := range p.Waiting {
		out[i] = policy.Typing{ID: g.ID, Text: text(g.Sample), Anchor: math.NaN()}
		if score, err := v.Score(p.Name, g.Sample); err == nil {
			out[i].Anchor = score.LLR
		}
	}
	return out, nil
}

// text names what windows are kept apart by.
func text(s keystroke.Sample) string { return string(s.Channel) + " " + s.Phrase }

func numbers(typings []policy.Typing) []int64 {
	out := make([]int64, len(typings))
	for i, t := range typings {
		out[i] = t.ID
	}
	return out
}

// renew has the daemon judge by what joined. The network follows too, but at
// most once a day: it takes all processors, and every login would ask for it.
func (d *Daemon) renew() {
	if err := d.learn(context.Background()); err != nil {
		d.world.Log.Error("templates not renewed", slog.Any("error", err))
	}
	d.trainer.refresh()
}

// confirmUser is root's word that the last login was its owner's.
func (d *Daemon) confirmUser(r request) (any, error) {
	if err := r.needAdmin(); err != nil {
		return nil, err
	}
	name, err := d.needSelf(r, r.PathValue("user"))
	if err != nil {
		return nil, err
	}
	config := *d.config.Load()
	if !config.Adapt.Enabled {
		return nil, &wire.Error{Code: wire.CodeBadRequest, Message: "templates do not grow: adapt.enabled is false"}
	}
	d.judging.Lock()
	defer d.judging.Unlock()
	word := &claim{d: d, peer: r.peer, user: name, source: r.peer.String(), config: config}
	out, err := d.confirm(context.WithoutCancel(r.Context()), word, nil)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// revertUser throws away what grew, and returns the person as it was.
func (d *Daemon) revertUser(r request) (any, error) {
	if err := r.needAdmin(); err != nil {
		return nil, err
	}
	name, err := d.needSelf(r, r.PathValue("user"))
	if err != nil {
		return nil, err
	}
	p, err := d.store.Person(r.Context(), name)
	if err != nil {
		return nil, err
	}
	was, err := d.describe(r.Context(), p)
	if err != nil {
		return nil, err
	}
	if err := d.record(r, "revert", name, plural(len(p.Grown), "typing")+" thrown away"); err != nil {
		return nil, err
	}
	ctx := context.WithoutCancel(r.Context())
	if _, err := d.store.Ungrow(ctx, name); err != nil {
		return nil, err
	}
	d.changed(ctx, name)
	return was, nil
}
