package monitor

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"ksd/sshd/link"
)

// session is one process that was started, the leader of a session of the
// kernel's.
type session struct {
	pid   int
	uid   uint32
	pty   bool
	ended chan struct{} // closed when exit is known

	mu     sync.Mutex
	reaped bool // the number may be another process's from now on
	exit   link.Exited
}

// sessions are those of a connection, until their end was asked for.
type sessions struct {
	mu   sync.Mutex
	last int
	all  map[int]*session
}

// add takes a new process in and sees to it that it is reaped.
func (s *sessions) add(pid int, uid uint32, pty bool) int {
	one := &session{pid: pid, uid: uid, pty: pty, ended: make(chan struct{})}
	go one.reap()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	s.all[s.last] = one
	return s.last
}

func (s *sessions) get(id int) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[id]
}

func (s *sessions) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// hangUp tells all of them that nobody is there any more.
func (s *sessions) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		_ = one.signal(unix.SIGHUP)
		_ = one.signal(unix.SIGCONT) // a stopped one would not hear it
	}
}

// reap waits for the end of the process. It is first seen to have ended, and
// only then, with signals kept away, is its number given back.
func (s *session) reap() {
	var info unix.Siginfo
	for unix.Waitid(unix.P_PID, s.pid, &info, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reaped = true
	var status unix.WaitStatus
	_, err := unix.Wait4(s.pid, &status, 0, nil)
	for err == unix.EINTR {
		_, err = unix.Wait4(s.pid, &status, 0, nil)
	}
	switch {
	case err != nil:
		s.exit = link.Exited{Status: 255}
	case status.Signaled():
		s.exit = link.Exited{Signal: signalName(status.Signal()), Core: status.CoreDump()}
	default:
		s.exit = link.Exited{Status: uint32(status.ExitStatus())}
	}
	close(s.ended)
}

// signal signals the group in the terminal's foreground, or without a terminal
// the whole group of the process.
func (s *session) signal(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reaped {
		return link.NotFound
	}
	group := s.pid
	if s.pty && sig != unix.SIGHUP && sig != unix.SIGCONT {
		group = foreground(s.pid)
	}
	return killAs(s.uid, group, sig)
}

// killAs signals a group with the rights of an account, not with root's: who is
// in the foreground is the person's to choose, and may be none of theirs any more.
func killAs(uid uint32, group int, sig syscall.Signal) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends here
		if uid != 0 {
			// The raw call changes this thread alone.
			if _, _, e := unix.RawSyscall(setResUID, uintptr(uid), uintptr(uid), uintptr(uid)); e != 0 {
				done <- e
				return
			}
		}
		done <- unix.Kill(-group, sig)
	}()
	return <-done
}

// foreground returns the group in the foreground of the terminal of a session
// leader, or the leader's own (proc_pid_stat(5), tpgid).
func foreground(leader int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", leader))
	if err != nil {
		return leader
	}
	// The name in parentheses may hold anything: count from its end.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const tpgid = 5
	if len(fields) <= tpgid {
		return leader
	}
	if group, err := strconv.Atoi(string(fields[tpgid])); err == nil && group > 1 {
		return group
	}
	return leader
}

// signals are those of RFC 4254, 6.10, which a client may send.
var signals = map[string]syscall.Signal{
	"ABRT": unix.SIGABRT, "ALRM": unix.SIGALRM, "FPE": unix.SIGFPE, "HUP": unix.SIGHUP, "ILL": unix.SIGILL,
	"INT": unix.SIGINT, "KILL": unix.SIGKILL, "PIPE": unix.SIGPIPE, "QUIT": unix.SIGQUIT, "SEGV": unix.SIGSEGV,
	"TERM": unix.SIGTERM, "USR1": unix.SIGUSR1, "USR2": unix.SIGUSR2,
}

// signalName is the RFC's name of a signal, or for others what is usual: the
// name with the domain of who made it up.
func signalName(sig syscall.Signal) string {
	for name, s := range signals {
		if s == sig {
			return name
		}
	}
	return fmt.Sprintf("SIG%d@ksd", int(sig))
}

// Wait answers when a session has ended, once.
func (m *Monitor) Wait(ctx context.Context, w link.Wait) (link.Exited, error) {
	m.mu.Lock()
	err := m.let()
	m.mu.Unlock()
	if err != nil {
		return link.Exited{}, err
	}
	s := m.sessions.get(w.Session)
	if s == nil {
		return link.Exited{}, link.NotFound
	}
	select {
	case <-s.ended:
	case <-ctx.Done():
		return link.Exited{}, ctx.Err()
	}
	m.sessions.mu.Lock()
	defer m.sessions.mu.Unlock()
	delete(m.sessions.all, w.Session)
	return s.exit, nil
}

// Signal signals a session.
func (m *Monitor) Signal(_ context.Context, q link.Signal) error {
	m.mu.Lock()
	err, forced := m.let(), m.key.forced
	m.mu.Unlock()
	if err != nil {
		return err
	}
	s, sig := m.sessions.get(q.Session), signals[q.Signal]
	switch {
	case s == nil:
		return link.NotFound
	case sig == 0 || forced: // sshd: a forced command is not the client's to stop
		return link.Refused
	}
	if err := s.signal(sig); err != nil {
		return m.failed("signal", err)
	}
	return nil
}
