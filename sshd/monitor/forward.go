package monitor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ksd/sshd/link"
)

const (
	dialTimeout  = 30 * time.Second
	maxDials     = 64 // of one connection, at once
	maxListeners = 32 // of one connection, over all its time
	maxPort      = 1<<16 - 1
	lowPorts     = 1024 // those below are root's
)

// mayForward says whether connections may be forwarded now.
func (m *Monitor) mayForward() error {
	if err := m.let(); err != nil {
		return err
	}
	if !m.o.Config.SSHD.Forwarding || m.key.noForwarding || !m.rhythm && m.byToken {
		return link.Refused
	}
	return nil
}

// Dial opens a connection for ssh -L, -D, -W and -J.
func (m *Monitor) Dial(ctx context.Context, d link.Dial) (*os.File, error) {
	m.mu.Lock()
	err := m.mayForward()
	m.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if d.Port == 0 || d.Port > maxPort || len(d.Host) > 255 {
		return nil, link.NotFound
	}
	if m.dials.Add(1) > maxDials {
		m.dials.Add(-1)
		return nil, link.Exhausted
	}
	defer m.dials.Add(-1)
	address := net.JoinHostPort(d.Host, strconv.Itoa(int(d.Port)))
	dialer := net.Dialer{Timeout: dialTimeout, Control: m.own}
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		m.o.Log.Debug("forward", "to", address, "error", err)
		return nil, link.Failed
	}
	defer c.Close()
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		return nil, m.failed("forward", err)
	}
	m.log(m.who.name).Info("forward", "to", address)
	return f, nil
}

// own makes a socket the person's, which firewalls and others who ask go by, and
// not root's (sk_uid, Linux 4.10).
func (m *Monitor) own(_, _ string, c syscall.RawConn) (err error) {
	failed := c.Control(func(fd uintptr) { err = unix.Fchown(int(fd), int(m.who.uid), int(m.who.gid)) })
	return errors.Join(failed, err)
}

// Listen opens a listener for ssh -R. It is on loopback whatever is asked for
// (GatewayPorts no).
func (m *Monitor) Listen(ctx context.Context, l link.Listen) (link.Listening, *os.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.mayForward(); err != nil {
		return link.Listening{}, nil, err
	}
	if m.listeners >= maxListeners {
		return link.Listening{}, nil, link.Exhausted
	}
	if l.Port > maxPort || l.Port != 0 && l.Port < lowPorts && m.who.uid != 0 {
		return link.Listening{}, nil, link.Refused
	}
	host := "127.0.0.1"
	if l.Host == "::1" {
		host = l.Host
	}
	address := net.JoinHostPort(host, strconv.Itoa(int(l.Port)))
	lc := net.ListenConfig{Control: m.own}
	lc.SetMultipathTCP(false) // the socket below one of MPTCP stays root's
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		m.o.Log.Debug("forward", "at", address, "error", err)
		return link.Listening{}, nil, link.Failed
	}
	defer listener.Close()
	at := listener.Addr().(*net.TCPAddr)
	f, err := listener.(*net.TCPListener).File()
	if err != nil {
		return link.Listening{}, nil, m.failed("forward", fmt.Errorf("%s: %w", address, err))
	}
	m.listeners++
	m.log(m.who.name).Info("forward", "at", at.String())
	return link.Listening{Port: uint32(at.Port)}, f, nil
}
