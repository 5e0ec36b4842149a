package daemon

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"ksd/internal/store"
	"ksd/internal/wire"
)

// users lists everybody who has begun to enrol.
func (d *Daemon) users(r request) (any, error) {
	if err := r.needAdmin(); err != nil {
		return nil, err
	}
	people, err := d.store.People(r.Context())
	if err != nil {
		return nil, err
	}
	out := make([]wire.Person, 0, len(people))
	for _, p := range people {
		one, err := d.describe(r.Context(), p)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// user tells about one account, whether or not it is enrolled.
func (d *Daemon) user(r request) (any, error) {
	name, err := d.needSelf(r, r.PathValue("user"))
	if err != nil {
		return nil, err
	}
	return d.person(r.Context(), name)
}

// person returns what is told of an account.
func (d *Daemon) person(ctx context.Context, name string) (wire.Person, error) {
	p, err := d.store.Person(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		p, err = store.Person{Name: name}, nil
	}
	if err != nil {
		return wire.Person{}, err
	}
	return d.describe(ctx, p)
}

func (d *Daemon) describe(ctx context.Context, p store.Person) (wire.Person, error) {
	out := wire.Person{User: p.Name, Sittings: len(p.Sittings), Last: p.Last}
	for _, s := range p.Sittings {
		for _, sample := range s.Samples {
			if out.Since.IsZero() || sample.Taken.Before(out.Since) {
				out.Since = sample.Taken
			}
		}
		out.Samples += len(s.Counted())
	}
	out.Grown, out.Waiting = len(p.Grown), len(p.Waiting)
	if out.Grown > 0 {
		out.GrownSince = p.Grown[0].Joined
	}
	k := d.known.Load()
	if one := k.people[p.Name]; one != nil {
		if ch := one.channel(); ch != "" {
			out.Enrolled, out.Channel, out.Phrases = true, string(ch), one.phrases[ch]
			out.Words, out.FewWords = one.pools[ch] != nil, one.short(d.config.Load().Challenge.Kind)
		}
	}
	out.Trained = k.file != nil && slices.Contains(k.file.People(), p.Name)
	f, err := d.store.Failures(ctx, personSubject(p.Name))
	if err != nil {
		return wire.Person{}, err
	}
	c := d.config.Load().Lockout
	out.Failures, out.LockedUntil = f.Count, lockout(c, c.Failures).Next(f.Count, f.Last, d.world.Now())
	return out, nil
}

// deleteUser forgets a person, and returns it as it was.
func (d *Daemon) deleteUser(r request) (any, error) {
	name, err := d.needSelf(r, r.PathValue("user"))
	if err != nil {
		return nil, err
	}
	if err := d.needProof(r, name); err != nil {
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
	if err := d.mayRecord(r.peer); err != nil {
		return nil, err
	}
	if err := d.record(r, "delete", name, "deleted"); err != nil {
		return nil, err
	}
	// What is recorded is done, whether or not the caller waits for it.
	ctx := context.WithoutCancel(r.Context())
	if err := d.store.DeletePerson(ctx, name); err != nil {
		return nil, err
	}
	// The previous network was trained on the person. The current one is
	// replaced by the training that follows.
	previous := filepath.Join(d.config.Load().Daemon.State, modelPreviousName)
	if err := os.Remove(previous); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.world.Log.Error("previous model not removed", slog.Any("error", err))
	}
	d.changed(ctx, name)
	return was, nil
}

// unlock ends a lock-out.
func (d *Daemon) unlock(r request) (any, error) {
	if err := r.needAdmin(); err != nil {
		return nil, err
	}
	name, err := d.needSelf(r, r.PathValue("user"))
	if err != nil {
		return nil, err
	}
	if err := d.record(r, "unlock", name, "unlocked"); err != nil {
		return nil, err
	}
	if err := d.store.ClearFailures(r.Context(), personSubject(name)); err != nil {
		return nil, err
	}
	return d.person(r.Context(), name)
}
