package link

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Limits of a packet.
const (
	MaxPacket = 1 << 18 // bytes: the longest command that Linux takes (128 KiB), in base64
	maxFiles  = 4       // descriptors: three streams and an agent
)

// ErrProtocol is the fact that the other half broke a rule of the link. It ends
// the connection.
var ErrProtocol = errors.New("the other half breaks the link's protocol")

// Pair returns the two ends of a new link. Both are closed on exec.
func Pair() (network, monitor *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "link of the network half"), os.NewFile(uintptr(fds[1]), "link of the monitor"), nil
}

// Conn is one end of a link: whole packets with the descriptors beside them.
// Send is safe for concurrent use.
type Conn struct {
	unix    *net.UnixConn
	sending sync.Mutex
	buf     []byte // of Receive
}

// NewConn makes a Conn of one end of a Pair, and closes f.
func NewConn(f *os.File) (*Conn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok || u.LocalAddr().Network() != "unixpacket" {
		_ = c.Close()
		return nil, errors.New("link: not a Unix socket of packets")
	}
	_ = u.SetWriteBuffer(4 * MaxPacket) // else the system's own limit holds
	return &Conn{unix: u, buf: make([]byte, MaxPacket+1)}, nil
}

// Close ends the link. Whoever waits in Receive at either end gets an error.
func (c *Conn) Close() error { return c.unix.Close() }

// Send sends v as one packet, with files beside it, which stay open.
func (c *Conn) Send(v any, files ...*os.File) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	if len(b) > MaxPacket {
		return fmt.Errorf("link: a packet of %d bytes, at most %d", len(b), MaxPacket)
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if err := c.send(b, nil, files); err != nil {
		return fmt.Errorf("link: %w", err)
	}
	return nil
}

// send sends b once the descriptors of all files are held. File.Fd would make
// them block for everybody who shares them.
func (c *Conn) send(b []byte, fds []int, files []*os.File) error {
	if len(files) == 0 {
		var rights []byte
		if len(fds) > 0 {
			rights = unix.UnixRights(fds...)
		}
		_, _, err := c.unix.WriteMsgUnix(b, rights, nil)
		return err
	}
	raw, err := files[0].SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = c.send(b, append(fds, int(fd)), files[1:]) })
	return errors.Join(err, failed)
}

// Receive reads the next packet into v and returns the descriptors beside it,
// of which at most files may come. One goroutine at a time may wait in it. The
// error is io.EOF where the other half is gone, and wraps ErrProtocol where the
// packet breaks a rule; no descriptor is left open then.
func (c *Conn) Receive(v any, files int) ([]*os.File, error) {
	// Without a buffer for them the kernel opens no descriptor here at all.
	var oob []byte
	if files > 0 {
		oob = make([]byte, unix.CmsgSpace(4*files))
	}
	n, oobn, flags, _, err := c.unix.ReadMsgUnix(c.buf, oob)
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET):
		return nil, io.EOF
	case err != nil:
		return nil, fmt.Errorf("link: %w", err)
	}
	defer clear(c.buf[:n]) // it may have held a password
	got, err := opened(oob[:oobn])
	switch {
	case err != nil:
	case flags&unix.MSG_CTRUNC != 0:
		err = fmt.Errorf("%w: descriptors that do not belong there", ErrProtocol)
	case n > MaxPacket || flags&unix.MSG_TRUNC != 0:
		err = fmt.Errorf("%w: a packet of more than %d bytes", ErrProtocol, MaxPacket)
	default:
		err = decode(c.buf[:n], v)
	}
	if err != nil {
		closeAll(got)
		return nil, err
	}
	return got, nil
}

// decode reads exactly one JSON object without unknown fields.
func decode(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%w: %v", ErrProtocol, err) // an io.EOF is none of the link
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: more than one object", ErrProtocol)
	}
	return nil
}

// opened returns the descriptors of control messages.
func opened(oob []byte) (files []*os.File, err error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return files, fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		for _, fd := range fds {
			_ = unix.SetNonblock(fd, true) // so that the runtime's poller takes it, and deadlines work
			files = append(files, os.NewFile(uintptr(fd), "from the monitor"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
