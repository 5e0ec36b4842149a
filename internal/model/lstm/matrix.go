package lstm

// Matrices are row-major slices. Products add to what is there.

// addProduct adds a·b to c: a is m×k, b is k×n, c is m×n.
func addProduct(c, a, b []float32, m, k, n int) { add(c, a, b, m, k, n, k, 1) }

// addTransposedProduct adds aᵀ·b to c: a is k×m, b is k×n, c is m×n.
func addTransposedProduct(c, a, b []float32, m, k, n int) { add(c, a, b, m, k, n, 1, m) }

// add adds the product of a and b to c, where the element (i, l) of a is
// a[i*row+l*column]. Two rows of c and four of b go through the registers at a
// time.
func add(c, a, b []float32, m, k, n, row, column int) {
	i := 0
	for ; i+2 <= m; i += 2 {
		c0, c1 := c[i*n:(i+1)*n], c[(i+1)*n:(i+2)*n]
		p, q := i*row, (i+1)*row
		l := 0
		for ; l+4 <= k; l += 4 {
			add2x4(c0, c1, b[l*n:(l+4)*n],
				a[p], a[p+column], a[p+2*column], a[p+3*column],
				a[q], a[q+column], a[q+2*column], a[q+3*column])
			p, q = p+4*column, q+4*column
		}
		for ; l < k; l++ {
			add1x1(c0, b[l*n:(l+1)*n], a[p])
			add1x1(c1, b[l*n:(l+1)*n], a[q])
			p, q = p+column, q+column
		}
	}
	if i < m {
		addRow(c[i*n:(i+1)*n], a[min(i*row, len(a)):], b, k, column)
	}
}

// addRow is add for one row of c, with the elements of a column apart.
func addRow(c, a, b []float32, k, column int) {
	n, p, l := len(c), 0, 0
	for ; l+4 <= k; l += 4 {
		add1x4(c, b[l*n:(l+4)*n], a[p], a[p+column], a[p+2*column], a[p+3*column])
		p += 4 * column
	}
	for ; l < k; l++ {
		add1x1(c, b[l*n:(l+1)*n], a[p])
		p += column
	}
}

// The slices are cut to one length so that the compiler drops the bounds checks.

func add2x4(c0, c1, b []float32, p0, p1, p2, p3, q0, q1, q2, q3 float32) {
	n := len(c0)
	c1 = c1[:n]
	b0, b1, b2, b3 := b[:n], b[n:][:n], b[2*n:][:n], b[3*n:][:n]
	for j := range c0 {
		x0, x1, x2, x3 := b0[j], b1[j], b2[j], b3[j]
		c0[j] += p0*x0 + p1*x1 + p2*x2 + p3*x3
		c1[j] += q0*x0 + q1*x1 + q2*x2 + q3*x3
	}
}

func add1x4(c, b []float32, p0, p1, p2, p3 float32) {
	n := len(c)
	b0, b1, b2, b3 := b[:n], b[n:][:n], b[2*n:][:n], b[3*n:][:n]
	for j := range c {
		c[j] += p0*b0[j] + p1*b1[j] + p2*b2[j] + p3*b3[j]
	}
}

func add1x1(c, b []float32, p float32) {
	b = b[:len(c)]
	for j := range c {
		c[j] += p * b[j]
	}
}

// transpose writes aᵀ to dst: a is m×n.
func transpose(dst, a []float32, m, n int) {
	for i := range m {
		for j := range n {
			dst[j*m+i] = a[i*n+j]
		}
	}
}
