package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"time"

	"ksd/internal/capture"
	"ksd/internal/channel"
	"ksd/internal/wire"
)

// conversation is one claim at a terminal that was handed over.
type conversation struct {
	d     *Daemon
	conn  *net.UnixConn
	tty   *os.File
	who   claimant
	hello wire.Hello

	asked   bool // the terminal was asked what it tells of keys
	silent  bool // it answered nothing so far, and that is remembered
	advised bool // the person was told what would be better
}

// The ways a prompt is cut short from outside.
var (
	errGone    = errors.New("the caller has gone")
	errTooLate = errors.New("the time to type is over")
)

// run has the person type until the claim is over. The terminal is as it was
// when it returns.
func (v *conversation) run(ctx context.Context) wire.Code {
	c := v.d.newClaim(ctx, v.who)
	if c.over != "" {
		return c.over // texts about that are the caller's: it may let the person in
	}
	term, err := capture.Open(v.tty, v.hello.Term, v.d.world.Monotonic)
	if err != nil {
		v.d.world.Log.Error("terminal", slog.Any("error", err))
		c.end(ctx, wire.Failed)
		return c.over
	}
	c.start(ctx) // before the terminal is touched, which is not for who is locked out
	if c.over != "" {
		v.d.say(v.conn, v.hello.Silent, lastWord(c, v.d.world.Now()))
		return c.over
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer term.Restore()
	go func() {
		_, _ = v.conn.Read(make([]byte, 1)) // a caller says nothing more: it ends
		cancel(errGone)
		_ = term.Restore() // at once, whatever the prompt is waiting for
	}()
	v.talk(ctx, c, term)
	_ = term.Leave(ctx)
	v.d.say(v.conn, v.hello.Silent, lastWord(c, v.d.world.Now()))
	return c.over
}

// talk asks for phrases and brings what is typed, until the claim is over.
func (v *conversation) talk(ctx context.Context, c *claim, term *capture.Terminal) {
	lead := leadFirst
	for {
		if err := v.prepare(ctx, c, term); err != nil {
			c.end(ctx, v.ending(ctx, err))
			return
		}
		attempt := c.attempt
		phrase := c.ask(ctx)
		if c.over != "" {
			return
		}
		if c.attempt != attempt {
			lead = leadAgain
		}
		lead = v.typing(ctx, c, term, capture.Prompt{Lead: lead, Phrase: phrase, Burst: v.burst()})
		if c.over != "" {
			return
		}
	}
}

// tickBurst is how many text keys one read may bring from an ssh client that may
// hold keys back to a tick: at 20 ms three fingers can come in one. Else it is
// what package capture takes for a roll over two.
const tickBurst = 3

func (v *conversation) burst() int {
	if channel.MayTick(v.hello.Client) {
		return tickBurst
	}
	return 0
}

// typing reads one typing and brings it. It returns the lead of the next.
func (v *conversation) typing(ctx context.Context, c *claim, term *capture.Terminal, p capture.Prompt) (lead string) {
	limited, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := v.d.world.AfterFunc(c.config.Challenge.TypingTime, func() { cancel(errTooLate) })
	defer stop()
	s, err := term.Read(limited, p)
	switch {
	case errors.Is(err, capture.ErrPaste):
		c.spoil(ctx, wire.ReasonText)
		return leadPaste
	case errors.Is(err, capture.ErrUnusable):
		c.spoil(ctx, wire.ReasonText)
		return leadUnusable
	case err != nil:
		c.end(ctx, v.ending(limited, err))
		return ""
	}
	s.Phrase = p.Phrase
	jitter, _ := term.Jitter()
	return leadAfter(c.answer(ctx, s, ms(jitter)))
}

// ending says how a prompt ended that brought nothing.
func (v *conversation) ending(ctx context.Context, err error) wire.Code {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errTooLate), errors.Is(err, capture.ErrTimeout):
		return wire.Timeout
	case errors.Is(cause, errGone),
		errors.Is(err, capture.ErrInterrupted), errors.Is(err, capture.ErrEOF), errors.Is(err, capture.ErrHangup):
		return wire.Cancelled
	case cause == nil:
		v.d.world.Log.Error("terminal", slog.Any("error", err))
	}
	return wire.Failed
}

// wait writes how long a lock-out lasts, rounded up to what people say.
func wait(d time.Duration) string {
	switch {
	case d <= time.Minute:
		return plural(int((d+time.Second-1)/time.Second), "second")
	case d <= time.Hour:
		return plural(int((d+time.Minute-1)/time.Minute), "minute")
	}
	return plural(int((d+time.Hour-1)/time.Hour), "hour")
}
