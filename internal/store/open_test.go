package store

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ksd/internal/keystroke"
)

// What is open to others is refused, and the command that comes with the
// refusal mends it.
func TestPermissions(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(dir, file string) error
		say    string
		fix    string // how the command starts, "" if there is none
	}{
		{"others may enter", func(dir, _ string) error { return os.Chmod(dir, 0o701) }, "mode 0701", "chmod 0700 "},
		{"the group may read", func(dir, _ string) error { return os.Chmod(dir, 0o750) }, "mode 0750", "chmod 0700 "},
		{"the group may read the file", func(_, f string) error { return os.Chmod(f, 0o640) }, "mode 0640", "chmod 0600 "},
		{"others may write the file", func(_, f string) error { return os.Chmod(f, 0o602) }, "mode 0602", "chmod 0600 "},
		{"the file may be run", func(_, f string) error { return os.Chmod(f, 0o700) }, "mode 0700", "chmod 0600 "},
		{"others may read the log", func(_, f string) error { return os.WriteFile(f+"-wal", nil, 0o604) }, "-wal has mode 0604", "chmod 0600 "},
		{"a stranger's folder", func(dir, _ string) error { return os.Chown(dir, 65534, -1) }, "belongs to uid 65534", "chown "},
		{"a stranger's file", func(_, f string) error { return os.Chown(f, 65534, -1) }, "belongs to uid 65534", "chown "},
		{"a link for a file", func(_, f string) error {
			return errors.Join(os.Rename(f, f+".real"), os.Symlink(f+".real", f))
		}, "not a regular file", ""},
		{"a folder for a file", func(_, f string) error {
			return errors.Join(os.Remove(f), os.Mkdir(f, 0o700))
		}, "not a regular file", ""},
		{"a file for a folder", func(dir, _ string) error {
			return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600))
		}, "not a folder", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if strings.HasPrefix(c.fix, "chown") && os.Geteuid() != 0 {
				t.Skip("only root can give files away")
			}
			dir := filepath.Join(t.TempDir(), "it's state") // to be quoted in a command
			reopen(t, dir).Close()
			file := filepath.Join(dir, FileName)
			if err := c.change(dir, file); err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), dir)
			var p *PermissionError
			if s != nil || !errors.As(err, &p) || !errors.Is(err, ErrPermissions) {
				t.Fatalf("got %v, %v, want a PermissionError", s, err)
			}
			if !strings.Contains(err.Error(), c.say) {
				t.Errorf("error %q does not say %q", err, c.say)
			}
			if c.fix == "" {
				if p.Fix != "" {
					t.Errorf("fix %q", p.Fix)
				}
				return
			}
			if !strings.HasPrefix(p.Fix, c.fix) {
				t.Fatalf("fix %q does not start with %q", p.Fix, c.fix)
			}
			if out, err := exec.Command("sh", "-c", p.Fix).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", p.Fix, err, out)
			}
			reopen(t, dir)
		})
	}
}

// A folder behind a link is fine: that is how systemd keeps private state.
func TestLinkedFolder(t *testing.T) {
	base := t.TempDir()
	if err := os.Mkdir(filepath.Join(base, "private"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("private", filepath.Join(base, "state")); err != nil {
		t.Fatal(err)
	}
	reopen(t, filepath.Join(base, "state"))
}

// A folder that has a parent missing is a mistake in a path, not a wish.
func TestNoParent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if _, err := Open(t.Context(), dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want ErrNotExist", err)
	}
}

// What is not a whole database of ours is refused, and left as it is.
func TestDamaged(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, path string)
		want   error
	}{
		{"empty", func(t *testing.T, path string) { write(t, path, nil) }, ErrCorrupt},
		{"not a database", func(t *testing.T, path string) { write(t, path, []byte(strings.Repeat("no database\n", 1000))) }, ErrCorrupt},
		{"cut off in its first page", func(t *testing.T, path string) { write(t, path, read(t, path)[:1000]) }, ErrCorrupt},
		{"cut off in the middle", func(t *testing.T, path string) {
			b := read(t, path)
			write(t, path, b[:len(b)/2])
		}, ErrCorrupt},
		{"overwritten in the middle", func(t *testing.T, path string) {
			b := read(t, path)
			copy(b[len(b)/2:], bytes.Repeat([]byte{0xa5}, 4096))
			write(t, path, b)
		}, ErrCorrupt},
		{"of another program", func(t *testing.T, path string) { execute(t, path, "PRAGMA application_id = 7") }, ErrForeign},
		{"of another program, with a rollback journal", func(t *testing.T, path string) {
			execute(t, path, "PRAGMA journal_mode = DELETE; PRAGMA application_id = 7")
		}, ErrForeign},
		{"of a program without a name", func(t *testing.T, path string) { execute(t, path, "PRAGMA application_id = 0") }, ErrForeign},
		{"of a newer version", func(t *testing.T, path string) { execute(t, path, "PRAGMA user_version = 1000") }, ErrNewer},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, dir := open(t)
			sitting := must(s.OpenSitting(t.Context(), "ana", 1, keystroke.Press, noon))
			for range 20 {
				if err := s.AddSample(t.Context(), sitting.ID, sample(200)); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, FileName)
			c.damage(t, path)
			before := read(t, path)
			for range 2 {
				got, err := Open(t.Context(), dir)
				if got != nil || !errors.Is(err, c.want) {
					t.Fatalf("got %v, %v, want %v", got, err, c.want)
				}
			}
			if !bytes.Equal(before, read(t, path)) {
				t.Error("the file has changed")
			}
		})
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// execute changes a database behind the store's back.
func execute(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

// A daemon that dies while it makes the database leaves none, or a whole one.
func TestHalfMade(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "new-1.db"), []byte("half"))
	s := reopen(t, dir)
	if people, err := s.People(t.Context()); err != nil || len(people) != 0 {
		t.Errorf("%v, %v", people, err)
	}
}
