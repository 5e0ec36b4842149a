//go:build goexperiment.simd && amd64

package lstm

import "simd/archsimd"

// avx2 works on vectors of 8 floats. Every routine ends by clearing the upper
// halves of the registers: the SSE code that follows would wait for them
// otherwise.
var avx2 = kernels{"avx2/1", productAVX2, addScaledAVX2, stepAVX2, stepBackAVX2, affineAVX2}

var active = choose(archsimd.X86.AVX2() && archsimd.X86.FMA())

func choose(able bool) kernels {
	if able {
		return avx2
	}
	return portable
}
