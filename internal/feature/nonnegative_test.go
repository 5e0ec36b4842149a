package feature

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestNonNegative holds the descent against trying every set of coordinates
// that may be above 0.
func TestNonNegative(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		const n = 4
		rows, y, weights := make([][]float64, 7), make([]float64, 7), make([]float64, 7)
		for k := range rows {
			rows[k] = make([]float64, n)
			for i := range rows[k] {
				rows[k][i] = float64(rng.IntN(2)) + 0.1*rng.NormFloat64()
			}
			y[k], weights[k] = rng.NormFloat64(), 0.1+rng.Float64()
		}
		got, want := nonNegative(rows, y, weights), bruteForce(t, rows, y, weights)
		for i := range got {
			if got[i] < 0 || math.Abs(got[i]-want[i]) > 1e-6 {
				t.Fatalf("round %d: %v, want %v", round, got, want)
			}
		}
	}
}

func bruteForce(t *testing.T, rows [][]float64, y, weights []float64) []float64 {
	t.Helper()
	n := len(rows[0])
	best, least := make([]float64, n), loss(rows, y, weights, make([]float64, n))
	for set := 1; set < 1<<n; set++ {
		var columns []int
		for i := range n {
			if set&(1<<i) != 0 {
				columns = append(columns, i)
			}
		}
		a, b := mat.NewDense(len(rows), len(columns), nil), mat.NewVecDense(len(rows), nil)
		for k, row := range rows {
			w := math.Sqrt(weights[k])
			b.SetVec(k, w*y[k])
			for c, i := range columns {
				a.Set(k, c, w*row[i])
			}
		}
		var solved mat.VecDense
		if err := solved.SolveVec(a, b); err != nil {
			t.Fatal(err)
		}
		x, negative := make([]float64, n), false
		for c, i := range columns {
			x[i] = solved.AtVec(c)
			negative = negative || x[i] < 0
		}
		if l := loss(rows, y, weights, x); !negative && l < least {
			best, least = x, l
		}
	}
	return best
}

func loss(rows [][]float64, y, weights, x []float64) (sum float64) {
	for k, row := range rows {
		miss := -y[k]
		for i, a := range row {
			miss += a * x[i]
		}
		sum += weights[k] * miss * miss
	}
	return sum
}

func TestNonNegativeUnasked(t *testing.T) {
	rows := [][]float64{{1, 0, 0}, {1, 0, 1}}
	if x := nonNegative(rows, []float64{2, 9}, []float64{1, 0}); x[0] != 2 || x[1] != 0 || x[2] != 0 {
		t.Errorf("%v: no row with a weight asks for the second and third", x)
	}
}
