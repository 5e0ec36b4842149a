package head

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

var nan = math.NaN()

// cloud draws n typings of 3 places and 2 dimensions around a centre.
func cloud(rng *rand.Rand, n int, centre, spread float64) []Typing {
	out := make([]Typing, n)
	for i := range out {
		for range 3 {
			out[i].Residuals = append(out[i].Residuals, centre+spread*rng.NormFloat64())
		}
		for range 2 {
			out[i].At = append(out[i].At, float32(centre+spread*rng.NormFloat64()))
		}
	}
	return out
}

func examples(seed uint64) Examples {
	rng := rand.New(rand.NewPCG(seed, 1))
	return Examples{cloud(rng, 5, 0.7, 0.3), cloud(rng, 8, -0.5, 0.8), cloud(rng, 20, 0, 1)}
}

func TestCentre(t *testing.T) {
	for _, c := range []struct {
		rows [][]float64
		want []float64
	}{
		{[][]float64{{1, nan}}, []float64{1, 0}},
		{[][]float64{{1, nan}, {3, -2}}, []float64{2, -2}},
		{[][]float64{{5, nan}, {-1, nan}, {1, nan}}, []float64{1, 0}},
	} {
		if got := Centre(c.rows); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.rows, got, c.want)
		}
	}
}

func TestScore(t *testing.T) {
	weights := []float32{0.5, 1, 2, 4, 8, 16, 32} // 1; z of two places; |z - m| of two; two dimensions
	for name, c := range map[string]struct {
		residuals []float64
		at        []float32
		want      float64
	}{
		"by hand":            {[]float64{0.25, -0.5}, []float32{1, -0.25}, 0.5 + 0.25 - 1 + 4*0.75 + 8*1.5 + 8 - 4},
		"far away":           {[]float64{100, -100}, []float32{0, 0}, 0.5 + 100 - 200 + 4*2 + 8*2},
		"what is not known":  {[]float64{nan, nan}, []float32{0, 0}, 0.5 + 4*1 + 8*1},
		"the owner's centre": {[]float64{1, 1}, []float32{0, 0}, 0.5 + 1 + 2},
	} {
		centre := []float64{1, 1}
		if got := Score(weights, centre, c.residuals, c.at); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		x := row(nil, Typing{c.residuals, c.at}, centre)
		sum := 0.0
		for i, w := range weights {
			sum += float64(w) * x[i]
		}
		if len(x) != Size(2, 2) || math.Abs(sum-c.want) > 1e-12 {
			t.Errorf("%s: a row of %v gives %v", name, x, sum)
		}
	}
}

func TestTrainRefuses(t *testing.T) {
	good := examples(1)
	with := func(change func(*Examples)) Examples {
		ex := Examples{slices.Clone(good.Owner), slices.Clone(good.Local), slices.Clone(good.Strangers)}
		change(&ex)
		return ex
	}
	odd := Typing{[]float64{1, 2, 3, 4}, []float32{0, 0}}
	for name, c := range map[string]struct {
		ex   Examples
		want error
	}{
		"nothing":               {Examples{}, ErrTooFew},
		"no owner":              {with(func(ex *Examples) { ex.Owner = nil }), ErrTooFew},
		"one typing":            {with(func(ex *Examples) { ex.Owner = ex.Owner[:1] }), ErrTooFew},
		"nobody else":           {with(func(ex *Examples) { ex.Local, ex.Strangers = nil, nil }), ErrTooFew},
		"another text":          {with(func(ex *Examples) { ex.Local[2] = odd }), ErrShape},
		"another space":         {with(func(ex *Examples) { ex.Strangers[0] = Typing{odd.Residuals[:3], []float32{1}} }), ErrShape},
		"the owner's text":      {with(func(ex *Examples) { ex.Owner[4] = odd }), ErrShape},
		"no coordinate":         {with(func(ex *Examples) { ex.Local[0].At = []float32{0, float32(nan)} }), ErrShape},
		"an infinite residual":  {with(func(ex *Examples) { ex.Local[0].Residuals = []float64{0, math.Inf(1), 0} }), ErrShape},
		"an infinite dimension": {with(func(ex *Examples) { ex.Local[0].At = []float32{0, float32(math.Inf(-1))} }), ErrShape},
	} {
		if fit, err := Train(t.Context(), c.ex); !errors.Is(err, c.want) || fit.Weights != nil {
			t.Errorf("%s: %v, %v, want %v", name, fit, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if fit, err := Train(ctx, good); !errors.Is(err, context.Canceled) || fit.Weights != nil {
		t.Errorf("cancelled: %v, %v", fit, err)
	}
}

// TestTrain checks the solution by what defines it: no step in any direction, of
// any size, leads down, and the gradient is that of the objective.
func TestTrain(t *testing.T) {
	for seed := range uint64(20) {
		ex := examples(seed)
		if seed%2 == 1 {
			ex.Local = nil
		}
		if seed%3 == 1 {
			ex.Strangers, ex.Local = nil, examples(seed).Local
		}
		p, centre := ex.problem()
		w, err := p.solve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		total := 0.0
		for _, s := range p.share {
			total += s
		}
		if math.Abs(total-1) > 1e-12 {
			t.Errorf("seed %d: the examples weigh %v", seed, total)
		}
		least := p.objective(w)
		rng := rand.New(rand.NewPCG(seed, 2))
		for range 200 {
			var near mat.VecDense
			step := mat.NewVecDense(w.Len(), nil)
			for i := range w.Len() {
				step.SetVec(i, rng.NormFloat64())
			}
			near.AddScaledVec(w, math.Pow(10, -4*rng.Float64()), step)
			if o := p.objective(&near); o < least-1e-8 {
				t.Fatalf("seed %d: %v nearby, %v at the solution", seed, o, least)
			}
		}
		fit, err := Train(t.Context(), ex)
		if err != nil || len(fit.Weights) != Size(3, 2) || math.Abs(fit.Loss-p.loss(w)) > 1e-12 || !slices.Equal(fit.Centre, centre) {
			t.Errorf("seed %d: %+v, %v", seed, fit, err)
		}
		if again, _ := Train(t.Context(), ex); !reflect.DeepEqual(fit, again) {
			t.Errorf("seed %d: one set of examples, two heads", seed)
		}
		// It learnt something, and what it learnt holds for typings it did not see.
		if fit.Loss > 0.4 {
			t.Errorf("seed %d: a loss of %v", seed, fit.Loss)
		}
		for _, x := range cloud(rng, 20, 0.7, 0.1) {
			if got := Score(fit.Weights, fit.Centre, x.Residuals, x.At); got < 0 {
				t.Errorf("seed %d: an owner's log-odds are %v", seed, got)
			}
		}
		for _, x := range cloud(rng, 20, -1, 0.1) {
			if got := Score(fit.Weights, fit.Centre, x.Residuals, x.At); got > 0 {
				t.Errorf("seed %d: a stranger's log-odds are %v", seed, got)
			}
		}
	}
}

// TestSlope compares gradient and Hessian with differences of the objective.
func TestSlope(t *testing.T) {
	const h = 1e-5
	p, _ := examples(3).problem()
	rng := rand.New(rand.NewPCG(4, 4))
	_, width := p.x.Dims()
	w := mat.NewVecDense(width, nil)
	for i := range width {
		w.SetVec(i, rng.NormFloat64())
	}
	moved := func(i int, by float64) *mat.VecDense {
		out := mat.VecDenseCopyOf(w)
		out.SetVec(i, out.AtVec(i)+by)
		return out
	}
	gradient, hessian := p.slope(w)
	for i := range width {
		if want := (p.objective(moved(i, h)) - p.objective(moved(i, -h))) / (2 * h); math.Abs(gradient.AtVec(i)-want) > 1e-7 {
			t.Errorf("gradient %d: %v, by differences %v", i, gradient.AtVec(i), want)
		}
		up, _ := p.slope(moved(i, h))
		down, _ := p.slope(moved(i, -h))
		for j := range width {
			if want := (up.AtVec(j) - down.AtVec(j)) / (2 * h); math.Abs(hessian.At(i, j)-want) > 1e-6 {
				t.Errorf("Hessian %d, %d: %v, by differences %v", i, j, hessian.At(i, j), want)
			}
		}
	}
}

// TestProblem checks what is weighed how, and that the owner's typings are held
// against the others of them.
func TestProblem(t *testing.T) {
	one := func(z float64) Typing { return Typing{[]float64{z}, []float32{2}} }
	ex := Examples{[]Typing{one(1), one(2), one(4)}, []Typing{one(0)}, []Typing{one(5), one(nan)}}
	p, centre := ex.problem()
	want := mat.NewDense(6, 4, []float64{
		1, 1, 2, 1, // the others' median is 3
		1, 2, 0.5, 1, // 2.5
		1, 4, 2, 1, // 1.5: 2.5 away, cut
		1, 0, 2, 1, // all their median is 2
		1, 5, 2, 1,
		1, 0, 2, 1,
	})
	if !mat.Equal(p.x, want) || p.owner != 3 || !slices.Equal(centre, []float64{2}) {
		t.Errorf("centre %v, %d of the owner,\n%v", centre, p.owner, mat.Formatted(p.x))
	}
	if want := []float64{0.5 / 3, 0.5 / 3, 0.5 / 3, 0.25, 0.125, 0.125}; !slices.Equal(p.share, want) {
		t.Errorf("shares %v, want %v", p.share, want)
	}
	ex.Local = nil
	if p, _ = ex.problem(); p.share[3] != 0.25 || p.share[4] != 0.25 {
		t.Errorf("strangers alone have %v", p.share[3:])
	}
}

// A place that nobody's typings have says nothing, whatever it says of a probe
// but 0 is the owner's centre there.
func TestUnknownPlace(t *testing.T) {
	ex := examples(5)
	for _, ts := range [][]Typing{ex.Owner, ex.Local, ex.Strangers} {
		for i := range ts {
			ts[i].Residuals[1] = nan
		}
	}
	fit, err := Train(t.Context(), ex)
	if err != nil || fit.Weights[2] != 0 || fit.Weights[5] != 0 || fit.Centre[1] != 0 {
		t.Errorf("%+v, %v", fit, err)
	}
	// Typings that are all alike, and those that nothing tells apart, have a head.
	same := slices.Repeat([]Typing{ex.Owner[0]}, 4)
	if fit, err = Train(t.Context(), Examples{same, same, same}); err != nil || math.Abs(fit.Loss-math.Ln2) > 1e-6 {
		t.Errorf("all alike: a loss of %v, %v", fit.Loss, err)
	}
	if fit, err = Train(t.Context(), Examples{Owner: same, Strangers: cloud(rand.New(rand.NewPCG(1, 1)), 1, 50, 0)}); err != nil || fit.Loss > 0.2 {
		t.Errorf("far apart: a loss of %v, %v", fit.Loss, err)
	}
}

// BenchmarkTrain is a head for 24 keys with releases: 159 weights.
func BenchmarkTrain(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	wide := func(n int, centre float64) []Typing {
		out := make([]Typing, n)
		for i := range out {
			for range 47 {
				out[i].Residuals = append(out[i].Residuals, centre+rng.NormFloat64())
			}
			for range 64 {
				out[i].At = append(out[i].At, float32(centre+rng.NormFloat64()))
			}
		}
		return out
	}
	ex := Examples{wide(5, 0.3), wide(100, -0.1), wide(112, 0)}
	for b.Loop() {
		if _, err := Train(b.Context(), ex); err != nil {
			b.Fatal(err)
		}
	}
}
