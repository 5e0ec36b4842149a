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
// daemon gave no verdict, the terminal is put back as it was found.
//
// Errors: ErrNoDaemon, ErrServer, ErrPacket, ErrNoVerdict, ctx.Err().
func HandOver(ctx context.Context, path string, h Hello, tty *os.File, say func(Text)) (Verdict, error) {
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
	v, err := relay(ctx, conn, say)
	if err != nil {
		_ = control(tty, func(fd int) error { return term.Restore(fd, before) })
	}
	return v, err
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

// relay reads packets until the verdict.
func relay(ctx context.Context, conn *net.UnixConn, say func(Text)) (Verdict, error) {
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
			say(m)
		case Verdict:
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
