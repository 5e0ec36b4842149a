package link

import (
	"context"
	"os"
)

// refusing is a monitor that refuses everything.
type refusing struct{}

func (refusing) Hello(context.Context) (Hello, error)                 { return Hello{}, Refused }
func (refusing) Sign(context.Context, Sign) (Signature, error)        { return Signature{}, Refused }
func (refusing) Key(context.Context, Key) (Proof, error)              { return Proof{}, Refused }
func (refusing) Password(context.Context, Password) (Proof, error)    { return Proof{}, Refused }
func (refusing) Open(context.Context, Open) (Opened, error)           { return Opened{}, Refused }
func (refusing) Challenge(context.Context, Challenge) (Judged, error) { return Judged{}, Refused }
func (refusing) Answer(context.Context, Answer) (Judged, error)       { return Judged{}, Refused }
func (refusing) Admit(context.Context, Admit) (Judged, error)         { return Judged{}, Refused }
func (refusing) Start(context.Context, Start) (Started, []*os.File, error) {
	return Started{}, nil, Refused
}
func (refusing) Wait(context.Context, Wait) (Exited, error)   { return Exited{}, Refused }
func (refusing) Signal(context.Context, Signal) error         { return Refused }
func (refusing) Dial(context.Context, Dial) (*os.File, error) { return nil, Refused }
func (refusing) Listen(context.Context, Listen) (Listening, *os.File, error) {
	return Listening{}, nil, Refused
}
