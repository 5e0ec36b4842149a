package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ksd/internal/keystroke"
)

// old makes a database as the program of an older version left it.
func old(t *testing.T, version int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	if err := prepareFolder(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, FileName)
	write(t, path, nil)
	db, err := connect(path, "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
		t.Fatal(err)
	}
	if err := migrate(t.Context(), db, migrations[:version]); err != nil {
		t.Fatal(err)
	}
	return dir
}

// From every older schema the program comes to the schema of a new database.
func TestMigratesFromEveryVersion(t *testing.T) {
	fresh, _ := open(t)
	want := schema(t, fresh.write)
	for version := range len(migrations) + 1 {
		s := reopen(t, old(t, version))
		if got := schema(t, s.write); !slices.Equal(got, want) {
			t.Errorf("from version %d:\n%s\nwant\n%s", version, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if _, err := s.OpenSitting(t.Context(), "ana", 1, keystroke.Press, noon); err != nil {
			t.Errorf("from version %d: %v", version, err)
		}
	}
}

func schema(t *testing.T, db *sql.DB) []string {
	t.Helper()
	var version int
	if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query("SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name")
	if err != nil {
		t.Fatal(err)
	}
	lines, err := collect(rows, func(r *sql.Rows) (s string, err error) { return s, r.Scan(&s) })
	if err != nil {
		t.Fatal(err)
	}
	return append(lines, fmt.Sprint("version ", version))
}

// A step that fails is undone, those before it stay, and the next start goes on
// from there.
func TestFailedMigration(t *testing.T) {
	ctx := context.Background()
	db, err := connect(filepath.Join(old(t, 0), FileName), "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	broken := []string{"CREATE TABLE a (x)", "CREATE TABLE b (x); CREATE TABLE a (x)", "CREATE TABLE c (x)"}
	if err := migrate(ctx, db, broken); err == nil || !strings.Contains(err.Error(), "migration 2") {
		t.Fatalf("error %v does not name migration 2", err)
	}
	if got := schema(t, db); !slices.Equal(got, []string{"CREATE TABLE a (x)", "version 1"}) {
		t.Errorf("after the failure: %q", got)
	}
	broken[1] = "CREATE TABLE b (x)"
	for range 2 { // the second time there is nothing to do
		if err := migrate(ctx, db, broken); err != nil {
			t.Fatal(err)
		}
	}
	if got := schema(t, db); len(got) != 4 || got[3] != "version 3" {
		t.Errorf("after mending: %q", got)
	}
	if err := migrate(ctx, db, broken[:2]); !errors.Is(err, ErrNewer) {
		t.Errorf("an older program: %v, want ErrNewer", err)
	}
}

// The files are numbered without a gap: their order is that of their names.
func TestMigrationFiles(t *testing.T) {
	entries, err := migrationFiles.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`^(\d{4})_[a-z0-9_]+\.sql$`)
	for i, e := range entries {
		if m := name.FindStringSubmatch(e.Name()); m == nil || m[1] != fmt.Sprintf("%04d", i+1) {
			t.Errorf("file %d is %q, want %04d_words.sql", i+1, e.Name(), i+1)
		}
	}
	if len(entries) == 0 || len(entries) != len(migrations) {
		t.Errorf("%d files, %d migrations", len(entries), len(migrations))
	}
}
