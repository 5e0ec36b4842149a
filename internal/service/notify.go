// Package service is what ksd's services, ksdd and ksd-sshd, say to the service
// manager, and the log that they write for it.
package service

import (
	"net"
	"strings"
)

// The states told to the service manager (sd_notify(3)).
const (
	Ready     = "READY=1"
	Reloading = "RELOADING=1"
	Stopping  = "STOPPING=1"
)

// Notify tells the service manager listening at socket, a path or an abstract
// name with a leading '@', how the program is. Without a socket it does nothing.
func Notify(socket string, state ...string) error {
	if socket == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(strings.Join(state, "\n")))
	return err
}
