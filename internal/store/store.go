// Package store keeps what ksd knows of people in an SQLite database: who is
// enrolled, every sample of their sittings, the newest accepted logins, the
// typings that templates grow by, the refusals that lock, the terminals that do
// not answer, the one-time tokens that are open, and the audit log.
//
// # The state folder
//
// The database is FileName in a folder that belongs to the daemon's account
// and that nobody else can enter (mode 0700); the file itself has mode 0600.
// Open makes both where they are absent, and refuses them where they are open
// to others: templates are biometric data.
//
// # The database
//
// It is in WAL mode with synchronous=FULL: what a method has confirmed is on
// disk and survives a kill or a power cut. The schema is the files of
// migrations/ in order; user_version is the number of the last one carried
// out, application_id is 0x6b736431. A newer version, a damaged database and one that
// belongs to another program are refused and left as they are. Deleted content
// is overwritten (secure_delete).
//
// Times come in as values and are kept in UTC to the microsecond. Samples are
// kept as keystroke.Sample writes them in JSON, at most MaxBody bytes each. No
// error of this package shows a phrase or a keystroke.
//
// One connection writes, others read; every method may be called concurrently.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	sqlite "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// FileName is the name of the database in the state folder.
const FileName = "ksd.db"

// MaxBody is the largest encoded sample that is kept, in bytes.
const MaxBody = 128 << 10

// The facts this package states. A permission that is too wide is a
// *PermissionError, which is an ErrPermissions.
var (
	ErrNotFound    = errors.New("not found")
	ErrClosed      = errors.New("sitting is closed")
	ErrOtherUID    = errors.New("account has another uid than at its enrolment")
	ErrPermissions = errors.New("open to others")
	ErrNewer       = errors.New("database of a newer version")
	ErrForeign     = errors.New("database of another program")
	ErrCorrupt     = errors.New("damaged database")
	ErrInvalid     = errors.New("invalid value")
)

// Store is an open database.
type Store struct {
	write *sql.DB // one connection
	read  *sql.DB
	path  string
}

// Open opens the database in the folder dir, makes both where they are absent,
// and brings an older schema up to date. Errors: *PermissionError, ErrNewer,
// ErrForeign, ErrCorrupt.
func Open(ctx context.Context, dir string) (*Store, error) {
	if err := prepareFolder(dir); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	path := filepath.Join(dir, FileName)
	if err := create(ctx, path); err != nil {
		return nil, place("create "+path, err)
	}
	if err := checkFile(path); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if err := checkHeader(path); err != nil {
		return nil, place("open "+path, err)
	}
	s := &Store{path: path}
	if err := s.open(ctx); err != nil {
		s.Close()
		return nil, place("open "+path, err)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	if s.write, err = connect(s.path, "_txlock=immediate"); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if err := check(ctx, s.write); err != nil {
		return err
	}
	if err := migrate(ctx, s.write, migrations); err != nil {
		return err
	}
	if s.read, err = connect(s.path, "_pragma=query_only(1)"); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(4)
	return nil
}

// Close closes the database.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// connect opens a pool of connections to the file at path.
func connect(path, option string) (*sql.DB, error) {
	name := url.URL{Scheme: "file", Path: path, RawQuery: "mode=rw" +
		"&_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(FULL)&_pragma=secure_delete(1)&" + option}
	return sql.Open("sqlite", name.String())
}

// update runs f in a transaction of the writing connection, and confirms it on
// disk.
func (s *Store) update(ctx context.Context, what string, f func(*sql.Tx) error) error {
	return transact(ctx, s.write, what, f)
}

// view runs f in a transaction that sees one state of the database.
func (s *Store) view(ctx context.Context, what string, f func(*sql.Tx) error) error {
	return transact(ctx, s.read, what, f)
}

func transact(ctx context.Context, db *sql.DB, what string, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return place(what, err)
	}
	if err := f(tx); err != nil {
		tx.Rollback()
		return place(what, err)
	}
	return place(what, tx.Commit())
}

// place wraps an error with what was being done, and SQLite's words for a
// damaged file with ours.
func place(what string, err error) error {
	var s *sqlite.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &s) && (s.Code()&0xff == lib.SQLITE_CORRUPT || s.Code()&0xff == lib.SQLITE_NOTADB):
		return fmt.Errorf("%s: %w: %w", what, ErrCorrupt, err)
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// micros and fromMicros are how times are kept.
func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(n int64) time.Time { return time.UnixMicro(n).UTC() }

// syncFolder puts the folder's own entries on disk.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
