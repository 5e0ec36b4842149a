package bench

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"ksd/internal/corpus"
	"ksd/internal/keystroke"
	"ksd/internal/model"
	"ksd/internal/model/eval"
)

// PhraseOptions steer the phrases protocol.
type PhraseOptions struct {
	Enrol   int               // typings of each phrase to enrol on; the later ones are probes
	Channel keystroke.Channel // how the typings are seen
	Phrases int               // phrases added up in one attempt
	Local   int               // people enrolled on one host, whose network is trained together; 0: no network
	Seed    uint64
	// Outsiders leaves out impostors who are enrolled on the owner's host, whom
	// its network has learnt to tell apart.
	Outsiders bool
}

// PhraseResult is the outcome of the phrases protocol.
type PhraseResult struct {
	Channel   keystroke.Channel        `json:"channel"`
	Phrases   int                      `json:"phrases"`
	People    int                      `json:"people"`
	Scorer    string                   `json:"scorer"`
	GlobalEER float64                  `json:"global_eer"`
	PersonEER float64                  `json:"person_eer"`
	FNMRAt1   float64                  `json:"fnmr_at_1"`
	FNMRAt01  float64                  `json:"fnmr_at_01"`
	Cllr      float64                  `json:"cllr"`
	CI        map[string]eval.Interval `json:"ci"` // 95 %, bootstrap over people
}

// trial is one probe against one template.
type trial struct {
	owner, typist string
	text          string
	number        int // of the probe among those of its text
	score         model.Score
}

// typist is one person's typings by text, in the order typed.
type typist struct {
	name  string
	texts []string
	by    map[string][]keystroke.Sample
}

// ReadTypists reads the people of one class from the TSV exchange format, as
// channel ch would have shown them: keystroke.Full or keystroke.Press. The error
// is ErrProtocol for another channel, or that of package corpus.
func ReadTypists(r io.Reader, class string, ch keystroke.Channel) ([]*typist, error) {
	if ch != keystroke.Full && ch != keystroke.Press {
		return nil, fmt.Errorf("%w: channel %q", ErrProtocol, ch)
	}
	in, err := corpus.NewReader(r)
	if err != nil {
		return nil, err
	}
	var out []*typist
	byName := map[string]*typist{}
	for t, err := range in.All() {
		if err != nil {
			return nil, err
		}
		if !strings.HasSuffix(t.User, class) {
			continue
		}
		p := byName[t.User]
		if p == nil {
			p = &typist{name: t.User, by: map[string][]keystroke.Sample{}}
			out, byName[t.User] = append(out, p), p
		}
		if !slices.Contains(p.texts, t.Text) {
			p.texts = append(p.texts, t.Text)
		}
		s := t.Sample
		if ch == keystroke.Press {
			s = s.PressOnly()
		}
		if s.Channel != ch {
			return nil, fmt.Errorf("%w: line %d: a typing without releases", ErrProtocol, t.Line)
		}
		p.by[t.Text] = append(p.by[t.Text], s)
	}
	return out, nil
}

// Phrases runs the phrases protocol: enrol on each person's first typings of
// each phrase; genuine are the later ones, impostors those of everybody else.
// People are put on hosts of Local people each, so that most impostors are
// nobody the host's network has seen.
//
// The error is ErrProtocol where the people or their typings are too few.
func Phrases(ctx context.Context, people []*typist, o PhraseOptions) ([]PhraseResult, error) {
	for _, p := range people {
		if o.Phrases < 1 || o.Phrases > len(p.texts) {
			return nil, fmt.Errorf("%w: %d phrases of the %d that %s typed", ErrProtocol, o.Phrases, len(p.texts), p.name)
		}
	}
	trials, err := run(ctx, people, o)
	if err != nil {
		return nil, err
	}
	scorers := []struct {
		name string
		of   func(model.Score) float64
	}{
		{"detector", func(s model.Score) float64 { return -s.Detector }},
		{"network", func(s model.Score) float64 { return s.Network }},
		{"fusion", func(s model.Score) float64 { return s.LLR }},
	}
	var out []PhraseResult
	for _, sc := range scorers {
		if sc.name == "network" && o.Local == 0 {
			continue
		}
		r := summarise(attempts(trials, o.Phrases, sc.of))
		r.Channel, r.Phrases, r.Scorer = o.Channel, o.Phrases, sc.name
		out = append(out, r)
	}
	return out, nil
}

func run(ctx context.Context, people []*typist, o PhraseOptions) ([]trial, error) {
	if len(people) < 2 {
		return nil, fmt.Errorf("%w: %d people", ErrProtocol, len(people))
	}
	if o.Enrol < 1 || o.Local < 0 {
		return nil, fmt.Errorf("%w: enrolment on %d typings, %d people on a host", ErrProtocol, o.Enrol, o.Local)
	}
	for _, p := range people {
		for _, text := range p.texts {
			if n := len(p.by[text]); n <= o.Enrol {
				return nil, fmt.Errorf("%w: %s typed %s %d times", ErrProtocol, p.name, text, n)
			}
		}
	}
	size := o.Local
	if size == 0 {
		size = len(people)
	}
	var trials []trial
	for host := range slices.Chunk(people, size) {
		v, err := enrolHost(ctx, host, o)
		if err != nil {
			return nil, err
		}
		for _, owner := range host {
			for _, p := range people {
				if o.Outsiders && p != owner && slices.Contains(host, p) {
					continue
				}
				ts, err := probe(v, owner, p, o.Enrol)
				if err != nil {
					return nil, err
				}
				trials = append(trials, ts...)
			}
		}
	}
	return trials, nil
}

func enrolHost(ctx context.Context, host []*typist, o PhraseOptions) (*model.Verifier, error) {
	var enrolled []model.Person
	for i, p := range host {
		m := model.Person{Name: p.name, Sittings: []model.Sitting{{ID: int64(i)}}}
		for _, text := range p.texts {
			m.Sittings[0].Samples = append(m.Sittings[0].Samples, p.by[text][:o.Enrol]...)
		}
		enrolled = append(enrolled, m)
	}
	var file *model.File
	if o.Local > 0 {
		var err error
		file, err = model.Retrain(ctx, enrolled, nil, time.Time{}, model.Options{Seed: o.Seed}, nil)
		if err != nil {
			return nil, err
		}
	}
	return model.NewVerifier(enrolled, file)
}

// probe scores what p typed after enrolment against owner's templates.
func probe(v *model.Verifier, owner, p *typist, enrol int) ([]trial, error) {
	var out []trial
	for _, text := range p.texts {
		for n, s := range p.by[text][enrol:] {
			score, err := v.Score(owner.name, s)
			if err != nil {
				return nil, fmt.Errorf("%s as %s, %s: %w", p.name, owner.name, text, err)
			}
			out = append(out, trial{owner.name, p.name, text, n, score})
		}
	}
	return out, nil
}

// attempts adds up scores of o.Phrases phrases at a time, by owner: the n-th
// probes of one typist of neighbouring phrases make an attempt.
func attempts(trials []trial, phrases int, of func(model.Score) float64) []eval.Scores {
	type key struct {
		owner, typist string
		number        int
	}
	var owners []string
	var order []key
	sums := map[key][]float64{}
	for _, t := range trials {
		k := key{t.owner, t.typist, t.number}
		if sums[k] == nil {
			order = append(order, k)
		}
		if len(owners) == 0 || owners[len(owners)-1] != t.owner {
			owners = append(owners, t.owner)
		}
		sums[k] = append(sums[k], of(t.score))
	}
	by := map[string]*eval.Scores{}
	for _, k := range order {
		if by[k.owner] == nil {
			by[k.owner] = &eval.Scores{}
		}
		for one := range slices.Chunk(sums[k], phrases) {
			if len(one) < phrases {
				continue
			}
			var sum float64
			for _, x := range one {
				sum += x
			}
			if k.owner == k.typist {
				by[k.owner].Genuine = append(by[k.owner].Genuine, sum)
			} else {
				by[k.owner].Impostor = append(by[k.owner].Impostor, sum)
			}
		}
	}
	out := make([]eval.Scores, len(owners))
	for i, o := range owners {
		out[i] = *by[o]
	}
	return out
}

const bootstrapDraws = 200

func summarise(byPerson []eval.Scores) PhraseResult {
	var all eval.Scores
	var own float64
	for _, s := range byPerson {
		all.Append(s)
		own += s.EER() / float64(len(byPerson))
	}
	figures := map[string]func(eval.Scores) float64{
		"global_eer": eval.Scores.EER,
		"fnmr_at_1":  func(s eval.Scores) float64 { return s.FNMRAt(0.01) },
		"fnmr_at_01": func(s eval.Scores) float64 { return s.FNMRAt(0.001) },
	}
	r := PhraseResult{People: len(byPerson), PersonEER: own, Cllr: all.Cllr(), CI: map[string]eval.Interval{}}
	for name, f := range figures {
		r.CI[name] = eval.Bootstrap(byPerson, bootstrapDraws, 1, f)
	}
	r.GlobalEER, r.FNMRAt1, r.FNMRAt01 = figures["global_eer"](all), figures["fnmr_at_1"](all), figures["fnmr_at_01"](all)
	return r
}
