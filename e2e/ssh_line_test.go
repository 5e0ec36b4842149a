package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// cable lays a cable from the servers to a machine of its own.
func (w *sshWorld) cable(t *testing.T) place {
	t.Helper()
	client := newNetwork(t)
	return w.plug(t, client, "eth0", client)
}

// plug lays a cable from the servers to another network, and gives the client's
// network an address at the other end.
func (w *sshWorld) plug(t *testing.T, to network, name string, client network) place {
	t.Helper()
	w.mu.Lock()
	w.lines++
	n := w.lines
	w.mu.Unlock()
	w.net.ip(t, fmt.Sprintf("link add cable%d type veth peer name %s netns %d", n, name, to.holder))
	w.net.ip(t, fmt.Sprintf("address add 10.0.%d.1/24 dev cable%[1]d", n))
	w.net.ip(t, fmt.Sprintf("link set cable%d up", n))
	client.ip(t, fmt.Sprintf("address add 10.0.%d.2/24 dev eth0", n))
	client.ip(t, "link set eth0 up")
	return place{client, fmt.Sprintf("10.0.%d.1", n)}
}

// pull takes the cable out at the client's end.
func (p place) pull(t *testing.T) {
	t.Helper()
	p.net.ip(t, "link set eth0 down")
}

// delay is the least that every line with jitter takes, each way.
const delay = 5 * time.Millisecond

// roughLine is a cable that is cut in the middle. Between the ends a copier
// carries each frame from one to the other after delay and up to twice jitter
// more, each by itself, so that frames overtake each other. (Many kernels are
// built without netem, which would do the same.)
func (w *sshWorld) roughLine(t *testing.T, jitter time.Duration) place {
	t.Helper()
	client, middle := newNetwork(t), newNetwork(t)
	client.ip(t, fmt.Sprintf("link add eth0 type veth peer name right netns %d", middle.holder))
	at := w.plug(t, middle, "left", client)
	middle.ip(t, "link set left up")
	middle.ip(t, "link set right up")
	ends, err := framesIn(middle, "left", "right")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeFiles(ends) })
	go carry(ends[0], ends[1], jitter)
	go carry(ends[1], ends[0], jitter)
	return at
}

// carry copies frames until one of the ends is closed.
func carry(from, to *os.File, jitter time.Duration) {
	b := make([]byte, 1<<17) // a frame that is still to be cut into segments has up to 64 KiB
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		frame := append([]byte(nil), b[:n]...)
		time.AfterFunc(delay+rand.N(2*jitter), func() { _, _ = to.Write(frame) })
	}
}

// framesIn opens the frames that come to interfaces of a network and go out of
// them (packet(7)).
func framesIn(n network, names ...string) (files []*os.File, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for ever: the thread ends with this goroutine
		ns, failed := os.Open(n.path())
		if failed != nil {
			err = failed
			return
		}
		defer ns.Close()
		if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return
		}
		for _, name := range names {
			f, failed := framesOf(name)
			if failed != nil {
				closeFiles(files)
				err = fmt.Errorf("%s: %w", name, failed)
				return
			}
			files = append(files, f)
		}
	}()
	<-done
	return files, err
}

func framesOf(name string) (*os.File, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var every [2]byte
	binary.BigEndian.PutUint16(every[:], unix.ETH_P_ALL)
	err = errors.Join(
		// Checksums and segments are left to hardware that is not there. What is
		// still to be done travels in a header before the frame.
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(every[:]), Ifindex: link.Index}),
	)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
