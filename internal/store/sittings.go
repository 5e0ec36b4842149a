package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"ksd/internal/keystroke"
)

// OpenSitting returns the open sitting of a person on a channel with all that
// was typed in it, or opens one. The person is added where it is new; uid is
// that of the account, -1 if unknown. A sitting from before the person's first
// one was closed may be somebody else's: it is deleted and not resumed. Errors:
// ErrOtherUID, ErrInvalid.
func (s *Store) OpenSitting(ctx context.Context, person string, uid int, ch keystroke.Channel, at time.Time) (Sitting, error) {
	var out []Sitting
	what := fmt.Sprintf("open sitting of %q", person)
	err := s.update(ctx, what, func(tx *sql.Tx) error {
		if !ch.Valid() {
			return fmt.Errorf("%w: channel %q", ErrInvalid, ch)
		}
		id, err := enrolled(ctx, tx, person, uid, at)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			DELETE FROM sittings WHERE person = ?1 AND channel = ?2 AND closed IS NULL
			AND opened < (SELECT min(closed) FROM sittings WHERE person = ?1)`, id, ch); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO sittings (person, channel, opened) VALUES (?, ?, ?)
			ON CONFLICT (person, channel) WHERE closed IS NULL DO NOTHING`, id, ch, micros(at)); err != nil {
			return err
		}
		out, err = sittings(ctx, tx, "person = ? AND channel = ? AND closed IS NULL", id, ch)
		return err
	})
	if err != nil {
		return Sitting{}, err
	}
	return out[0], nil
}

// AddSample keeps one typing of an open sitting, after those it has. When it
// returns nil the sample is on disk. Errors: ErrNotFound, ErrClosed,
// ErrInvalid.
func (s *Store) AddSample(ctx context.Context, sitting int64, sample Sample) error {
	what := fmt.Sprintf("add sample to sitting %d", sitting)
	return s.update(ctx, what, func(tx *sql.Tx) error {
		var channel keystroke.Channel
		var closed bool
		err := tx.QueryRowContext(ctx, "SELECT channel, closed IS NOT NULL FROM sittings WHERE id = ?", sitting).
			Scan(&channel, &closed)
		switch {
		case err != nil:
			return err
		case closed:
			return ErrClosed
		case sample.Sample.Channel != channel:
			return fmt.Errorf("%w: a sample on channel %q, the sitting is on %q", ErrInvalid, sample.Sample.Channel, channel)
		}
		return insertSample(ctx, tx, sitting, sample)
	})
}

func insertSample(ctx context.Context, tx *sql.Tx, sitting int64, sample Sample) error {
	body, err := encode(sample.Sample)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO samples (sitting, ordinal, phrase, warmup, taken, body)
		SELECT ?1, count(*), ?2, ?3, ?4, ?5 FROM samples WHERE sitting = ?1`,
		sitting, sample.Sample.Phrase, sample.Warmup, micros(sample.Taken), body)
	return err
}

// CloseSitting ends a sitting. Errors: ErrNotFound, ErrClosed.
func (s *Store) CloseSitting(ctx context.Context, sitting int64, at time.Time) error {
	what := fmt.Sprintf("close sitting %d", sitting)
	return s.update(ctx, what, func(tx *sql.Tx) error {
		var closed bool
		err := tx.QueryRowContext(ctx, "SELECT closed IS NOT NULL FROM sittings WHERE id = ?", sitting).Scan(&closed)
		switch {
		case err != nil:
			return err
		case closed:
			return ErrClosed
		}
		_, err = tx.ExecContext(ctx, "UPDATE sittings SET closed = ? WHERE id = ?", micros(at), sitting)
		return err
	})
}

// ImportPerson is one person of an Import.
type ImportPerson struct {
	Name     string
	UID      int        // -1 if unknown
	Sittings [][]Sample // each on one channel, none empty
}

// Import adds closed sittings to people, who are added where they are new: all
// of them or, after an error, none. It returns how many samples were added.
// Errors: ErrOtherUID, ErrInvalid.
func (s *Store) Import(ctx context.Context, people []ImportPerson, at time.Time) (samples int, err error) {
	err = s.update(ctx, "import", func(tx *sql.Tx) error {
		for _, p := range people {
			id, err := enrolled(ctx, tx, p.Name, p.UID, at)
			if err != nil {
				return err
			}
			for i, typed := range p.Sittings {
				if err := importSitting(ctx, tx, id, typed, at); err != nil {
					return fmt.Errorf("person %q, sitting %d: %w", p.Name, i+1, err)
				}
				samples += len(typed)
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return samples, nil
}

func importSitting(ctx context.Context, tx *sql.Tx, person int64, typed []Sample, at time.Time) error {
	if len(typed) == 0 {
		return fmt.Errorf("%w: no samples", ErrInvalid)
	}
	channel := typed[0].Sample.Channel
	res, err := tx.ExecContext(ctx, "INSERT INTO sittings (person, channel, opened, closed) VALUES (?1, ?2, ?3, ?3)",
		person, channel, micros(at))
	if err != nil {
		return err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return err
	}
	for i, sample := range typed {
		if sample.Sample.Channel != channel {
			return fmt.Errorf("%w: samples on channels %q and %q", ErrInvalid, channel, sample.Sample.Channel)
		}
		if err := insertSample(ctx, tx, id, sample); err != nil {
			return fmt.Errorf("sample %d: %w", i+1, err)
		}
	}
	return nil
}

// sittings reads the sittings that the condition selects, with their samples.
func sittings(ctx context.Context, tx *sql.Tx, where string, args ...any) ([]Sitting, error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT sittings.id, people.name, channel, opened, closed
		FROM sittings JOIN people ON people.id = sittings.person
		WHERE `+where+` ORDER BY sittings.id`, args...)
	if err != nil {
		return nil, err
	}
	out, err := collect(rows, scanSitting)
	if err != nil {
		return nil, err
	}
	for i := range out {
		rows, err := tx.QueryContext(ctx, "SELECT warmup, taken, body FROM samples WHERE sitting = ? ORDER BY ordinal", out[i].ID)
		if err != nil {
			return nil, err
		}
		if out[i].Samples, err = collect(rows, scanSample); err != nil {
			return nil, fmt.Errorf("sitting %d: %w", out[i].ID, err)
		}
	}
	return out, nil
}

func scanSitting(rows *sql.Rows) (s Sitting, err error) {
	var opened int64
	var closed sql.Null[int64]
	err = rows.Scan(&s.ID, &s.Person, &s.Channel, &opened, &closed)
	s.Opened = fromMicros(opened)
	if closed.Valid {
		s.Closed = fromMicros(closed.V)
	}
	return s, err
}

func scanSample(rows *sql.Rows) (s Sample, err error) {
	var taken int64
	var body []byte
	if err := rows.Scan(&s.Warmup, &taken, &body); err != nil {
		return s, err
	}
	s.Taken = fromMicros(taken)
	s.Sample, err = decode(body)
	return s, err
}

// encode returns the body of a sample.
func encode(s keystroke.Sample) (string, error) {
	if err := s.Validate(); err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	body, err := json.Marshal(s)
	if err != nil {
		return "", ErrInvalid // the reason could show what was typed
	}
	if len(body) > MaxBody {
		return "", fmt.Errorf("%w: %d bytes, at most %d", ErrInvalid, len(body), MaxBody)
	}
	return string(body), nil
}

// decode reads a body. Its error does not say what is wrong: that could show
// what was typed.
func decode(body []byte) (s keystroke.Sample, err error) {
	if err := json.Unmarshal(body, &s); err != nil {
		return keystroke.Sample{}, fmt.Errorf("%w: a sample cannot be read", ErrCorrupt)
	}
	return s, nil
}
