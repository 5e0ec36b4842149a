package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
)

// body is what a packet says, read once its operation is known.
type body = json.RawMessage

// ErrEnded is the fact that the link is over.
var ErrEnded = errors.New("the link to the monitor has ended")

var _ Monitor = (*Client)(nil)

// Client is the network half's end. Its methods may overlap. A context that
// ends leaves the request to the monitor, whose answer is then thrown away.
type Client struct {
	conn *Conn
	done chan struct{} // closed when the link has ended

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan reply // nil value: nobody waits any more
	ended   bool
}

// reply is an answer with the descriptors that came beside it.
type reply struct {
	answer
	files []*os.File
}

// NewClient speaks over c until Close, or until the monitor is gone.
func NewClient(c *Conn) *Client {
	cl := &Client{conn: c, done: make(chan struct{}), waiting: map[uint64]chan reply{}}
	go cl.read()
	return cl
}

// Close ends the link: the monitor ends with it.
func (c *Client) Close() error {
	err := c.conn.Close()
	<-c.done
	return err
}

// Done is closed when the link has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Hello asks for the configuration.
func (c *Client) Hello(ctx context.Context) (Hello, error) {
	return ask[Hello](ctx, c, OpHello, Nothing{})
}

// Sign asks for a host key's signature.
func (c *Client) Sign(ctx context.Context, s Sign) (Signature, error) {
	return ask[Signature](ctx, c, OpSign, s)
}

// Key asks about a public key.
func (c *Client) Key(ctx context.Context, k Key) (Proof, error) {
	return ask[Proof](ctx, c, OpKey, k)
}

// Password tries a password.
func (c *Client) Password(ctx context.Context, p Password) (Proof, error) {
	return ask[Proof](ctx, c, OpPassword, p)
}

// Open opens the account.
func (c *Client) Open(ctx context.Context, o Open) (Opened, error) {
	return ask[Opened](ctx, c, OpOpen, o)
}

// Challenge asks for something to type.
func (c *Client) Challenge(ctx context.Context, q Challenge) (Judged, error) {
	return ask[Judged](ctx, c, OpChallenge, q)
}

// Answer brings what was typed.
func (c *Client) Answer(ctx context.Context, a Answer) (Judged, error) {
	return ask[Judged](ctx, c, OpAnswer, a)
}

// Admit asks to be let in without a terminal.
func (c *Client) Admit(ctx context.Context, a Admit) (Judged, error) {
	return ask[Judged](ctx, c, OpAdmit, a)
}

// Start starts a process.
func (c *Client) Start(ctx context.Context, s Start) (Started, []*os.File, error) {
	files := 3
	if s.Pty != nil {
		files = 1
	}
	if s.Agent {
		files++
	}
	return askFiles[Started](ctx, c, OpStart, s, files)
}

// Wait waits for the end of a session.
func (c *Client) Wait(ctx context.Context, w Wait) (Exited, error) {
	return ask[Exited](ctx, c, OpWait, w)
}

// Signal signals a session.
func (c *Client) Signal(ctx context.Context, s Signal) error {
	_, err := ask[Nothing](ctx, c, OpSignal, s)
	return err
}

// Dial opens a connection.
func (c *Client) Dial(ctx context.Context, d Dial) (*os.File, error) {
	_, files, err := askFiles[Nothing](ctx, c, OpDial, d, 1)
	if err != nil {
		return nil, err
	}
	return files[0], nil
}

// Listen opens a listener.
func (c *Client) Listen(ctx context.Context, l Listen) (Listening, *os.File, error) {
	out, files, err := askFiles[Listening](ctx, c, OpListen, l, 1)
	if err != nil {
		return Listening{}, nil, err
	}
	return out, files[0], nil
}

// ask asks for what comes without descriptors.
func ask[T any](ctx context.Context, c *Client, op Op, in any) (T, error) {
	out, _, err := askFiles[T](ctx, c, op, in, 0)
	return out, err
}

// askFiles makes one request, whose answer must bring so many descriptors.
func askFiles[T any](ctx context.Context, c *Client, op Op, in any, files int) (out T, _ []*os.File, err error) {
	r, err := c.call(ctx, op, in)
	if err != nil {
		return out, nil, fmt.Errorf("%s: %w", op, err)
	}
	switch {
	case r.Error != "":
		err = fmt.Errorf("%s: %w", op, r.Error)
	case len(r.files) != files:
		err = fmt.Errorf("%s: %w: %d descriptors, want %d", op, ErrProtocol, len(r.files), files)
	default:
		err = decode(r.Body, &out)
	}
	if err != nil {
		closeAll(r.files)
		return out, nil, err
	}
	return out, r.files, nil
}

// call sends one request and waits for its answer.
func (c *Client) call(ctx context.Context, op Op, in any) (reply, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return reply{}, err
	}
	mine := make(chan reply, 1)
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return reply{}, ErrEnded
	}
	c.last++
	id := c.last
	c.waiting[id] = mine
	c.mu.Unlock()
	if err := c.conn.Send(request{id, op, b}); err != nil {
		c.forget(id)
		return reply{}, err
	}
	select {
	case r := <-mine:
		return r, nil
	case <-ctx.Done():
		c.abandon(id, mine)
		return reply{}, ctx.Err()
	case <-c.done:
		select {
		case r := <-mine: // the last that came
			return r, nil
		default:
			return reply{}, ErrEnded
		}
	}
}

// forget takes a request back that was never sent.
func (c *Client) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

// abandon has the answer of a request thrown away, now or when it comes.
func (c *Client) abandon(id uint64, mine chan reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, open := c.waiting[id]; open {
		c.waiting[id] = nil
		return
	}
	closeAll((<-mine).files)
}

// read hands answers to those who wait for them, until the link ends. An answer
// that nobody asked for ends it.
func (c *Client) read() {
	defer func() {
		_ = c.conn.Close()
		c.mu.Lock()
		c.ended = true
		c.mu.Unlock()
		close(c.done)
	}()
	for {
		var a answer
		files, err := c.conn.Receive(&a, maxFiles)
		if err != nil {
			return
		}
		if !c.hand(reply{a, files}) {
			closeAll(files)
			return
		}
	}
}

// hand gives a reply to its waiter. It returns false where there was no request.
func (c *Client) hand(r reply) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	mine, asked := c.waiting[r.ID]
	delete(c.waiting, r.ID)
	switch {
	case !asked:
		return false
	case mine == nil:
		closeAll(r.files)
	default:
		mine <- r
	}
	return true
}
