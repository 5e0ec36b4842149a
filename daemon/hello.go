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

// opening is the first packet of a conversation: one of the two, and with a
// Hello the terminal that came with it.
type opening struct {
	hello   *wire.Hello
	request *wire.Request
	tty     *os.File
}

// receiveOpening reads the first packet of a conversation, with one terminal or
// none, as its type has it. Whatever else comes is closed, and is an error.
func receiveOpening(c *net.UnixConn) (opening, error) {
	packet := make([]byte, wire.MaxPacket+1)
	control := make([]byte, unix.CmsgSpace(maxRights*4)+unix.CmsgSpace(unix.SizeofUcred))
	n, cn, flags, _, err := c.ReadMsgUnix(packet, control)
	files, ferr := descriptors(control[:cn])
	var o opening
	if err = errors.Join(err, ferr); err == nil {
		o, err = understood(packet[:n], flags, files)
	}
	if err != nil {
		closeAll(files)
		return opening{}, err
	}
	return o, nil
}

// understood makes an opening of a packet and the descriptors that came with it.
func understood(packet []byte, flags int, files []*os.File) (opening, error) {
	if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		return opening{}, fmt.Errorf("%w: cut off", errHello)
	}
	first, err := wire.DecodeOpening(packet)
	if err != nil {
		return opening{}, err
	}
	switch first := first.(type) {
	case wire.Hello:
		if len(files) != 1 {
			return opening{}, fmt.Errorf("%w: %d descriptors, want 1", errHello, len(files))
		}
		return opening{hello: &first, tty: files[0]}, wellFormed(files[0])
	case wire.Request:
		if len(files) != 0 {
			return opening{}, fmt.Errorf("%w: %d descriptors, want none", errHello, len(files))
		}
		return opening{request: &first}, nil
	}
	return opening{}, errHello
}

// wellFormed checks that f is a terminal.
func wellFormed(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeCharDevice == 0 || !isTerminal(f) {
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
