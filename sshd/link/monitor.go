package link

import (
	"context"
	"os"
)

// Monitor is what the network half may ask for, one method for each operation.
// The root half is one; Client is one, and brings the questions to it. Errors
// are a Reason, or say that the link has ended. Files belong to the caller.
type Monitor interface {
	Hello(context.Context) (Hello, error)
	Sign(context.Context, Sign) (Signature, error)
	Key(context.Context, Key) (Proof, error)
	Password(context.Context, Password) (Proof, error)
	Open(context.Context, Open) (Opened, error)
	Challenge(context.Context, Challenge) (Judged, error)
	Answer(context.Context, Answer) (Judged, error)
	Admit(context.Context, Admit) (Judged, error)
	// Start returns the master with Start.Pty, else stdin, stdout and stderr; the
	// listener of the agent follows with Start.Agent.
	Start(context.Context, Start) (Started, []*os.File, error)
	Wait(context.Context, Wait) (Exited, error)
	Signal(context.Context, Signal) error
	Dial(context.Context, Dial) (*os.File, error)
	Listen(context.Context, Listen) (Listening, *os.File, error)
}

// request is a packet from the network half.
type request struct {
	ID   uint64 `json:"id"`
	Op   Op     `json:"op"`
	Body body   `json:"body,omitempty"`
}

// answer is a packet from the monitor.
type answer struct {
	ID    uint64 `json:"id"`
	Error Reason `json:"error,omitempty"`
	Body  body   `json:"body,omitempty"`
}
