//go:build goexperiment.simd && amd64

package lstm

import (
	"math"
	"simd/archsimd"
)

// stepAVX2 is stepPortable where H is a multiple of 8; it leaves others to it.
func stepAVX2(gates, before, cell, squashed, state []float32) {
	n := len(cell)
	if n%lanes != 0 {
		stepPortable(gates, before, cell, squashed, state)
		return
	}
	all := octets(gates[:4*n])
	m := n / lanes
	i, f, g, o := all[:m], all[m:][:m], all[2*m:][:m], all[3*m:][:m]
	squashAVX2(all[:2*m], all[:2*m], sigmoidAVX2)
	squashAVX2(g, g, tanhAVX2)
	squashAVX2(o, o, sigmoidAVX2)
	b, c, t, h := octets(before)[:m], octets(cell)[:m], octets(squashed)[:m], octets(state)[:m]
	for k := range i {
		ik, fk, gk := archsimd.LoadFloat32x8(&i[k]), archsimd.LoadFloat32x8(&f[k]), archsimd.LoadFloat32x8(&g[k])
		fk.MulAdd(archsimd.LoadFloat32x8(&b[k]), ik.Mul(gk)).Store(&c[k])
	}
	squashAVX2(t, c, tanhAVX2)
	for k := range o {
		archsimd.LoadFloat32x8(&o[k]).Mul(archsimd.LoadFloat32x8(&t[k])).Store(&h[k])
	}
	archsimd.ClearAVXUpperBits()
}

// stepBackAVX2 is stepBackPortable where H is a multiple of 8; it leaves others
// to it.
func stepBackAVX2(gates, before, squashed, dcell, dstate []float32) {
	n := len(dcell)
	if n%lanes != 0 {
		stepBackPortable(gates, before, squashed, dcell, dstate)
		return
	}
	all := octets(gates[:4*n])
	m := n / lanes
	i, f, g, o := all[:m], all[m:][:m], all[2*m:][:m], all[3*m:][:m]
	b, t, dc, dh := octets(before)[:m], octets(squashed)[:m], octets(dcell)[:m], octets(dstate)[:m]
	one := archsimd.BroadcastFloat32x8(1)
	for k := range i {
		ik, fk := archsimd.LoadFloat32x8(&i[k]), archsimd.LoadFloat32x8(&f[k])
		gk, ok := archsimd.LoadFloat32x8(&g[k]), archsimd.LoadFloat32x8(&o[k])
		bk, tk := archsimd.LoadFloat32x8(&b[k]), archsimd.LoadFloat32x8(&t[k])
		h := archsimd.LoadFloat32x8(&dh[k])
		c := h.Mul(ok).MulAdd(one.Sub(tk.Mul(tk)), archsimd.LoadFloat32x8(&dc[k]))
		c.Mul(gk).Mul(ik).Mul(one.Sub(ik)).Store(&i[k])
		c.Mul(bk).Mul(fk).Mul(one.Sub(fk)).Store(&f[k])
		c.Mul(ik).Mul(one.Sub(gk.Mul(gk))).Store(&g[k])
		h.Mul(tk).Mul(ok).Mul(one.Sub(ok)).Store(&o[k])
		c.Mul(fk).Store(&dc[k])
	}
	archsimd.ClearAVXUpperBits()
}

// logistic is p/(1+exp(s·x)) + q.
type logistic struct{ s, p, q float32 }

var (
	sigmoidAVX2 = logistic{-1, 1, 0}
	tanhAVX2    = logistic{2, -2, 1}
)

// squashAVX2 is squash without a table, which vectors are slow to read: s·x is
// (n + r)·ln 2, |r| ≤ 1/2, n whole, and seven terms of the Taylor series of the
// exponential have an error below 1.3e-7, of which the curve leaves a quarter;
// the error of the whole is below 2e-7. Beyond |s·x| = 30 the curve is taken for
// flat. A NaN stays one, which Min and Max would not see to.
func squashAVX2(dst, x []octet, c logistic) {
	s, p, q := archsimd.BroadcastFloat32x8(c.s), archsimd.BroadcastFloat32x8(c.p), archsimd.BroadcastFloat32x8(c.q)
	most, least := archsimd.BroadcastFloat32x8(30), archsimd.BroadcastFloat32x8(-30)
	perUnit, unit := archsimd.BroadcastFloat32x8(math.Log2E), archsimd.BroadcastFloat32x8(-math.Ln2)
	c6, c5, c4 := archsimd.BroadcastFloat32x8(1./720), archsimd.BroadcastFloat32x8(1./120), archsimd.BroadcastFloat32x8(1./24)
	c3, c2, one := archsimd.BroadcastFloat32x8(1./6), archsimd.BroadcastFloat32x8(1./2), archsimd.BroadcastFloat32x8(1)
	dst = dst[:len(x)]
	for k := range x {
		v := archsimd.LoadFloat32x8(&x[k]).Mul(s)
		v = most.Merge(v, v.Greater(most))
		v = least.Merge(v, v.Less(least))
		n := v.Mul(perUnit).RoundToEven()
		r := n.MulAdd(unit, v)
		e := c6.MulAdd(r, c5).MulAdd(r, c4).MulAdd(r, c3).MulAdd(r, c2).MulAdd(r, one).MulAdd(r, one)
		scale := n.ConvertToInt32().ShiftAllLeft(23).Add(one.AsInt32x8()).AsFloat32x8()
		p.Div(e.MulAdd(scale, one)).Add(q).Store(&dst[k])
	}
}
