package monitor

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// as runs f with the rights to files that an account has: its uid, its groups,
// and none of root's capabilities over files (capabilities(7), "Effect of user
// ID changes"). It holds on file systems that do not trust root, too. f must not
// start goroutines that are to have these rights.
func as(a account, f func() error) error {
	groups, err := a.groups()
	if err != nil {
		return err
	}
	return asGroups(a, groups, f)
}

// asGroups is as with the groups known.
func asGroups(a account, groups []uint32, f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and its rights with it.
		runtime.LockOSThread()
		if err := become(a, groups); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// become changes this thread alone, which the functions of package syscall
// would not: those change all.
func become(a account, groups []uint32) error {
	if uint32(unix.Geteuid()) == a.uid && a.uid != 0 {
		return nil
	}
	list := append(groups, a.gid) // never empty
	if _, _, e := unix.RawSyscall(setGroups, uintptr(len(list)), uintptr(unsafe.Pointer(&list[0])), 0); e != 0 {
		return fmt.Errorf("becoming %s: %w", a.name, e)
	}
	runtime.KeepAlive(list)
	// These two return what was before, and never an error: a second call tells.
	const none = ^uintptr(0)
	for call, id := range map[uintptr]uint32{setFSGID: a.gid, setFSUID: a.uid} {
		_, _, _ = unix.RawSyscall(call, uintptr(id), 0, 0)
		if now, _, _ := unix.RawSyscall(call, none, 0, 0); uint32(now) != id {
			return errors.New("becoming " + a.name + ": the kernel refuses")
		}
	}
	return nil
}
