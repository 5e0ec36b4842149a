package bench

import (
	"fmt"
	"math"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model"
)

// digraphs is a plain statistical scorer of free text, to have something to
// compare with: for each key pair the owner's mean residual against the
// population, drawn towards the owner's for the key and for all keys where the
// pair was seldom typed. The score is less the mean distance of a sample's
// residuals from those; it is no likelihood ratio.
type digraphs struct {
	pop    *feature.Population
	people map[string]*habits
}

// habits are one person's residuals: of down-down by key pair, of dwell by key.
type habits struct{ gaps, holds map[[2]uint16]*mean }

// shrink is how many keystrokes a coarser mean counts as.
const shrink = 2.0

func newDigraphs(people []model.Person) *digraphs {
	d := &digraphs{feature.Default(), map[string]*habits{}}
	for _, p := range people {
		h := &habits{map[[2]uint16]*mean{}, map[[2]uint16]*mean{}}
		for _, sitting := range p.Sittings {
			for _, s := range sitting.Samples {
				h.learn(d.pop.Extract(s.Line()))
			}
		}
		d.people[p.Name] = h
	}
	return d
}

func (h *habits) learn(strokes []feature.Stroke) {
	each(strokes, func(hold bool, at [3][2]uint16, z float64) {
		to := h.gaps
		if hold {
			to = h.holds
		}
		for _, k := range at {
			if to[k] == nil {
				to[k] = &mean{}
			}
			to[k].add(z)
		}
	})
}

// each calls do with every residual of strokes and where it belongs, the
// coarsest first.
func each(strokes []feature.Stroke, do func(hold bool, at [3][2]uint16, z float64)) {
	const all = math.MaxUint16
	for i, s := range strokes {
		if s.HasDD {
			do(false, [3][2]uint16{{all, all}, {all, s.Key}, {strokes[i-1].Key, s.Key}}, s.ZDD)
		}
		if s.HasDwell {
			do(true, [3][2]uint16{{all, all}, {all, s.Key}, {s.Key, s.Key}}, s.ZDwell)
		}
	}
}

// Score implements FreeScorer.
func (d *digraphs) Score(person string, s keystroke.Sample) (model.Score, error) {
	h := d.people[person]
	if h == nil {
		return model.Score{}, model.ErrUnenrolled
	}
	var far, n float64
	each(d.pop.Extract(s.Line()), func(hold bool, at [3][2]uint16, z float64) {
		from := h.gaps
		if hold {
			from = h.holds
		}
		usual := 0.0
		for _, k := range at {
			if m := from[k]; m != nil {
				usual = (m.sum + shrink*usual) / (m.n + shrink)
			}
		}
		far, n = far+math.Abs(z-usual), n+1
	})
	if n == 0 {
		return model.Score{}, fmt.Errorf("%w: no times", model.ErrUnusable)
	}
	return model.Score{LLR: -far / n}, nil
}
