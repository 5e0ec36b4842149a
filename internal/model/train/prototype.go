package train

import (
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// prototypes is the loss of a batch of P people, M embeddings of D dimensions
// each, one person after the other. A person's first half of embeddings makes a
// prototype, their mean, and the second half are queries; then the halves change
// places. A query is of person p with the odds
//
//	exp(-|query - prototype p|²)
//
// and the loss is the mean cross-entropy, in nats: prototypical networks (Snell
// et al. 2017). There is no scale to be learned: the embedding has its own.
//
// To it comes Spread times the squared coefficient of variation of the people's
// radii, a radius being the mean squared distance of a person's embeddings to
// their mean: where all are alike one threshold suits all (the beta term of
// Set2set, González et al. 2024).
//
// All of it is smooth; nothing divides by a distance.
type prototypes struct {
	people, crops, width int
	spread               float64

	centres  []float64 // P × D, of a half or of all
	dcentres []float64 // their gradient
	logits   []float64 // P
	radii    []float64 // P
}

func newPrototypes(people, crops, width int, spread float64) *prototypes {
	return &prototypes{
		people: people, crops: crops, width: width, spread: spread,
		centres: make([]float64, people*width), dcentres: make([]float64, people*width),
		logits: make([]float64, people), radii: make([]float64, people),
	}
}

// gradient writes the gradient of the loss by every embedding to d and returns
// the loss. Both are P·M × D.
func (l *prototypes) gradient(d, embeddings []float32) float64 {
	clear(d)
	half := l.crops / 2
	return l.half(d, embeddings, 0, half) + l.half(d, embeddings, half, half) + l.radius(d, embeddings)
}

// row is embedding m of person p.
func (l *prototypes) row(x []float32, p, m int) []float32 {
	i := (p*l.crops + m) * l.width
	return x[i : i+l.width]
}

// centre makes the means of embeddings from..from+n of every person the centres.
func (l *prototypes) centre(embeddings []float32, from, n int) {
	clear(l.centres)
	for p := range l.people {
		c := l.centres[p*l.width : (p+1)*l.width]
		for m := from; m < from+n; m++ {
			for i, x := range l.row(embeddings, p, m) {
				c[i] += float64(x) / float64(n)
			}
		}
	}
}

// half adds the loss in which embeddings from..from+n of a person make the
// prototype and the others are queries.
func (l *prototypes) half(d, embeddings []float32, from, n int) float64 {
	l.centre(embeddings, from, n)
	clear(l.dcentres)
	share := 1 / float64(l.people*l.crops) // all embeddings are a query once
	loss := 0.0
	for p := range l.people {
		for m := range l.crops {
			if m >= from && m < from+n {
				continue
			}
			loss += share * l.query(l.row(d, p, m), l.row(embeddings, p, m), p, share)
		}
	}
	for p := range l.people {
		c := l.dcentres[p*l.width : (p+1)*l.width]
		for m := from; m < from+n; m++ {
			for i, x := range c {
				l.row(d, p, m)[i] += float32(x / float64(n))
			}
		}
	}
	return loss
}

// query returns the cross-entropy of one query of person owner, and adds share
// of its gradient to that of the query and of the prototypes.
func (l *prototypes) query(d, query []float32, owner int, share float64) float64 {
	top := math.Inf(-1)
	for p := range l.people {
		sum := 0.0
		for i, c := range l.centres[p*l.width : (p+1)*l.width] {
			x := float64(query[i]) - c
			sum += x * x
		}
		l.logits[p] = -sum
		top = max(top, -sum)
	}
	total := 0.0
	for _, x := range l.logits {
		total += math.Exp(x - top)
	}
	loss := top + math.Log(total) - l.logits[owner]
	for p, x := range l.logits {
		g := -math.Exp(x-top) / total // by the squared distance to prototype p
		if p == owner {
			g++
		}
		if g = 2 * share * g; math.Abs(g) < 1e-12 {
			continue
		}
		c, dc := l.centres[p*l.width:(p+1)*l.width], l.dcentres[p*l.width:(p+1)*l.width]
		for i := range c {
			x := g * (float64(query[i]) - c[i])
			d[i] += float32(x)
			dc[i] -= x
		}
	}
	return loss
}

// tinyRadius keeps the division by the mean radius defined.
const tinyRadius = 1e-6

// radius adds the penalty on the spread of radii.
func (l *prototypes) radius(d, embeddings []float32) float64 {
	if l.spread == 0 {
		return 0
	}
	l.centre(embeddings, 0, l.crops)
	mean, square, people := tinyRadius, 0.0, float64(l.people)
	for p := range l.people {
		sum := 0.0
		for m := range l.crops {
			for i, x := range l.row(embeddings, p, m) {
				y := float64(x) - l.centres[p*l.width+i]
				sum += y * y
			}
		}
		l.radii[p] = sum / float64(l.crops)
		mean += l.radii[p] / people
	}
	for _, r := range l.radii {
		square += (r - mean) * (r - mean) / people
	}
	for p, r := range l.radii {
		// By the radius; the mean moves with it. Its embeddings' mean does not count:
		// the radius is smallest there.
		g := 2 / people * ((r-mean)/(mean*mean) + tinyRadius/(mean*mean) - square/(mean*mean*mean))
		for m := range l.crops {
			for i, x := range l.row(embeddings, p, m) {
				l.row(d, p, m)[i] += float32(l.spread * g * 2 / float64(l.crops) * (float64(x) - l.centres[p*l.width+i]))
			}
		}
	}
	return l.spread * square / (mean * mean)
}

// prototypeLoss is the loss as an op: embeddings → a 1 × 1 matrix.
type prototypeLoss struct {
	op
	gradient *tensor.Dense // by the embeddings, since the last run
}

func newPrototypeLoss(l *prototypes) *prototypeLoss {
	matrix := func(rows, columns int) *tensor.Dense {
		return tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(rows, columns))
	}
	o := &prototypeLoss{gradient: matrix(l.people*l.crops, l.width)}
	o.op = op{"prototypes", 1, matrix(1, 1), nil}
	o.do = func(in [][]float32) { o.result.Float32s()[0] = float32(l.gradient(o.gradient.Float32s(), in[0])) }
	return o
}

// DiffWRT says that it can be differentiated by its input.
func (o *prototypeLoss) DiffWRT(int) []bool { return []bool{true} }

// SymDiff adds the op that hands on the gradient to the graph. It takes the loss
// as an input so that it runs after it.
func (o *prototypeLoss) SymDiff(in gorgonia.Nodes, output, gradient *gorgonia.Node) (gorgonia.Nodes, error) {
	result := tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(o.gradient.Shape()...))
	n, err := gorgonia.ApplyOp(&op{"prototype gradient", 3, result, func(in [][]float32) {
		for i, x := range o.gradient.Float32s() {
			result.Float32s()[i] = x * in[2][0]
		}
	}}, in[0], output, gradient)
	return gorgonia.Nodes{n}, err
}
