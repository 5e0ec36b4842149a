//go:build goexperiment.simd && amd64

package lstm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestChoose(t *testing.T) {
	if got := choose(false).name; got != portable.name {
		t.Errorf("without AVX2 the kernel is %q, want %q", got, portable.name)
	}
	if got := choose(true).name; got != avx2.name {
		t.Errorf("with AVX2 the kernel is %q, want %q", got, avx2.name)
	}
}

func needAVX2(t *testing.T) {
	t.Helper()
	if active.name != avx2.name {
		t.Skip("this CPU has no AVX2 or no FMA")
	}
}

func normal(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// fenced is a copy of x in the middle of numbers that nothing may touch.
func fenced(t *testing.T, what string, x []float32) []float32 {
	const width = 16
	all := make([]float32, len(x)+2*width)
	for i := range all {
		all[i] = 12345
	}
	inside := all[width : width+len(x) : width+len(x)]
	copy(inside, x)
	t.Cleanup(func() {
		for _, v := range slices.Concat(all[:width], all[width+len(x):]) {
			if v != 12345 {
				t.Errorf("%s: wrote beyond its end", what)
				return
			}
		}
	})
	return inside
}

func nearAll(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	for i := range want {
		if !(math.Abs(float64(got[i]-want[i])) <= tolerance) {
			t.Fatalf("%s[%d] = %v, the portable kernel has %v", what, i, got[i], want[i])
		}
	}
}

// TestProductAVX2 takes every remainder of rows, columns and depth, of a matrix
// and of one on its side.
func TestProductAVX2(t *testing.T) {
	needAVX2(t)
	rng := rand.New(rand.NewPCG(3, 4))
	for _, m := range []int{0, 1, 2, 3, 4, 5, 8, 11} {
		for _, k := range []int{0, 1, 2, 3, 6, 31, 32, 33, 34, 65, 71} {
			for _, n := range []int{0, 1, 8, 16, 20, 24, 32, 48, 64, 80, 144} {
				a, b, c := normal(rng, m*k), normal(rng, k*n), normal(rng, m*n)
				for _, side := range []struct{ row, column int }{{k, 1}, {1, m}} {
					what := fmt.Sprintf("%d×%d by %d, strides %v", m, k, n, side)
					want, got := slices.Clone(c), fenced(t, what, c)
					portable.product(want, a, b, m, k, n, side.row, side.column)
					avx2.product(got, a, b, m, k, n, side.row, side.column)
					nearAll(t, what, got, want, 1e-4)
				}
			}
		}
	}
}

func TestAddScaledAVX2(t *testing.T) {
	needAVX2(t)
	rng := rand.New(rand.NewPCG(5, 6))
	for n := range 40 {
		c, b := normal(rng, n), normal(rng, n)
		want, got := slices.Clone(c), fenced(t, fmt.Sprint(n), c)
		portable.addScaled(want, b, 0.7)
		avx2.addScaled(got, b, 0.7)
		nearAll(t, fmt.Sprint(n), got, want, 1e-6)
	}
}

// TestAffineAVX2 asks for the same bits: a base network trained with one kernel
// is to be made again with it, see Affine.
func TestAffineAVX2(t *testing.T) {
	needAVX2(t)
	rng := rand.New(rand.NewPCG(9, 10))
	for _, rows := range []int{0, 1, 2, 33, 144} {
		for _, columns := range []int{0, 1, 8, 31, 32, 40, 64, 96} {
			what := fmt.Sprintf("%d by %d", rows, columns)
			x, w, dst := normal(rng, rows), normal(rng, (rows+1)*columns), normal(rng, columns)
			want, got := slices.Clone(dst), fenced(t, what, dst)
			portable.affine(want, x, w)
			avx2.affine(got, x, w)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v, the portable kernel has %v", what, got, want)
			}
		}
	}
}

func TestStepAVX2(t *testing.T) {
	needAVX2(t)
	rng := rand.New(rand.NewPCG(7, 8))
	for h := range 41 {
		gates, cell := normal(rng, 4*h), normal(rng, h)
		for i := range gates {
			gates[i] *= 6 // to where the curves are flat
		}
		run := func(k kernels, copied func(what string, x []float32) []float32) map[string][]float32 {
			forward := map[string][]float32{
				"gates": copied("gates", gates), "cell": copied("cell", cell),
				"squashed": copied("squashed", cell), "state": copied("state", cell),
			}
			k.step(forward["gates"], forward["cell"], forward["cell"], forward["squashed"], forward["state"])
			forward["gradient"] = copied("gradient", forward["gates"])
			forward["dcell"] = copied("dcell", cell)
			k.stepBack(forward["gradient"], cell, forward["squashed"], forward["dcell"], forward["state"])
			return forward
		}
		want := run(portable, func(_ string, x []float32) []float32 { return slices.Clone(x) })
		got := run(avx2, func(what string, x []float32) []float32 { return fenced(t, what, x) })
		for what := range want {
			nearAll(t, fmt.Sprintf("H=%d: %s", h, what), got[what], want[what], 2e-6)
		}
	}
}
