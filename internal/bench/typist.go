package bench

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"slices"
	"strings"

	"ksd/internal/channel"
	"ksd/internal/corpus"
	"ksd/internal/keystroke"
)

// Typist is one person's typings, in the order typed.
type Typist struct {
	name  string
	texts []string // ids, in the order first typed
	by    map[string][]keystroke.Sample
	all   []typing
}

type typing struct {
	text   string
	sample keystroke.Sample
}

// ReadTypists reads the people whose id ends in class from the TSV exchange
// format, as channel ch would have shown them. The ticks of keystroke.SSHPress
// are drawn for each typing by itself: they hang on seed and the typing alone.
// The error is ErrProtocol where ch cannot be had, or that of package corpus.
func ReadTypists(r io.Reader, class string, ch keystroke.Channel, seed uint64) ([]*Typist, error) {
	if !ch.Valid() {
		return nil, fmt.Errorf("%w: channel %q", ErrProtocol, ch)
	}
	in, err := corpus.NewReader(r)
	if err != nil {
		return nil, err
	}
	var out []*Typist
	byName := map[string]*Typist{}
	for t, err := range in.All() {
		if err != nil {
			return nil, err
		}
		if !strings.HasSuffix(t.User, class) {
			continue
		}
		p := byName[t.User]
		if p == nil {
			p = &Typist{name: t.User, by: map[string][]keystroke.Sample{}}
			out, byName[t.User] = append(out, p), p
		}
		s := show(t.Sample, ch, noise(seed, t.User, t.Number, t.Text))
		if s.Channel != ch {
			return nil, fmt.Errorf("%w: line %d: a typing without releases", ErrProtocol, t.Line)
		}
		p.add(t.Text, s)
	}
	return out, nil
}

func (p *Typist) add(text string, s keystroke.Sample) {
	if !slices.Contains(p.texts, text) {
		p.texts = append(p.texts, text)
	}
	p.by[text] = append(p.by[text], s)
	p.all = append(p.all, typing{text, s})
}

// show returns s as channel ch shows it. What has no releases cannot be shown on
// keystroke.Full and stays what it is.
func show(s keystroke.Sample, ch keystroke.Channel, rng *rand.Rand) keystroke.Sample {
	switch {
	case s.Channel == ch || ch == keystroke.Full:
		return s
	case ch == keystroke.SSHPress:
		return channel.Tick(s, channel.TickInterval, channel.TickFuzz, rng)
	}
	return s.PressOnly()
}

// noise is what a line does to one typing of somebody, by itself.
func noise(seed uint64, name string, number int, text string) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\t%d\t%s", name, number, text)
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}
