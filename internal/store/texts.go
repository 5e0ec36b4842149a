package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
)

// MaxTexts is how many texts are remembered of each person: the newest. It is
// years of logins and 32 kB.
const MaxTexts = 2000

// TakeText remembers that the person is asked for text, and says whether it is
// for the first time. Of texts beyond MaxTexts the oldest are forgotten. Errors:
// ErrNotFound.
func (s *Store) TakeText(ctx context.Context, person, text string) (first bool, err error) {
	sum := sha256.Sum256([]byte(text))
	hash := int64(binary.BigEndian.Uint64(sum[:]))
	err = s.update(ctx, fmt.Sprintf("take a text of %q", person), func(tx *sql.Tx) error {
		var id int64
		if err := tx.QueryRowContext(ctx, "SELECT id FROM people WHERE name = ?", person).Scan(&id); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO texts (person, hash) VALUES (?, ?)", id, hash)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		first = n == 1
		_, err = tx.ExecContext(ctx, `
			DELETE FROM texts WHERE person = ?1 AND id <=
			(SELECT id FROM texts WHERE person = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`, id, MaxTexts)
		return err
	})
	return first && err == nil, err
}
