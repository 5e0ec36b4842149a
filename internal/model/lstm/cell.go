package lstm

import "math"

func stepPortable(gates, before, cell, squashed, state []float32) {
	n := len(cell)
	i, f, g, o := gates[:n], gates[n:][:n], gates[2*n:][:n], gates[3*n:][:n]
	before, squashed, state = before[:n], squashed[:n], state[:n]
	squash(gates[:2*n], gates[:2*n], sigmoid)
	squash(g, g, tanh)
	squash(o, o, sigmoid)
	for k := range cell {
		cell[k] = f[k]*before[k] + i[k]*g[k]
	}
	squash(squashed, cell, tanh)
	for k := range state {
		state[k] = o[k] * squashed[k]
	}
}

func stepBackPortable(gates, before, squashed, dcell, dstate []float32) {
	n := len(dcell)
	i, f, g, o := gates[:n], gates[n:][:n], gates[2*n:][:n], gates[3*n:][:n]
	before, squashed, dstate = before[:n], squashed[:n], dstate[:n]
	for k := range dcell {
		ik, fk, gk, ok, tk, dh := i[k], f[k], g[k], o[k], squashed[k], dstate[k]
		dc := dcell[k] + dh*ok*(1-tk*tk)
		i[k] = dc * gk * ik * (1 - ik)
		f[k] = dc * before[k] * fk * (1 - fk)
		g[k] = dc * ik * (1 - gk*gk)
		o[k] = dh * tk * ok * (1 - ok)
		dcell[k] = dc * fk
	}
}

// curve is p/(1+exp(s·x)) + q.
type curve struct{ s, p, q float32 }

var (
	sigmoid = curve{-1, 1, 0}
	tanh    = curve{2, -2, 1}
)

// powers are the bits of 2^(i/64), 0 ≤ i < 64.
var powers = func() (bits [64]uint32) {
	for i := range bits {
		bits[i] = math.Float32bits(float32(math.Exp2(float64(i) / 64)))
	}
	return bits
}()

// squash writes the curve at every x to dst, with an absolute error below
// 2e-7, most of it from rounding; a NaN stays one. Beyond |s·x| = 30 the curve
// is taken for flat.
//
// It writes s·x as (n + r)·ln 2 / 64, |r| ≤ 1/2 (Tang 1989). Of exp(s·x), the
// table has 2^(n/64) but for whole powers of two, which are added to the
// exponent, and three terms of the Taylor series have the rest, with an error
// below 3e-8. To add and subtract 1.5·2²³ rounds to a whole number, and leaves
// that number in the last bits of the sum.
func squash(dst, x []float32, c curve) {
	const unit = math.Ln2 / 64
	const limit, round = 30 / unit, 3 << 22
	dst = dst[:len(x)]
	s, p, q := c.s/unit, c.p, c.q
	for k, v := range x {
		v *= s
		if v > limit {
			v = limit
		} else if v < -limit {
			v = -limit
		}
		sum := v + round
		n := math.Float32bits(sum)
		r := v - (sum - round)
		e := (1 + r*(unit+r*(unit*unit/2))) * math.Float32frombits(powers[n%64]+n/64<<23)
		dst[k] = p/(1+e) + q
	}
}
