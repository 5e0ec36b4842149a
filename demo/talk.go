package demo

import (
	"context"
	"errors"
	"path/filepath"

	"ksd/conf"
	"ksd/enroll"
	"ksd/internal/cli"
	"ksd/internal/wire"
)

// talk shows ksd to the person at the terminal.
func talk(ctx context.Context, env cli.Env, d *cli.Dialogue, o options) (err error) {
	short := settings{phrases: conf.Default().Challenge.Phrases[:3], typings: 4, warmups: 2}
	ksd, err := startDaemon(ctx, filepath.Join(o.bin, "ksdd"), short)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ksd.stop()) }()
	c, err := wire.Dial(ctx, ksd.socket)
	if err != nil {
		return err
	}
	defer c.Close()

	d.Say("This is ksd on trial: a daemon of its own runs in %s, as you, and goes when you do. "+
		"You enrol, a model of you is trained, and then two people are put to the test: you, and somebody else.", ksd.folder)
	_, err = enroll.Enrol(ctx, d, c, env.User)
	if err != nil && !errors.Is(err, cli.ErrNotRecognised) {
		return err
	}
	if err := train(ctx, d, c); err != nil {
		return err
	}
	d.Say("Now show that it is you. Type the line, then press Enter:")
	if err := challenge(ctx, d, c, env.User); err != nil {
		return err
	}
	d.Say("Now hand the keyboard to someone else, and let them type. (Alone? Use one finger, or the rhythm of someone you know.)")
	if err := challenge(ctx, d, c, env.User); err != nil {
		return err
	}
	d.Say("That was ksd, with %d typings of each of %d phrases; an installed one takes more, and errs less. "+
		"The daemon is stopped and what it held is deleted.", short.typings, len(short.phrases))
	return nil
}

// challenge is one attempt with its picture.
func challenge(ctx context.Context, d *cli.Dialogue, c *wire.Client, user string) error {
	a, err := d.Challenge(ctx, c, wire.ChallengeRequest{User: user, Service: "ksd-try"})
	if err != nil {
		return err
	}
	d.Lines("")
	d.Say("%s", cli.VerdictText(a.Code))
	d.Lines(append(a.Picture(d.Screen), "")...)
	return nil
}

// train trains heads. With too little to train on, the other scorers judge alone,
// and this says so.
func train(ctx context.Context, d *cli.Dialogue, c *wire.Client) error {
	d.Lines("Training on what you typed:")
	bar := cli.NewProgress(d.Screen)
	r, err := c.Retrain(ctx, wire.RetrainRequest{}, func(p wire.Progress) { bar.Set(p.Done, cli.TrainingWords(p)) })
	bar.Done()
	if errors.Is(err, &wire.Error{Code: wire.CodeTooFew}) {
		d.Say("There is too little to train on yet (%v); the other scorers judge alone.", err)
		return nil
	}
	if err != nil {
		return err
	}
	d.Say("Trained on %d typings and %d drawn impostors in %.1f s.", r.Samples, r.Impostors, r.Seconds)
	return nil
}
