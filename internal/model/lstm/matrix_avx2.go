//go:build goexperiment.simd && amd64

package lstm

import (
	"simd/archsimd"
	"unsafe"
)

const (
	lanes = 8  // floats in a vector
	depth = 32 // rows of b that are read again and again before the next: they stay in a near cache
)

// octet is what a vector is loaded from and stored to.
type octet = [lanes]float32

// octets is x, eight by eight. What is left over is not in it. A pointer to an
// octet may not lead to fewer than eight floats, though it be never read from.
func octets(x []float32) []octet {
	if len(x) < lanes {
		return nil
	}
	return unsafe.Slice((*octet)(unsafe.Pointer(unsafe.SliceData(x))), len(x)/lanes)
}

// productAVX2 is productPortable in tiles of 4 rows by 16 columns of c. Where c
// has fewer rows left, the last stands in for those that are missing: it is
// computed and stored more than once. Where its columns are not a multiple of
// 16 it is left to productPortable; 4H is one where H is a multiple of 4.
func productAVX2(c, a, b []float32, m, k, n, row, column int) {
	if n%(2*lanes) != 0 {
		productPortable(c, a, b, m, k, n, row, column)
		return
	}
	if m == 1 && column == 1 {
		addRowProduct(octets(c[:n]), a[:k], octets(b[:k*n]))
	} else {
		addBlocks(c, a, b, m, k, n, row, column)
	}
	if k%2 == 1 {
		for i := range m {
			addScaledAVX2(c[i*n:(i+1)*n], b[(k-1)*n:k*n], a[i*row+(k-1)*column])
		}
	}
	archsimd.ClearAVXUpperBits()
}

// addRowProduct adds the product of a row and a matrix to c, but for the last
// row of b where their number is odd.
func addRowProduct(c []octet, a []float32, b []octet) {
	n := len(c)
	if a = a[:len(a)&^1]; len(a) == 0 {
		return
	}
	j := 0
	for ; j+8 <= n; j += 8 {
		addStrip((*[8]octet)(c[j:]), a, b[j:], n)
	}
	for ; j < n; j += 2 {
		t := (*[2]octet)(c[j:])
		addTile(t, t, t, t, a, a, a, a, b[j:], n)
	}
}

// addBlocks is productPortable, but for the last row of b where their number is
// odd.
func addBlocks(c, a, b []float32, m, k, n, row, column int) {
	var packed [4][depth]float32
	k &^= 1
	for l := 0; l < k; l += depth {
		deep := min(depth, k-l)
		rows := octets(b[l*n : (l+deep)*n])
		for i := 0; i < m; i += 4 {
			height := min(4, m-i)
			i1, i2, i3 := min(1, height-1), min(2, height-1), min(3, height-1)
			var a0, a1, a2, a3 []float32
			if from := a[i*row+l*column:]; column == 1 {
				a0, a1, a2, a3 = from[:deep], from[i1*row:][:deep], from[i2*row:][:deep], from[i3*row:][:deep]
			} else {
				pack(&packed, from, height, deep, column)
				a0, a1, a2, a3 = packed[0][:deep], packed[i1][:deep], packed[i2][:deep], packed[i3][:deep]
			}
			t := octets(c[i*n : (i+height)*n])
			w := n / lanes
			for j := 0; j < w; j += 2 {
				addTile((*[2]octet)(t[j:]), (*[2]octet)(t[i1*w+j:]), (*[2]octet)(t[i2*w+j:]), (*[2]octet)(t[i3*w+j:]),
					a0, a1, a2, a3, rows[j:], w)
			}
		}
	}
}

// pack copies up to four columns of a to rows.
func pack(to *[4][depth]float32, a []float32, m, k, column int) {
	if m < 4 {
		for l := range k {
			for i, x := range a[l*column:][:m] {
				to[i][l] = x
			}
		}
		return
	}
	for l := range k {
		four := (*[4]float32)(a[l*column:])
		to[0][l], to[1][l], to[2][l], to[3][l] = four[0], four[1], four[2], four[3]
	}
}

// addTile adds to 4×16 floats of c. stride is from row to row of b. The number
// of rows is even and not 0; they are read in pairs, by pointers that go from
// one to the next, which keeps the loop to little else than loads and products.
// The slices are checked once, before it. A broadcast is written out because
// the compiler orders the instructions by line: those of a function would come
// before all others, and there are not enough registers for that.
func addTile(c0, c1, c2, c3 *[2]octet, a0, a1, a2, a3 []float32, b []octet, stride int) {
	k := len(a0)
	_, _, _, _ = a1[:k], a2[:k], a3[:k], b[(k-1)*stride:][:2]
	p0, p1, p2, p3 := (*[2]float32)(a0), (*[2]float32)(a1), (*[2]float32)(a2), (*[2]float32)(a3)
	row, next, step := (*[2]octet)(b), (*[2]octet)(b[stride:]), 8*lanes*stride
	var z archsimd.Float32x4
	c00, c01 := archsimd.LoadFloat32x8(&c0[0]), archsimd.LoadFloat32x8(&c0[1])
	c10, c11 := archsimd.LoadFloat32x8(&c1[0]), archsimd.LoadFloat32x8(&c1[1])
	c20, c21 := archsimd.LoadFloat32x8(&c2[0]), archsimd.LoadFloat32x8(&c2[1])
	c30, c31 := archsimd.LoadFloat32x8(&c3[0]), archsimd.LoadFloat32x8(&c3[1])
	for {
		b0, b1 := archsimd.LoadFloat32x8(&row[0]), archsimd.LoadFloat32x8(&row[1])
		x := z.SetElem(0, p0[0]).Broadcast1To8()
		c00, c01 = x.MulAdd(b0, c00), x.MulAdd(b1, c01)
		x = z.SetElem(0, p1[0]).Broadcast1To8()
		c10, c11 = x.MulAdd(b0, c10), x.MulAdd(b1, c11)
		x = z.SetElem(0, p2[0]).Broadcast1To8()
		c20, c21 = x.MulAdd(b0, c20), x.MulAdd(b1, c21)
		x = z.SetElem(0, p3[0]).Broadcast1To8()
		c30, c31 = x.MulAdd(b0, c30), x.MulAdd(b1, c31)

		b0, b1 = archsimd.LoadFloat32x8(&next[0]), archsimd.LoadFloat32x8(&next[1])
		x = z.SetElem(0, p0[1]).Broadcast1To8()
		c00, c01 = x.MulAdd(b0, c00), x.MulAdd(b1, c01)
		x = z.SetElem(0, p1[1]).Broadcast1To8()
		c10, c11 = x.MulAdd(b0, c10), x.MulAdd(b1, c11)
		x = z.SetElem(0, p2[1]).Broadcast1To8()
		c20, c21 = x.MulAdd(b0, c20), x.MulAdd(b1, c21)
		x = z.SetElem(0, p3[1]).Broadcast1To8()
		c30, c31 = x.MulAdd(b0, c30), x.MulAdd(b1, c31)
		if k -= 2; k <= 0 {
			break
		}
		row = (*[2]octet)(unsafe.Add(unsafe.Pointer(row), step))
		next = (*[2]octet)(unsafe.Add(unsafe.Pointer(next), step))
		p0 = (*[2]float32)(unsafe.Add(unsafe.Pointer(p0), 8))
		p1 = (*[2]float32)(unsafe.Add(unsafe.Pointer(p1), 8))
		p2 = (*[2]float32)(unsafe.Add(unsafe.Pointer(p2), 8))
		p3 = (*[2]float32)(unsafe.Add(unsafe.Pointer(p3), 8))
	}
	c00.Store(&c0[0])
	c01.Store(&c0[1])
	c10.Store(&c1[0])
	c11.Store(&c1[1])
	c20.Store(&c2[0])
	c21.Store(&c2[1])
	c30.Store(&c3[0])
	c31.Store(&c3[1])
}

// addStrip adds to 64 floats of a lone row of c, see addTile.
func addStrip(c *[8]octet, a []float32, b []octet, stride int) {
	c0, c1 := archsimd.LoadFloat32x8(&c[0]), archsimd.LoadFloat32x8(&c[1])
	c2, c3 := archsimd.LoadFloat32x8(&c[2]), archsimd.LoadFloat32x8(&c[3])
	c4, c5 := archsimd.LoadFloat32x8(&c[4]), archsimd.LoadFloat32x8(&c[5])
	c6, c7 := archsimd.LoadFloat32x8(&c[6]), archsimd.LoadFloat32x8(&c[7])
	var z archsimd.Float32x4
	k := len(a)
	_ = b[(k-1)*stride:][:8]
	row, next, step := (*[8]octet)(b), (*[8]octet)(b[stride:]), 8*lanes*stride
	p := (*[2]float32)(a)
	for {
		x := z.SetElem(0, p[0]).Broadcast1To8()
		c0 = archsimd.LoadFloat32x8(&row[0]).MulAdd(x, c0)
		c1 = archsimd.LoadFloat32x8(&row[1]).MulAdd(x, c1)
		c2 = archsimd.LoadFloat32x8(&row[2]).MulAdd(x, c2)
		c3 = archsimd.LoadFloat32x8(&row[3]).MulAdd(x, c3)
		c4 = archsimd.LoadFloat32x8(&row[4]).MulAdd(x, c4)
		c5 = archsimd.LoadFloat32x8(&row[5]).MulAdd(x, c5)
		c6 = archsimd.LoadFloat32x8(&row[6]).MulAdd(x, c6)
		c7 = archsimd.LoadFloat32x8(&row[7]).MulAdd(x, c7)
		x = z.SetElem(0, p[1]).Broadcast1To8()
		c0 = archsimd.LoadFloat32x8(&next[0]).MulAdd(x, c0)
		c1 = archsimd.LoadFloat32x8(&next[1]).MulAdd(x, c1)
		c2 = archsimd.LoadFloat32x8(&next[2]).MulAdd(x, c2)
		c3 = archsimd.LoadFloat32x8(&next[3]).MulAdd(x, c3)
		c4 = archsimd.LoadFloat32x8(&next[4]).MulAdd(x, c4)
		c5 = archsimd.LoadFloat32x8(&next[5]).MulAdd(x, c5)
		c6 = archsimd.LoadFloat32x8(&next[6]).MulAdd(x, c6)
		c7 = archsimd.LoadFloat32x8(&next[7]).MulAdd(x, c7)
		if k -= 2; k <= 0 {
			break
		}
		row = (*[8]octet)(unsafe.Add(unsafe.Pointer(row), step))
		next = (*[8]octet)(unsafe.Add(unsafe.Pointer(next), step))
		p = (*[2]float32)(unsafe.Add(unsafe.Pointer(p), 8))
	}
	c0.Store(&c[0])
	c1.Store(&c[1])
	c2.Store(&c[2])
	c3.Store(&c[3])
	c4.Store(&c[4])
	c5.Store(&c[5])
	c6.Store(&c[6])
	c7.Store(&c[7])
}

func addScaledAVX2(c, b []float32, p float32) {
	b = b[:len(c)]
	x := archsimd.BroadcastFloat32x8(p)
	from := octets(b)
	for j := range octets(c) {
		to := &octets(c)[j]
		x.MulAdd(archsimd.LoadFloat32x8(&from[j]), archsimd.LoadFloat32x8(to)).Store(to)
	}
	archsimd.ClearAVXUpperBits()
	done := len(from) * lanes
	addScaledPortable(c[done:], b[done:], p)
}

// affineAVX2 is affinePortable in strips of 32 columns. Where their number is not
// a multiple of 32 it leaves them to it.
func affineAVX2(dst, x, weights []float32) {
	const strip = 4
	if len(dst)%(strip*lanes) != 0 {
		affinePortable(dst, x, weights)
		return
	}
	to, w := octets(dst), octets(weights[:(len(x)+1)*len(dst)])
	for j := 0; j < len(to); j += strip {
		b := w[len(x)*len(to)+j:][:strip]
		c0, c1 := archsimd.LoadFloat32x8(&b[0]), archsimd.LoadFloat32x8(&b[1])
		c2, c3 := archsimd.LoadFloat32x8(&b[2]), archsimd.LoadFloat32x8(&b[3])
		for i, p := range x {
			row, v := w[i*len(to)+j:][:strip], archsimd.BroadcastFloat32x8(p)
			c0 = c0.Add(v.Mul(archsimd.LoadFloat32x8(&row[0])))
			c1 = c1.Add(v.Mul(archsimd.LoadFloat32x8(&row[1])))
			c2 = c2.Add(v.Mul(archsimd.LoadFloat32x8(&row[2])))
			c3 = c3.Add(v.Mul(archsimd.LoadFloat32x8(&row[3])))
		}
		t := to[j:][:strip]
		c0.Store(&t[0])
		c1.Store(&t[1])
		c2.Store(&t[2])
		c3.Store(&t[3])
	}
	archsimd.ClearAVXUpperBits()
}
