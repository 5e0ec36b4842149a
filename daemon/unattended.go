package daemon

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net"
	"time"

	"ksd/conf"
	"ksd/internal/policy"
	"ksd/internal/wire"
)

// admitUnattended decides on an attempt without a terminal and tells the person
// what to do where the answer is no.
func (d *Daemon) admitUnattended(ctx context.Context, conn *net.UnixConn, who claimant, r wire.Request) wire.Code {
	c := d.claimOf(who)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := finding{end: wire.Failed}
	if e, err := c.weigh(ctx, r.Token); err != nil {
		d.world.Log.Error("attempt without a terminal cannot be decided", slog.Any("error", err))
	} else {
		f = finding{entry: &e}
	}
	c.over = d.gate(ctx, c, f).code
	d.say(conn, r.Silent, unattendedWord(c, f.entry, d.world.Now()))
	return c.over
}

// weigh finds out what is to be known of an attempt without a terminal. A token
// that is good is used up by it, a bad one is charged to the source.
func (c *claim) weigh(ctx context.Context, token string) (policy.Entry, error) {
	e := policy.Entry{Enrolled: c.known != nil}
	if err := c.weighLocks(ctx, &e); err != nil || e.SourceLocked {
		return e, err
	}
	if token != "" {
		return e, c.weighToken(ctx, &e, token)
	}
	if e.Decide() == policy.Refused { // groups are looked up for nobody else
		e.Allowed = c.allowed(ctx)
	}
	return e, nil
}

// weighLocks finds out who has to wait, and until when in c.until.
func (c *claim) weighLocks(ctx context.Context, e *policy.Entry) error {
	now := c.d.world.Now()
	person, err := c.d.locked(ctx, c.person(), now)
	if err != nil {
		return err
	}
	source, err := c.d.locked(ctx, c.origin(), now)
	if err != nil {
		return err
	}
	e.PersonLocked, e.SourceLocked = !person.IsZero(), !source.IsZero()
	if c.until = person; source.After(person) {
		c.until = source
	}
	return nil
}

// weighToken uses a token up. It is good for the account that had the name when
// it was made, and for no later one.
func (c *claim) weighToken(ctx context.Context, e *policy.Entry, token string) error {
	ctx = context.WithoutCancel(ctx)
	e.Token = policy.BadToken
	if _, uid, err := c.d.world.Account(c.user); err == nil {
		taken, err := c.d.store.TakeToken(ctx, c.user, uid, sha256.Sum256([]byte(token)), c.d.world.Now())
		if err != nil {
			return err
		}
		if taken {
			e.Token = policy.GoodToken
			return nil
		}
	}
	c.chargeSource(ctx)
	return nil
}

// allowed reports whether the configuration lets the person in without typing.
func (c *claim) allowed(ctx context.Context) bool {
	switch c.config.Login.NonInteractive {
	case conf.Allow:
		return true
	case conf.Groups:
		return c.d.member(ctx, c.user, c.config.Login.Groups)
	}
	return false
}

// A look-up in the group database can be as slow as the directory behind it, and
// cannot be called off.
const (
	groupTime  = 5 * time.Second
	maxLookups = 16 // that may be under way, given up on or not
)

// member reports whether an account is in one of the groups. What cannot be found
// out in time is no.
func (d *Daemon) member(ctx context.Context, user string, groups []string) bool {
	warn := func(why any) bool {
		d.world.Log.Warn("groups of an account cannot be told, so it is in none", slog.String("user", user), slog.Any("error", why))
		return false
	}
	select {
	case d.lookups <- struct{}{}:
	default:
		return warn(fmt.Sprintf("%d look-ups are under way", maxLookups))
	}
	type answer struct {
		in  bool
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		defer func() { <-d.lookups }()
		in, err := d.world.Member(user, groups)
		answered <- answer{in, err}
	}()
	over := make(chan struct{})
	stop := d.world.AfterFunc(groupTime, func() { close(over) })
	defer stop()
	select {
	case a := <-answered:
		if a.err != nil {
			return warn(a.err)
		}
		return a.in
	case <-over:
		return warn(fmt.Sprintf("no answer in %v", groupTime))
	case <-ctx.Done():
		return warn(ctx.Err())
	}
}
