package monitor

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// streams makes a terminal, or what sshd has for a session without one: stdin is
// a socket, by which bash knows that it runs for a network and reads ~/.bashrc.
// stdout and stderr are pipes, not sockets as there: a program whose reader has
// left gets SIGPIPE from them and nothing stranger, and may open /dev/stdout.
func (p *process) streams() (err error) {
	if p.ask.Pty != nil {
		if p.tty, err = openTerminal(p.m.who, *p.ask.Pty); err != nil {
			return err
		}
		p.given = append(p.given, p.tty.master)
		p.taken = []*os.File{p.tty.slave, p.tty.slave, p.tty.slave}
		return nil
	}
	in, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	p.given = append(p.given, os.NewFile(uintptr(in[0]), "stdin"))
	p.taken = append(p.taken, os.NewFile(uintptr(in[1]), "stdin"))
	for _, name := range []string{"stdout", "stderr"} {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			return os.NewSyscallError("pipe2", err)
		}
		p.given = append(p.given, os.NewFile(uintptr(fds[0]), name))
		p.taken = append(p.taken, os.NewFile(uintptr(fds[1]), name))
	}
	// Whoever may write to a pipe may not open /dev/stdout for that: its owner may.
	for _, f := range p.taken[1:] {
		if err := unix.Fchown(int(f.Fd()), int(p.m.who.uid), int(p.m.who.gid)); err != nil {
			return err
		}
	}
	return nil
}

func closeAll(files []*os.File) {
	for _, f := range slices.Compact(files) {
		_ = f.Close()
	}
}
