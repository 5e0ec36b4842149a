package ksdtest

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ksd/daemon"
	"ksd/internal/keystroke"
	"ksd/internal/model"
)

// Ear is a model for tests of everything but the model: it hears the tempo and
// nothing else. With r the ratio of a typing's mean press-press interval to
// that of its owner's samples of the phrase, or of all for a text that is made of
// their words, either way round, so at least 1:
//
//	r < 1.25          surely the owner (LLR +MaxLLR)
//	1.25 ≤ r < 1.6    cannot tell (LLR 0)
//	r ≥ 1.6           surely not (LLR -MaxLLR)
//
// A typing is unlike earlier ones from the same ratio of 1.6 on.
type Ear struct {
	Broken atomic.Bool // whether judging panics, as a bug would

	mu     sync.Mutex
	hold   chan struct{} // not nil: Retrain waits for it in its middle
	runs   int
	people []model.Person // of the last Retrain
	only   []string       // of the last Update; nil after a Retrain
}

// Hold makes every further training stop in its middle until release is called
// or it is cancelled.
func (e *Ear) Hold() (release func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	hold := make(chan struct{})
	e.hold = hold
	return sync.OnceFunc(func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.hold = nil
		close(hold)
	})
}

// Trained returns how many trainings were begun, and the people of the last.
func (e *Ear) Trained() (runs int, people []model.Person) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.runs, e.people
}

// Model returns the ear in the daemon's form.
func (e *Ear) Model() daemon.Model {
	return daemon.Model{
		NewVerifier: func(people []model.Person, file *model.File) (daemon.Verifier, error) {
			t := newTempos(people, file)
			t.broken = &e.Broken
			return t, nil
		},
		Unlike: func(s keystroke.Sample, earlier []keystroke.Sample) bool {
			return len(earlier) >= 3 && ratio(tempo(s), middle(earlier)) >= 1.6
		},
		Retrain: e.retrain,
		Update:  e.update,
		Encode:  func(f *model.File) ([]byte, error) { return json.Marshal(f) },
		Decode:  decodeFile,
	}
}

func decodeFile(b []byte) (*model.File, error) {
	var f model.File
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", model.ErrFile, err)
	}
	return &f, nil
}

func (e *Ear) retrain(ctx context.Context, people []model.Person, old *model.File, now time.Time, opts model.Options, progress func(model.Progress)) (*model.File, error) {
	e.mu.Lock()
	hold := e.hold
	e.runs++
	e.people, e.only = people, nil
	e.mu.Unlock()
	if len(people) == 0 {
		return nil, model.ErrTooFew
	}
	progress(model.Progress{Stage: "training", Head: 1, Heads: 2, Done: 0.5, Loss: 0.7})
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f := &model.File{Trained: now, Kernel: "ear", Options: opts, Report: model.Report{People: len(people), Heads: len(people)}}
	for _, p := range people {
		f.Heads = append(f.Heads, model.Head{Person: p.Name})
	}
	if old != nil {
		f.Report.Before = &model.Figures{EER: 0.5}
	}
	f.SHA256[0] = byte(len(people))
	return f, nil
}

// update is retrain for the people named, which is as fast here.
func (e *Ear) update(ctx context.Context, people []model.Person, only []string, old *model.File, opts model.Options, progress func(model.Progress)) (*model.File, error) {
	f, err := e.retrain(ctx, people, old, old.Trained, opts, progress)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.only = only
	return f, err
}

// Only returns whose heads the last training was for, nil for everybody's.
func (e *Ear) Only() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.only
}

// tempos are the samples an Ear compares with.
type tempos struct {
	broken  *atomic.Bool
	samples map[string][]keystroke.Sample // by person
	file    *model.File
}

func newTempos(people []model.Person, file *model.File) *tempos {
	t := &tempos{samples: map[string][]keystroke.Sample{}, file: file}
	for _, p := range people {
		for _, s := range p.Sittings {
			t.samples[p.Name] = append(t.samples[p.Name], s.Samples...)
			for _, sample := range s.Samples {
				if sample.Channel == keystroke.Full {
					t.samples[p.Name] = append(t.samples[p.Name], sample.PressOnly())
				}
			}
		}
	}
	return t
}

// Score compares the tempo of a sample with its claimed owner's.
func (t *tempos) Score(person string, s keystroke.Sample) (model.Score, error) {
	if t.broken.Load() {
		panic("a bug")
	}
	own := t.samples[person]
	if len(own) == 0 {
		return model.Score{}, model.ErrUnenrolled
	}
	if own = typingsOf(own, s); len(own) == 0 {
		return model.Score{}, model.ErrPhrase
	}
	score := model.Score{
		HasHead: t.file != nil && slices.Contains(t.file.People(), person),
	}
	for _, o := range own {
		score.NearCopy = score.NearCopy || model.NearCopy(s, o)
	}
	switch r := ratio(tempo(s), middle(own)); {
	case r < 1.25:
		score.LLR = model.MaxLLR
	case r >= 1.6:
		score.LLR, score.Detector = -model.MaxLLR, 3
	}
	return score, nil
}

// Rhythm is the tempo beside the owner's.
func (t *tempos) Rhythm(person string, s keystroke.Sample) []model.Beat {
	return []model.Beat{{Rune: 'x', Typed: tempo(s), Usual: middle(typingsOf(t.samples[person], s))}}
}

// typingsOf returns the samples of the phrase of s on its channel or, if there
// are none and s is made of their words, all samples on the channel.
func typingsOf(own []keystroke.Sample, s keystroke.Sample) (same []keystroke.Sample) {
	var phrases []string
	on := slices.DeleteFunc(slices.Clone(own), func(o keystroke.Sample) bool { return o.Channel != s.Channel })
	for _, o := range on {
		phrases = append(phrases, o.Phrase)
		if o.Phrase == s.Phrase {
			same = append(same, o)
		}
	}
	words := model.Words(phrases)
	for _, w := range strings.Split(s.Phrase, " ") {
		if same != nil || !slices.Contains(words, w) {
			return same
		}
	}
	return on
}

// tempo returns the mean press-press interval of a sample.
func tempo(s keystroke.Sample) time.Duration {
	var sum time.Duration
	n := 0
	line := s.Line()
	for i := range line.Strokes {
		if d, ok := line.DownDown(i); ok {
			sum, n = sum+d, n+1
		}
	}
	if n == 0 {
		return 0
	}
	return sum / time.Duration(n)
}

// middle returns the median tempo of samples.
func middle(samples []keystroke.Sample) time.Duration {
	var all []time.Duration
	for _, s := range samples {
		all = append(all, tempo(s))
	}
	return median(all)
}

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)/2]
}

func ratio(a, b time.Duration) float64 {
	if a <= 0 || b <= 0 {
		return math.Inf(1)
	}
	return math.Max(float64(a)/float64(b), float64(b)/float64(a))
}
