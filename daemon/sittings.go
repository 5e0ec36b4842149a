package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"ksd/conf"
	"ksd/internal/audit"
	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model"
	"ksd/internal/policy"
	"ksd/internal/store"
	"ksd/internal/wire"
)

// longestPause is the longest time between two keys of a typing that is kept:
// after more, the person was elsewhere with its thoughts.
const longestPause = 3 * time.Second

// sitting is an enrolment sitting that is open on a connection.
type sitting struct {
	id   string // good on this connection
	row  int64  // in the store
	user string
	// proved says that the person was enrolled already when it was opened, and
	// so had shown that it was there.
	proved bool
}

// openSitting opens a sitting, or resumes the one that broke off.
func (d *Daemon) openSitting(r request) (any, error) {
	var in wire.SittingRequest
	if err := r.read(&in); err != nil {
		return nil, err
	}
	user, err := d.needSelf(r, in.User)
	if err != nil {
		return nil, err
	}
	if !in.Channel.Valid() {
		return nil, &wire.Error{Code: wire.CodeBadRequest, Message: "no such channel"}
	}
	if err := errors.Join(d.needProof(r, user), d.needRoom(r, user)); err != nil {
		return nil, err
	}
	uid := -1
	if _, id, err := d.world.Account(user); err == nil {
		uid = int(id)
	}
	proved := d.enrolled(user)
	s, err := d.store.OpenSitting(r.Context(), user, uid, in.Channel, d.world.Now())
	if err != nil {
		return nil, err
	}
	r.sitting = &sitting{id: rand.Text(), row: s.ID, user: user, proved: proved}
	return wire.Sitting{
		ID: r.sitting.id, User: user, Resumed: len(s.Samples) > 0,
		Next: nextAsk(d.config.Load().Challenge, s),
	}, nil
}

// maxSittings is how many sittings are kept of one person, unless an
// administrator adds more: each costs space, and time in every training.
const maxSittings = 50

// needRoom refuses a sitting beyond maxSittings.
func (d *Daemon) needRoom(r request, user string) error {
	p, err := d.store.Person(r.Context(), user)
	switch {
	case errors.Is(err, store.ErrNotFound) || r.admin:
		return nil
	case err == nil && len(p.Sittings) >= maxSittings:
		return &wire.Error{Code: wire.CodeForbidden, Message: fmt.Sprintf("%d sittings are kept already", maxSittings)}
	}
	return err
}

// nextAsk returns what is to be typed next in a sitting. It is a function of
// what is kept, so a sitting resumes where it broke off: the warm-ups first,
// then the phrases in turn, so that a phrase is not typed in one go but over
// the whole sitting.
func nextAsk(c conf.Challenge, s store.Sitting) wire.Ask {
	ask := wire.Ask{Total: c.Warmups + c.Typings*len(c.Phrases)}
	warmups := len(s.Samples) - len(s.Counted())
	counts := make([]int, len(c.Phrases))
	for _, sample := range s.Counted() {
		if i := slices.Index(c.Phrases, sample.Phrase); i >= 0 {
			counts[i]++
		}
	}
	ask.Done = min(warmups, c.Warmups)
	for _, n := range counts {
		ask.Done += min(n, c.Typings)
	}
	least := slices.Index(counts, slices.Min(counts))
	switch {
	case warmups < c.Warmups:
		ask.Phrase, ask.Warmup = c.Phrases[warmups%len(c.Phrases)], true
	case counts[least] < c.Typings:
		ask.Phrase = c.Phrases[least]
	}
	return ask
}

// current returns the sitting of a request with all that its person has typed.
// One that was opened before the person was enrolled needs proof from then on:
// it could be a stranger's, left open to teach the new profile.
func (d *Daemon) current(r request) (store.Person, store.Sitting, error) {
	if r.sitting == nil || r.sitting.id != r.PathValue("id") {
		return store.Person{}, store.Sitting{}, errNotFound
	}
	if !r.sitting.proved {
		if err := d.needProof(r, r.sitting.user); err != nil {
			return store.Person{}, store.Sitting{}, err
		}
	}
	p, err := d.store.Person(r.Context(), r.sitting.user)
	if err != nil {
		return store.Person{}, store.Sitting{}, err
	}
	i := slices.IndexFunc(p.Sittings, func(s store.Sitting) bool { return s.ID == r.sitting.row })
	if i < 0 || !p.Sittings[i].Closed.IsZero() {
		return store.Person{}, store.Sitting{}, errNotFound
	}
	return p, p.Sittings[i], nil
}

// typing takes one typing of a sitting. It is on disk before it is confirmed.
func (d *Daemon) typing(r request) (any, error) {
	p, s, err := d.current(r)
	if err != nil {
		return nil, err
	}
	var in wire.Typing
	if err := r.read(&in); err != nil {
		return nil, err
	}
	c := d.config.Load().Challenge
	ask := nextAsk(c, s)
	if ask.Phrase == "" {
		return nil, &wire.Error{Code: wire.CodeBadRequest, Message: "the sitting is complete"}
	}
	out := wire.TypingResult{Stats: metrics(in.Sample), Next: ask}
	if out.Reason = d.unfit(c, ask, p, s, in); out.Reason != "" {
		return out, nil
	}
	sample := store.Sample{Warmup: ask.Warmup, Taken: d.world.Now(), Sample: in.Sample}
	if err := d.store.AddSample(r.Context(), s.ID, sample); err != nil {
		return nil, err
	}
	s.Samples = append(s.Samples, sample)
	out.Kept, out.Next = true, nextAsk(c, s)
	return out, nil
}

// unfit returns why a typing is not kept, "" if it is.
func (d *Daemon) unfit(c conf.Challenge, ask wire.Ask, p store.Person, s store.Sitting, in wire.Typing) wire.Reason {
	sample := in.Sample
	err := policy.CheckText(sample.Line(), ask.Phrase, c.Corrections)
	before := earlier(p, ask.Phrase, s.Channel)
	copied := func(e keystroke.Sample) bool { return model.NearCopy(sample, e) }
	switch {
	case sample.Channel != s.Channel:
		return wire.ReasonChannel
	case sample.Phrase != ask.Phrase || errors.Is(err, policy.ErrText):
		return wire.ReasonText
	case pause(sample) > longestPause:
		return wire.ReasonTooSlow
	case rough(c, sample, in.JitterMS):
		return wire.ReasonLine
	case ask.Warmup:
		return "" // it does not count
	case err != nil:
		return wire.ReasonCorrections
	case slices.ContainsFunc(before, copied):
		return wire.ReasonDuplicate
	case !in.Insist && d.model.Unlike(sample, before):
		return wire.ReasonUnlike
	}
	return ""
}

// pause returns the longest time between two presses.
func pause(s keystroke.Sample) time.Duration {
	var longest time.Duration
	for i := 1; i < len(s.Events); i++ {
		longest = max(longest, s.Events[i].Down-s.Events[i-1].Down)
	}
	return longest
}

// metrics returns the plain figures of a sample, as the person saw them grow.
func metrics(s keystroke.Sample) *wire.Metrics {
	sum := feature.Summarise(s)
	return &wire.Metrics{
		WPM: sum.WPM, Accuracy: 1 - sum.ErrorRate, Corrections: sum.Corrections, DurationMS: sum.DurationMS,
	}
}

// finish ends a sitting that is complete. From now on it counts.
func (d *Daemon) finish(r request) (any, error) {
	p, s, err := d.current(r)
	if err != nil {
		return nil, err
	}
	if ask := nextAsk(d.config.Load().Challenge, s); ask.Phrase != "" {
		return nil, &wire.Error{Code: wire.CodeTooFew, Message: "the sitting is not complete"}
	}
	if err := d.mayRecord(r.peer); err != nil {
		return nil, err
	}
	// What is recorded is done, whether or not the caller waits for it.
	ctx := context.WithoutCancel(r.Context())
	err = d.audit.Record(ctx, audit.Entry{
		When: d.world.Now(), Event: "enrol", User: p.Name, Actor: r.peer.String(), Source: r.peer.String(),
		Outcome: "finished", Model: short(d.known.Load().file),
	})
	if err != nil {
		return nil, err
	}
	if err := d.store.CloseSitting(ctx, s.ID, d.world.Now()); err != nil {
		return nil, err
	}
	r.sitting = nil
	d.changed(ctx, p.Name)
	return d.person(ctx, p.Name)
}

// changed has the daemon judge by what is in the store now, and train. A caller
// that hangs up must not keep it from that, so ctx does not end.
func (d *Daemon) changed(ctx context.Context, user string) {
	if err := d.learn(ctx); err != nil {
		d.world.Log.Error("templates not renewed", slog.String("user", user), slog.Any("error", err))
	}
	d.trainer.schedule(user)
}
