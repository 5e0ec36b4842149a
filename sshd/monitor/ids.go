//go:build !386 && !arm

package monitor

import "golang.org/x/sys/unix"

// The raw calls by which one thread becomes somebody else.
const (
	setGroups = unix.SYS_SETGROUPS
	setFSUID  = unix.SYS_SETFSUID
	setFSGID  = unix.SYS_SETFSGID
	setResUID = unix.SYS_SETRESUID
)
