package feature

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"ksd/internal/corpus"
	"ksd/internal/keystroke"
)

// TestNoSingleFeatureSeparates holds the drawn strangers against real people:
// whoever looks at one number of a typing alone must not tell them apart
// better than chance + 10 points, or the network learns the generator.
func TestNoSingleFeatureSeparates(t *testing.T) {
	people := greyc(t)
	var lines [][]keystroke.Line
	for _, p := range people {
		var ls []keystroke.Line
		for _, s := range p {
			ls = append(ls, s.Line())
		}
		lines = append(lines, ls)
	}
	// One stranger for each typing would leave the figures to the luck of the
	// draw, by a point or two: best splits are picked from noise.
	const draws = 10
	r := NewRhythms(Default(), lines)
	rng := rand.New(rand.NewPCG(1, 2))
	real, drawn := map[string][]float64{}, map[string][]float64{}
	for _, p := range people {
		for _, s := range p {
			collect(real, s)
			for range draws {
				d, err := r.Draw(rng, s.Phrase)
				if err != nil {
					t.Fatal(err)
				}
				collect(drawn, d)
			}
		}
	}
	worst, which := 0.0, ""
	for _, name := range slices.Sorted(maps.Keys(real)) {
		acc := bestSplit(real[name], drawn[name])
		if acc > 0.60 {
			t.Errorf("%s alone tells real from drawn with accuracy %.3f, want at most 0.600", name, acc)
		}
		if acc > worst {
			worst, which = acc, name
		}
	}
	t.Logf("the most telling of %d: %s, %.3f", len(real), which, worst)
}

// collect adds every single number of a sample under its name.
func collect(to map[string][]float64, s keystroke.Sample) {
	add := func(name string, x float64) { to[name] = append(to[name], x) }
	sum := Summarise(s)
	add("wpm", sum.WPM)
	add("consistency", sum.Consistency)
	add("speed changes", sum.SpeedChanges)
	for name, m := range map[string]Moments{"HT": sum.HT, "PPT": sum.PPT, "RRT": sum.RRT, "RPT": sum.RPT} {
		add(name+" mean", m.MeanMS)
		add(name+" sd", m.StdDev)
	}
	strokes := Default().Extract(s.Line())
	var dd, dwell []float64
	overlaps := 0.0
	for i, st := range strokes {
		at := fmt.Sprintf("%.8s %02d ", s.Phrase, i)
		if st.HasDwell {
			add(at+"dwell", st.LogDwell)
			dwell = append(dwell, st.LogDwell)
		}
		if st.HasDD {
			add(at+"dd", st.LogDD)
			if st.HasFlight {
				add(at+"flight", st.FlightMS)
			}
			dd = append(dd, st.LogDD)
		}
		if st.Overlap {
			overlaps++
		}
	}
	add("overlaps", overlaps)
	add("fastest dd", slices.Min(dd))
	add("slowest dd", slices.Max(dd))
	add("shortest dwell", slices.Min(dwell))
	add("longest dwell", slices.Max(dwell))
}

// bestSplit returns the balanced accuracy of the best single threshold.
func bestSplit(a, b []float64) float64 {
	all := slices.Concat(a, b)
	slices.Sort(all)
	slices.Sort(a)
	slices.Sort(b)
	best := 0.5
	for _, x := range all {
		i, _ := slices.BinarySearch(a, x)
		j, _ := slices.BinarySearch(b, x)
		d := float64(i)/float64(len(a)) - float64(j)/float64(len(b))
		best = max(best, 0.5+d/2, 0.5-d/2)
	}
	return best
}

// greyc returns the typings of each person of class c2.
func greyc(t *testing.T) [][]keystroke.Sample {
	t.Helper()
	f, err := os.Open("../../../shared/data/greyc-dev.tsv.gz")
	if err != nil {
		t.Skip("needs the typing data beside the repository:", err)
	}
	defer f.Close()
	r, err := corpus.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string][]keystroke.Sample{}
	for ty, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(ty.User, "-c2") {
			byName[ty.User] = append(byName[ty.User], ty.Sample)
		}
	}
	var out [][]keystroke.Sample
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, byName[name])
	}
	return out
}
