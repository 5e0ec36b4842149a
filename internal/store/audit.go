package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// AuditEntry is one decision of the daemon. It never holds a phrase or a
// keystroke.
type AuditEntry struct {
	When    time.Time
	Event   string // what was decided on: challenge, enrol, delete, unlock, retrain, import …
	User    string // about whom
	Actor   string // by whom: uid:N of the peer
	Service string // for which program, "" if for none
	Source  string // from where, "" if unknown
	Outcome string
	Score   *float64 // natural log of a likelihood ratio, nil if there was none
	Model   string   // first 12 digits of the model's SHA-256, "" if none was loaded
}

// AppendAudit adds an entry. When it returns nil the entry is on disk.
func (s *Store) AppendAudit(ctx context.Context, e AuditEntry) error {
	return s.update(ctx, "append to audit log", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO audit (at, event, user, actor, service, source, outcome, score, model)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			micros(e.When), e.Event, e.User, e.Actor, e.Service, e.Source, e.Outcome, e.Score, e.Model)
		return err
	})
}

// Audit returns the newest entries about a user, or about everybody where user
// is "", newest first. limit must be at least 1.
func (s *Store) Audit(ctx context.Context, user string, limit int) ([]AuditEntry, error) {
	var out []AuditEntry
	err := s.view(ctx, "read audit log", func(tx *sql.Tx) error {
		if limit < 1 {
			return fmt.Errorf("%w: limit %d", ErrInvalid, limit)
		}
		rows, err := tx.QueryContext(ctx, `
			SELECT at, event, user, actor, service, source, outcome, score, model FROM audit
			WHERE ?1 = '' OR user = ?1 ORDER BY id DESC LIMIT ?2`, user, limit)
		if err != nil {
			return err
		}
		out, err = collect(rows, scanAudit)
		return err
	})
	return out, err
}

// PruneAudit deletes the entries from before a time and returns how many those
// were.
func (s *Store) PruneAudit(ctx context.Context, before time.Time) (n int64, err error) {
	err = s.update(ctx, "prune audit log", func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "DELETE FROM audit WHERE at < ?", micros(before))
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}

func scanAudit(rows *sql.Rows) (e AuditEntry, err error) {
	var at int64
	err = rows.Scan(&at, &e.Event, &e.User, &e.Actor, &e.Service, &e.Source, &e.Outcome, &e.Score, &e.Model)
	e.When = fromMicros(at)
	return e, err
}
