package bench

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"ksd/internal/model"
)

// FusionFit is a logistic fusion fitted to trials.
type FusionFit struct {
	Weights model.Weights `json:"weights"` // of model.Score.Inputs
	Alone   model.Weights `json:"alone"`   // for texts that a person has no head for
	People  int           `json:"people"`
	// Crossed is what the fusion comes to on people it was not fitted on: fitted
	// on one half of the owners and typists, measured on the owners of the other.
	// It is zero for fewer than four people.
	Crossed Figures `json:"crossed"`
}

// Fit runs the phrases protocol on people and fits the fusion to it: logistic
// regression with genuine and impostor trials weighted alike, so that its
// log-odds are log-likelihood ratios (Brümmer and du Preez, 2006).
func Fit(ctx context.Context, people []*Typist, o PhraseOptions) (FusionFit, error) {
	trials, err := run(ctx, people, o)
	if err != nil {
		return FusionFit{}, err
	}
	return fitTo(people, slices.DeleteFunc(trials, func(t trial) bool { return t.unusable }))
}

// fitTo fits the fusion to trials of people.
func fitTo(people []*Typist, trials []trial) (FusionFit, error) {
	w, err := logistic(trials)
	if err != nil {
		return FusionFit{}, err
	}
	f := FusionFit{Weights: w, People: len(people)}
	if f.Alone, err = logistic(withoutHead(trials)); err != nil {
		return FusionFit{}, err
	}
	if len(people) >= 4 {
		f.Crossed, err = crossFit(people, trials)
	}
	return f, err
}

// withoutHead returns trials as they are for texts that people have no head for.
func withoutHead(trials []trial) []trial {
	out := slices.Clone(trials)
	for i := range out {
		out[i].score.Head, out[i].score.HasHead = 0, false
	}
	return out
}

// crossFit measures fusions on the people they were not fitted on.
func crossFit(people []*Typist, trials []trial) (Figures, error) {
	half := map[string]int{}
	for i, p := range people {
		half[p.name] = i % 2
	}
	var crossed []trial
	for side := range 2 {
		w, err := logistic(slices.DeleteFunc(slices.Clone(trials), func(t trial) bool {
			return half[t.owner] == side || half[t.typist] == side
		}))
		if err != nil {
			return Figures{}, err
		}
		for _, t := range trials {
			if half[t.owner] == side {
				x := t.score.Inputs()
				t.score.LLR = max(-model.MaxLLR, min(model.MaxLLR, dot(w[:], x[:])))
				crossed = append(crossed, t)
			}
		}
	}
	return summarise(attempts(crossed, 1, func(s model.Score) float64 { return s.LLR }), true), nil
}

// ridge keeps the weights finite where trials can be told apart without error.
// The trials weigh 2 in all: one of 1e-3 would make a slope of 7 a sixth too flat.
const ridge = 1e-6

// logistic fits by Newton's method; a few steps suffice from 0. What is the
// same in all trials but the constant gets no weight.
func logistic(trials []trial) (w model.Weights, err error) {
	var genuine, impostor float64
	for _, t := range trials {
		if t.owner == t.typist {
			genuine++
		} else {
			impostor++
		}
	}
	if genuine == 0 || impostor == 0 {
		return w, fmt.Errorf("%w: no genuine or no impostor trials", ErrProtocol)
	}
	n := len(w)
	for range 30 {
		gradient, hessian := mat.NewVecDense(n, nil), mat.NewSymDense(n, nil)
		for _, t := range trials {
			x := t.score.Inputs()
			share, want := 1/impostor, 0.0
			if t.owner == t.typist {
				share, want = 1/genuine, 1
			}
			p := 1 / (1 + math.Exp(-dot(w[:], x[:])))
			for i := range x {
				gradient.SetVec(i, gradient.AtVec(i)+share*(want-p)*x[i])
				for j := i; j < n; j++ {
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
			return w, fmt.Errorf("fusion: %w", err)
		}
		for i := range w {
			w[i] += step.AtVec(i)
		}
	}
	return w, nil
}

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}
