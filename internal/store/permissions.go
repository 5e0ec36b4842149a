package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// PermissionError is the fact that others can reach the state folder or the
// database, or that it is not what it has to be. Fix is the shell command that
// mends it, "" if there is none.
type PermissionError struct {
	Path    string
	Problem string
	Fix     string
}

// Error tells path and problem.
func (e *PermissionError) Error() string { return e.Path + " " + e.Problem }

// Unwrap returns ErrPermissions.
func (e *PermissionError) Unwrap() error { return ErrPermissions }

// prepareFolder makes the state folder where it is absent, and checks it.
func prepareFolder(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(dir) // a link is fine: systemd makes /var/lib/NAME one
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &PermissionError{Path: dir, Problem: "is not a folder"}
	}
	return checkMode(dir, info, 0o700)
}

// checkFile checks the database file and what SQLite keeps beside it.
func checkFile(path string) error {
	for _, p := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Lstat(p)
		if p != path && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return &PermissionError{Path: p, Problem: "is not a regular file"}
		}
		if err := checkMode(p, info, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// checkMode refuses a file of somebody else, and permissions beyond want.
func checkMode(path string, info fs.FileInfo, want fs.FileMode) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: its owner cannot be told", path)
	}
	if me := os.Geteuid(); int(st.Uid) != me {
		return &PermissionError{
			Path:    path,
			Problem: fmt.Sprintf("belongs to uid %d, not to uid %d", st.Uid, me),
			Fix:     fmt.Sprintf("chown %d %s", me, quote(path)),
		}
	}
	if have := info.Mode().Perm(); have&^want != 0 {
		return &PermissionError{
			Path:    path,
			Problem: fmt.Sprintf("has mode %04o, not %04o", have, want),
			Fix:     fmt.Sprintf("chmod %04o %s", want, quote(path)),
		}
	}
	return nil
}

// quote returns the path as one word of a shell command.
func quote(path string) string {
	plain := func(r rune) bool {
		return !strings.ContainsRune("/._-", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}
	if path != "" && !strings.ContainsFunc(path, plain) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
