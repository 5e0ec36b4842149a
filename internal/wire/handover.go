package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// ErrNoVerdict is the fact that a conversation on login.sock ended before the
// daemon gave its verdict. It is a denial.
var ErrNoVerdict = errors.New("the daemon ended without a verdict")

// closeTimeout is how long HandOver waits, when it gives up, for the daemon to
// put the terminal back before it does so itself.
const closeTimeout = 2 * time.Second

// HandOver passes tty to the daemon behind the socket at path, hands each of
// its texts to say, and returns its verdict. Without an error the verdict is
// one of the valid codes; with one it is the zero Verdict, a denial. If the
// daemon gave no verdict, the terminal is put back as it was found, and taken
// out of the mode that the daemon had switched it to.
//
// h.Term is the caller's TERM as it is: what may not stand in a packet, there
// and in h.Client, is left out.
//
// Errors: ErrNoDaemon, ErrServer, ErrPacket, ErrNoVerdict, ctx.Err().
func HandOver(ctx context.Context, path string, h Hello, tty *os.File, say func(Text)) (Verdict, error) {
	if !CleanTerm(h.Term) {
		h.Term = ""
	}
	if !CleanClient(h.Client) {
		h.Client = ""
	}
	hello, err := EncodeHello(h)
	if err != nil {
		return Verdict{}, err
	}
	conn, err := dialServer(ctx, "unixpacket", path)
	if err != nil {
		return Verdict{}, err
	}
	defer conn.Close()
	var before *term.State
	err = control(tty, func(fd int) (err error) {
		if before, err = term.GetState(fd); err != nil {
			return err
		}
		_, _, err = conn.WriteMsgUnix(hello, unix.UnixRights(fd), nil)
		return err
	})
	if err != nil {
		return Verdict{}, fmt.Errorf("%s: %w", tty.Name(), err)
	}
	r := relaying{say: say}
	v, err := r.relay(ctx, conn)
	if err != nil {
		_ = control(tty, func(fd int) error { return putBack(fd, before, r.left.undo()) })
	}
	return v, err
}

// Admit asks the daemon behind the socket at path to let somebody in who has no
// terminal. It is HandOver without one: texts go to say, and only a verdict of
// Accept lets anybody in.
//
// Errors: ErrNoDaemon, ErrServer, ErrPacket, ErrNoVerdict, ctx.Err().
func Admit(ctx context.Context, path string, q Request, say func(Text)) (Verdict, error) {
	request, err := EncodeRequest(q)
	if err != nil {
		return Verdict{}, err
	}
	conn, err := dialServer(ctx, "unixpacket", path)
	if err != nil {
		return Verdict{}, err
	}
	defer conn.Close()
	if _, err := conn.Write(request); err != nil {
		return Verdict{}, err
	}
	r := relaying{say: say}
	return r.relay(ctx, conn)
}

// putBack does for a terminal what a daemon that is gone did not: the settings
// first, because they decide what becomes of the input, then the mode.
func putBack(fd int, before *term.State, undo string) error {
	err := term.Restore(fd, before)
	if undo == "" || !writable(fd) {
		return err
	}
	_, werr := unix.Write(fd, []byte(undo))
	// What the mode sent until now is nobody's input.
	return errors.Join(err, werr, unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH))
}

// writable reports whether a short write goes through at once: a terminal whose
// output is stopped would hold us for ever.
func writable(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(p, 0)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Poll(p, 0)
	}
	return err == nil && n == 1 && p[0].Revents == unix.POLLOUT
}

// control calls f with the descriptor of a file. File.Fd would make the
// terminal block for everybody who shares it.
func control(file *os.File, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// relaying is the client's side of a conversation after its first packet.
type relaying struct {
	say  func(Text)
	left switched // what is to be undone if there is no verdict
}

// relay reads packets until the verdict.
func (r *relaying) relay(ctx context.Context, conn *net.UnixConn) (Verdict, error) {
	stop := context.AfterFunc(ctx, func() { giveUp(conn) })
	defer stop()
	packet := make([]byte, MaxPacket+1)
	for {
		n, err := conn.Read(packet)
		switch {
		case err != nil && ctx.Err() != nil:
			return Verdict{}, ctx.Err()
		case errors.Is(err, io.EOF) || (err == nil && n == 0):
			return Verdict{}, ErrNoVerdict
		case err != nil:
			return Verdict{}, fmt.Errorf("%w: %w", ErrNoVerdict, err)
		}
		m, err := DecodeReply(packet[:n])
		if err != nil {
			return Verdict{}, err
		}
		switch m := m.(type) {
		case Text:
			r.say(m)
		case Mode:
			r.left.note(m)
		case Verdict:
			r.left = switched{} // it put the terminal back before it said so
			if ctx.Err() != nil {
				return Verdict{}, ctx.Err()
			}
			return m, nil
		}
	}
}

// giveUp tells the daemon that nobody waits any more, and bounds how long the
// reader still waits for it to put the terminal back.
func giveUp(conn *net.UnixConn) {
	_ = conn.CloseWrite()
	_ = conn.SetReadDeadline(time.Now().Add(closeTimeout))
}
