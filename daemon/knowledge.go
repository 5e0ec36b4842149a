package daemon

import (
	"context"
	"slices"

	"ksd/internal/keystroke"
	"ksd/internal/model"
	"ksd/internal/store"
)

// knowledge is what the daemon judges by at one moment: the network, the
// templates, and who can be challenged with what. It never changes; learn makes
// a new one.
type knowledge struct {
	verifier Verifier
	file     *model.File // nil: the detector alone
	people   map[string]*known
}

// known is one person that can be challenged, or soon can.
type known struct {
	uid int // of the account at its enrolment, -1 if unknown
	// phrases that can be asked for, by channel, in the order first typed.
	phrases map[keystroke.Channel][]string
}

// channel returns the channel with the most phrases, "" if there is none.
func (k *known) channel() keystroke.Channel {
	var best keystroke.Channel
	for _, ch := range []keystroke.Channel{keystroke.Full, keystroke.Press, keystroke.SSHPress} {
		if len(k.phrases[ch]) > len(k.phrases[best]) {
			best = ch
		}
	}
	return best
}

// learn builds the knowledge anew from the store, with the network as it is.
func (d *Daemon) learn(ctx context.Context) error {
	d.learning.Lock()
	defer d.learning.Unlock()
	return d.relearn(ctx, d.known.Load().file)
}

// relearn is learn with a network. d.learning must be held.
func (d *Daemon) relearn(ctx context.Context, file *model.File) error {
	people, err := d.store.People(ctx)
	if err != nil {
		return err
	}
	v, err := d.model.NewVerifier(forModel(people), file)
	if err != nil {
		return err
	}
	k := &knowledge{verifier: v, file: file, people: map[string]*known{}}
	least := d.config.Load().Policy.MinSamples
	for _, p := range people {
		k.people[p.Name] = &known{uid: p.UID, phrases: phrasesOf(p, least)}
	}
	d.known.Store(k)
	return nil
}

// forModel returns the finished sittings of people without warm-ups. An open
// sitting teaches nothing: it may be somebody else's, begun and left.
func forModel(people []store.Person) []model.Person {
	var out []model.Person
	for _, p := range people {
		var sittings []model.Sitting
		for _, s := range p.Sittings {
			if samples := s.Counted(); !s.Closed.IsZero() && len(samples) > 0 {
				sittings = append(sittings, model.Sitting{ID: s.ID, Samples: samples})
			}
		}
		if len(sittings) > 0 {
			out = append(out, model.Person{Name: p.Name, Sittings: sittings})
		}
	}
	return out
}

// phrasesOf returns the phrases that p typed at least so often in finished
// sittings, by channel. As in model.NewVerifier, typings with releases serve a
// terminal that shows none as well: else their owner would not be enrolled there.
func phrasesOf(p store.Person, least int) map[keystroke.Channel][]string {
	type text struct {
		channel keystroke.Channel
		phrase  string
	}
	counts := map[text]int{}
	out := map[keystroke.Channel][]string{}
	for _, s := range p.Sittings {
		if s.Closed.IsZero() {
			continue
		}
		for _, sample := range s.Counted() {
			for _, ch := range seenOn(sample.Channel) {
				t := text{ch, sample.Phrase}
				counts[t]++
				if counts[t] == least {
					out[ch] = append(out[ch], t.phrase)
				}
			}
		}
	}
	return out
}

// seenOn returns the channels that a typing on ch makes a template for.
func seenOn(ch keystroke.Channel) []keystroke.Channel {
	if ch == keystroke.Full {
		return []keystroke.Channel{keystroke.Full, keystroke.Press}
	}
	return []keystroke.Channel{ch}
}

// earlier returns the counted typings of one phrase on one channel, in all
// sittings of a person, open ones as well.
func earlier(p store.Person, phrase string, ch keystroke.Channel) []keystroke.Sample {
	var out []keystroke.Sample
	for _, s := range p.Sittings {
		for _, sample := range s.Counted() {
			if sample.Phrase == phrase && sample.Channel == ch {
				out = append(out, sample)
			}
		}
	}
	return slices.Clip(out)
}
