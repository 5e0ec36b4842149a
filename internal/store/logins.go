package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"ksd/internal/keystroke"
)

// MaxProbes is how many probes are kept of each person: the newest.
const MaxProbes = 50

// Probe is a sample that was accepted at a login.
type Probe struct {
	Taken  time.Time
	Sample keystroke.Sample
}

// AddProbe keeps a sample that was accepted at a login of the person, and
// drops the oldest beyond MaxProbes. Errors: ErrNotFound, ErrInvalid.
func (s *Store) AddProbe(ctx context.Context, person string, p Probe) error {
	what := fmt.Sprintf("add probe of %q", person)
	return s.update(ctx, what, func(tx *sql.Tx) error {
		body, err := encode(p.Sample)
		if err != nil {
			return err
		}
		var id int64
		if err := tx.QueryRowContext(ctx, "SELECT id FROM people WHERE name = ?", person).Scan(&id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO probes (person, taken, body) VALUES (?, ?, ?)",
			id, micros(p.Taken), body); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			DELETE FROM probes WHERE person = ?1 AND id NOT IN
			(SELECT id FROM probes WHERE person = ?1 ORDER BY id DESC LIMIT ?2)`, id, MaxProbes)
		return err
	})
}

// Probes returns the kept probes of a person, newest first; none for somebody
// who is not enrolled.
func (s *Store) Probes(ctx context.Context, person string) ([]Probe, error) {
	var out []Probe
	what := fmt.Sprintf("read probes of %q", person)
	err := s.view(ctx, what, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `
			SELECT taken, body FROM probes JOIN people ON people.id = probes.person
			WHERE people.name = ? ORDER BY probes.id DESC`, person)
		if err != nil {
			return err
		}
		out, err = collect(rows, scanProbe)
		return err
	})
	return out, err
}

func scanProbe(rows *sql.Rows) (p Probe, err error) {
	var taken int64
	var body []byte
	if err := rows.Scan(&taken, &body); err != nil {
		return p, err
	}
	p.Taken = fromMicros(taken)
	p.Sample, err = decode(body)
	return p, err
}

// Failures is how often in a row a subject was refused. A subject is whoever
// has to wait after that, such as "user:ana" or "uid:1000".
type Failures struct {
	Count int
	Last  time.Time // of the last refusal, zero if there is none
}

// Failures returns the refusals of a subject; none is no error.
func (s *Store) Failures(ctx context.Context, subject string) (Failures, error) {
	var f Failures
	err := s.view(ctx, fmt.Sprintf("read failures of %q", subject), func(tx *sql.Tx) error {
		var err error
		f, err = failures(ctx, tx, subject)
		return err
	})
	return f, err
}

// RecordFailure counts one more refusal of a subject and returns how many
// there are now. It counts from 1 again where the one before lies forget or
// more from at, and drops every other subject of which that is true, so that
// the table does not grow with the number of strangers.
func (s *Store) RecordFailure(ctx context.Context, subject string, at time.Time, forget time.Duration) (Failures, error) {
	var f Failures
	err := s.update(ctx, fmt.Sprintf("record failure of %q", subject), func(tx *sql.Tx) error {
		if subject == "" {
			return fmt.Errorf("%w: no subject", ErrInvalid)
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM lockouts WHERE abs(?1 - last) >= ?2",
			micros(at), forget.Microseconds()); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO lockouts (subject, failures, last) VALUES (?1, 1, ?2)
			ON CONFLICT (subject) DO UPDATE SET failures = failures + 1, last = ?2`, subject, micros(at)); err != nil {
			return err
		}
		var err error
		f, err = failures(ctx, tx, subject)
		return err
	})
	return f, err
}

// ClearFailures forgets the refusals of a subject.
func (s *Store) ClearFailures(ctx context.Context, subject string) error {
	return s.update(ctx, fmt.Sprintf("clear failures of %q", subject), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM lockouts WHERE subject = ?", subject)
		return err
	})
}

func failures(ctx context.Context, tx *sql.Tx, subject string) (f Failures, err error) {
	var last int64
	err = tx.QueryRowContext(ctx, "SELECT failures, last FROM lockouts WHERE subject = ?", subject).Scan(&f.Count, &last)
	if errors.Is(err, sql.ErrNoRows) {
		return Failures{}, nil
	}
	f.Last = fromMicros(last)
	return f, err
}
