package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"ksd/internal/channel"
	"ksd/internal/keystroke"
	"ksd/internal/model"
)

// PhraseOptions steer the protocols on phrases.
type PhraseOptions struct {
	Enrol   int // typings of each phrase to enrol on; the later ones are probes
	Phrases int // phrases added up in one attempt, where their number is fixed
	Local   int // people enrolled on one host, whose heads are trained together; 0: no heads
	Seed    uint64
	// Outsiders leaves out impostors who are enrolled on the owner's host, against
	// whom its heads were trained.
	Outsiders bool
	// Jitter is of the line that probes come over: the standard deviation of the
	// error of an interval, where keys do not overtake one another.
	Jitter   time.Duration
	Ablation bool // whether the softmax network that heads replaced is measured too
}

// PhraseResult is the outcome of the phrases protocol for one scorer, "" being
// the fused score.
type PhraseResult struct {
	Scorer  string            `json:"scorer,omitempty"`
	Channel keystroke.Channel `json:"channel"`
	Phrases int               `json:"phrases"`
	People  int               `json:"people"`
	Figures
	Unusable int `json:"unusable,omitempty"` // typings that could not be judged; they are left out
}

// trial is one probe against one template.
type trial struct {
	owner, typist string
	text          string
	number        int // of the probe among those of its text
	outcome
}

// outcome is how one typing was judged.
type outcome struct {
	score    model.Score
	unusable bool // it could not be judged; there is no score
	copied   bool // it repeats what was accepted at a login before
	keys     int  // pressed for it
}

// scorers are what a score holds that can be measured by itself; higher is more
// like the owner. The fused score is the last and is called "fusion".
var scorers = []struct {
	name string
	llr  bool // it is a log-likelihood ratio
	of   func(model.Score) float64
}{
	{"detector", false, func(s model.Score) float64 { return -s.Detector }},
	{"plda", false, func(s model.Score) float64 { return s.Ratio }},
	{"base", false, func(s model.Score) float64 { return s.Base }},
	{"head", false, func(s model.Score) float64 { return s.Head }},
	{"fusion", true, func(s model.Score) float64 { return s.LLR }},
}

// Phrases runs the phrases protocol: enrol on each person's first typings of
// each phrase; genuine are the later ones, impostors those of everybody else.
// People are put on hosts of Local people each, so that most impostors are
// nobody the host's heads have seen. It returns one result for each scorer, the
// fused score's last.
//
// The error is ErrProtocol where the people or their typings are too few.
func Phrases(ctx context.Context, people []*Typist, o PhraseOptions) ([]PhraseResult, error) {
	if err := enoughTexts(people, o.Phrases); err != nil {
		return nil, err
	}
	trials, err := run(ctx, people, o)
	if err != nil {
		return nil, err
	}
	out := results(people, o, trials)
	if !o.Ablation || o.Local == 0 {
		return out, nil
	}
	replaced, err := ablation(ctx, people, o)
	if err != nil {
		return nil, err
	}
	return slices.Insert(out, len(out)-1, replaced), nil
}

// results sums up trials, scorer by scorer.
func results(people []*Typist, o PhraseOptions, trials []trial) (out []PhraseResult) {
	unusable := 0
	for _, t := range trials {
		if t.unusable {
			unusable++
		}
	}
	for _, sc := range scorers {
		if sc.name == "head" && o.Local == 0 {
			continue
		}
		by := attempts(trials, o.Phrases, sc.of)
		out = append(out, PhraseResult{
			Scorer: sc.name, Channel: channelOf(people), Phrases: o.Phrases, People: len(by),
			Figures: summarise(by, sc.llr), Unusable: unusable,
		})
	}
	return out
}

func channelOf(people []*Typist) keystroke.Channel { return people[0].all[0].sample.Channel }

func enoughTexts(people []*Typist, phrases int) error {
	for _, p := range people {
		if phrases < 1 || phrases > len(p.texts) {
			return fmt.Errorf("%w: %d phrases of the %d that %s typed", ErrProtocol, phrases, len(p.texts), p.name)
		}
	}
	return nil
}

// run scores everybody's later typings as everybody's, owner by owner.
func run(ctx context.Context, people []*Typist, o PhraseOptions) ([]trial, error) {
	var trials []trial
	impostors := false
	err := eachHost(ctx, people, o, func(v *model.Verifier, host []*Typist) error {
		for _, owner := range host {
			for _, p := range o.probers(people, host, owner) {
				if err := ctx.Err(); err != nil {
					return err
				}
				ts, err := probe(v, owner, p, o)
				if err != nil {
					return err
				}
				trials, impostors = append(trials, ts...), impostors || p != owner
			}
		}
		return nil
	})
	if err == nil && !impostors {
		err = fmt.Errorf("%w: nobody is an outsider", ErrProtocol)
	}
	if err != nil {
		return nil, err
	}
	return trials, nil
}

// probers returns those of people whose typings are tried as owner's, who is
// enrolled on host.
func (o PhraseOptions) probers(people, host []*Typist, owner *Typist) (out []*Typist) {
	for _, p := range people {
		if !o.Outsiders || p == owner || !slices.Contains(host, p) {
			out = append(out, p)
		}
	}
	return out
}

// eachHost enrols people on hosts of o.Local each, all on one where that is 0,
// and calls do for each host.
func eachHost(ctx context.Context, people []*Typist, o PhraseOptions, do func(v *model.Verifier, host []*Typist) error) error {
	if len(people) < 2 {
		return fmt.Errorf("%w: %d people", ErrProtocol, len(people))
	}
	if o.Enrol < 1 || o.Local < 0 {
		return fmt.Errorf("%w: enrolment on %d typings, %d people on a host", ErrProtocol, o.Enrol, o.Local)
	}
	for _, p := range people {
		for _, text := range p.texts {
			if n := len(p.by[text]); n <= o.Enrol {
				return fmt.Errorf("%w: %s typed %s %d times", ErrProtocol, p.name, text, n)
			}
		}
	}
	size := o.Local
	if size == 0 {
		size = len(people)
	}
	for host := range slices.Chunk(people, size) {
		v, err := enrolHost(ctx, host, o)
		if err != nil {
			return err
		}
		if err := do(v, host); err != nil {
			return err
		}
	}
	return nil
}

func enrolHost(ctx context.Context, host []*Typist, o PhraseOptions) (*model.Verifier, error) {
	who := enrolled(host, o)
	var file *model.File
	if o.Local > 0 {
		var err error
		file, err = model.Retrain(ctx, who, nil, time.Time{}, model.Options{Seed: o.Seed}, nil)
		if err != nil {
			return nil, err
		}
	}
	return model.NewVerifier(who, file)
}

// enrolled is a host's people with the typings they enrol on.
func enrolled(host []*Typist, o PhraseOptions) (out []model.Person) {
	for i, p := range host {
		m := model.Person{Name: p.name, Sittings: []model.Sitting{{ID: int64(i)}}}
		for _, text := range p.texts {
			m.Sittings[0].Samples = append(m.Sittings[0].Samples, p.by[text][:o.Enrol]...)
		}
		out = append(out, m)
	}
	return out
}

// probe scores what p typed after enrolment, as it arrives, against owner's
// templates.
func probe(v *model.Verifier, owner, p *Typist, o PhraseOptions) ([]trial, error) {
	var out []trial
	for _, text := range p.texts {
		for n, s := range p.by[text][o.Enrol:] {
			oc, err := judge(v, owner.name, o.arrives(s, p.name, n))
			if err != nil {
				return nil, fmt.Errorf("%s as %s, %s: %w", p.name, owner.name, text, err)
			}
			out = append(out, trial{owner.name, p.name, text, n, oc})
		}
	}
	return out, nil
}

// arrives returns probe number n of somebody as the line delivers it, always the
// same.
func (o PhraseOptions) arrives(s keystroke.Sample, name string, n int) keystroke.Sample {
	if o.Jitter == 0 {
		return s
	}
	return channel.Jitter(s, time.Duration(float64(o.Jitter)/math.Sqrt2), noise(o.Seed, name, n, s.Phrase))
}

// judge scores one typing. That it cannot be judged is no error.
func judge(v *model.Verifier, owner string, s keystroke.Sample) (outcome, error) {
	oc := outcome{keys: len(s.PressOnly().Events)}
	var err error
	oc.score, err = v.Score(owner, s)
	if errors.Is(err, model.ErrUnusable) {
		oc.unusable, err = true, nil
	}
	return oc, err
}
