//go:build 386 || arm

package monitor

import "golang.org/x/sys/unix"

// The raw calls by which one thread becomes somebody else. Without "32" in
// their names they take numbers of 16 bits here (setgroups(2), "C library/kernel
// differences").
const (
	setGroups = unix.SYS_SETGROUPS32
	setFSUID  = unix.SYS_SETFSUID32
	setFSGID  = unix.SYS_SETFSGID32
	setResUID = unix.SYS_SETRESUID32
)
