package listener

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A claim is one packet, the uid of a person, big-endian; its answer is another,
// of one byte: 1 is yes, all else is no.
const (
	claimSize = 4
	yes       = 1
)

// Claim says over a monitor's end of its socket whose connection it is, which a
// first factor has told, and asks whether that person may have one more. An error
// says that the listener is gone, or that ctx has ended.
func Claim(ctx context.Context, status *os.File, uid uint32) (ok bool, err error) {
	if _, err := status.Write(binary.BigEndian.AppendUint32(nil, uid)); err != nil {
		return false, fmt.Errorf("claim: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = status.SetReadDeadline(time.Unix(1, 0)) })()
	var answer [1]byte
	if _, err := status.Read(answer[:]); err != nil {
		return false, fmt.Errorf("claim: %w", err)
	}
	return answer[0] == yes, nil
}

// answer answers a claim. Who somebody is, a monitor says once.
func (l *Listener) answer(m *Monitor, packet []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	word := []byte{0}
	if len(packet) == claimSize && !m.known {
		uid := binary.BigEndian.Uint32(packet)
		if l.people[uid] < l.o.Config.PerPerson {
			l.count(m, -1)
			m.known, m.person = true, uid
			l.count(m, 1)
			word[0] = yes
		}
	}
	_, _ = m.status.Write(word) // a monitor that is gone is heard of
}

// pair returns a new socket: our end and the monitor's.
func pair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	theirs = os.NewFile(uintptr(fds[1]), "status")
	if ours, err = Polled(fds[0]); err != nil {
		_ = theirs.Close()
	}
	return ours, theirs, err
}

// Polled makes a file of one end, whose reads can be called off. On an error the
// descriptor is closed.
func Polled(fd int) (*os.File, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(fd), "status")
	if err := f.SetReadDeadline(time.Time{}); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("status: %w", err)
	}
	return f, nil
}
