package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"ksd/internal/audit"
	"ksd/internal/model"
	"ksd/internal/wire"
)

// trainer runs one training at a time: those an administrator asks for, and
// those that follow enrolments once they have settled.
type trainer struct {
	d *Daemon

	mu         sync.Mutex
	closed     bool
	pending    func() bool        // stops the timer of the next run; nil if none is due
	cancel     context.CancelFunc // of the run under way; nil if there is none
	background bool               // that run was not asked for
	again      bool               // another is wanted when it is over
	news       []string           // who changed since the last run, "" for everybody
	job        string             // what Status shows
	running    sync.WaitGroup
}

// order is what a run is asked for.
type order struct {
	actor      string
	seed       uint64   // 0: the configured one
	only       []string // whose heads are trained where there is a model; nil: everybody's
	dryRun     bool
	background bool
	progress   func(wire.Progress)
}

// schedule has a run follow that trains the user's heads, everybody's for "", once
// training.settle has gone by without another call. A background run that does
// not know the news is stopped.
func (t *trainer) schedule(user string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tell(user)
	t.plan()
}

// tell remembers who changed. t.mu must be held.
func (t *trainer) tell(users ...string) {
	for _, u := range users {
		if !slices.Contains(t.news, u) {
			t.news = append(t.news, u)
		}
	}
}

// modelAge is how old a training of everybody gets before another one follows
// what joined.
const modelAge = 24 * time.Hour

// refresh is schedule for news that can wait: it stops no run and puts none
// off, and nothing follows where there is no model or it is young.
func (t *trainer) refresh() {
	t.mu.Lock()
	defer t.mu.Unlock()
	file := t.d.known.Load().file
	if t.cancel == nil && t.pending == nil && file != nil && t.d.world.Now().Sub(file.Trained) >= modelAge {
		t.tell("")
		t.plan()
	}
}

// plan is schedule with t.mu held.
func (t *trainer) plan() {
	c := t.d.config.Load().Training
	if t.closed || !c.Automatic {
		return
	}
	if t.background && t.cancel != nil {
		t.cancel()
	}
	if t.pending != nil {
		t.pending()
	}
	t.pending = t.d.world.AfterFunc(c.Settle, t.fire)
	if t.cancel == nil {
		t.job = "training starts soon"
	}
}

// fire starts the run that was scheduled.
func (t *trainer) fire() {
	t.mu.Lock()
	t.pending = nil
	if t.cancel != nil {
		t.again = true
		t.mu.Unlock()
		return
	}
	news := t.news
	t.news = nil
	t.mu.Unlock()
	only := news
	if slices.Contains(news, "") {
		only = nil
	}
	_, err := t.run(context.Background(), order{
		actor:      wire.Peer{UID: t.d.world.UID}.String(),
		only:       only,
		background: true,
		progress:   func(wire.Progress) {},
	})
	if err != nil {
		t.mu.Lock()
		t.tell(news...) // the next run makes up for it
		t.mu.Unlock()
	}
	switch {
	case errors.Is(err, model.ErrTooFew):
		t.d.world.Log.Info("not enough samples to train heads yet: the other scorers judge alone")
	case err != nil && !errors.Is(err, context.Canceled):
		t.d.world.Log.Error("training", slog.Any("error", err))
	}
}

// errBusy is the fact that a run is under way.
var errBusy = &wire.Error{Code: wire.CodeBusy, Message: "a training run is under way"}

// run trains, and installs what comes of it unless it is a dry run. Errors:
// errBusy, model.ErrTooFew, ctx.Err().
func (t *trainer) run(ctx context.Context, o order) (*wire.TrainingReport, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.mu.Lock()
	if t.closed || t.cancel != nil {
		t.mu.Unlock()
		return nil, errBusy
	}
	t.cancel, t.background, t.job = cancel, o.background, "training"
	t.running.Add(1)
	t.mu.Unlock()
	defer t.done()

	report, sum, err := t.train(ctx, o)
	outcome := "installed"
	switch {
	case errors.Is(err, context.Canceled):
		outcome = "cancelled"
	case errors.Is(err, model.ErrTooFew):
		outcome = "too few samples"
	case err != nil:
		outcome = "failed"
	case o.dryRun:
		outcome = "dry run"
	}
	e := audit.Entry{When: t.d.world.Now(), Event: "retrain", Actor: o.actor, Outcome: outcome, Model: sum}
	return report, errors.Join(err, t.d.audit.Record(ctx, e))
}

// done ends a run.
func (t *trainer) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cancel, t.job = nil, ""
	if t.again {
		t.again = false
		t.plan()
	}
	if t.pending != nil {
		t.job = "training starts soon"
	}
	t.running.Done()
}

// train does the work of run. sum is the short digest of the new model.
func (t *trainer) train(ctx context.Context, o order) (report *wire.TrainingReport, sum string, err error) {
	d, c := t.d, t.d.config.Load().Training
	start := d.world.Now()
	people, err := d.store.People(ctx)
	if err != nil {
		return nil, "", err
	}
	opts := model.Options{Seed: c.Seed, Impostors: c.Impostors}
	if o.seed != 0 {
		opts.Seed = o.seed
	}
	told := func(p model.Progress) {
		t.show(p)
		o.progress(wire.Progress{Stage: p.Stage, Head: p.Head, Heads: p.Heads, Done: p.Done, Loss: p.Loss})
	}
	known, old := forModel(people, d.config.Load().Adapt.Enabled), d.known.Load().file
	var file *model.File
	if old != nil && o.only != nil {
		file, err = d.model.Update(ctx, known, o.only, old, opts, told)
	} else {
		file, err = d.model.Retrain(ctx, known, old, start, opts, told)
	}
	if err != nil {
		return nil, "", err
	}
	if !o.dryRun {
		// From here on there is no way back, or a cancelled run might be half there.
		if err := d.installModel(context.WithoutCancel(ctx), file); err != nil {
			return nil, "", fmt.Errorf("new model not installed: %w", err)
		}
	}
	report = reportOf(file.Report)
	report.Seconds = d.world.Now().Sub(start).Seconds()
	report.Installed = !o.dryRun
	return report, short(file), nil
}

// show keeps what Status tells of the run.
func (t *trainer) show(p model.Progress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.job = fmt.Sprintf("training: %s, %.0f %%", p.Stage, p.Done*100)
}

// status returns what runs, "" if nothing does.
func (t *trainer) status() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.job
}

// close stops the run under way and lets no other begin.
func (t *trainer) close() {
	t.mu.Lock()
	t.closed = true
	if t.pending != nil {
		t.pending()
		t.pending = nil
	}
	if t.cancel != nil {
		t.cancel()
	}
	t.mu.Unlock()
	t.running.Wait()
}

// reportOf writes a report in the words of the API.
func reportOf(r model.Report) *wire.TrainingReport {
	out := &wire.TrainingReport{
		People: r.People, Samples: r.Samples, Validation: r.Validation, Impostors: r.Impostors,
		Heads: r.Heads, Loss: r.TrainLoss,
		ValidationLoss: r.Figures.Loss, FMR: r.FMR, FNMR: r.FNMR, EER: r.EER,
	}
	if b := r.Before; b != nil {
		out.Before = &wire.TrainingReport{ValidationLoss: b.Loss, FMR: b.FMR, FNMR: b.FNMR, EER: b.EER, Installed: true}
	}
	return out
}
