package model

import (
	"fmt"
	"sync"

	"ksd/internal/keystroke"
	"ksd/internal/model/base"
	"ksd/internal/model/head"
	"ksd/internal/model/plda"
)

// owner is one person at rest: what was typed, packed, and the heads. The
// standard takes fourteen times as much memory, and most people do not log in
// between two changes of what the daemon knows.
type owner struct {
	packed  []byte
	trained map[templateKey]Head
}

// standard is what typings of one person are held against.
type standard struct {
	templates map[templateKey]*template
	owners    map[keystroke.Channel]*plda.Owner
	places    map[keystroke.Channel]*place
	heads     map[templateKey]local
}

// local is a trained head and what it holds a typing against.
type local struct {
	weights []float32
	centre  []float64
}

// maxReady is how many standards are kept; each has some 100 kB.
const maxReady = 64

// ready are the standards of who was judged last.
type ready struct {
	mu   sync.Mutex
	kept map[string]*standard
}

func (r *ready) get(person string) *standard {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kept[person]
}

func (r *ready) put(person string, s *standard) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept == nil || len(r.kept) >= maxReady {
		r.kept = map[string]*standard{}
	}
	r.kept[person] = s
}

// standard returns a person's standard, worked out if need be. Error:
// ErrUnenrolled.
func (v *Verifier) standard(person string) (*standard, error) {
	o, ok := v.people[person]
	if !ok {
		return nil, ErrUnenrolled
	}
	if s := v.ready.get(person); s != nil {
		return s, nil
	}
	p := Person{Name: person, Sittings: []Sitting{{Samples: unpack(o.packed)}}}
	s, typed, err := v.standardOf(p, o.trained)
	if err != nil {
		return nil, err
	}
	if len(s.templates) == 0 {
		return nil, ErrUnenrolled
	}
	s.owners = map[keystroke.Channel]*plda.Owner{}
	for ch, ts := range typed {
		s.owners[ch] = plda.NewOwner(ts, v.here[ch])
	}
	v.ready.put(person, s)
	return s, nil
}

// standardOf works out a person's standard, but for the owners of package plda,
// and returns the summaries which they are made of. Error: ErrFile, of a head.
func (v *Verifier) standardOf(p Person, trained map[templateKey]Head) (*standard, map[keystroke.Channel][]plda.Typed, error) {
	s := &standard{templates: map[templateKey]*template{}, places: map[keystroke.Channel]*place{}, heads: map[templateKey]local{}}
	typed := map[keystroke.Channel][]plda.Typed{}
	lines, enrolment := p.typed(0, len(p.Sittings)), p.enrolment()
	for _, key := range sortedKeys(lines) {
		text := v.text(key)
		rows := v.residualsOf(text, lines[key])
		s.templates[key] = newTemplate(v.pop, lines[key])
		s.place(key.channel, lines[key])
		typed[key.channel] = append(typed[key.channel], plda.NewTyped(text, rows))
		h, ok := trained[key]
		if !ok || h.Enrolment != enrolment {
			continue
		}
		if want, ok := headSize(key.phrase, key.channel); !ok || len(h.Weights) != want {
			return nil, nil, fmt.Errorf("%w: a head of %d weights", ErrFile, len(h.Weights))
		}
		s.heads[key] = local{h.Weights, head.Centre(rows)}
	}
	return s, typed, nil
}

// place adds lines to what the person's place is worked out from.
func (s *standard) place(ch keystroke.Channel, lines []keystroke.Line) {
	space, ok := base.Default().Space(ch)
	if !ok {
		return // Sample.Check knows no such channel
	}
	p := s.places[ch]
	if p == nil {
		p = &place{space: space}
		s.places[ch] = p
	}
	p.lines = append(p.lines, lines...)
}
