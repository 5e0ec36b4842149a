package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

const (
	// MaxSilent is how many terminal types are remembered of each person: the
	// newest.
	MaxSilent = 16
	// SilentFor is how long they are.
	SilentFor = 30 * 24 * time.Hour
)

// Silent reports whether terminals of type term are remembered at now as
// answering nothing to the person. One that lies in the future, after the clock
// was set back, is forgotten by the same measure.
func (s *Store) Silent(ctx context.Context, person, term string, now time.Time) (silent bool, err error) {
	err = s.view(ctx, fmt.Sprintf("read silent terminals of %q", person), func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `
			SELECT EXISTS (SELECT 1 FROM silent JOIN people ON people.id = silent.person
			WHERE people.name = ? AND term = ? AND abs(? - at) < ?)`,
			person, term, micros(now), SilentFor.Microseconds()).Scan(&silent)
	})
	return silent, err
}

// RememberSilent keeps that a terminal of type term answered nothing to the
// person at the time, and drops what is too old and the oldest beyond MaxSilent.
// Errors: ErrNotFound.
func (s *Store) RememberSilent(ctx context.Context, person, term string, at time.Time) error {
	return s.update(ctx, fmt.Sprintf("remember a silent terminal of %q", person), func(tx *sql.Tx) error {
		var id int64
		if err := tx.QueryRowContext(ctx, "SELECT id FROM people WHERE name = ?", person).Scan(&id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO silent (person, term, at) VALUES (?, ?, ?)",
			id, term, micros(at)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `
			DELETE FROM silent WHERE person = ?1 AND term != ?2 AND (abs(?3 - at) >= ?4 OR term NOT IN
			(SELECT term FROM silent WHERE person = ?1 AND term != ?2 ORDER BY at DESC, term LIMIT ?5))`,
			id, term, micros(at), SilentFor.Microseconds(), MaxSilent-1)
		return err
	})
}

// ForgetSilent forgets that terminals of type term answered nothing to the
// person. It is no error if nobody said so.
func (s *Store) ForgetSilent(ctx context.Context, person, term string) error {
	return s.update(ctx, fmt.Sprintf("forget a silent terminal of %q", person), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			DELETE FROM silent WHERE term = ? AND person = (SELECT id FROM people WHERE name = ?)`, term, person)
		return err
	})
}
