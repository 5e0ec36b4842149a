package monitor

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unicode"

	"golang.org/x/sys/unix"
)

// Account is who the network half runs as, and Empty the folder it sees as the
// whole file system.
const (
	Account = "ksd-sshd"
	Empty   = "/run/ksd-sshd"
)

// The descriptors of a network half, beside standard ones.
const (
	NetworkConn = 3
	NetworkLink = 4
)

// namespaces are those a network half has for itself: no interface, no socket
// but those it is given, no process that it could signal.
const namespaces = unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWPID

// keptCaps are what a network half needs until it is somebody else.
var keptCaps = []uintptr{unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_SYS_CHROOT}

// Nobody returns the numbers of Account, and fails where the network half would
// have rights.
func Nobody() (uid, gid uint32, err error) {
	a, err := lookup(Account)
	if err != nil {
		return 0, 0, fmt.Errorf("account %s: %w", Account, err)
	}
	if a.uid == 0 || a.gid == 0 {
		return 0, 0, fmt.Errorf("account %s: it is root", Account)
	}
	return a.uid, a.gid, nil
}

// MakeEmpty makes the folder dir if it is not there, and fails where it is not as
// CheckEmpty wants it.
func MakeEmpty(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
		return err
	}
	return CheckEmpty(dir)
}

// CheckEmpty fails where a folder is there and not empty, or not root's alone.
func CheckEmpty(dir string) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err == unix.ENOENT {
		return nil
	} else if err != nil {
		return &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Uid != 0 || st.Mode&0o022 != 0 || len(names) > 0 {
		return fmt.Errorf("%s: %w: it must be an empty folder of root's, which nobody else may write to", dir, errLoose)
	}
	return nil
}

// Namespaces reports whether this kernel gives a process network, IPC and UTS
// namespaces of its own.
func Namespaces() error {
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		failed <- unix.Unshare(namespaces)
	}()
	return <-failed
}

// Spawn starts the network half argv of the program at path, with the
// connection and its end of the link, and returns its number. What it logs, and
// what it says when it dies, comes out of stderr.
func Spawn(path string, argv []string, conn, link *os.File) (pid int, stderr *os.File, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, nil, err
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return 0, nil, err
	}
	defer w.Close()
	attr := &syscall.ProcAttr{
		Dir:   "/",
		Env:   []string{},
		Files: []uintptr{null.Fd(), null.Fd(), w.Fd(), conn.Fd(), link.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true, Cloneflags: namespaces},
	}
	started := make(chan error)
	go func() {
		// What is given up here stays so for the child, and ends with this thread.
		runtime.LockOSThread()
		if err := giveUp(); err != nil {
			started <- err
			return
		}
		var err error
		if pid, err = syscall.ForkExec(path, argv, attr); err == unix.EPERM || err == unix.EINVAL || err == unix.ENOSPC {
			attr.Sys.Cloneflags = 0 // the listener has said so at its start
			pid, err = syscall.ForkExec(path, argv, attr)
		}
		started <- err
	}()
	if err := <-started; err != nil {
		_ = r.Close()
		return 0, nil, fmt.Errorf("network half: %w", err)
	}
	return pid, r, nil
}

// giveUp takes from this thread, and from what it starts, the way to new rights
// and every capability that becoming somebody else does not take.
func giveUp() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
next:
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		for _, kept := range keptCaps {
			if c == kept {
				continue next
			}
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && err != unix.EINVAL { // not in this kernel
			return fmt.Errorf("capability %d: %w", c, err)
		}
	}
	return nil
}

// Confine makes this process a network half: the folder dir is all that it sees,
// and it is uid and gid for good. It holds for all threads.
func Confine(dir string, uid, gid int) error {
	none := unix.Rlimit{}
	for _, limit := range []int{unix.RLIMIT_CORE, unix.RLIMIT_FSIZE} {
		if err := unix.Prlimit(0, limit, &none, nil); err != nil {
			return fmt.Errorf("limit %d: %w", limit, err)
		}
	}
	steps := []struct {
		name string
		do   func() error
	}{
		{"chroot", func() error { return unix.Chroot(dir) }},
		{"chdir", func() error { return unix.Chdir("/") }},
		{"setgroups", func() error { return syscall.Setgroups(nil) }},
		{"setresgid", func() error { return syscall.Setresgid(gid, gid, gid) }},
		{"setresuid", func() error { return syscall.Setresuid(uid, uid, uid) }},
		{"dumpable", func() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }},
	}
	if uid == 0 || gid == 0 {
		return fmt.Errorf("confine: %d:%d is root", uid, gid)
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return fmt.Errorf("confine: %s: %w", s.name, err)
		}
	}
	if syscall.Setresuid(0, 0, 0) == nil {
		return fmt.Errorf("confine: root can be had back")
	}
	return nil
}

// Limits of what a network half says.
const (
	maxSaid = 1000 // lines
	maxLine = 4096 // bytes
)

// Relay logs what a network half says, and reads on when it says too much. It
// returns at the end of stderr, which it closes.
func Relay(stderr *os.File, log *slog.Logger) {
	defer stderr.Close()
	in := bufio.NewScanner(stderr)
	in.Buffer(nil, maxLine)
	for n := 0; n < maxSaid && in.Scan(); n++ {
		log.Info("network half", "says", printable(in.Text()))
	}
	_, _ = io.Copy(io.Discard, stderr)
}

// printable is a line without what a terminal could take for a command.
func printable(line string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(line, "?"))
}
