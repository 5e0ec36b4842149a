package lstm

// Kernel names the arithmetic that this program uses on this machine: "go/3",
// the portable one, or "avx2/1", that of the simd build where the CPU has AVX2
// and FMA. Another order of additions or another approximation gives other
// bits, and so another name. The same bits are promised for one name on one
// architecture: where the hardware has a fused multiply-add, Go may use it in
// the portable one.
var Kernel = active.name

// kernels are the routines that do the arithmetic, under one name. Those that
// call them, below, say what they do.
type kernels struct {
	name      string
	product   func(c, a, b []float32, m, k, n, row, column int)
	addScaled func(c, b []float32, p float32)
	step      func(gates, before, cell, squashed, state []float32)
	stepBack  func(gates, before, squashed, dcell, dstate []float32)
	affine    func(dst, x, weights []float32)
}

var portable = kernels{"go/3", productPortable, addScaledPortable, stepPortable, stepBackPortable, affinePortable}

// Matrices are row-major slices. Products add to what is there.

// addProduct adds a·b to c: a is m×k, b is k×n, c is m×n.
func addProduct(c, a, b []float32, m, k, n int) { active.product(c, a, b, m, k, n, k, 1) }

// addTransposedProduct adds aᵀ·b to c: a is k×m, b is k×n, c is m×n.
func addTransposedProduct(c, a, b []float32, m, k, n int) { active.product(c, a, b, m, k, n, 1, m) }

// addRow adds b to c; they are of one length.
func addRow(c, b []float32) { active.addScaled(c, b, 1) }

// step turns one row of gates before activation (4H) into activated gates, and
// the cell before into the cell and the state after. squashed is tanh(cell).
// before and cell may be the same slice.
func step(gates, before, cell, squashed, state []float32) {
	active.step(gates, before, cell, squashed, state)
}

// stepBack is the gradient of step. It turns activated gates into the gradient
// of the gates before activation, and dcell, the gradient of the cell after,
// into that of the cell before. dstate is the gradient of the state after.
func stepBack(gates, before, squashed, dcell, dstate []float32) {
	active.stepBack(gates, before, squashed, dcell, dstate)
}

// Affine writes x·W + b to dst, for the dense layers after an LSTM. weights is W,
// len(x) rows by len(dst) columns, then b. The rows are added one after the other,
// each product rounded first, so that all kernels give the same bits.
func Affine(dst, x, weights []float32) { active.affine(dst, x, weights) }

// transpose writes aᵀ to dst: a is m×n.
func transpose(dst, a []float32, m, n int) {
	for i := range m {
		for j := range n {
			dst[j*m+i] = a[i*n+j]
		}
	}
}
