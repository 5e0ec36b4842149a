package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"ksd/internal/keystroke"
)

// MaxWaiting is how many typings of one person may wait: those of one login.
const MaxWaiting = 20

// Grown is a typing of an accepted login that waits for the next one to confirm
// it, or that joined the person's templates.
type Grown struct {
	ID     int64
	Taken  time.Time
	Joined time.Time // zero while it waits
	Sample keystroke.Sample
}

// Growth is one step in which a person's templates grow.
type Growth struct {
	Joins  []int64   // of those that wait
	At     time.Time // when they join
	Leaves []int64   // of those that joined
	Waits  []Grown   // a new login's; ID and Joined are not looked at
}

// Grow carries out a step, all of it or, after an error, nothing: what joins
// joins if it still waits, what leaves is deleted, and so is whatever else
// waited; then the new login's typings wait. It returns how many joined. Errors:
// ErrNotFound, ErrInvalid.
func (s *Store) Grow(ctx context.Context, person string, g Growth) (joined int, err error) {
	what := fmt.Sprintf("grow templates of %q", person)
	err = s.update(ctx, what, func(tx *sql.Tx) error {
		joined = 0
		if len(g.Waits) > MaxWaiting {
			return fmt.Errorf("%w: %d typings of one login, at most %d", ErrInvalid, len(g.Waits), MaxWaiting)
		}
		var id int64
		if err := tx.QueryRowContext(ctx, "SELECT id FROM people WHERE name = ?", person).Scan(&id); err != nil {
			return err
		}
		for _, j := range g.Joins {
			res, err := tx.ExecContext(ctx, "UPDATE grown SET joined = ? WHERE id = ? AND person = ? AND joined IS NULL",
				micros(g.At), j, id)
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			joined += int(n)
		}
		for _, l := range g.Leaves {
			if _, err := tx.ExecContext(ctx, "DELETE FROM grown WHERE id = ? AND person = ?", l, id); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM grown WHERE person = ? AND joined IS NULL", id); err != nil {
			return err
		}
		return wait(ctx, tx, id, g.Waits)
	})
	if err != nil {
		return 0, err
	}
	return joined, nil
}

// wait keeps the typings of a new login of a person.
func wait(ctx context.Context, tx *sql.Tx, person int64, typings []Grown) error {
	for _, t := range typings {
		body, err := encode(t.Sample)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO grown (person, taken, body) VALUES (?, ?, ?)",
			person, micros(t.Taken), body); err != nil {
			return err
		}
	}
	return nil
}

// DropWaiting deletes what waits to be confirmed; nothing is no error.
func (s *Store) DropWaiting(ctx context.Context, person string) error {
	return s.update(ctx, fmt.Sprintf("drop what waits of %q", person), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			DELETE FROM grown WHERE joined IS NULL AND person IN (SELECT id FROM people WHERE name = ?)`, person)
		return err
	})
}

// Ungrow deletes all that joined or waits, and overwrites it on disk, so that
// the enrolment alone is left. It returns how many had joined. Error:
// ErrNotFound.
func (s *Store) Ungrow(ctx context.Context, person string) (joined int, err error) {
	what := fmt.Sprintf("ungrow templates of %q", person)
	err = s.update(ctx, what, func(tx *sql.Tx) error {
		var id int64
		if err := tx.QueryRowContext(ctx, "SELECT id FROM people WHERE name = ?", person).Scan(&id); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, "SELECT count(joined) FROM grown WHERE person = ?", id).Scan(&joined); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM grown WHERE person = ?", id)
		return err
	})
	if err != nil {
		return 0, err
	}
	return joined, s.checkpoint(ctx, what)
}

// grown reads the typings of a person that joined, in the order they did, and
// those that wait.
func grown(ctx context.Context, tx *sql.Tx, person string) (joined, waiting []Grown, err error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT grown.id, taken, joined, body FROM grown JOIN people ON people.id = grown.person
		WHERE people.name = ? ORDER BY grown.id`, person)
	if err != nil {
		return nil, nil, err
	}
	all, err := collect(rows, scanGrown)
	for _, g := range all {
		if g.Joined.IsZero() {
			waiting = append(waiting, g)
		} else {
			joined = append(joined, g)
		}
	}
	return joined, waiting, err
}

func scanGrown(rows *sql.Rows) (g Grown, err error) {
	var taken int64
	var joined sql.Null[int64]
	var body []byte
	if err := rows.Scan(&g.ID, &taken, &joined, &body); err != nil {
		return g, err
	}
	g.Taken = fromMicros(taken)
	if joined.Valid {
		g.Joined = fromMicros(joined.V)
	}
	g.Sample, err = decode(body)
	return g, err
}
