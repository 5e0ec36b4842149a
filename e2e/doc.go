// Package e2e holds the test of ksd as a whole: people of a public recording
// enrol through ksd-enroll at pseudo-terminals, each key at the time they
// pressed it, and then log in with the machine's own su, sudo and login through
// the real module and the real daemon, and with its ssh to ksd-sshd and to its
// sshd with ksd-login, as themselves and as one another.
//
// "make e2e" runs it and prints what was tried, how many owners were refused and
// how many strangers got in. The daemon runs as an account of its own without any
// privilege, in a sandbox with its own /etc, and the ssh servers have a network
// of their own, so nothing of the machine changes.
package e2e
