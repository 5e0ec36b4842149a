package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"ksd/internal/model/eval"
)

// normal draws n scores of either kind that are log-likelihood ratios: means
// ±d²/2, variance d².
func normal(n int, d float64) (s eval.Scores) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range n {
		s.Genuine = append(s.Genuine, d*d/2+d*rng.NormFloat64())
		s.Impostor = append(s.Impostor, -d*d/2+d*rng.NormFloat64())
	}
	return s
}

// elements counts the elements of an SVG by name and class, and gathers its text.
func elements(t *testing.T, svg []byte) (counts map[string]int, text string) {
	t.Helper()
	counts = map[string]int{}
	dec := xml.NewDecoder(bytes.NewReader(svg))
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			return counts, text
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		switch e := tok.(type) {
		case xml.StartElement:
			counts[e.Name.Local]++
			for _, a := range e.Attr {
				if a.Name.Local == "class" {
					counts[e.Name.Local+"."+a.Value]++
				}
				if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
					t.Errorf("%s has %s=%q", e.Name.Local, a.Name.Local, a.Value)
				}
			}
		case xml.CharData:
			text += string(e)
		}
	}
}

func TestPlot(t *testing.T) {
	var b bytes.Buffer
	err := Plot(&b, `press & "full" <1>`, []Curve{
		{"detector", normal(2000, 2), false},
		{"fusion <best>", normal(2000, 3), true},
		{"nobody", eval.Scores{}, true},
		{"all the same", eval.Scores{Genuine: []float64{1, 1}, Impostor: []float64{1}}, true},
	})
	if err != nil {
		t.Fatal(err)
	}
	counts, text := elements(t, b.Bytes())
	// One DET line each, and one of calibration for the likelihood ratios.
	for what, want := range map[string]int{"svg": 1, "polyline.c0": 1, "polyline.c1": 2, "polyline.c2": 0, "line.even": 2, "line.c0": 1, "path.grid": len(grid) + 9} {
		if counts[what] != want {
			t.Errorf("%d of %s, want %d", counts[what], what, want)
		}
	}
	for _, want := range []string{`press & "full" <1>`, "fusion <best>", "detector", "FMR, %", "FNMR, %", "0.1", "40", "prefers-color-scheme: dark"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the text", want)
		}
	}
	if err := Plot(broken{}, "", nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%v, want the writer's error", err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestReliability(t *testing.T) {
	// Calibrated scores lie on the diagonal, those twice as sure of themselves do not.
	for _, c := range []struct{ times, slope float64 }{{1, 1}, {2, 0.5}} {
		s := normal(200000, 2)
		for _, xs := range [][]float64{s.Genuine, s.Impostor} {
			for i := range xs {
				xs[i] *= c.times
			}
		}
		bins := reliability(s)
		if len(bins) < 8 {
			t.Fatalf("%d bins", len(bins))
		}
		for _, b := range bins {
			if math.Abs(b.said) < 4 && math.Abs(b.observed-c.slope*b.said) > 0.15 {
				t.Errorf("times %v: said %v, observed %v", c.times, b.said, b.observed)
			}
		}
	}
	if got := reliability(eval.Scores{Genuine: []float64{1, 99, math.NaN()}, Impostor: []float64{-1, math.Inf(-1)}}); got != nil {
		t.Errorf("bins of one kind each: %v", got)
	}
	if got := reliability(eval.Scores{Genuine: []float64{1.5, 1.5, 7}, Impostor: []float64{1.1, 3, 3, 3}}); len(got) != 1 || math.Abs(got[0].observed-math.Log((2.0/3)/(1.0/4))) > 1e-9 {
		t.Errorf("%v", got)
	}
}

func TestProbit(t *testing.T) {
	for p, want := range map[float64]float64{0.5: 0, 0.025: -1.959964, 0.8413447: 1} {
		if got := probit(p); math.Abs(got-want) > 1e-5 {
			t.Errorf("probit(%v) = %v, want %v", p, got, want)
		}
	}
}
