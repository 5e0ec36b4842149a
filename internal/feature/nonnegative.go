package feature

import "math"

// nonNegative returns the x ≥ 0 with the least Σ weight·(row·x - y)²: by turns
// each coordinate takes its best value while the others stand still (Franc,
// Hlaváč and Navara 2005). What no row with a weight asks for is 0.
func nonNegative(rows [][]float64, y, weights []float64) []float64 {
	n := len(rows[0])
	x, downhill := make([]float64, n), make([]float64, n) // downhill: Aᵀ(y - A·x)
	square := make([][]float64, n)                        // AᵀA
	for i := range n {
		square[i] = make([]float64, n)
		for k, row := range rows {
			downhill[i] += weights[k] * row[i] * y[k]
			for j := range n {
				square[i][j] += weights[k] * row[i] * row[j]
			}
		}
	}
	const sweeps, enough = 100_000, 1e-12
	for range sweeps {
		var moved float64
		for i := range n {
			if square[i][i] == 0 {
				continue
			}
			by := math.Max(-x[i], downhill[i]/square[i][i])
			x[i] += by
			for j := range n {
				downhill[j] -= by * square[i][j]
			}
			moved = math.Max(moved, math.Abs(by))
		}
		if moved < enough {
			break
		}
	}
	return x
}
