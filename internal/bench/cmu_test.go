package bench

import (
	"math"
	"os"
	"testing"

	"ksd/internal/corpus"
)

// TestCMUMatchesThePaper holds the evaluator against published figures, to
// four digits.
func TestCMUMatchesThePaper(t *testing.T) {
	f, err := os.Open("../../../shared/data/cmu-strongpassword.csv.gz")
	if err != nil {
		t.Skip("needs the CMU benchmark beside the repository:", err)
	}
	defer f.Close()
	reps, err := corpus.ReadCMU(f)
	if err != nil {
		t.Fatal(err)
	}
	results, err := CMU(reps)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 5 {
		t.Fatalf("%d detectors, want 5", len(results))
	}
	for _, r := range results {
		t.Logf("%-32s %.4f (%.4f)", r.Detector, r.EER, r.EERSD)
		if math.Abs(r.EER-r.PublishedEER) >= 0.00005 || math.Abs(r.EERSD-r.PublishedSD) >= 0.00005 {
			t.Errorf("%s: %.4f (%.4f), published %.4f (%.4f)", r.Detector, r.EER, r.EERSD, r.PublishedEER, r.PublishedSD)
		}
	}
}
