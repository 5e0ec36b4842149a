package daemon

import (
	"context"
	"errors"
	"log/slog"

	"ksd/internal/capture"
	"ksd/internal/keystroke"
	"ksd/internal/wire"
)

// prepare takes the terminal and has it tell as much of keys as it can. What it
// tells decides the channel of the claim.
func (v *conversation) prepare(ctx context.Context, c *claim, term *capture.Terminal) error {
	if v.asked && !v.silent {
		return term.Raw()
	}
	if modes(v.hello.Term) {
		v.tell(wire.Plain)
	}
	if err := term.Raw(); err != nil {
		return err
	}
	tells := keystroke.Press
	if modes(v.hello.Term) && !v.knownSilent(ctx) {
		mode, err := v.question(ctx, term)
		if err != nil {
			return err
		}
		if mode != capture.Plain {
			tells = keystroke.Full
		}
	}
	if tells == keystroke.Press && v.listens(c, term) {
		tells = keystroke.Full
	}
	v.asked = true
	c.on(tells)
	return v.advise(c, term, tells)
}

// listens reports whether prompts hear the keyboards of the machine: where the
// administrator wants it and the terminal is the console in front. There is
// nothing to undo about that for a daemon that died.
func (v *conversation) listens(c *claim, term *capture.Terminal) bool {
	if !c.config.Console.Releases {
		return false
	}
	err := term.Listen(v.d.world.Keyboards)
	if err != nil && !errors.Is(err, capture.ErrNotConsole) {
		v.d.world.Log.Warn("console.releases is on, but the keyboards cannot be heard", slog.Any("error", err))
	}
	return err == nil
}

// modes reports whether a terminal of that type may have modes to switch on, and
// to undo for a daemon that died. Package capture asks no others.
func modes(term string) bool { return term != "" && term != "dumb" && term != "linux" }

// knownSilent reports whether it is remembered that terminals of this type do not
// answer this person. It is looked up once; a terminal that was found silent in
// this conversation is asked again, which costs nothing, should it have answered
// late.
func (v *conversation) knownSilent(ctx context.Context) bool {
	if v.asked {
		return false
	}
	return v.d.knownSilent(ctx, v.who.user, v.hello.Term)
}

func (d *Daemon) knownSilent(ctx context.Context, user, term string) bool {
	silent, err := d.store.Silent(ctx, user, term, d.world.Now())
	if err != nil {
		d.world.Log.Error("silent terminals cannot be read", slog.Any("error", err))
	}
	return silent
}

// question asks the terminal for releases. The client hears of the modes that it
// may be in before it is asked, and of the one it is in after.
func (v *conversation) question(ctx context.Context, term *capture.Terminal) (capture.Mode, error) {
	v.tell(wire.Kitty)
	v.tell(wire.Win32)
	asked, err := term.Ask(ctx)
	v.d.world.Log.Debug("terminal asked", slog.String("user", v.who.user), slog.String("term", v.hello.Term),
		slog.String("mode", asked.Mode.String()), slog.Bool("silent", asked.Silent), slog.Duration("took", asked.Took))
	if err != nil {
		return capture.Plain, err
	}
	v.tell(wire.Plain)
	if asked.Mode != capture.Plain {
		v.tell(wire.Mode(asked.Mode.String()))
	}
	if asked.Silent != v.silent {
		v.d.rememberSilent(ctx, v.who.user, v.hello.Term, asked.Silent)
	}
	v.silent = asked.Silent
	return asked.Mode, nil
}

// rememberSilent keeps whether a person's terminals of a type answer, so that one
// that does not costs its time once.
func (d *Daemon) rememberSilent(ctx context.Context, user, term string, silent bool) {
	var err error
	if ctx = context.WithoutCancel(ctx); silent {
		err = d.store.RememberSilent(ctx, user, term, d.world.Now())
	} else {
		err = d.store.ForgetSilent(ctx, user, term)
	}
	if err != nil {
		d.world.Log.Error("silent terminal not remembered", slog.Any("error", err))
	}
}

// advise tells the person once, where the terminal and the enrolment do not
// match, what would be recognised better.
func (v *conversation) advise(c *claim, term *capture.Terminal, tells keystroke.Channel) error {
	text := ""
	switch enrolled := len(c.known.phrases[keystroke.Full]) > 0; {
	case v.advised || v.hello.Silent || v.hello.Term == "":
	case enrolled && tells != keystroke.Full:
		text = textTellsLess
	case !enrolled && tells == keystroke.Full:
		text = textTellsMore
	}
	v.advised = true
	if text == "" {
		return nil
	}
	return term.Println(text)
}

// tell tells the client of a mode.
func (v *conversation) tell(m wire.Mode) {
	p, err := wire.EncodeMode(m)
	v.d.reply(v.conn, p, err)
}
