package bench

import (
	"slices"
	"testing"
)

// The network that heads replaced has a row of its own, before the fused one, if
// it is asked for and there are hosts.
func TestAblation(t *testing.T) {
	for _, c := range []struct {
		local    int
		ablation bool
	}{{0, true}, {2, true}} { // TestPhrases has hosts without it
		results, err := Phrases(t.Context(), people(t, 4, 10, "apple pi"), PhraseOptions{Enrol: 8, Phrases: 1, Local: c.local, Ablation: c.ablation})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, r := range results {
			names = append(names, r.Scorer)
			if r.People != 4 || r.Scorer == "softmax" && !(r.GlobalEER > 0 && r.GlobalEER < 0.6) {
				t.Errorf("%s: %+v", r.Scorer, r.Figures)
			}
		}
		want := -1
		if c.ablation && c.local > 0 {
			want = len(names) - 2
		}
		if slices.Index(names, "softmax") != want || names[len(names)-1] != "fusion" {
			t.Errorf("hosts of %d, ablation %v: %q", c.local, c.ablation, names)
		}
	}
}
