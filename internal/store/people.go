package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ksd/internal/keystroke"
)

// Person is one enrolled account.
type Person struct {
	Name     string
	UID      int // of the account at its first enrolment, -1 if unknown
	Created  time.Time
	Last     time.Time // of the newest probe, zero if there is none
	Sittings []Sitting // in the order opened
	Grown    []Grown   // that joined, in the order they did
	Waiting  []Grown   // of the last accepted login, for the next one to confirm
}

// Sitting is one enrolment sitting of a person on one channel.
type Sitting struct {
	ID      int64
	Person  string
	Channel keystroke.Channel
	Opened  time.Time
	Closed  time.Time // zero while the sitting is open
	Samples []Sample  // in the order typed
}

// Counted returns the sitting's samples without the warm-ups.
func (s Sitting) Counted() []keystroke.Sample {
	out := make([]keystroke.Sample, 0, len(s.Samples))
	for _, sample := range s.Samples {
		if !sample.Warmup {
			out = append(out, sample.Sample)
		}
	}
	return out
}

// Sample is one kept typing of a sitting.
type Sample struct {
	Warmup bool
	Taken  time.Time
	Sample keystroke.Sample
}

// Person returns the named person with everything it typed. Error: ErrNotFound.
func (s *Store) Person(ctx context.Context, name string) (Person, error) {
	people, err := s.people(ctx, "WHERE name = ?", name)
	if err == nil && len(people) == 0 {
		err = fmt.Errorf("person %q: %w", name, ErrNotFound)
	}
	if err != nil {
		return Person{}, err
	}
	return people[0], nil
}

// People returns everybody with everything they typed, by name.
func (s *Store) People(ctx context.Context) ([]Person, error) {
	return s.people(ctx, "")
}

// people reads the people that the condition selects.
func (s *Store) people(ctx context.Context, where string, args ...any) ([]Person, error) {
	var people []Person
	err := s.view(ctx, "read people", func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `
			SELECT name, uid, created, (SELECT max(taken) FROM probes WHERE person = people.id)
			FROM people `+where+` ORDER BY name`, args...)
		if err != nil {
			return err
		}
		people, err = collect(rows, scanPerson)
		if err != nil {
			return err
		}
		for i := range people {
			p := &people[i]
			if p.Sittings, err = sittings(ctx, tx, "people.name = ?", p.Name); err != nil {
				return err
			}
			if p.Grown, p.Waiting, err = grown(ctx, tx, p.Name); err != nil {
				return fmt.Errorf("person %q: %w", p.Name, err)
			}
		}
		return nil
	})
	return people, err
}

func scanPerson(rows *sql.Rows) (p Person, err error) {
	var created int64
	var last sql.Null[int64]
	err = rows.Scan(&p.Name, &p.UID, &created, &last)
	p.Created = fromMicros(created)
	if last.Valid {
		p.Last = fromMicros(last.V)
	}
	return p, err
}

// DeletePerson deletes a person with all sittings, samples, probes, grown
// typings and open tokens, and overwrites them on disk. The audit log and the
// lock-out stay. Error: ErrNotFound.
func (s *Store) DeletePerson(ctx context.Context, name string) error {
	what := fmt.Sprintf("delete person %q", name)
	err := s.update(ctx, what, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM tokens WHERE user = ?", name); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, "DELETE FROM people WHERE name = ?", name)
		return one(res, err)
	})
	if err != nil {
		return err
	}
	return s.checkpoint(ctx, what)
}

// checkpoint writes the log back, which holds old pages until then.
func (s *Store) checkpoint(ctx context.Context, what string) error {
	_, err := s.write.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return place(what, err)
}

// enrolled returns the id of the named person, who is added where it is new.
// A uid of -1 is unknown, and matches every other.
func enrolled(ctx context.Context, tx *sql.Tx, name string, uid int, at time.Time) (id int64, err error) {
	if name == "" || utf8.RuneCountInString(name) > 256 || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return 0, fmt.Errorf("%w: name %q", ErrInvalid, name)
	}
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO people (name, uid, created) VALUES (?1, ?2, ?3)
		ON CONFLICT (name) DO UPDATE SET uid = ?2 WHERE uid = -1`, name, uid, micros(at)); err != nil {
		return 0, err
	}
	var have int
	if err := tx.QueryRowContext(ctx, "SELECT id, uid FROM people WHERE name = ?", name).Scan(&id, &have); err != nil {
		return 0, err
	}
	if uid != -1 && have != uid {
		return 0, fmt.Errorf("%w: %d, now %d", ErrOtherUID, have, uid)
	}
	return id, nil
}

// one turns a change of no row into ErrNotFound.
func one(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}

// collect reads and closes the rows.
func collect[T any](rows *sql.Rows, scan func(*sql.Rows) (T, error)) ([]T, error) {
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return slices.Clip(out), rows.Err()
}
