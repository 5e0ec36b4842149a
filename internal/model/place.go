package model

import (
	"sync"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model/base"
)

// place is where the base network puts a person's typings on one channel. It is
// worked out when it is first asked for: most people do not log in between two
// changes of what the daemon knows.
type place struct {
	space *base.Space
	once  sync.Once
	lines []keystroke.Line // until then
	mean  []float64
	count int
	err   error
}

// atMost is how many typings count as such: those of one sitting are more alike
// than a person's typings are. Chosen on Aalto.
const atMost = 3

// ratio returns the base network's log-likelihood ratio of a typing.
func (p *place) ratio(pop *feature.Population, strokes []feature.Stroke, w *embedding) (float64, error) {
	p.once.Do(func() { p.find(pop, w) })
	if p.err != nil {
		return 0, p.err
	}
	if err := p.space.Embed(w.at, strokes, w.scratch); err != nil {
		return 0, err
	}
	return p.space.LLR(p.mean, min(p.count, atMost), w.at), nil
}

// find works out the mean of the lines.
func (p *place) find(pop *feature.Population, w *embedding) {
	p.mean = make([]float64, p.space.Dim())
	for _, l := range p.lines {
		if p.err = p.space.Embed(w.at, pop.Extract(l), w.scratch); p.err != nil {
			return
		}
		for i, x := range w.at {
			p.mean[i] += float64(x) / float64(len(p.lines))
		}
	}
	p.count, p.lines = len(p.lines), nil
}

// embedding is the working memory of one caller of a place.
type embedding struct {
	scratch *base.Scratch
	at      []float32
}

func newEmbedding() *embedding {
	b := base.Default()
	space, _ := b.Space(keystroke.Full)
	return &embedding{b.NewScratch(), make([]float32, space.Dim())}
}
