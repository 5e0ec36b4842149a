package monitor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// errLoose is the fact that somebody else could have written a file.
var errLoose = errors.New("bad ownership or modes")

// readOwn reads a file that decides who gets in, with the rights of the account,
// and refuses it where somebody else could have written it, as StrictModes of
// sshd_config(5) does: it must be a regular file, and it and every folder above
// it, up to the home or else to the root, must belong to the account or to root
// and be writable to nobody else. Every folder is held open from the root on and
// none is a link, so what was looked at is what is read. Errors: fs.ErrNotExist,
// errLoose, and what the system says.
func readOwn(a account, path string, most int64) (data []byte, err error) {
	err = as(a, func() (err error) {
		data, err = readStrict(a, path, most)
		return err
	})
	return data, err
}

// readStrict is readOwn in a thread that has the account's rights.
func readStrict(a account, path string, most int64) ([]byte, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	home, err := filepath.EvalSymlinks(a.home)
	if err != nil {
		home = "/"
	}
	f, err := openStrict(a, path, home)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s: more than %d bytes", path, most)
	}
	return data, err
}

// openStrict opens a file by a path without links, from the root on.
func openStrict(a account, path, home string) (*os.File, error) {
	names := strings.Split(strings.TrimPrefix(path, "/"), "/")
	fd, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	for i, at := 0, "/"; err == nil; i++ {
		last := i == len(names)
		// Above the home it is the system that decides.
		if last || home == "/" || !strings.HasPrefix(home, strings.TrimSuffix(at, "/")+"/") || !strings.HasPrefix(path, home+"/") {
			if err = strict(a, fd, at, last); err != nil {
				break
			}
		}
		if last {
			return os.NewFile(uintptr(fd), path), nil
		}
		flags := unix.O_PATH | unix.O_DIRECTORY
		if i == len(names)-1 {
			flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY
		}
		at = filepath.Join(at, names[i])
		next, failed := unix.Openat(fd, names[i], flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		_ = unix.Close(fd)
		if failed != nil {
			return nil, &os.PathError{Op: "open", Path: at, Err: failed}
		}
		fd = next
	}
	if fd >= 0 {
		_ = unix.Close(fd)
	}
	return nil, err
}

// strict checks one file or folder of the way.
func strict(a account, fd int, path string, file bool) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if file && st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("%s: %w: not a regular file", path, errLoose)
	}
	if st.Uid != 0 && st.Uid != a.uid || st.Mode&0o022 != 0 {
		return fmt.Errorf("%s: %w: uid %d, mode %04o", path, errLoose, st.Uid, st.Mode&0o7777)
	}
	return nil
}
