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

// A curve is sigmoid or tanh in pieces of equal width.
type curve struct {
	pieces [2*reach + 1][4]float32 // coefficients, that of the power 0 first
	round  float32                 // see squash
	first  uint32                  // the bits of the sum for the first piece, see squash
	least  float32                 // the curve at minus infinity; at infinity it is 1
}

const (
	unit  = 16        // pieces in a unit of the argument of tanh
	reach = 10 * unit // pieces to either side of the one around 0
)

var (
	sigmoid = newCurve(0.5, 0.5, 0.5)
	tanh    = newCurve(1, 1, 0)
)

// newCurve returns the curve p·tanh(s·x) + q; s is a power of two. A piece is the
// Taylor series around its middle. Of r⁴, where r is the distance from there in
// pieces, |r| ≤ 1/2, it has r²/4 - 1/128 instead, the nearest that needs no such
// power (Chebyshev's economised series). The error is below 2.1e-8·p.
func newCurve(s, p, q float64) *curve {
	const h = 1.0 / unit
	w := s * unit // pieces in a unit of x
	c := &curve{round: float32(0x1.8p23 / w), least: float32(q - p)}
	c.first = math.Float32bits(c.round) - reach
	for i := range c.pieces {
		t := math.Tanh(h * float64(i-reach))
		d := p * h * (1 - t*t)
		last := h * h * h * d * t * (2 - 3*t*t) / 3
		c.pieces[i] = [4]float32{
			float32(p*t + q - last/128),
			float32(w * d),
			float32(w * w * (last/4 - h*d*t)),
			float32(w * w * w * h * h * d * (3*t*t - 1) / 3),
		}
	}
	return c
}

// squash writes the curve at every x to dst, with an absolute error below 8e-8,
// most of it from rounding; a NaN stays one. Beyond the pieces the curve is taken
// for flat.
//
// The last bit of round is worth a piece: to add and subtract it rounds to a
// middle, and leaves the number of the piece in the last bits of the sum.
func squash(dst, x []float32, c *curve) {
	dst = dst[:len(x)]
	pieces, round, first := &c.pieces, c.round, c.first
	for k, v := range x {
		sum := v + round
		i := math.Float32bits(sum) - first
		if i >= uint32(len(pieces)) {
			dst[k] = c.flat(v)
			continue
		}
		r, p := v-(sum-round), &pieces[i]
		dst[k] = p[0] + r*(p[1]+r*(p[2]+r*p[3]))
	}
}

// flat is the curve where there are no pieces.
func (c *curve) flat(x float32) float32 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return c.least
	}
	return x
}
