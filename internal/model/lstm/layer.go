package lstm

// Layer is the working memory of one layer over batches: what the pass forward
// leaves for the pass backward. It is for one caller at a time.
type Layer struct {
	shape Shape

	// One row per packed row.
	gates       []float32 // 4H: activated after Forward, their gradient after Backward
	stateBefore []float32 // H: what the step began from
	cellBefore  []float32
	state       []float32 // H: what the step ended with
	cell        []float32
	squashed    []float32 // tanh(cell)

	// One row per sequence, in order of rank.
	dstate, dcell []float32 // H
	output        []float32 // H: the gradient that the output brings to every state it is the mean of

	table      []float32 // V × 4H, see Table; its gradient after Backward
	transposed []float32 // U or We on its side
}

// NewLayer returns a layer for batches of up to sequences sequences and steps
// steps.
func NewLayer(s Shape, sequences, steps int) *Layer {
	perRow := func(n int) []float32 { return make([]float32, sequences*steps*n) }
	return &Layer{
		shape:       s,
		gates:       perRow(s.gates()),
		stateBefore: perRow(s.Hidden), cellBefore: perRow(s.Hidden),
		state: perRow(s.Hidden), cell: perRow(s.Hidden), squashed: perRow(s.Hidden),
		dstate: make([]float32, sequences*s.Hidden), dcell: make([]float32, sequences*s.Hidden),
		output:     make([]float32, sequences*s.Hidden),
		table:      make([]float32, s.TableLen()),
		transposed: make([]float32, max(s.Hidden, s.Embedding)*s.gates()),
	}
}

// walk calls visit for every step in the order in which the layer reads them,
// or against it. first and n are the step's rows; from is the first row of the
// step read before it, and the first kept of the n rows were in that step, the
// others begin here.
func (l *Layer) walk(b *Batch, against bool, visit func(first, n, from, kept int)) {
	steps, before := b.Steps(), -1
	if l.shape.Reverse {
		before = 1
	}
	for i := range steps {
		t := i
		if l.shape.Reverse != against {
			t = steps - 1 - i
		}
		n, from := b.live(t), 0
		kept := min(n, b.live(t+before))
		if kept > 0 {
			from = b.starts[t+before]
		}
		visit(b.starts[t], n, from, kept)
	}
}

// Forward takes the batch through the layer and writes every sequence's output
// to final, one row of H per sequence in the order that Pack was given; a
// sequence of no steps gives zeros. embedding is V × E.
func (l *Layer) Forward(final []float32, b *Batch, embedding, weights []float32) {
	s := l.shape
	p, g, h, rows := s.split(weights), s.gates(), s.Hidden, len(b.keys)
	s.Table(l.table, embedding, weights)
	for r, k := range b.keys {
		copy(l.gates[r*g:(r+1)*g], l.table[int(k)*g:(int(k)+1)*g])
	}
	addProduct(l.gates, b.features, p.features, rows, s.Features, g)
	l.walk(b, false, func(first, n, from, kept int) {
		l.carry(l.stateBefore, l.state, first, n, from, kept)
		l.carry(l.cellBefore, l.cell, first, n, from, kept)
		addProduct(l.gates[first*g:], l.stateBefore[first*h:], p.recurrent, n, h, g)
		for r := first; r < first+n; r++ {
			a, z := r*h, (r+1)*h
			step(l.gates[r*g:(r+1)*g], l.cellBefore[a:z], l.cell[a:z], l.squashed[a:z], l.state[a:z])
		}
	})
	clear(final)
	for rank, i := range b.order {
		switch n, out := b.lengths[i], final[i*h:(i+1)*h]; {
		case n == 0:
		case s.Mean:
			for t := range n {
				r := b.starts[t] + rank
				addRow(out, l.state[r*h:(r+1)*h])
			}
			scale(out, out, 1/float32(n))
		default:
			copy(out, l.state[l.last(b, n, rank)*h:])
		}
	}
}

// carry copies what the step at from ended with to where the step at first
// begins; rows that begin here begin with zero.
func (l *Layer) carry(before, after []float32, first, n, from, kept int) {
	h := l.shape.Hidden
	copy(before[first*h:(first+kept)*h], after[from*h:])
	clear(before[(first+kept)*h : (first+n)*h])
}

// last is the row at which a sequence of n steps ends.
func (l *Layer) last(b *Batch, n, rank int) int {
	if l.shape.Reverse {
		return rank
	}
	return b.starts[n-1] + rank
}

// Backward writes the gradient of the weights to dweights, given that of final.
// It belongs to the Forward before it, with the same batch and weights, and can
// follow it once. EmbeddingGradient may be called after it.
func (l *Layer) Backward(dweights []float32, b *Batch, embedding, weights, dfinal []float32) {
	s := l.shape
	p, d := s.split(weights), s.split(dweights)
	g, h, rows := s.gates(), s.Hidden, len(b.keys)
	transpose(l.transposed, p.recurrent, h, g)
	clear(l.output)
	for rank, i := range b.order {
		if d := dfinal[i*h : (i+1)*h]; s.Mean {
			scale(l.output[rank*h:(rank+1)*h], d, 1/float32(max(b.lengths[i], 1)))
			copy(l.dstate[rank*h:(rank+1)*h], l.output[rank*h:])
		} else {
			copy(l.dstate[rank*h:(rank+1)*h], d)
		}
	}
	clear(l.dcell)
	l.walk(b, true, func(first, n, from, kept int) { l.stepsBack(first, n, kept) })

	clear(dweights)
	clear(l.table)
	for r, k := range b.keys {
		addRow(l.table[int(k)*g:(int(k)+1)*g], l.gates[r*g:(r+1)*g])
	}
	for k := range s.Keys {
		addRow(d.bias, l.table[k*g:(k+1)*g])
	}
	addTransposedProduct(d.features, b.features, l.gates, s.Features, rows, g)
	addTransposedProduct(d.embedding, embedding, l.table, s.Embedding, s.Keys, g)
	addTransposedProduct(d.recurrent, l.stateBefore, l.gates, h, rows, g)
}

// stepsBack takes the n rows of one step back. dstate holds, for a sequence
// that this step ends, the gradient that the output brings, and for the others
// that of the state the step ended with; for the kept ones it leaves that of the
// state the step began from.
func (l *Layer) stepsBack(first, n, kept int) {
	g, h := l.shape.gates(), l.shape.Hidden
	for i := range n {
		r := first + i
		stepBack(l.gates[r*g:(r+1)*g], l.cellBefore[r*h:(r+1)*h], l.squashed[r*h:(r+1)*h],
			l.dcell[i*h:(i+1)*h], l.dstate[i*h:(i+1)*h])
	}
	copy(l.dstate[:kept*h], l.output) // zeros, where the output is the last state
	addProduct(l.dstate, l.gates[first*g:], l.transposed, kept, g, h)
}

// EmbeddingGradient writes the gradient of the embedding table (V × E) to
// dembedding. It belongs to the Backward before it.
func (l *Layer) EmbeddingGradient(dembedding, weights []float32) {
	s := l.shape
	transpose(l.transposed, s.split(weights).embedding, s.Embedding, s.gates())
	clear(dembedding)
	addProduct(dembedding, l.table, l.transposed, s.Keys, s.gates(), s.Embedding)
}
