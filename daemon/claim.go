package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"math/big"
	"slices"
	"time"

	"ksd/conf"
	"ksd/internal/keystroke"
	"ksd/internal/policy"
	"ksd/internal/store"
	"ksd/internal/wire"
)

// claim is one login: somebody claims to be a person and is asked to type. It
// belongs to one goroutine. Both sockets work with it in the same way: ask for
// the phrase to show, bring what was typed or say that nothing will be, until
// over has the last word.
type claim struct {
	d       *Daemon
	peer    wire.Peer
	user    string
	service string
	source  string
	config  conf.Config // as it was when the claim began
	known   *known      // nil: nobody is known by that name

	channel keystroke.Channel // that typings are expected on
	phrases []string          // that can be asked for
	pool    *pool             // makes up what is asked for instead; nil: the phrases are

	attempt  int         // from 1; 0 before the first phrase
	open     bool        // an attempt is under way, and charged for
	left     []string    // phrases not yet asked for in this round
	asked    string      // the phrase that waits for an answer, "" if none does
	last     string      // the phrase asked for before
	sum      float64     // of this attempt
	typed    int         // phrases judged in this attempt
	unusable int         // typings of this attempt that could not be judged
	spoiled  wire.Reason // why the last of them could not be
	probes   []keystroke.Sample

	over   wire.Code // the last word, "" while the claim goes on
	until  time.Time // end of the lock-out, if over is Locked
	judged *judged   // the typing judged last
}

// claimant is who claims to be whom, and from where.
type claimant struct {
	peer                  wire.Peer
	user, service, source string
}

// claimOf returns a claim that nothing was asked of yet, and nothing decided.
func (d *Daemon) claimOf(who claimant) *claim {
	c := &claim{
		d: d, peer: who.peer, user: who.user, service: who.service, source: who.source,
		config: *d.config.Load(),
	}
	if k := d.known.Load().people[who.user]; k != nil && k.channel() != "" && d.sameAccount(who.user, k) {
		c.known = k
		c.on(k.channel())
	}
	return c
}

// newClaim begins a claim. It may be over at once: Unenrolled or Failed.
func (d *Daemon) newClaim(ctx context.Context, who claimant) *claim {
	c := d.claimOf(who)
	if c.known == nil {
		c.end(ctx, wire.Unenrolled)
	}
	return c
}

// on has the claim expect typings as the channel shows them, or as the next
// coarser one would that the person is enrolled on: releases are dropped where
// nothing can be compared with them. Whoever is enrolled at all is so on every
// channel that shows no more (phrasesOf), so there is one.
func (c *claim) on(ch keystroke.Channel) {
	for _, one := range ch.Coarser() {
		if phrases := c.known.phrases[one]; len(phrases) > 0 {
			c.channel, c.phrases, c.pool = one, phrases, c.known.pools[one]
			return
		}
	}
}

// sameAccount reports whether the account still has the uid it had at its
// enrolment. A name that was given to somebody else is not enrolled.
func (d *Daemon) sameAccount(user string, k *known) bool {
	_, uid, err := d.world.Account(user)
	if err != nil || k.uid == -1 || int(uid) == k.uid {
		return true
	}
	d.world.Log.Warn("the account has another uid than at its enrolment", slog.String("user", user))
	return false
}

// most is how many phrases an attempt may take: the same one twice says little
// new.
func (c *claim) most() int {
	if c.pool == nil && len(c.phrases) == 1 {
		return 1
	}
	return c.config.Policy.MaxPhrases
}

// ask returns the phrase to show next, "" if the claim is over. After a typing
// that could not be judged it is the same one again, so that nobody can wait
// for another.
func (c *claim) ask(ctx context.Context) string {
	ctx = context.WithoutCancel(ctx)
	c.start(ctx)
	if c.over != "" {
		return ""
	}
	if c.asked == "" {
		c.next(ctx)
	}
	return c.asked
}

// start begins an attempt where none is under way. ask does so as well; whoever
// has something to do first, which somebody who is locked out must not see, calls
// it before.
func (c *claim) start(ctx context.Context) {
	if c.over == "" && !c.open {
		c.begin(context.WithoutCancel(ctx))
	}
}

// next decides what to ask for.
func (c *claim) next(ctx context.Context) {
	if c.pool == nil {
		c.asked = c.pick()
		return
	}
	text, err := c.d.newText(ctx, c.user, c.pool)
	if errors.Is(err, store.ErrNotFound) { // deleted meanwhile
		c.end(ctx, wire.Unenrolled)
		return
	}
	if err != nil {
		c.d.world.Log.Error("no text to ask for", slog.Any("error", err))
		c.end(ctx, wire.Failed)
		return
	}
	c.asked = text
}

// begin begins the next attempt: it is charged for now.
func (c *claim) begin(ctx context.Context) {
	until, err := c.charge(ctx)
	switch {
	case err != nil:
		c.d.world.Log.Error("lock-out cannot be told", slog.Any("error", err))
		c.end(ctx, wire.Failed)
	case !until.IsZero():
		c.until = until
		c.end(ctx, wire.Locked)
	default:
		c.attempt++
		c.open = true
	}
}

// charge counts the attempt against the person, or returns until when it is
// locked out.
func (c *claim) charge(ctx context.Context) (until time.Time, err error) {
	c.d.charging.Lock()
	defer c.d.charging.Unlock()
	now := c.d.world.Now()
	for _, s := range c.subjects() {
		u, err := c.d.locked(ctx, s, now)
		if err != nil {
			return time.Time{}, err
		}
		if u.After(until) {
			until = u
		}
	}
	if !until.IsZero() {
		return until, nil
	}
	_, err = c.d.store.RecordFailure(ctx, personSubject(c.user), now, c.config.Lockout.Forget)
	return time.Time{}, err
}

// subject is one of those who can be locked out, with the rule for it.
type subject struct {
	name string
	rule policy.Lockout
}

func (c *claim) subjects() []subject { return []subject{c.person(), c.origin()} }

func (c *claim) person() subject {
	return subject{personSubject(c.user), lockout(c.config.Lockout, c.config.Lockout.Failures)}
}

func (c *claim) origin() subject {
	return subject{sourceSubject(c.source), lockout(c.config.Lockout, c.config.Lockout.SourceFailures)}
}

// locked returns until when a subject has to wait, the zero time if it need not.
func (d *Daemon) locked(ctx context.Context, s subject, now time.Time) (time.Time, error) {
	f, err := d.store.Failures(ctx, s.name)
	if err != nil {
		return time.Time{}, err
	}
	return s.rule.Next(f.Count, f.Last, now), nil
}

func personSubject(user string) string   { return "user:" + user }
func sourceSubject(source string) string { return "source:" + source }

func lockout(c conf.Lockout, failures int) policy.Lockout {
	return policy.Lockout{Failures: failures, First: c.First, Longest: c.Longest, Forget: c.Forget}
}

// pick draws the next phrase, in an order nobody can foretell: each once, then
// all over again, and never the same one twice running where there are two.
func (c *claim) pick() string {
	fresh := without(c.left, c.last)
	if len(fresh) == 0 {
		c.left = c.phrases
		if fresh = without(c.left, c.last); len(fresh) == 0 {
			fresh = c.left
		}
	}
	c.last = fresh[draw(len(fresh))]
	c.left = without(c.left, c.last)
	return c.last
}

// without returns the phrases other than one.
func without(phrases []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(phrases), func(p string) bool { return p == one })
}

// draw returns a number from 0 to n-1 from the kernel's random source, which
// cannot fail since Go 1.24.
func draw(n int) int {
	i, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic(err)
	}
	return int(i.Int64())
}
