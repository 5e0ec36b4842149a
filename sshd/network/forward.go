package network

import (
	"context"
	"io"
	"net"
	"strconv"
	"sync"

	"golang.org/x/crypto/ssh"

	"ksd/sshd/link"
)

// Limits of one connection's forwarding.
const (
	maxForwarded = 128 // TCP and agent connections at a time
	maxListeners = 16
	maxGlobals   = 64 // global requests that wait for an answer
)

// forwards is the forwarding of TCP (RFC 4254, 7) of one connection.
type forwards struct {
	c    *connection
	open counter

	mu        sync.Mutex
	listeners map[forwardAddress]io.Closer
}

type forwardAddress struct {
	host string
	port uint32
}

// openDirect serves a direct-tcpip channel.
func (c *connection) openDirect(n ssh.NewChannel) {
	host, port, err := parseDirect(n.ExtraData())
	if err != nil {
		_ = n.Reject(ssh.ConnectionFailed, errPayload.Error())
		return
	}
	if text := c.mayForward(); text != "" {
		_ = n.Reject(ssh.Prohibited, text)
		return
	}
	give, ok := c.forwards.open.take()
	if !ok {
		_ = n.Reject(ssh.ResourceShortage, "too many forwarded connections")
		return
	}
	defer give()
	f, err := c.monitor.Dial(c.ctx, link.Dial{Host: host, Port: port})
	if err != nil {
		_ = n.Reject(ssh.ConnectionFailed, "connection failed")
		return
	}
	conn, err := net.FileConn(f)
	_ = f.Close()
	if err != nil {
		_ = n.Reject(ssh.ConnectionFailed, "connection failed")
		return
	}
	ch, requests, err := n.Accept()
	if err != nil {
		_ = conn.Close()
		return
	}
	c.splice(ch, requests, conn)
}

// mayForward returns "" if TCP may be forwarded, else why not. As the first thing
// on a connection, a forward asks to be let in.
func (c *connection) mayForward() (text string) {
	if !c.hello.Forwarding || !c.account.Forwarding {
		return "forwarding is off"
	}
	leave, ok := c.gate.enter()
	if !ok {
		return "not before the login is complete"
	}
	defer leave()
	if c.gate.opens(false) {
		return ""
	}
	return c.admit(c.ctx, "")
}

// splice joins a channel and a connection until both directions have ended, or
// the channel is closed and what came over it is written. It closes both.
func (c *connection) splice(ch ssh.Channel, requests <-chan *ssh.Request, conn net.Conn) {
	defer context.AfterFunc(c.ctx, func() { _ = conn.Close() })()
	var both sync.WaitGroup
	both.Go(func() {
		c.pour(conn, ch)
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	})
	both.Go(func() {
		c.pour(ch, conn)
		_ = ch.CloseWrite()
	})
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		ssh.DiscardRequests(requests)  // until the channel is closed
		_ = conn.SetReadDeadline(past) // nobody wants more of it
	}()
	both.Wait()
	_ = ch.Close()
	_ = conn.Close()
	<-gone
}

// pour copies until either end is at its end.
func (c *connection) pour(to io.Writer, from io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			c.moved.Add(1)
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// accept opens a channel of the kind for each connection to l, with what extra
// says of it, until ctx ends. It closes l.
func (c *connection) accept(ctx context.Context, l net.Listener, kind string, extra func(net.Conn) []byte) {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	defer l.Close()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		give, ok := c.forwards.open.take()
		if !ok || !c.spawn(func() {
			defer give()
			c.openBack(ctx, conn, kind, extra(conn))
		}) {
			_ = conn.Close()
		}
	}
}

// openBack offers a connection to the client.
func (c *connection) openBack(ctx context.Context, conn net.Conn, kind string, extra []byte) {
	ch, requests, err := c.ssh().OpenChannel(kind, extra)
	if err != nil {
		_ = conn.Close()
		return
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	c.splice(ch, requests, conn)
}

// listen carries out tcpip-forward.
func (f *forwards) listen(payload []byte) (bool, []byte) {
	host, port, err := parseForward(payload)
	if err != nil {
		return false, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, have := f.listeners[forwardAddress{host, port}]; have || len(f.listeners) == maxListeners {
		return false, nil
	}
	got, file, err := f.c.monitor.Listen(f.c.ctx, link.Listen{Host: host, Port: port})
	if err != nil {
		return false, nil
	}
	l, err := net.FileListener(file)
	_ = file.Close()
	if err != nil {
		return false, nil
	}
	if f.listeners == nil {
		f.listeners = map[forwardAddress]io.Closer{}
	}
	at := forwardAddress{host, got.Port}
	f.listeners[at] = l
	f.c.spawn(func() {
		f.c.accept(f.c.ctx, l, "forwarded-tcpip", func(conn net.Conn) []byte { return forwarded(at, conn) })
	})
	if port == 0 {
		return true, ssh.Marshal(struct{ Port uint32 }{got.Port})
	}
	return true, nil
}

// forwarded is what a forwarded-tcpip channel is opened with.
func forwarded(at forwardAddress, conn net.Conn) []byte {
	host, port, _ := net.SplitHostPort(conn.RemoteAddr().String())
	from, _ := strconv.ParseUint(port, 10, 16)
	return ssh.Marshal(struct {
		Host       string
		Port       uint32
		Origin     string
		OriginPort uint32
	}{at.host, at.port, host, uint32(from)})
}

// cancel carries out cancel-tcpip-forward.
func (f *forwards) cancel(payload []byte) bool {
	host, port, err := parseForward(payload)
	if err != nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	at := forwardAddress{host, port}
	l := f.listeners[at]
	delete(f.listeners, at)
	return l != nil && l.Close() == nil
}
