package lstm

import "math"

// step turns one row of gates before activation (4H) into activated gates, and
// the cell before into the cell and the state after. squashed is tanh(cell).
// before and cell may be the same slice.
func step(gates, before, cell, squashed, state []float32) {
	n := len(cell)
	i, f, g, o := gates[:n], gates[n:][:n], gates[2*n:][:n], gates[3*n:][:n]
	before, squashed, state = before[:n], squashed[:n], state[:n]
	for k := range cell {
		ik, fk, gk, ok := sigmoid(i[k]), sigmoid(f[k]), tanh(g[k]), sigmoid(o[k])
		ck := fk*before[k] + ik*gk
		tk := tanh(ck)
		i[k], f[k], g[k], o[k] = ik, fk, gk, ok
		cell[k], squashed[k], state[k] = ck, tk, ok*tk
	}
}

// stepBack is the gradient of step. It turns activated gates into the gradient
// of the gates before activation, and dcell, the gradient of the cell after,
// into that of the cell before. dstate is the gradient of the state after.
func stepBack(gates, before, squashed, dcell, dstate []float32) {
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

func sigmoid(x float32) float32 { return 1 / (1 + exp(-x)) }

func tanh(x float32) float32 { return 1 - 2/(1+exp(2*x)) }

// exp is e^x for |x| ≤ 30, and e^±30 beyond, where sigmoid and tanh are flat. It
// writes x as n·ln 2 + r, |r| ≤ ln 2 / 2, takes the Taylor series of e^r to the
// seventh term, whose rest is below 1e-8, and puts n into the exponent.
func exp(x float32) float32 {
	const log2e, ln2High, ln2Low = 1.44269504, 0.693145752, 1.42860677e-6
	if x > 30 {
		x = 30
	} else if x < -30 {
		x = -30
	}
	n := int32(x*log2e+64.5) - 64 // rounds to nearest: the argument is positive
	r := (x - float32(n)*ln2High) - float32(n)*ln2Low
	e := 1 + r*(1+r*(1./2+r*(1./6+r*(1./24+r*(1./120+r*(1./720+r*(1./5040)))))))
	return e * math.Float32frombits(uint32(n+127)<<23)
}
