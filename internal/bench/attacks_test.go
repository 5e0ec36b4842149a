package bench

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
)

const long = "the quick brown fox" // enough intervals for the checks

// TestAttacks checks what must hold of made-up people whose rhythm hardly
// varies, whatever the score is.
func TestAttacks(t *testing.T) {
	all := people(t, 2, 8, long, "a lantern in the garden")
	results, err := Attacks(t.Context(), all, PhraseOptions{Enrol: 5, Seed: 1}, shipped)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]AttackResult{}
	for _, r := range results {
		by[r.Attack] = r
		if r.PhraseChecked > r.Phrase || r.AttemptChecked > r.Attempt || r.Typings != 2*r.Attempts || r.Unusable != 0 {
			t.Errorf("%+v", r)
		}
		for name, x := range map[string]float64{"phrase": r.Phrase, "phrase_checked": r.PhraseChecked, "attempt": r.Attempt, "attempt_checked": r.AttemptChecked} {
			if ci, ok := r.CI[name]; !ok || !(ci[0] <= x && x <= ci[1]) {
				t.Errorf("%s: %s is %v in %v", r.Attack, name, x, ci)
			}
		}
	}
	if len(by) != len(results) || len(results) != len(attacks()) {
		t.Fatalf("%d attacks of %d have names of their own", len(by), len(attacks()))
	}
	if r := by["the owner"]; r.Attempts != 2*3 || r.Attempt < 0.8 || r.Attempt != r.AttemptChecked {
		t.Errorf("%+v", r)
	}
	for _, name := range []string{"replay, enrolled, noise 0 ms", "replay, later, noise 0 ms"} {
		if r := by[name]; r.Attempts != 2*attackTimes || r.Attempt < 0.8 || r.AttemptChecked != 0 || r.PhraseChecked != 0 || r.Copied != 1 {
			t.Errorf("%+v", r)
		}
	}
	for _, name := range []string{"constant interval", "medians, as they are", "medians, victim's tempo, noise 5 ms"} {
		if r := by[name]; r.Steady != 1 || r.AttemptChecked != 0 {
			t.Errorf("%+v", r)
		}
	}
}

// The seed decides what is forged, and nothing else does.
func TestAttacksAgain(t *testing.T) {
	all := people(t, 2, 6, "cold tea")
	measure := func(seed uint64) []AttackResult {
		r, err := Attacks(t.Context(), all, PhraseOptions{Enrol: 4, Seed: seed}, Decision{0.01, 0.05, 1})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	one := measure(1)
	if again := measure(1); !reflect.DeepEqual(one, again) {
		t.Errorf("measured again: %+v\n%+v", one, again)
	}
	if other := measure(2); reflect.DeepEqual(one, other) {
		t.Error("another seed forges the same")
	}
}

// TestForgeries checks every attack on every channel: what it types is the text,
// as the channel shows it.
func TestForgeries(t *testing.T) {
	all := people(t, 3, 7, long, one)
	for _, ch := range []keystroke.Channel{keystroke.Full, keystroke.Press, keystroke.SSHPress} {
		rng := rand.New(rand.NewPCG(2, 2))
		for _, p := range all {
			for text, ss := range p.by {
				for i, s := range ss {
					p.by[text][i] = show(withReleases(s), ch, rng)
				}
			}
		}
		v := newVictim(all[0], all, 5)
		if len(v.others) != 2 || len(v.enrolled(one)) != 5 || len(v.later(one)) != 2 || len(v.snooped(one)) != 7 {
			t.Fatalf("%+v", v)
		}
		for _, a := range attacks() {
			if got, want := a.attempts(v), a.times; a.times > 0 && got != want || a.times == 0 && got != 2 {
				t.Errorf("%s: %d attempts", a.name, got)
			}
			for _, text := range v.texts {
				s, err := a.forge(v, text, 1, rng)
				if err != nil {
					t.Fatalf("%s: %v", a.name, err)
				}
				s = show(s, ch, rng)
				if err := s.Validate(); err != nil || s.Channel != ch || s.Line().Text != text || s.Phrase != text {
					t.Errorf("%s, %s: %+v, %v", a.name, ch, s, err)
				}
			}
		}
	}
}

func withReleases(s keystroke.Sample) keystroke.Sample {
	out := keystroke.Sample{Phrase: s.Phrase, Channel: keystroke.Full, Events: slices.Clone(s.Events)}
	for i := range out.Events {
		out.Events[i].Up, out.Events[i].Released = out.Events[i].Down+90*time.Millisecond, true
	}
	return out
}

// What the daemon has seen of an owner at logins is not held against what the
// owner types for the first time.
func TestSeen(t *testing.T) {
	all := people(t, 2, 8, one)
	v := newVictim(all[0], all, 5)
	if got := (attack{owner: true}).seen(v, one, 2); len(got) != 2 || !reflect.DeepEqual(got, v.by[one][5:7]) {
		t.Errorf("%v", got)
	}
	if got := (attack{}).seen(v, one, 2); len(got) != 3 {
		t.Errorf("%v", got)
	}
	all[1].by[one] = nil
	if _, err := living()[1].forge(v, one, 0, rand.New(rand.NewPCG(1, 1))); !errors.Is(err, ErrProtocol) {
		t.Errorf("nobody else typed it: %v", err)
	}
}

func TestVictimTempo(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	p := &Typist{by: map[string][]keystroke.Sample{}}
	p.add(long, medians(feature.Default(), long, 0.3, 0, rng))
	p.add(long, medians(feature.Default(), long, 9, 0, rng)) // not enrolled
	if v := newVictim(p, nil, 1); math.Abs(v.tempo-0.3) > 0.01 {
		t.Errorf("tempo %v, want 0.3", v.tempo)
	}
	p.by[long][0].Events = nil
	if v := newVictim(p, nil, 1); v.tempo != 0 {
		t.Errorf("tempo of nothing: %v", v.tempo)
	}
}

// times returns the intervals and dwells of s in ms.
func times(s keystroke.Sample) (gaps, holds []float64) {
	l := s.Line()
	for i, st := range l.Strokes {
		if dd, ok := l.DownDown(i); ok {
			gaps = append(gaps, feature.MS(dd))
		}
		d, _ := st.Dwell()
		holds = append(holds, feature.MS(d))
	}
	return gaps, holds
}

func TestMedians(t *testing.T) {
	pop, rng := feature.Default(), rand.New(rand.NewPCG(1, 1))
	gaps, holds := times(medians(pop, "the", math.Log(2), 0, rng))
	want := 2 * math.Exp(pop.DownDown('t', 'h').Center)
	if math.Abs(gaps[0]-want) > 1e-3 || math.Abs(holds[1]-math.Exp(pop.Dwell('h').Center)) > 1e-3 {
		t.Errorf("%v, %v, want %v first", gaps, holds, want)
	}
	gaps, _ = times(metronome(pop, long, math.Log(150)))
	if slices.Max(gaps)-slices.Min(gaps) > 1e-3 || math.Abs(gaps[0]-150) > 1e-3 {
		t.Errorf("%v", gaps)
	}
	// Independent draws follow the population's spread.
	var z []float64
	for range 300 {
		g, _ := times(independent(pop, "th", rng))
		z = append(z, (math.Log(g[0])-pop.DownDown('t', 'h').Center)/pop.DownDown('t', 'h').Scale)
	}
	if m, sd := meanSD(z); math.Abs(m) > 0.2 || math.Abs(sd-1) > 0.2 {
		t.Errorf("residuals of mean %v and sd %v", m, sd)
	}
}

func meanSD(xs []float64) (m, sd float64) {
	for _, x := range xs {
		m += x / float64(len(xs))
	}
	for _, x := range xs {
		sd += (x - m) * (x - m) / float64(len(xs)-1)
	}
	return m, math.Sqrt(sd)
}

func typedAt(text string, gap, hold float64) keystroke.Sample {
	return feature.Compose(text, func(int, keystroke.Key, keystroke.Key) float64 { return math.Log(gap) }, func(int, keystroke.Key, keystroke.Key) float64 { return math.Log(hold) })
}

func TestAverage(t *testing.T) {
	gaps, holds := times(average("abc", []keystroke.Sample{typedAt("abc", 100, 50), typedAt("abc", 200, 70)}))
	if math.Abs(gaps[1]-150) > 1e-3 || math.Abs(holds[2]-60) > 1e-3 {
		t.Errorf("%v, %v, want 150 and 60", gaps, holds)
	}
	if gaps, holds := times(average("abc", []keystroke.Sample{typedAt("abc", 100, 50).PressOnly()})); math.Abs(gaps[0]-100) > 1e-3 || math.Abs(holds[0]-100) > 1e-3 {
		t.Errorf("without releases: %v, %v", gaps, holds)
	}
}

func TestHistograms(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	// "ab" takes 105 ms, "bc" 205 and "cb" 305.
	seen := typedAt("abcb", 105, 55)
	for i := 2; i < 4; i++ {
		late := []time.Duration{2: 100 * time.Millisecond, 3: 300 * time.Millisecond}[i]
		seen.Events[i].Down, seen.Events[i].Up = seen.Events[i].Down+late, seen.Events[i].Up+late
	}
	h := newHistograms([]keystroke.Sample{seen})
	for range 50 {
		// "xc" was never seen, but c after b was; of x and q nothing is known.
		gaps, holds := times(h.draw("abxcq", 0, rng))
		for i, want := range [][]float64{{100}, {100, 200, 300}, {200}, {100, 200, 300}} { // bins of 10 ms
			if !slices.ContainsFunc(want, func(low float64) bool { return gaps[i] >= low && gaps[i] < low+10.001 }) {
				t.Fatalf("%v", gaps)
			}
		}
		for _, x := range holds {
			if x < 50 || x >= 60.001 {
				t.Fatalf("dwells %v", holds)
			}
		}
	}
	gaps, _ := times(h.draw("ab", math.Log(2), rng))
	if gaps[0] < 200 || gaps[0] >= 220.001 {
		t.Errorf("at half the tempo: %v", gaps)
	}
	if s := newHistograms(nil).draw("ab", 0, rng); s.Validate() != nil || s.Line().Text != "ab" {
		t.Errorf("of nothing: %+v", s)
	}
	if !strings.Contains(attacks()[0].name, "owner") {
		t.Error("the owner does not come first")
	}
}
