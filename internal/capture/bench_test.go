package capture

import (
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkTimes types at known times, 60 to 250 ms apart in a fixed pattern,
// and reports how far the intervals that a prompt measures are from those that
// were typed, in ms: median, p99 and largest. Run it with -benchtime 300x: one
// iteration is one key.
func BenchmarkTimes(b *testing.B) {
	b.Run("idle", func(b *testing.B) { times(b, 0) })
	b.Run("100 others", func(b *testing.B) {
		for range 100 {
			con := newConsole(b)
			con.read(b.Context(), con.raw("xterm"), Prompt{Phrase: "p"})
		}
		times(b, 0)
	})
	for _, spare := range []int{0, 1} {
		b.Run(fmt.Sprintf("all CPUs computing, %d processors spare", spare), func(b *testing.B) { times(b, runtime.NumCPU()+spare) })
	}
}

// times types b.N keys while NumCPU goroutines compute, if procs is not 0, on
// procs processors of the Go scheduler.
func times(b *testing.B, procs int) {
	if procs > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		var stop atomic.Bool
		defer stop.Store(true)
		for range runtime.NumCPU() {
			go func() {
				for !stop.Load() {
				}
			}()
		}
	}
	con := newConsole(b)
	term := con.raw("xterm")
	var errs []time.Duration
	b.ResetTimer()
	for left := b.N; left > 0; left -= 100 {
		n := min(left, 100)
		ch := con.read(b.Context(), term, Prompt{Phrase: "p"})
		typed := make([]time.Duration, n)
		for i := range typed {
			time.Sleep(time.Duration(60+i*97%190) * time.Millisecond)
			typed[i] = Monotonic()
			con.send("a")
		}
		con.send("\r")
		s, err := result(b, ch)
		if err != nil {
			b.Fatal(err)
		}
		for i := 1; i < len(s.Events); i++ {
			measured := s.Events[i].Down - s.Events[i-1].Down
			errs = append(errs, (measured - (typed[i] - typed[i-1])).Abs())
		}
	}
	if len(errs) == 0 {
		return
	}
	slices.Sort(errs)
	at := func(q float64) float64 { return float64(errs[int(q*float64(len(errs)-1))]) / 1e6 }
	b.ReportMetric(at(.5), "ms-median")
	b.ReportMetric(at(.99), "ms-p99")
	b.ReportMetric(at(1), "ms-max")
	b.ReportMetric(0, "ns/op")
}
