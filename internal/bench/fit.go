package bench

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"ksd/internal/model"
)

// FusionFit is a logistic fusion fitted to trials: a log-likelihood ratio is
// Offset + Distance·detector + Odds·network.
type FusionFit struct {
	Offset   float64 `json:"offset"`
	Distance float64 `json:"distance"`
	Odds     float64 `json:"odds"`
	People   int     `json:"people"`
}

// Fit runs the phrases protocol on people and fits the fusion to it: logistic
// regression with genuine and impostor trials weighted alike, so that its
// log-odds are log-likelihood ratios (Brümmer and du Preez, 2006).
func Fit(ctx context.Context, people []*typist, o PhraseOptions) (FusionFit, error) {
	trials, err := run(ctx, people, o)
	if err != nil {
		return FusionFit{}, err
	}
	columns := 2
	if o.Local > 0 {
		columns = 3
	}
	w, err := logistic(trials, columns)
	if err != nil {
		return FusionFit{}, err
	}
	f := FusionFit{Offset: w[0], Distance: w[1], People: len(people)}
	if columns == 3 {
		f.Odds = w[2]
	}
	return f, nil
}

// ridge keeps the weights finite where trials can be told apart without error.
// The trials weigh 2 in all: one of 1e-3 would make a slope of 7 a sixth too flat.
const ridge = 1e-6

// logistic fits by Newton's method; a few steps suffice from 0.
func logistic(trials []trial, columns int) ([]float64, error) {
	var genuine, impostor float64
	for _, t := range trials {
		if t.owner == t.typist {
			genuine++
		} else {
			impostor++
		}
	}
	if genuine == 0 || impostor == 0 {
		return nil, fmt.Errorf("%w: no genuine or no impostor trials", ErrProtocol)
	}
	w := make([]float64, columns)
	for range 30 {
		gradient, hessian := mat.NewVecDense(columns, nil), mat.NewSymDense(columns, nil)
		for _, t := range trials {
			x := inputs(t.score)[:columns]
			share, want := 1/impostor, 0.0
			if t.owner == t.typist {
				share, want = 1/genuine, 1
			}
			p := 1 / (1 + math.Exp(-dot(w, x)))
			for i := range x {
				gradient.SetVec(i, gradient.AtVec(i)+share*(want-p)*x[i])
				for j := i; j < columns; j++ {
					hessian.SetSym(i, j, hessian.At(i, j)+share*p*(1-p)*x[i]*x[j])
				}
			}
		}
		for i := range w {
			gradient.SetVec(i, gradient.AtVec(i)-ridge*w[i])
			hessian.SetSym(i, i, hessian.At(i, i)+ridge)
		}
		var step mat.VecDense
		if err := step.SolveVec(hessian, gradient); err != nil {
			return nil, fmt.Errorf("fusion: %w", err)
		}
		for i := range w {
			w[i] += step.AtVec(i)
		}
	}
	return w, nil
}

func inputs(s model.Score) []float64 { return []float64{1, s.Detector, s.Network} }

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}
