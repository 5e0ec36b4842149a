package policy

import (
	"math"
	"math/rand/v2"
	"testing"
)

var nan, inf = math.NaN(), math.Inf(1)

func TestZeroValueDenies(t *testing.T) {
	var d Decision
	if d != Deny || d.String() != "deny" || Decision(99).String() != "deny" {
		t.Errorf("the zero decision is %v, 99 is %v", d, Decision(99))
	}
	for _, sum := range []float64{-100, -1, 0, 1, 100} {
		if got := Decide(sum, 1, 3, Bounds{}); got != Deny {
			t.Errorf("zero bounds: sum %v: %v", sum, got)
		}
	}
}

func TestNewBoundsRefuses(t *testing.T) {
	for _, c := range []struct{ fmr, fnmr float64 }{
		{0, 0.05},
		{0.01, 0},
		{-0.01, 0.05},
		{0.01, -0.05},
		{1, 0.05},
		{0.01, 1},
		{0.5, 0.05},
		{0.4, 0.6},
		{0.4, 0.7},
		{nan, 0.05},
		{0.01, nan},
		{inf, 0.05},
		{0.01, inf},
	} {
		if b := NewBounds(c.fmr, c.fnmr); b != (Bounds{}) {
			t.Errorf("NewBounds(%v, %v) = %+v, want zero", c.fmr, c.fnmr, b)
		}
	}
}

// Worked by hand: ln(0.95/0.01), ln(0.05/0.99), and 2.3263²/2 with the 99 %
// quantile of the normal distribution from its table.
func TestNewBounds(t *testing.T) {
	got := NewBounds(0.01, 0.05)
	want := Bounds{Accept: 4.55388, Refuse: -2.98568, Final: 2.70595}
	if math.Abs(got.Accept-want.Accept) > 1e-5 || math.Abs(got.Refuse-want.Refuse) > 1e-5 || math.Abs(got.Final-want.Final) > 1e-4 {
		t.Errorf("NewBounds(0.01, 0.05) = %+v, want %+v", got, want)
	}
}

func TestDecide(t *testing.T) {
	b := Bounds{Accept: 4, Refuse: -3, Final: 2}
	for _, c := range []struct {
		name       string
		sum        float64
		typed, max int
		b          Bounds
		want       Decision
	}{
		{"not a number", nan, 1, 3, b, Deny},
		{"infinite", inf, 1, 3, b, Deny},
		{"minus infinite", -inf, 1, 3, b, Deny},
		{"nothing typed", 5, 0, 3, b, Deny},
		{"nothing typed, unclear", 0, 0, 3, b, Deny},
		{"less than nothing typed", 5, -1, 3, b, Deny},
		{"more typed than allowed", 5, 4, 3, b, Deny},
		{"no phrase allowed", 5, 1, 0, b, Deny},
		{"bounds not a number", 5, 1, 3, Bounds{nan, -3, 2}, Deny},
		{"lower bound not a number", 5, 1, 3, Bounds{4, nan, 2}, Deny},
		{"last bound not a number", 5, 3, 3, Bounds{4, -3, nan}, Deny},
		{"infinite bound", 5, 1, 3, Bounds{4, -inf, 2}, Deny},
		{"bounds upside down", 5, 1, 3, Bounds{-3, 4, 2}, Deny},
		{"accepting at nothing", 5, 1, 3, Bounds{0, -3, 0}, Deny},
		{"last bound above the first", 5, 3, 3, Bounds{4, -3, 4.5}, Deny},
		{"last bound below nothing", 5, 3, 3, Bounds{4, -3, -1}, Deny},
		{"clearly a stranger", -3, 1, 3, b, Deny},
		{"clearly a stranger at last", -3, 3, 3, b, Deny},
		{"unclear at last", 0, 3, 3, b, Deny},
		{"nearly at last", 1.999, 3, 3, b, Deny},
		{"unclear", 0, 1, 3, b, More},
		{"enough for the last only", 2, 1, 3, b, More},
		{"nearly a stranger", -2.999, 2, 3, b, More},
		{"nearly the owner", 3.999, 2, 3, b, More},
		{"the owner at last", 2, 3, 3, b, Accept},
		{"the owner, one phrase allowed", 2, 1, 1, b, Accept},
		{"the owner at once", 4, 1, 3, b, Accept},
	} {
		if got := Decide(c.sum, c.typed, c.max, c.b); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// rank orders decisions by how far they are from letting somebody in.
func rank(d Decision) int { return map[Decision]int{Deny: 0, More: 1, Accept: 2}[d] }

// FuzzDecide holds the rules that keep Decide honest whatever comes in.
func FuzzDecide(f *testing.F) {
	f.Add(0.0, 1.0, 1, 3, 0.01, 0.05)
	f.Add(math.MaxFloat64, 1.0, 1, 3, 0.2, 0.5)
	f.Add(nan, inf, 3, 3, 0.4999, 0.5)
	f.Fuzz(func(t *testing.T, sum, step float64, typed, most int, fmr, fnmr float64) {
		b := NewBounds(fmr, fnmr)
		got := Decide(sum, typed, most, b)
		if got == Accept && !(sum >= b.Final && b.Final > 0 && sum <= math.MaxFloat64) {
			t.Errorf("accepted sum %v with bounds %+v", sum, b)
		}
		if got == More && typed >= most {
			t.Errorf("asks for phrase %d of %d", typed+1, most)
		}
		if more := sum + math.Abs(step); !math.IsInf(more, 0) && rank(Decide(more, typed, most, b)) < rank(got) {
			t.Errorf("sum %v: %v, but %v: %v", sum, got, more, Decide(more, typed, most, b))
		}
		// A last phrase only makes a decision of what was open.
		if last := Decide(sum, most, most, b); typed >= 1 && typed < most && got != More && last != got {
			t.Errorf("sum %v: %v after %d phrases, %v after %d", sum, got, typed, last, most)
		}
	})
}

// Strangers and owners whose log-likelihood ratios are normal and calibrated,
// for phrases that say little (equal error rate 31 %) to much (2 %): whatever
// the model is worth, a stranger's attempt is accepted no more often than the
// two ways of acceptance together allow.
func TestErrorRates(t *testing.T) {
	const fmr, fnmr, attempts = 0.01, 0.05, 200_000
	b := NewBounds(fmr, fnmr)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, d := range []float64{1, 1.5, 2, 2.6, 3.2, 4} {
		accepted := func(mean float64) (share, phrases float64) {
			n, typed := 0, 0
			for range attempts {
				sum, decision := 0.0, More
				for i := 1; decision == More; i++ {
					sum += mean + d*rng.NormFloat64()
					decision = Decide(sum, i, 3, b)
					typed++
				}
				if decision == Accept {
					n++
				}
			}
			return float64(n) / attempts, float64(typed) / attempts
		}
		stranger, _ := accepted(-d * d / 2)
		owner, phrases := accepted(d * d / 2)
		t.Logf("d %.1f: strangers accepted %.2f %%, owners refused %.1f %% with %.2f phrases", d, 100*stranger, 100*(1-owner), phrases)
		if stranger > fmr/(1-fnmr)+fmr {
			t.Errorf("d %.1f: %.2f %% of strangers are accepted", d, 100*stranger)
		}
		if owner <= stranger {
			t.Errorf("d %.1f: owners fare no better than strangers", d)
		}
	}
}
