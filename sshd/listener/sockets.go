package listener

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
)

// firstFD is the first descriptor that systemd gives (sd_listen_fds(3)).
const firstFD = 3

// Given returns the sockets that systemd opened for process pid, none where it
// did not.
func Given(getenv func(string) string, pid int) ([]Socket, error) {
	if getenv("LISTEN_PID") != strconv.Itoa(pid) {
		return nil, nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 1 || n > 64 {
		return nil, fmt.Errorf("LISTEN_FDS=%q", getenv("LISTEN_FDS"))
	}
	var sockets []Socket
	for fd := firstFD; fd < firstFD+n; fd++ {
		l, err := open(fd)
		if err != nil {
			return nil, fmt.Errorf("systemd's sockets: %w (Accept=yes does not go)", err)
		}
		sockets = append(sockets, Socket{TCPListener: l})
	}
	return sockets, nil
}

// Open opens sockets at addresses. Those that are open already are taken from
// earlier, and what is left of that is closed. A socket that systemd gave serves
// whatever the configuration says.
func Open(ctx context.Context, addresses []string, earlier []Socket) (sockets []Socket, err error) {
	if slices.ContainsFunc(earlier, func(s Socket) bool { return s.Address == "" }) {
		return earlier, nil
	}
	var stale []Socket
	for _, s := range earlier {
		if slices.Contains(addresses, s.Address) {
			sockets = append(sockets, s)
		} else {
			stale = append(stale, s)
		}
	}
	for _, s := range stale { // before: ":22" and "192.0.2.1:22" do not go together
		_ = s.Close()
	}
	var errs []error
	for _, a := range addresses {
		if slices.ContainsFunc(sockets, func(s Socket) bool { return s.Address == a }) {
			continue
		}
		var c net.ListenConfig
		c.SetMultipathTCP(false) // a connection has one source, which limits and from= go by
		l, err := c.Listen(ctx, "tcp", a)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		sockets = append(sockets, Socket{l.(*net.TCPListener), a})
	}
	return sockets, errors.Join(errs...)
}
