package monitor

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

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
	if !m.o.Config.SSHD.Forwarding || m.key.noForwarding {
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
	dialer := net.Dialer{Timeout: dialTimeout}
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

// Listen opens a listener for ssh -R. It is on loopback whatever is asked for
// (GatewayPorts no).
func (m *Monitor) Listen(_ context.Context, l link.Listen) (link.Listening, *os.File, error) {
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
	listener, err := net.Listen("tcp", address)
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
