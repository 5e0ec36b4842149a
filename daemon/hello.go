package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"ksd/internal/wire"
)

// maxRights is how many descriptors the kernel lets one message carry
// (SCM_MAX_FD in unix(7)). All that come must be received, or they could not
// be closed.
const maxRights = 253

// errHello is the fact that a conversation did not open as it should.
var errHello = errors.New("malformed hello")

// receiveHello reads the first packet of a conversation and the one terminal
// that comes with it. Whatever else comes is closed, and is an error.
func receiveHello(c *net.UnixConn) (wire.Hello, *os.File, error) {
	packet := make([]byte, wire.MaxPacket+1)
	control := make([]byte, unix.CmsgSpace(maxRights*4)+unix.CmsgSpace(unix.SizeofUcred))
	n, cn, flags, _, err := c.ReadMsgUnix(packet, control)
	files, ferr := descriptors(control[:cn])
	if err = errors.Join(err, ferr); err == nil {
		err = wellFormed(flags, files)
	}
	if err != nil {
		closeAll(files)
		return wire.Hello{}, nil, err
	}
	h, err := wire.DecodeHello(packet[:n])
	if err != nil {
		closeAll(files)
		return wire.Hello{}, nil, err
	}
	return h, files[0], nil
}

// wellFormed checks what the packet itself does not tell.
func wellFormed(flags int, files []*os.File) error {
	switch {
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		return fmt.Errorf("%w: cut off", errHello)
	case len(files) != 1:
		return fmt.Errorf("%w: %d descriptors, want 1", errHello, len(files))
	}
	info, err := files[0].Stat()
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeCharDevice == 0 || !isTerminal(files[0]) {
		return fmt.Errorf("%w: the descriptor is no terminal", errHello)
	}
	return nil
}

// isTerminal asks without File.Fd, which would make the descriptor block for
// everybody who shares it.
func isTerminal(f *os.File) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	is := false
	err = raw.Control(func(fd uintptr) { is = term.IsTerminal(int(fd)) })
	return err == nil && is
}

// descriptors returns the descriptors in control messages. ReadMsgUnix has set
// close-on-exec on them.
func descriptors(control []byte) ([]*os.File, error) {
	msgs, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errHello, err)
	}
	var files []*os.File
	for i := range msgs {
		fds, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			continue // some other control message
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "terminal"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
