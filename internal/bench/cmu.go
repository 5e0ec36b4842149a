// Package bench measures ksd on public typing data, by the protocols that the
// literature uses, with the very code that the daemon runs.
package bench

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"ksd/internal/corpus"
	"ksd/internal/model/eval"
)

// CMUResult is one detector on the CMU benchmark.
type CMUResult struct {
	Detector     string  `json:"detector"`
	EER          float64 `json:"eer"`                     // mean over subjects of each one's own
	EERSD        float64 `json:"eer_sd"`                  // its standard deviation over subjects
	PublishedEER float64 `json:"published_eer,omitempty"` // 0: nobody published one
	PublishedSD  float64 `json:"published_eer_sd,omitempty"`
	People       int     `json:"people"`
}

// Killourhy and Maxion's protocol: train on a subject's first cmuTrain
// repetitions, test on the rest and on the first cmuImpostor of all others.
const (
	cmuTrain    = 200
	cmuImpostor = 5
)

type cmuDetector struct {
	name           string
	published, dev float64
	train          func(rows [][]float64) (distance func(x []float64) float64, err error)
}

var cmuDetectors = []cmuDetector{
	{"manhattan (scaled)", 0.0962, 0.0694, scaledManhattan},
	{"nearest neighbour (mahalanobis)", 0.0996, 0.0642, nearestNeighbour},
	{"mahalanobis", 0.1101, 0.0645, mahalanobis},
	{"manhattan", 0.1529, 0.0925, manhattan},
	{"euclidean", 0.1706, 0.0952, euclidean},
}

// ErrProtocol is the fact that data do not fit a protocol.
var ErrProtocol = errors.New("data do not fit the protocol")

// CMU runs five detectors of Killourhy and Maxion, "Comparing Anomaly-Detection
// Algorithms for Keystroke Dynamics" (DSN 2009), on their data by their
// protocol. It is the evaluator's own test: any other figure than the
// published one is a bug in it.
func CMU(reps []corpus.Repetition) ([]CMUResult, error) {
	order, rows, err := cmuSubjects(reps, func(r corpus.Repetition) []float64 { return r.Features[:] })
	if err != nil {
		return nil, err
	}
	var out []CMUResult
	for _, d := range cmuDetectors {
		var eers []float64
		for _, s := range order {
			distance, err := d.train(rows[s][:cmuTrain])
			if err != nil {
				return nil, fmt.Errorf("%s, subject %s: %w", d.name, s, err)
			}
			eers = append(eers, cmuScores(distance, s, order, rows).EER())
		}
		r := CMUResult{Detector: d.name, PublishedEER: d.published, PublishedSD: d.dev, People: len(order)}
		r.EER, r.EERSD = eval.MeanSD(eers)
		out = append(out, r)
	}
	return out, nil
}

// cmuSubjects returns the subjects in order and what of makes of each one's
// repetitions.
func cmuSubjects[T any](reps []corpus.Repetition, of func(corpus.Repetition) T) (order []string, rows map[string][]T, err error) {
	rows = map[string][]T{}
	for _, r := range reps {
		if rows[r.Subject] == nil {
			order = append(order, r.Subject)
		}
		rows[r.Subject] = append(rows[r.Subject], of(r))
	}
	if len(order) < 2 {
		return nil, nil, fmt.Errorf("%w: %d subjects", ErrProtocol, len(order))
	}
	for _, s := range order {
		if n := len(rows[s]); n <= cmuTrain {
			return nil, nil, fmt.Errorf("%w: subject %s has %d repetitions, want more than %d", ErrProtocol, s, n, cmuTrain)
		}
	}
	return order, rows, nil
}

// cmuProbes calls score for all that a subject is tested with.
func cmuProbes[T any](subject string, order []string, rows map[string][]T, score func(x T, genuine bool) error) error {
	for _, x := range rows[subject][cmuTrain:] {
		if err := score(x, true); err != nil {
			return err
		}
	}
	for _, other := range order {
		if other == subject {
			continue
		}
		for _, x := range rows[other][:cmuImpostor] {
			if err := score(x, false); err != nil {
				return err
			}
		}
	}
	return nil
}

func cmuScores(distance func([]float64) float64, subject string, order []string, rows map[string][][]float64) (s eval.Scores) {
	cmuProbes(subject, order, rows, func(x []float64, genuine bool) error {
		add(&s, genuine, -distance(x))
		return nil // never anything else
	})
	return s
}

func columnMeans(rows [][]float64) []float64 {
	m := make([]float64, len(rows[0]))
	for _, r := range rows {
		for j, x := range r {
			m[j] += x / float64(len(rows))
		}
	}
	return m
}

func euclidean(rows [][]float64) (func([]float64) float64, error) {
	m := columnMeans(rows)
	return func(x []float64) float64 { return squares(x, m) }, nil
}

func manhattan(rows [][]float64) (func([]float64) float64, error) {
	m := columnMeans(rows)
	return func(x []float64) (d float64) {
		for j := range x {
			d += math.Abs(x[j] - m[j])
		}
		return d
	}, nil
}

func scaledManhattan(rows [][]float64) (func([]float64) float64, error) {
	m := columnMeans(rows)
	a := make([]float64, len(m)) // mean absolute deviation
	for _, r := range rows {
		for j, x := range r {
			a[j] += math.Abs(x-m[j]) / float64(len(rows))
		}
	}
	return func(x []float64) (d float64) {
		for j := range x {
			d += math.Abs(x[j]-m[j]) / a[j]
		}
		return d
	}, nil
}

func mahalanobis(rows [][]float64) (func([]float64) float64, error) {
	white, err := whitening(rows)
	if err != nil {
		return nil, err
	}
	m := white(columnMeans(rows))
	return func(x []float64) float64 { return squares(white(x), m) }, nil
}

func nearestNeighbour(rows [][]float64) (func([]float64) float64, error) {
	white, err := whitening(rows)
	if err != nil {
		return nil, err
	}
	known := make([][]float64, len(rows))
	for i, r := range rows {
		known[i] = white(r)
	}
	return func(x []float64) float64 {
		y, d := white(x), math.Inf(1)
		for _, k := range known {
			d = math.Min(d, squares(y, k))
		}
		return d
	}, nil
}

func squares(x, y []float64) (d float64) {
	for j := range x {
		d += (x[j] - y[j]) * (x[j] - y[j])
	}
	return d
}

// whitening returns the map after which the square of the Euclidean distance is
// that of Mahalanobis, with the pseudo-inverse of the rows' covariance and the
// tolerance of R's MASS::ginv, which the paper's scripts use: a third of the
// columns is the sum of two others, so there is no true inverse.
func whitening(rows [][]float64) (func([]float64) []float64, error) {
	n, m := len(rows[0]), columnMeans(rows)
	cov := mat.NewSymDense(n, nil)
	for _, r := range rows {
		for i := range n {
			for j := i; j < n; j++ {
				cov.SetSym(i, j, cov.At(i, j)+(r[i]-m[i])*(r[j]-m[j])/float64(len(rows)-1))
			}
		}
	}
	var svd mat.SVD
	if !svd.Factorize(cov, mat.SVDFull) {
		return nil, fmt.Errorf("%w: the covariance cannot be decomposed", ErrProtocol)
	}
	var u mat.Dense
	svd.UTo(&u)
	var axes [][]float64
	values := svd.Values(nil)
	for j, s := range values {
		if s <= values[0]*math.Sqrt(0x1p-52) {
			break // they descend
		}
		axis := mat.Col(nil, j, &u)
		for i := range axis {
			axis[i] /= math.Sqrt(s)
		}
		axes = append(axes, axis)
	}
	return func(x []float64) []float64 {
		y := make([]float64, len(axes))
		for j, axis := range axes {
			y[j] = dot(axis, x)
		}
		return y
	}, nil
}
