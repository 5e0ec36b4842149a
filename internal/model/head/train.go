package head

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// Examples is what a head learns from, all of one text on one channel.
type Examples struct {
	Owner     []Typing // 2 at least
	Local     []Typing // of other people of this host
	Strangers []Typing // drawn
}

// Fit is a trained head.
type Fit struct {
	Weights []float32 // Size of them: of 1, of z, of |z - m|, of e/2
	Centre  []float64 // of the owner's typings
	Loss    float64   // cross-entropy on the examples, owner and others weighing alike, nats
}

const (
	// ridge is L2 on all weights but the constant, where the examples weigh 1 in
	// all. Chosen on GREYC's people among 0.001 to 0.03.
	ridge = 0.003
	// free is the ridge of the constant: it makes the problem strictly convex.
	free     = 1e-6
	maxSteps = 60
	// settled is how little a step may promise to be the last, in nats.
	settled = 1e-8
)

// Train fits a head. It is deterministic, and looks at ctx at every step. Errors:
// ErrTooFew for fewer than 2 typings of the owner or none of others, ErrShape,
// ctx.Err().
func Train(ctx context.Context, ex Examples) (Fit, error) {
	if err := ex.check(); err != nil {
		return Fit{}, err
	}
	p, centre := ex.problem()
	w, err := p.solve(ctx)
	if err != nil {
		return Fit{}, err
	}
	out := Fit{Weights: make([]float32, w.Len()), Centre: centre, Loss: p.loss(w)}
	for i := range out.Weights {
		out.Weights[i] = float32(w.AtVec(i))
	}
	return out, nil
}

func (ex Examples) check() error {
	if len(ex.Owner) < 2 {
		return fmt.Errorf("%w: %d of the owner", ErrTooFew, len(ex.Owner))
	}
	if len(ex.Local)+len(ex.Strangers) == 0 {
		return fmt.Errorf("%w: none of others", ErrTooFew)
	}
	places, dims := len(ex.Owner[0].Residuals), len(ex.Owner[0].At)
	for _, t := range slices.Concat(ex.Owner, ex.Local, ex.Strangers) {
		if len(t.Residuals) != places || len(t.At) != dims {
			return fmt.Errorf("%w: %d places and %d dimensions, then %d and %d", ErrShape, places, dims, len(t.Residuals), len(t.At))
		}
		for _, z := range t.Residuals {
			if math.IsInf(z, 0) {
				return fmt.Errorf("%w: a residual is infinite", ErrShape)
			}
		}
		for _, e := range t.At {
			if x := float64(e); math.IsNaN(x) || math.IsInf(x, 0) {
				return fmt.Errorf("%w: a coordinate is %v", ErrShape, e)
			}
		}
	}
	return nil
}

// problem is a weighted logistic regression: rows of x, of which the first
// owner are the owner's, each with its share of the loss. The shares add up to 1.
type problem struct {
	x     *mat.Dense
	owner int
	share []float64
}

// problem gives the owner's examples half of the weight and the others' the other
// half; of these, local people have half if there are drawn ones as well. It
// returns the owner's centre too.
func (ex Examples) problem() (p *problem, centre []float64) {
	others := 0.5
	if len(ex.Local) > 0 && len(ex.Strangers) > 0 {
		others = 0.25
	}
	n := len(ex.Owner) + len(ex.Local) + len(ex.Strangers)
	width := Size(len(ex.Owner[0].Residuals), len(ex.Owner[0].At))
	p = &problem{owner: len(ex.Owner), share: make([]float64, 0, n)}
	rows := make([]float64, 0, n*width)
	own := make([][]float64, len(ex.Owner))
	for i, t := range ex.Owner {
		own[i] = t.Residuals
	}
	for i, t := range ex.Owner {
		rows = row(rows, t, Centre(slices.Concat(own[:i], own[i+1:])))
		p.share = append(p.share, 0.5/float64(len(ex.Owner)))
	}
	centre = Centre(own)
	for _, ts := range [][]Typing{ex.Local, ex.Strangers} {
		for _, t := range ts {
			rows = row(rows, t, centre)
			p.share = append(p.share, others/float64(len(ts)))
		}
	}
	p.x = mat.NewDense(n, width, rows)
	return p, centre
}

func (p *problem) want(i int) float64 {
	if i < p.owner {
		return 1
	}
	return 0
}

func penalty(i int) float64 {
	if i == 0 {
		return free
	}
	return ridge
}

// loss is the cross-entropy of w without its penalty.
func (p *problem) loss(w *mat.VecDense) (sum float64) {
	var odds mat.VecDense
	odds.MulVec(p.x, w)
	for i, s := range p.share {
		x := odds.AtVec(i)
		if i < p.owner {
			x = -x
		}
		sum += s * (math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))))
	}
	return sum
}

// objective is what is minimised.
func (p *problem) objective(w *mat.VecDense) float64 {
	sum := p.loss(w)
	for i := range w.Len() {
		sum += penalty(i) * w.AtVec(i) * w.AtVec(i) / 2
	}
	return sum
}

// slope returns the gradient and the Hessian of the objective at w.
func (p *problem) slope(w *mat.VecDense) (*mat.VecDense, *mat.SymDense) {
	n, width := p.x.Dims()
	var odds mat.VecDense
	odds.MulVec(p.x, w)
	residual := mat.NewVecDense(n, nil)
	scaled := mat.NewDense(n, width, nil)
	for i, s := range p.share {
		y := 1 / (1 + math.Exp(-odds.AtVec(i)))
		residual.SetVec(i, s*(y-p.want(i)))
		root := math.Sqrt(s * y * (1 - y))
		to, from := scaled.RawRowView(i), p.x.RawRowView(i)
		for j, x := range from {
			to[j] = root * x
		}
	}
	gradient, hessian := mat.NewVecDense(width, nil), mat.NewSymDense(width, nil)
	gradient.MulVec(p.x.T(), residual)
	hessian.SymOuterK(1, scaled.T())
	for j := range width {
		gradient.SetVec(j, gradient.AtVec(j)+penalty(j)*w.AtVec(j))
		hessian.SetSym(j, j, hessian.At(j, j)+penalty(j))
	}
	return gradient, hessian
}

// solve minimises by Newton's method from 0, halving a step that leads up.
func (p *problem) solve(ctx context.Context) (*mat.VecDense, error) {
	_, width := p.x.Dims()
	w := mat.NewVecDense(width, nil)
	at := p.objective(w)
	for range maxSteps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		gradient, hessian := p.slope(w)
		var chol mat.Cholesky
		var step mat.VecDense
		if !chol.Factorize(hessian) {
			return nil, fmt.Errorf("%w: no direction leads down", ErrShape)
		}
		if err := chol.SolveVecTo(&step, gradient); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrShape, err)
		}
		promise := mat.Dot(gradient, &step)
		if promise < settled {
			break
		}
		for size := 1.0; ; size /= 2 {
			var next mat.VecDense
			next.AddScaledVec(w, -size, &step)
			if o := p.objective(&next); o <= at-size*promise/1e4 || size < 1e-6 {
				w, at = &next, o
				break
			}
		}
	}
	return w, nil
}
