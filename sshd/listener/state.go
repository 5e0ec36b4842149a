package listener

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// stateVersion is the version of State. The first had pipes to monitors.
const stateVersion = 2

// State is what one image of the program hands to the next: the descriptors are
// open in both.
type State struct {
	Version  int            `json:"version"`
	Sockets  []socketState  `json:"sockets"`
	Monitors []monitorState `json:"monitors"`
}

type socketState struct {
	FD      int    `json:"fd"`
	Address string `json:"address,omitempty"`
}

type monitorState struct {
	PID    int          `json:"pid"`
	FD     int          `json:"fd"`
	Source netip.Prefix `json:"source"`
	Known  bool         `json:"known"`
	Person uint32       `json:"person"`
}

// Freeze returns the state in a descriptor that, like all it names, stays open
// over an exec. From then on nothing is read of what monitors say, or it would be
// lost: it waits for the next image, or for undo, which also closes the
// descriptors. Serve must not run.
func (l *Listener) Freeze() (fd int, undo func(), err error) {
	l.hush()
	l.mu.Lock()
	defer l.mu.Unlock()
	var open []int
	closeAll := func() {
		for _, fd := range open {
			_ = unix.Close(fd)
		}
	}
	keep := func(c syscall.Conn) (fd int) {
		if err == nil {
			if fd, err = dup(c); err == nil {
				open = append(open, fd)
			}
		}
		return fd
	}
	s := State{Version: stateVersion}
	for _, one := range l.sockets {
		s.Sockets = append(s.Sockets, socketState{keep(one), one.Address})
	}
	for m := range l.monitors {
		s.Monitors = append(s.Monitors, monitorState{m.pid, keep(m.status), m.source, m.known, m.person})
	}
	if err == nil {
		fd, err = memory(s)
	}
	if err != nil {
		closeAll()
		l.resume()
		return 0, nil, fmt.Errorf("handing over: %w", err)
	}
	open = append(open, fd)
	return fd, func() {
		closeAll()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.resume()
	}, nil
}

// memory writes a state into a file without a name, and rewinds it.
func memory(s State) (int, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return 0, err
	}
	fd, err := unix.MemfdCreate("ksd-sshd state", 0)
	if err != nil {
		return 0, err
	}
	if _, err = unix.Write(fd, b); err == nil {
		_, err = unix.Seek(fd, 0, io.SeekStart)
	}
	if err != nil {
		_ = unix.Close(fd)
	}
	return fd, err
}

// dup returns another descriptor of c, which stays open over an exec.
func dup(c syscall.Conn) (fd int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = raw.Control(func(old uintptr) { fd, failed = unix.FcntlInt(old, unix.F_DUPFD, 3) })
	if err == nil {
		err = failed
	}
	return fd, err
}

// ErrVersion is the fact that an image of another build froze the state.
var ErrVersion = errors.New("monitors of another version are not counted")

// Thaw takes over what an earlier image froze into fd. With ErrVersion it returns
// the sockets alone, which have always been written alike.
func Thaw(fd int) ([]Socket, []*Monitor, error) {
	f := os.NewFile(uintptr(fd), "state")
	if f == nil {
		return nil, nil, fmt.Errorf("taking over: no descriptor %d", fd)
	}
	defer f.Close()
	var s State
	if err := json.NewDecoder(f).Decode(&s); err != nil {
		return nil, nil, fmt.Errorf("taking over: %w", err)
	}
	var sockets []Socket
	for _, one := range s.Sockets {
		l, err := open(one.FD)
		if err != nil {
			return nil, nil, fmt.Errorf("taking over: %w", err)
		}
		sockets = append(sockets, Socket{l, one.Address})
	}
	if s.Version != stateVersion {
		// Monitors of another build speak otherwise. Their connections live on.
		for _, one := range s.Monitors {
			_ = unix.Close(one.FD)
		}
		return sockets, nil, fmt.Errorf("%w: version %d, not %d", ErrVersion, s.Version, stateVersion)
	}
	var monitors []*Monitor
	for _, one := range s.Monitors {
		unix.CloseOnExec(one.FD)
		status, err := Polled(one.FD)
		if err != nil {
			return nil, nil, fmt.Errorf("taking over: %w", err)
		}
		monitors = append(monitors, &Monitor{one.PID, status, one.Source, one.Known, one.Person})
	}
	return sockets, monitors, nil
}

// open makes a listener of a descriptor, and closes that.
func open(fd int) (*net.TCPListener, error) {
	f := os.NewFile(uintptr(fd), "socket")
	if f == nil {
		return nil, fmt.Errorf("no descriptor %d", fd)
	}
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	t, ok := l.(*net.TCPListener)
	if !ok {
		_ = l.Close()
		return nil, fmt.Errorf("descriptor %d is no listening TCP socket", fd)
	}
	return t, nil
}
