package lstm

import "slices"

// Batch holds ragged sequences packed by step: all first steps, then all second
// steps, and so on, the longest sequence first in each. Step t is one block of
// rows, and the sequences that have a step t+1 are the first rows of it. A
// sequence of no steps has no rows. A Batch is filled again and again and holds
// the memory that it was made with.
type Batch struct {
	features []float32 // a row of F per packed row
	keys     []uint16  // one per packed row
	starts   []int     // starts[t] is the first row of step t; one more at the end
	order    []int     // order[r] is the sequence at rank r, the longest first
	lengths  []int     // by sequence
}

// NewBatch returns a batch for up to sequences sequences of up to steps steps
// with features numbers each.
func NewBatch(sequences, steps, features int) *Batch {
	rows := sequences * steps
	return &Batch{
		features: make([]float32, 0, rows*features),
		keys:     make([]uint16, 0, rows),
		starts:   make([]int, 0, steps+1),
		order:    make([]int, 0, sequences),
		lengths:  make([]int, 0, sequences),
	}
}

// Pack fills the batch. It is for sequences already checked: it panics where
// one has fewer features than its keys need.
func (b *Batch) Pack(in []Sequence) {
	b.features, b.keys, b.starts = b.features[:0], b.keys[:0], b.starts[:0]
	b.order, b.lengths = b.order[:0], b.lengths[:0]
	for i, s := range in {
		b.order, b.lengths = append(b.order, i), append(b.lengths, len(s.Keys))
	}
	slices.SortStableFunc(b.order, func(i, j int) int { return b.lengths[j] - b.lengths[i] })
	b.starts = append(b.starts, 0)
	for t := 0; len(in) > 0 && t < b.lengths[b.order[0]]; t++ {
		b.packStep(in, t)
		b.starts = append(b.starts, len(b.keys))
	}
}

func (b *Batch) packStep(in []Sequence, t int) {
	for _, i := range b.order {
		s := in[i]
		if len(s.Keys) <= t {
			return
		}
		f := len(s.Features) / len(s.Keys)
		b.keys = append(b.keys, s.Keys[t])
		b.features = append(b.features, s.Features[t*f:(t+1)*f]...)
	}
}

// Steps is the length of the longest sequence.
func (b *Batch) Steps() int { return len(b.starts) - 1 }

// live is the number of rows of step t; there are none before the first step
// and after the last.
func (b *Batch) live(t int) int {
	if t < 0 || t >= b.Steps() {
		return 0
	}
	return b.starts[t+1] - b.starts[t]
}
