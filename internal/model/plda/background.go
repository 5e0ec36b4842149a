package plda

import "math"

// Background is what people of this host do at the places of one text that the
// population's table does not foresee: they learnt the same phrase at the same
// keyboards. The zero value is no Background; a nil one has no people.
type Background struct {
	sum   []float64 // of the people's centres, by place
	count []float64 // of the people, by place
	shift []float64 // of the mean at each place, worked out by without
}

// Add counts a person in. All must have typed the same text.
func (b *Background) Add(t Typed) {
	if b.sum == nil {
		b.sum, b.count = make([]float64, len(t.centre)), make([]float64, len(t.centre))
	}
	for i, c := range t.centre {
		if !math.IsNaN(c) {
			b.sum[i] += c
			b.count[i]++
		}
	}
}

// Backgrounds are those of one channel, by text.
type Backgrounds map[string]*Background

// Add counts a person in who typed all this.
func (b Backgrounds) Add(typed []Typed) {
	for _, t := range typed {
		if b[t.text.name] == nil {
			b[t.text.name] = new(Background)
		}
		b[t.text.name].Add(t)
	}
}

// The variance, over texts and places, of the mean over all people: how far
// the table may be off. As GREYC shows it: what people of that phrase have in
// common makes 0.26 of 1.24 and 0.6 of 1.7.
const offDD, offDwell = 0.25, 0.40

// without returns the Background that is left without one of its people, with
// its shift worked out, or nil if nobody is left.
func (b *Background) without(t Typed) *Background {
	if b == nil {
		return nil
	}
	out := &Background{shift: make([]float64, len(t.centre))}
	var others float64
	for i, p := range t.text.places {
		sum, n := b.sum[i], b.count[i]
		if !math.IsNaN(t.centre[i]) {
			sum, n = sum-t.centre[i], n-1
		}
		if n < 1 {
			continue
		}
		others = math.Max(others, n)
		off := offDD
		if p.dwell {
			off = offDwell
		}
		one := between(p, p) + within(p, p)/float64(t.typings) // variance of one person's centre
		out.shift[i] = sum / n * off / (off + one/n)
	}
	if others < 1 {
		return nil
	}
	return out
}

// at is the shift at a place.
func (b *Background) at(i int) float64 {
	if b == nil {
		return 0
	}
	return b.shift[i]
}
