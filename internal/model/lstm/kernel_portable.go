//go:build !goexperiment.simd || !amd64

package lstm

var active = portable
