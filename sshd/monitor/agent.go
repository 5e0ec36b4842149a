package monitor

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// agent is a socket that stands for a client's authentication agent: the network
// half accepts at it.
type agent struct {
	who  account
	dir  string
	path string
}

// openAgent makes the socket in a folder of the account's own, with its rights,
// and returns the listener.
func openAgent(a account) (*agent, *os.File, error) {
	g := &agent{who: a}
	var f *os.File
	err := as(a, func() (err error) {
		if g.dir, err = os.MkdirTemp("/tmp", "ssh-"); err != nil {
			return err
		}
		g.path = filepath.Join(g.dir, "agent")
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: g.path, Net: "unix"})
		if err != nil {
			return err
		}
		l.SetUnlinkOnClose(false)
		defer l.Close()
		if err := os.Chmod(g.path, 0o600); err != nil {
			return err
		}
		f, err = l.File()
		return err
	})
	if err != nil {
		g.remove()
		return nil, nil, fmt.Errorf("agent: %w", err)
	}
	return g, f, nil
}

// remove takes socket and folder away, with the account's rights.
func (g *agent) remove() {
	if g.dir == "" {
		return
	}
	_ = as(g.who, func() error {
		_ = os.Remove(g.path)
		return os.Remove(g.dir)
	})
}
