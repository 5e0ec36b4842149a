package eval

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
)

var (
	nan = math.NaN()
	inf = math.Inf(1)
)

// hundred is 100 impostors with scores 1 to 100.
func hundred() (xs []float64) {
	for i := range 100 {
		xs = append(xs, float64(i+1))
	}
	return xs
}

func same(a, b float64) bool {
	return a == b || math.Abs(a-b) < 1e-12 || math.IsNaN(a) && math.IsNaN(b)
}

func TestEER(t *testing.T) {
	for _, c := range []struct {
		name              string
		genuine, impostor []float64
		want              float64
	}{
		{"no genuine", nil, []float64{1}, nan},
		{"no impostors", []float64{1}, nil, nan},
		{"perfect", []float64{3, 4}, []float64{1, 2}, 0},
		{"reversed", []float64{1, 2}, []float64{3, 4}, 1},
		{"all tied", []float64{1, 1, 1}, []float64{1, 1}, 0.5},
		{"one each, tied", []float64{7}, []float64{7}, 0.5},
		{"met exactly", []float64{1, 3, 4, 5}, []float64{-1, 0, 0.5, 2}, 0.25},
		// at 2: FMR 2/3, FNMR 0; at 3: 1/3 and 1/2; the line between crosses at 0.4.
		{"interpolated", []float64{2, 4}, []float64{1, 2, 3}, 0.4},
		{"a tie across", []float64{2, 2, 3, 3}, []float64{1, 1, 2, 2}, 0.25},
		{"any order", []float64{5, 1, 4, 3}, []float64{2, -1, 0.5, 0}, 0.25},
		{"NaN is refused", []float64{nan, 3, 4, 5}, []float64{-1, 0, 0.5, 2}, 0.25},
		{"an impostor's NaN too", []float64{3, 4}, []float64{nan, nan}, 0},
		{"infinities", []float64{inf, inf}, []float64{-inf, -inf}, 0},
		{"an impostor beyond every threshold", []float64{1, 2}, []float64{inf, inf}, 1},
	} {
		s := Scores{c.genuine, c.impostor}
		if got := s.EER(); !same(got, c.want) {
			t.Errorf("%s: EER %v, want %v", c.name, got, c.want)
		}
		if c.name == "any order" && s.Genuine[0] != 5 {
			t.Error("the scores were sorted in place")
		}
	}
}

func TestDET(t *testing.T) {
	if got := (Scores{Genuine: []float64{1}}).DET(); got != nil {
		t.Errorf("without impostors %v, want nil", got)
	}
	s := Scores{[]float64{2, 4}, []float64{1, 2, 3}}
	want := []Point{{1, 1, 0}, {2, 2.0 / 3, 0}, {3, 1.0 / 3, 0.5}, {4, 0, 0.5}, {inf, 0, 1}}
	if got := s.DET(); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestDETIsMonotone checks the shape of the curve, and that every point of it
// is what counting says, on random scores with many ties.
func TestDETIsMonotone(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		s := Scores{make([]float64, 1+rng.IntN(30)), make([]float64, 1+rng.IntN(30))}
		for i := range s.Genuine {
			s.Genuine[i] = float64(rng.IntN(12))
		}
		for i := range s.Impostor {
			s.Impostor[i] = float64(rng.IntN(12) - 4)
		}
		det := s.DET()
		for k, p := range det {
			if p != s.At(p.Threshold) {
				t.Fatalf("point %v, counted %v", p, s.At(p.Threshold))
			}
			if k > 0 && (p.FMR > det[k-1].FMR || p.FNMR < det[k-1].FNMR || p.Threshold <= det[k-1].Threshold) {
				t.Fatalf("%v after %v", p, det[k-1])
			}
		}
		if first, last := det[0], det[len(det)-1]; first.FMR != 1 || first.FNMR != 0 || last.FMR != 0 || last.FNMR != 1 {
			t.Fatalf("from %v to %v", first, last)
		}
		if e := s.EER(); !(e >= 0 && e <= 1) {
			t.Fatalf("EER %v of %v", e, s)
		}
	}
}

func TestFNMRAt(t *testing.T) {
	genuine := []float64{99.5, 99.7, 100.5, 200}
	for _, c := range []struct {
		name     string
		s        Scores
		fmr, out float64
	}{
		{"no scores", Scores{}, 0.1, nan},
		{"everybody in", Scores{genuine, hundred()}, 1, 0},
		// Only the impostor at 100 may pass. 1 - 99/100 is above 0.01 in floats.
		{"one in a hundred", Scores{genuine, hundred()}, 0.01, 0},
		{"none", Scores{genuine, hundred()}, 0, 0.5},
		{"fewer than there are", Scores{genuine, hundred()}, 0.001, 0.5},
		{"no threshold but refusing all", Scores{[]float64{1}, []float64{2}}, 0.1, 1},
		{"nor with an impostor beyond every number", Scores{[]float64{1}, []float64{inf}}, 0.1, 1},
	} {
		if got := c.s.FNMRAt(c.fmr); !same(got, c.out) {
			t.Errorf("%s: FNMR %v, want %v", c.name, got, c.out)
		}
	}
}

func TestAt(t *testing.T) {
	s := Scores{[]float64{1, 2, 3, nan}, []float64{0, 2, nan, nan, nan}}
	for _, c := range []Point{{0, 0.4, 0.25}, {2, 0.2, 0.5}, {2.5, 0, 0.75}, {inf, 0, 1}, {-inf, 0.4, 0.25}} {
		if got := s.At(c.Threshold); !same(got.FMR, c.FMR) || !same(got.FNMR, c.FNMR) || got.Threshold != c.Threshold {
			t.Errorf("at %v: %v, want %v", c.Threshold, got, c)
		}
	}
	if got := (Scores{}).At(0); !math.IsNaN(got.FMR) || !math.IsNaN(got.FNMR) {
		t.Errorf("without scores %v, want NaN", got)
	}
}

func TestCllr(t *testing.T) {
	for _, c := range []struct {
		name              string
		genuine, impostor []float64
		want              float64
	}{
		{"no genuine", nil, []float64{1}, nan},
		{"no impostors", []float64{1}, nil, nan},
		{"says nothing", []float64{0, 0}, []float64{0}, 1},
		{"perfect", []float64{800, 900}, []float64{-800}, 0},
		{"infinitely perfect", []float64{inf}, []float64{-inf}, 0},
		{"sure and wrong", []float64{-800}, []float64{-800}, 400 / math.Ln2},
		// ½·(log2(1 + e^-ln3) + log2(1 + e^-ln7)) = ½·(log2(4/3) + log2(8/7))
		{"by hand", []float64{math.Log(3)}, []float64{-math.Log(7)}, (math.Log2(4.0/3) + math.Log2(8.0/7)) / 2},
		{"NaN is not hidden", []float64{1, nan}, []float64{-1}, nan},
	} {
		if got := (Scores{c.genuine, c.impostor}).Cllr(); !same(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestBootstrapCovers draws worlds with a known mean and counts how often the
// interval holds it. People differ, so that drawing comparisons instead of
// people would cover far too little.
func TestBootstrapCovers(t *testing.T) {
	mean := func(s Scores) float64 { m, _ := MeanSD(s.Genuine); return m }
	rng := rand.New(rand.NewPCG(3, 3))
	const worlds = 300
	covered := 0
	for w := range worlds {
		people := make([]Scores, 40)
		for i := range people {
			own := rng.NormFloat64()
			for range 3 {
				people[i].Genuine = append(people[i].Genuine, own+0.1*rng.NormFloat64())
			}
		}
		ci := Bootstrap(people, 200, uint64(w), mean)
		if ci.Low <= 0 && 0 <= ci.High {
			covered++
		}
	}
	if covered < 270 || covered > 299 { // 95 % of 300 is 285, sd 4
		t.Errorf("%d of %d intervals hold the truth, want about 285", covered, worlds)
	}
}

func TestBootstrap(t *testing.T) {
	people := []Scores{{Genuine: []float64{1}}, {Genuine: []float64{2}}, {Genuine: []float64{9}, Impostor: []float64{0}}}
	mean := func(s Scores) float64 { m, _ := MeanSD(s.Genuine); return m }
	a, b := Bootstrap(people, 50, 7, mean), Bootstrap(people, 50, 7, mean)
	if a != b {
		t.Errorf("one seed, two intervals: %v, %v", a, b)
	}
	if a.Low < 1 || a.High > 9 || a.Low >= a.High {
		t.Errorf("interval %v of means between 1 and 9", a)
	}
	// Where impostors are drawn at all the EER is 0; draws without are left out.
	if got := Bootstrap(people, 50, 7, Scores.EER); got != (Interval{}) {
		t.Errorf("%v, want [0, 0]", got)
	}
	for name, got := range map[string]Interval{
		"nobody":           Bootstrap(nil, 50, 7, Scores.EER),
		"no draws":         Bootstrap(people, 0, 7, mean),
		"a figure of none": Bootstrap(people[:2], 50, 7, Scores.EER),
	} {
		if !math.IsNaN(got.Low) || !math.IsNaN(got.High) {
			t.Errorf("%s: %v, want NaN", name, got)
		}
	}
}

func TestAppend(t *testing.T) {
	s := Scores{[]float64{1}, nil}
	s.Append(Scores{[]float64{2}, []float64{3}})
	if want := (Scores{[]float64{1, 2}, []float64{3}}); !reflect.DeepEqual(s, want) {
		t.Errorf("%v, want %v", s, want)
	}
}

func TestMeanSD(t *testing.T) {
	for _, c := range []struct {
		xs       []float64
		mean, sd float64
	}{
		{nil, nan, nan},
		{[]float64{5}, 5, nan},
		{[]float64{2, 4, 4, 4, 5, 5, 7, 9}, 5, math.Sqrt(32.0 / 7)},
	} {
		if mean, sd := MeanSD(c.xs); !same(mean, c.mean) || !same(sd, c.sd) {
			t.Errorf("%v: %v, %v, want %v, %v", c.xs, mean, sd, c.mean, c.sd)
		}
	}
}
