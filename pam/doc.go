// Package pam is the PAM module pam_ksd.so and its tests.
//
// The module is C99 and holds no Go: a host such as sshd loads it, forks and
// authenticates in the child, where the threads of a Go runtime would be
// missing. Its five C files are compiled twice: by build.sh into pam_ksd.so,
// and by cgo into this package's tests, which so drive and fuzz the very
// functions that run as root.
//
//	options.c   the words of the line in /etc/pam.d
//	packet.c    the packets of login.sock, beside internal/wire
//	tty.c       the terminal: found, saved, put back
//	handover.c  one conversation with the daemon
//	pam_ksd.c   the PAM entry points, and what each ending returns
//
// docs/PAM.md is for administrators and holds the table of endings. Building
// needs the headers of libpam0g-dev; nothing imports this package, so that the
// rest of the module builds without them.
package pam
