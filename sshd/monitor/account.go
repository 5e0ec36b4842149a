package monitor

/*
#include <pwd.h>
#include <shadow.h>
#include <stdlib.h>

static int passwd_row(const char *name, struct passwd *row, char *buf, size_t n, int *found) {
	struct passwd *r = NULL;
	int e = getpwnam_r(name, row, buf, n, &r);
	*found = r != NULL;
	return e;
}

static int shadow_row(const char *name, struct spwd *row, char *buf, size_t n, int *found) {
	struct spwd *r = NULL;
	int e = getspnam_r(name, row, buf, n, &r);
	*found = r != NULL;
	return e;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"ksd/conf"
)

// account is a row of the user database, wherever that is (NSS).
type account struct {
	name, home, shell string
	uid, gid          uint32
}

// ErrNoAccount is the fact that there is no account of a name. It and those below
// are why somebody may not log in. A client never learns which.
var (
	ErrNoAccount = errors.New("no such account")
	errRoot      = errors.New("root may not log in this way")
	errLocked    = errors.New("the account is locked")
	errShell     = errors.New("the shell cannot be run")
	errName      = errors.New("not a name of an account")
)

// maxRow is the largest row of a database that is read, in bytes.
const maxRow = 1 << 20

// lookup returns the account of a name. It may bear another name itself.
func lookup(name string) (account, error) {
	if name == "" || len(name) > 256 || strings.ContainsAny(name, "\x00:/\n") || name[0] == '-' {
		return account{}, errName
	}
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	var row C.struct_passwd
	var found C.int
	free, err := grow(func(buf *C.char, n C.size_t) C.int {
		return C.passwd_row(cname, &row, buf, n, &found)
	})
	defer free()
	if err != nil {
		return account{}, fmt.Errorf("user database: %w", err)
	}
	if found == 0 {
		return account{}, ErrNoAccount
	}
	a := account{C.GoString(row.pw_name), C.GoString(row.pw_dir), C.GoString(row.pw_shell), uint32(row.pw_uid), uint32(row.pw_gid)}
	if a.shell == "" {
		a.shell = "/bin/sh" // passwd(5)
	}
	return a, nil
}

// lockedInShadow reports whether the password field of a name begins with "!",
// which is how passwd -l and usermod -L lock an account. A name that is not in
// the shadow database is PAM's to judge.
func lockedInShadow(name string) (bool, error) {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	var row C.struct_spwd
	var found C.int
	free, err := grow(func(buf *C.char, n C.size_t) C.int {
		return C.shadow_row(cname, &row, buf, n, &found)
	})
	defer free()
	if err != nil {
		return false, fmt.Errorf("shadow database: %w", err)
	}
	return found != 0 && strings.HasPrefix(C.GoString(row.sp_pwdp), "!"), nil
}

// grow calls a function of the database with buffers that double until the row
// fits. The last buffer lives until free.
func grow(call func(*C.char, C.size_t) C.int) (free func(), _ error) {
	for n := C.size_t(1 << 10); ; n *= 2 {
		buf := (*C.char)(C.malloc(n))
		free = func() { C.free(unsafe.Pointer(buf)) }
		switch e := syscall.Errno(call(buf, n)); {
		case e == syscall.ERANGE && n < maxRow:
			free()
		case e == syscall.EINTR:
			free()
			n /= 2
		case e == syscall.ENOENT || e == syscall.ESRCH: // some databases say so
			return free, nil
		case e != 0:
			return free, e
		default:
			return free, nil
		}
	}
}

// usable says whether an account may log in at all, by key or by password.
func usable(a account, byPassword bool, c conf.SSHD) error {
	if a.uid == 0 && (c.RootLogin == conf.RootNo || byPassword && c.RootLogin != conf.RootYes || c.RootLogin == "") {
		return errRoot
	}
	if locked, err := lockedInShadow(a.name); err != nil {
		return err
	} else if locked {
		return errLocked
	}
	var st unix.Stat_t
	err := unix.Stat(a.shell, &st)
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o111 == 0 || !filepath.IsAbs(a.shell) {
		return fmt.Errorf("%w: %s", errShell, a.shell)
	}
	return nil
}

// groups returns the numbers of all groups of an account.
func (a account) groups() ([]uint32, error) {
	u := user.User{Username: a.name, Gid: strconv.FormatUint(uint64(a.gid), 10)}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("groups of %s: %w", a.name, err)
	}
	out := make([]uint32, 0, len(ids))
	for _, id := range ids {
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("groups of %s: %w", a.name, err)
		}
		out = append(out, uint32(n))
	}
	return out, nil
}
