package daemon

import (
	"context"
	"runtime/debug"
	"slices"

	"ksd/conf"
	"ksd/internal/keystroke"
	"ksd/internal/model"
	"ksd/internal/store"
)

// knowledge is what the daemon judges by at one moment: the heads, the
// templates, and who can be challenged with what. It never changes; learn makes
// a new one.
type knowledge struct {
	verifier Verifier
	file     *model.File // nil: nobody has a head
	people   map[string]*known
}

// known is one person that can be challenged, or soon can.
type known struct {
	uid int // of the account at its enrolment, -1 if unknown
	// phrases that can be asked for, by channel, in the order first typed.
	phrases map[keystroke.Channel][]string
	// pools that make up texts instead, by channel, where that is wanted and the
	// words suffice.
	pools map[keystroke.Channel]*pool
}

// channel returns the channel with the most phrases, "" if there is none.
func (k *known) channel() keystroke.Channel {
	var best keystroke.Channel
	for _, ch := range keystroke.Channels() {
		if len(k.phrases[ch]) > len(k.phrases[best]) {
			best = ch
		}
	}
	return best
}

// learn builds the knowledge anew from the store, with the heads as they are.
func (d *Daemon) learn(ctx context.Context) error {
	d.learning.Lock()
	defer d.learning.Unlock()
	return d.relearn(ctx, d.known.Load().file)
}

// relearn is learn with a model file. d.learning must be held.
func (d *Daemon) relearn(ctx context.Context, file *model.File) error {
	people, err := d.store.People(ctx)
	if err != nil {
		return err
	}
	v, err := d.model.NewVerifier(forModel(people, d.config.Load().Adapt.Enabled), file)
	if err != nil {
		return err
	}
	k := &knowledge{verifier: v, file: file, people: map[string]*known{}}
	c, pools := d.config.Load(), pools{}
	for _, p := range people {
		one := &known{uid: p.UID, phrases: phrasesOf(p, c.Policy.MinSamples)}
		if c.Challenge.Kind == conf.Words {
			one.pools = pools.of(one.phrases, c.Challenge)
		}
		k.people[p.Name] = one
	}
	d.known.Store(k)
	// All that everybody typed was in memory for a moment, as the store reads it.
	// Until the next collection, which may be minutes away, the system would not
	// have that memory back.
	debug.FreeOSMemory()
	return nil
}

// short reports whether k is asked for phrases because its words make too few
// texts.
func (k *known) short(kind conf.Kind) bool {
	return kind == conf.Words && k.channel() != "" && k.pools[k.channel()] == nil
}

// forModel returns the finished sittings of people without warm-ups. An open
// sitting teaches nothing: it may be somebody else's, begun and left. What
// joined at logins comes last, as a sitting of its own, if it is to count.
func forModel(people []store.Person, grown bool) []model.Person {
	var out []model.Person
	for _, p := range people {
		var sittings []model.Sitting
		for _, s := range p.Sittings {
			if samples := s.Counted(); !s.Closed.IsZero() && len(samples) > 0 {
				sittings = append(sittings, model.Sitting{ID: s.ID, Samples: samples})
			}
		}
		if len(sittings) > 0 && len(p.Grown) > 0 && grown {
			sittings = append(sittings, grownSitting(p.Grown))
		}
		if len(sittings) > 0 {
			out = append(out, model.Person{Name: p.Name, Sittings: sittings})
		}
	}
	return out
}

// grownSitting returns typings that joined as a sitting. Its ID is none of the
// store's, which count from 1.
func grownSitting(grown []store.Grown) model.Sitting {
	var out model.Sitting
	for _, g := range grown {
		out.Samples = append(out.Samples, g.Sample)
	}
	return out
}

// phrasesOf returns the phrases that p typed at least so often in finished
// sittings, by channel. As in model.NewVerifier, typings serve every channel that
// shows no more than theirs: else their owner would not be enrolled there.
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
			for _, ch := range sample.Channel.Coarser() {
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
