package network

import (
	"time"

	gliderlabs "github.com/gliderlabs/ssh"
	"golang.org/x/crypto/ssh"
)

// patience is how long a request to listen, which OpenSSH's client makes before
// it opens its session, waits for that session to come.
const patience = time.Second

// global takes a global request. gliderlabs/ssh answers when it returns, so it
// is given one that wants no answer: the real one waits in a queue, where it
// holds up no channel.
func (c *connection) global(_ gliderlabs.Context, _ *gliderlabs.Server, r *ssh.Request) (bool, []byte) {
	real := *r
	r.WantReply = false
	select {
	case c.globals <- &real:
	default:
		c.end(errFlood)
	}
	return false, nil
}

// answerGlobals answers global requests in their order.
func (c *connection) answerGlobals() {
	waited := false
	for {
		select {
		case r := <-c.globals:
			if r.Type == "tcpip-forward" && !waited {
				c.awaitGate()
				waited = true
			}
			_ = r.Reply(c.answerGlobal(r))
		case <-c.ctx.Done():
			return
		}
	}
}

func (c *connection) answerGlobal(r *ssh.Request) (bool, []byte) {
	switch r.Type {
	case "tcpip-forward":
		if c.mayForward() != "" {
			return false, nil
		}
		return c.forwards.listen(r.Payload)
	case "cancel-tcpip-forward":
		return c.forwards.cancel(r.Payload), nil
	}
	return false, nil // "keepalive@openssh.com" too: any answer will do
}

// awaitGate waits while somebody is at the gate, and a little for somebody to
// come. So "ssh -R" with a terminal gets its listener once the challenge is
// passed, and "ssh -N -R" is not held up for long.
func (c *connection) awaitGate() {
	come := make(chan struct{})
	stop := c.after(patience, func() { close(come) })
	defer stop()
	settled := c.gate.settled()
	select {
	case <-settled:
		return
	case <-c.waiting.Done():
		return
	case <-come:
	}
	if !c.gate.busy() {
		return
	}
	select {
	case <-settled:
	case <-c.waiting.Done():
	}
}
