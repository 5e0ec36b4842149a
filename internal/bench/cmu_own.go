package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ksd/internal/corpus"
	"ksd/internal/keystroke"
	"ksd/internal/model"
	"ksd/internal/model/eval"
)

// cmuKeys are the keys of the benchmark in order. Return ends the line, and its
// times are among the columns; here it is one more character, so that they
// count. R is typed with Shift, whose own times the columns do not tell.
var cmuKeys = []keystroke.Event{
	{Key: '.', Rune: '.'},
	{Key: 't', Rune: 't'},
	{Key: 'i', Rune: 'i'},
	{Key: 'e', Rune: 'e'},
	{Key: '5', Rune: '5'},
	{Key: 'r', Rune: 'R'},
	{Key: 'o', Rune: 'o'},
	{Key: 'a', Rune: 'a'},
	{Key: 'n', Rune: 'n'},
	{Key: 'l', Rune: 'l'},
	{Key: keystroke.Enter, Rune: '\n'},
}

// cmuTyping returns a repetition as a typing with all its times: columns 3i hold
// dwells and 3i+1 down-down intervals.
func cmuTyping(r corpus.Repetition) keystroke.Sample {
	s := keystroke.Sample{Channel: keystroke.Full}
	var down time.Duration
	for i, e := range cmuKeys {
		if i > 0 {
			down += duration(r.Features[3*i-2])
		}
		e.Down, e.Up, e.Released = down, down+duration(r.Features[3*i]), true
		s.Events = append(s.Events, e)
	}
	s.Phrase = s.Line().Text
	return s
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// CMUOwn runs the daemon's own scores by the protocol of CMU: with all times, and
// with down-down intervals alone. No typing of the password by anybody else is
// known to them.
func CMUOwn(ctx context.Context, reps []corpus.Repetition) ([]CMUResult, error) {
	order, rows, err := cmuSubjects(reps, cmuTyping)
	if err != nil {
		return nil, err
	}
	var out []CMUResult
	for _, ch := range []keystroke.Channel{keystroke.Full, keystroke.Press} {
		eers := make([][]float64, len(scorers))
		for _, subject := range order {
			v, err := model.NewVerifier([]model.Person{{Name: subject, Sittings: []model.Sitting{{Samples: rows[subject][:cmuTrain]}}}}, nil)
			if err != nil {
				return nil, err
			}
			by := make([]eval.Scores, len(scorers))
			err = cmuProbes(subject, order, rows, func(s keystroke.Sample, genuine bool) error {
				score, err := v.Score(subject, show(s, ch, nil))
				if errors.Is(err, model.ErrUnusable) {
					return nil
				}
				for k, sc := range scorers {
					add(&by[k], genuine, sc.of(score))
				}
				return err
			})
			if err = errors.Join(err, ctx.Err()); err != nil {
				return nil, fmt.Errorf("subject %s: %w", subject, err)
			}
			for k := range scorers {
				eers[k] = append(eers[k], by[k].EER())
			}
		}
		for k, sc := range scorers {
			if sc.name == "head" {
				continue // nobody's is trained
			}
			r := CMUResult{Detector: "ksd " + sc.name + ", " + map[keystroke.Channel]string{keystroke.Full: "all times", keystroke.Press: "down-down"}[ch], People: len(order)}
			r.EER, r.EERSD = eval.MeanSD(eers[k])
			out = append(out, r)
		}
	}
	return out, nil
}
