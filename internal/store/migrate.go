package store

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// applicationID marks a database of ours ("ksd1").
const applicationID = 0x6b736431

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrations are the steps of the schema; step i makes version i+1.
var migrations = readMigrations()

func readMigrations() []string {
	entries, err := migrationFiles.ReadDir("migrations")
	if err != nil {
		panic(err) // the files are part of the program
	}
	steps := make([]string, len(entries))
	for i, e := range entries { // sorted by name, which starts with the number
		b, err := migrationFiles.ReadFile("migrations/" + e.Name())
		if err != nil {
			panic(err)
		}
		steps[i] = string(b)
	}
	return steps
}

// create makes the database where there is none. It is made whole under
// another name first, so that a file at path is never a half-made one: an empty
// file there is a damaged database and not a new one.
func create(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "new-*.db") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := f.Close(); err != nil {
		return err
	}
	if err := fill(ctx, f.Name()); err != nil {
		return err
	}
	// A link, unlike a rename, never replaces a database made meanwhile.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// fill gives an empty database the schema.
func fill(ctx context.Context, path string) error {
	db, err := connect(path, "_txlock=immediate")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", applicationID))
	if err == nil {
		err = migrate(ctx, db, migrations)
	}
	return errors.Join(err, db.Close())
}

// checkHeader refuses a file that is not a database of ours, before SQLite,
// which would begin by changing its journal mode, sees it. The header is 100
// bytes; the application id stands at 68 (SQLite Database File Format, 1.3).
func checkHeader(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	header := make([]byte, 100)
	if _, err := io.ReadFull(f, header); err != nil {
		return fmt.Errorf("%w: it is cut off", ErrCorrupt)
	}
	if !bytes.HasPrefix(header, []byte("SQLite format 3\x00")) {
		return fmt.Errorf("%w: not a database", ErrCorrupt)
	}
	if id := binary.BigEndian.Uint32(header[68:]); id != applicationID {
		return fmt.Errorf("%w: its application id is %#x", ErrForeign, id)
	}
	return nil
}

// check refuses a database that is damaged further in.
func check(ctx context.Context, db *sql.DB) error {
	var state string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&state); err != nil {
		return err
	}
	if state != "ok" {
		return fmt.Errorf("%w: %s", ErrCorrupt, state)
	}
	return nil
}

// migrate carries out the steps that the database has not seen, each in a
// transaction of its own. Error: ErrNewer.
func migrate(ctx context.Context, db *sql.DB, steps []string) error {
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > len(steps) {
		return fmt.Errorf("%w: %d, this program knows %d", ErrNewer, version, len(steps))
	}
	for ; version < len(steps); version++ {
		what := fmt.Sprintf("migration %d", version+1)
		err := transact(ctx, db, what, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, steps[version]); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version+1))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
