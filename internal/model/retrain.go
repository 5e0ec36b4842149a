package model

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"ksd/internal/keystroke"
	"ksd/internal/model/head"
	"ksd/internal/model/lstm"
)

// Defaults of Options.
const (
	defaultSeed      = 1
	defaultImpostors = 20.0
)

func (o Options) withDefaults() Options {
	return Options{Seed: cmp.Or(o.Seed, defaultSeed), Impostors: cmp.Or(o.Impostors, defaultImpostors)}
}

// Retrain trains a head for every person, phrase and channel of which there are
// enough typings. Where people have two sittings or more, heads trained without
// the last are first measured on it; then the last counts as well. old, which may
// be nil, lends the report its figures for comparison.
//
// It takes time linear in people and memory bounded by their samples, is
// deterministic for equal people and options, and stops within 100 ms of ctx
// ending. Errors: ErrTooFew, ctx.Err(), those of package head and of the base's
// network.
func Retrain(ctx context.Context, people []Person, old *File, now time.Time, opts Options, progress func(Progress)) (*File, error) {
	opts = opts.withDefaults()
	r := newRun(opts, people, progress)
	r.progress(Progress{Stage: "samples"})
	all, rest, kept := map[string]lines{}, map[string]lines{}, map[string]lines{}
	for _, p := range people {
		n := len(p.Sittings)
		all[p.Name] = p.typed(0, n)
		rest[p.Name] = all[p.Name]
		if n > 1 {
			rest[p.Name], kept[p.Name] = p.typed(0, n-1), p.typed(n-1, n)
		}
	}
	everybody := func(string) bool { return true }
	second := func(person string) bool { return kept[person] != nil }
	r.total = count(rest, second) + count(all, everybody)
	if count(all, everybody) == 0 {
		return nil, ErrTooFew
	}
	f := &File{Trained: now, Kernel: lstm.Kernel, Options: opts}
	r.stage = "validation"
	if err := r.validate(ctx, rest, kept, second); err != nil {
		return nil, err
	}
	r.stage, r.report.Impostors = "training", 0
	if err := r.learn(ctx, f, all, everybody); err != nil {
		return nil, err
	}
	f.Report = r.report
	f.Report.People = len(f.People())
	f.Report.Heads = len(f.Heads)
	if old != nil {
		f.Report.Before = &old.Report.Figures
	}
	return f, f.seal()
}

// Update trains the heads of the people named anew, and leaves those of everybody
// else as old has them; who is gone from people, or enrolled anew, goes from the
// file. It takes time that hardly grows with people. The date, options and report
// stay those of the training of everybody, but for the numbers of people and heads.
// Otherwise it is as Retrain; old must not be nil.
func Update(ctx context.Context, people []Person, only []string, old *File, opts Options, progress func(Progress)) (*File, error) {
	r := newRun(opts.withDefaults(), people, progress)
	r.progress(Progress{Stage: "samples"})
	f := &File{Trained: old.Trained, Kernel: old.Kernel, Options: old.Options, Report: old.Report}
	all := map[string]lines{}
	for _, p := range people {
		all[p.Name] = p.typed(0, len(p.Sittings))
	}
	for _, h := range old.Heads {
		if e, here := r.enrolments[h.Person]; here && e == h.Enrolment && !slices.Contains(only, h.Person) {
			f.Heads = append(f.Heads, h)
		}
	}
	named := func(person string) bool { return slices.Contains(only, person) }
	r.total, r.stage = count(all, named), "training"
	if err := r.learn(ctx, f, all, named); err != nil {
		return nil, err
	}
	if len(f.Heads) == 0 {
		return nil, ErrTooFew
	}
	f.Report.People, f.Report.Heads = len(f.People()), len(f.Heads)
	return f, f.seal()
}

// run is one training under way.
type run struct {
	opts        Options
	report      Report
	progress    func(Progress)
	stage       string
	done, total int // heads, of validation and of training together
	enrolments  map[string]Enrolment
}

func newRun(opts Options, people []Person, progress func(Progress)) *run {
	if progress == nil {
		progress = func(Progress) {}
	}
	r := &run{opts: opts, progress: progress, enrolments: map[string]Enrolment{}}
	for _, p := range people {
		r.enrolments[p.Name] = p.enrolment()
	}
	return r
}

// count returns how many heads those learn who are to.
func count(of map[string]lines, who func(string) bool) (n int) {
	for person, ls := range of {
		for key, l := range ls {
			if who(person) && learnt(key.phrase, len(l)) {
				n++
			}
		}
	}
	return n
}

// learn trains the heads of those who are to have one, into f.
func (r *run) learn(ctx context.Context, f *File, of map[string]lines, who func(string) bool) error {
	var loss float64
	var heads int
	err := r.each(ctx, of, who, func(_ *host, sc *scene, person string, fit head.Fit) error {
		f.Heads = append(f.Heads, Head{
			Person: person, Enrolment: r.enrolments[person], Phrase: sc.key.phrase, Channel: sc.key.channel, Weights: fit.Weights,
		})
		loss += fit.Loss
		heads++
		if richest(of[person], sc.key) {
			r.report.Samples += len(sc.lines[person])
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(f.Heads, compareHeads)
	if heads > 0 {
		r.report.TrainLoss = loss / float64(heads)
	}
	return nil
}

// each trains the heads of those who are to have one, phrase by phrase, so that
// what is drawn for a phrase serves everybody and is then forgotten.
func (r *run) each(ctx context.Context, of map[string]lines, who func(string) bool, do func(*host, *scene, string, head.Fit) error) error {
	h := newHost(of, r.opts.Seed)
	learners := map[templateKey][]string{}
	most := map[string]int{} // typings of a phrase that one head learns from
	for _, person := range slices.Sorted(maps.Keys(of)) {
		for key, ls := range of[person] {
			if who(person) && learnt(key.phrase, len(ls)) {
				learners[key] = append(learners[key], person)
				most[key.phrase] = max(most[key.phrase], len(ls))
			}
		}
	}
	for _, phrase := range slices.Sorted(maps.Keys(most)) {
		n := max(minStrangers, min(maxStrangers, int(r.opts.Impostors*float64(most[phrase]))))
		drawn, err := h.strangers(ctx, phrase, "training", n)
		if err != nil {
			return err
		}
		r.report.Impostors += len(drawn)
		for _, ch := range keystroke.Channels() {
			if err := r.on(ctx, h, templateKey{phrase, ch}, drawn, learners[templateKey{phrase, ch}], do); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// on trains the heads of one phrase on one channel.
func (r *run) on(ctx context.Context, h *host, key templateKey, drawn []keystroke.Sample, learners []string, do func(*host, *scene, string, head.Fit) error) error {
	if len(learners) == 0 {
		return nil
	}
	sc, err := h.scene(ctx, key, drawn)
	if err != nil {
		return err
	}
	for _, person := range learners {
		fit, err := sc.train(ctx, person, r.opts.Seed)
		if err != nil {
			return err
		}
		if err := do(h, sc, person, fit); err != nil {
			return err
		}
		r.done++
		r.progress(Progress{Stage: r.stage, Head: r.done, Heads: r.total, Done: float64(r.done) / float64(r.total), Loss: fit.Loss})
	}
	return nil
}

// seal works out the checksum.
func (f *File) seal() (err error) {
	_, f.SHA256, err = f.encode()
	return err
}
