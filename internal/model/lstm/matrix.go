package lstm

// productPortable adds the product of a and b to c, where the element (i, l) of
// a is a[i*row+l*column]. Two rows of c and four of b go through the registers
// at a time, or one and six.
func productPortable(c, a, b []float32, m, k, n, row, column int) {
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
		if l+2 <= k {
			add1x2(c0, b[l*n:(l+2)*n], a[p], a[p+column])
			add1x2(c1, b[l*n:(l+2)*n], a[q], a[q+column])
			l, p, q = l+2, p+2*column, q+2*column
		}
		if l < k {
			addScaledPortable(c0, b[l*n:(l+1)*n], a[p])
			addScaledPortable(c1, b[l*n:(l+1)*n], a[q])
		}
	}
	if i < m {
		productRow(c[i*n:(i+1)*n], a[min(i*row, len(a)):], b, k, column)
	}
}

// productRow is productPortable for one row of c, with the elements of a column
// apart.
func productRow(c, a, b []float32, k, column int) {
	n, p, l := len(c), 0, 0
	for ; l+6 <= k; l += 6 {
		add1x6(c, b[l*n:(l+6)*n],
			a[p], a[p+column], a[p+2*column], a[p+3*column], a[p+4*column], a[p+5*column])
		p += 6 * column
	}
	for ; l+2 <= k; l += 2 {
		add1x2(c, b[l*n:(l+2)*n], a[p], a[p+column])
		p += 2 * column
	}
	if l < k {
		addScaledPortable(c, b[l*n:(l+1)*n], a[p])
	}
}

// The slices are cut to one length so that the compiler drops the bounds
// checks. Sums are in pairs, so that no sum waits for all the others.

func add2x4(c0, c1, b []float32, p0, p1, p2, p3, q0, q1, q2, q3 float32) {
	n := len(c0)
	c1 = c1[:n]
	b0, b1, b2, b3 := b[:n], b[n:][:n], b[2*n:][:n], b[3*n:][:n]
	for j := range c0 {
		x0, x1, x2, x3 := b0[j], b1[j], b2[j], b3[j]
		c0[j] += (p0*x0 + p1*x1) + (p2*x2 + p3*x3)
		c1[j] += (q0*x0 + q1*x1) + (q2*x2 + q3*x3)
	}
}

func add1x6(c, b []float32, p0, p1, p2, p3, p4, p5 float32) {
	n := len(c)
	b0, b1, b2 := b[:n], b[n:][:n], b[2*n:][:n]
	b3, b4, b5 := b[3*n:][:n], b[4*n:][:n], b[5*n:][:n]
	for j := range c {
		c[j] += (p0*b0[j] + p1*b1[j]) + (p2*b2[j] + p3*b3[j]) + (p4*b4[j] + p5*b5[j])
	}
}

func add1x2(c, b []float32, p0, p1 float32) {
	n := len(c)
	b0, b1 := b[:n], b[n:][:n]
	for j := range c {
		c[j] += p0*b0[j] + p1*b1[j]
	}
}

func addScaledPortable(c, b []float32, p float32) {
	b = b[:len(c)]
	for j := range c {
		c[j] += p * b[j]
	}
}

func affinePortable(dst, x, weights []float32) {
	n, i := len(dst), 0
	copy(dst, weights[len(x)*n:])
	for ; i+4 <= len(x); i += 4 {
		affine4(dst, weights[i*n:(i+4)*n], x[i], x[i+1], x[i+2], x[i+3])
	}
	for ; i < len(x); i++ {
		v, row := x[i], weights[i*n:(i+1)*n]
		for j := range dst {
			dst[j] += float32(v * row[j]) // rounded: Go may not fuse it with the sum
		}
	}
}

// affine4 adds four rows, one after the other.
func affine4(c, b []float32, p0, p1, p2, p3 float32) {
	n := len(c)
	b0, b1, b2, b3 := b[:n], b[n:][:n], b[2*n:][:n], b[3*n:][:n]
	for j, sum := range c {
		sum += float32(p0 * b0[j])
		sum += float32(p1 * b1[j])
		sum += float32(p2 * b2[j])
		sum += float32(p3 * b3[j])
		c[j] = sum
	}
}
