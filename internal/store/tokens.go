package store

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// MaxTokens is how many tokens of one account may be open at once.
const MaxTokens = 8

// ErrTooMany is the fact that an account has MaxTokens open tokens.
var ErrTooMany = errors.New("too many open tokens")

// Token is a one-time token as it is kept: of the token itself only its hash.
type Token struct {
	User    string
	UID     uint32 // of the account when the token was made
	Hash    [sha256.Size]byte
	Made    time.Time
	Expires time.Time // after Made
}

// AddToken keeps a token, drops every one that has run out, and returns how many
// of the account are open now. Errors: ErrTooMany, ErrInvalid.
func (s *Store) AddToken(ctx context.Context, t Token) (open int, err error) {
	err = s.update(ctx, fmt.Sprintf("add a token of %q", t.User), func(tx *sql.Tx) error {
		if !t.Expires.After(t.Made) {
			return fmt.Errorf("%w: a token that has run out", ErrInvalid)
		}
		if err := dropTokens(ctx, tx, t.Made); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM tokens WHERE user = ?", t.User).Scan(&open); err != nil {
			return err
		}
		if open >= MaxTokens {
			return fmt.Errorf("%w: %d", ErrTooMany, open)
		}
		open++
		_, err := tx.ExecContext(ctx, "INSERT INTO tokens (user, uid, hash, made, expires) VALUES (?, ?, ?, ?, ?)",
			t.User, t.UID, t.Hash[:], micros(t.Made), micros(t.Expires))
		return err
	})
	return open, err
}

// TakeToken reports whether hash is that of an open token of the account, which
// it then is no more. Every open token of the account is compared, each in
// constant time. What has run out is dropped.
func (s *Store) TakeToken(ctx context.Context, user string, uid uint32, hash [sha256.Size]byte, now time.Time) (taken bool, err error) {
	err = s.update(ctx, fmt.Sprintf("take a token of %q", user), func(tx *sql.Tx) error {
		if err := dropTokens(ctx, tx, now); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, "SELECT id, hash FROM tokens WHERE user = ? AND uid = ?", user, uid)
		if err != nil {
			return err
		}
		open, err := collect(rows, scanToken)
		if err != nil {
			return err
		}
		var id int64
		for _, t := range open {
			if subtle.ConstantTimeCompare(t.hash, hash[:]) == 1 {
				id = t.id
			}
		}
		if id == 0 {
			return nil
		}
		res, err := tx.ExecContext(ctx, "DELETE FROM tokens WHERE id = ?", id)
		taken = true
		return one(res, err)
	})
	return taken && err == nil, err
}

// openToken is a token as it is compared.
type openToken struct {
	id   int64
	hash []byte
}

func scanToken(rows *sql.Rows) (t openToken, err error) {
	err = rows.Scan(&t.id, &t.hash)
	return t, err
}

// dropTokens drops what has run out at now: whichever way the clock was set, a
// token lives no longer than it was to.
func dropTokens(ctx context.Context, tx *sql.Tx, now time.Time) error {
	_, err := tx.ExecContext(ctx, "DELETE FROM tokens WHERE abs(? - made) >= expires - made", micros(now))
	return err
}
