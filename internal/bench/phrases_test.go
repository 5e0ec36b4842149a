package bench

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model/eval"
)

// people makes up n people who type the texts so many times each: a rhythm
// drawn once from the population, kept within some 8 %.
func people(t testing.TB, n, times int, texts ...string) []*Typist {
	t.Helper()
	rng := rand.New(rand.NewPCG(11, 11))
	r := feature.NewRhythms(feature.Default(), nil)
	out := make([]*Typist, n)
	for i := range out {
		p := &Typist{name: string(rune('a' + i)), by: map[string][]keystroke.Sample{}}
		for _, text := range texts {
			usual, err := r.Draw(rng, text)
			if err != nil {
				t.Fatal(err)
			}
			for range times {
				s := keystroke.Sample{Phrase: text, Channel: keystroke.Press, Events: slices.Clone(usual.PressOnly().Events)}
				for k := 1; k < len(s.Events); k++ {
					gap := usual.Events[k].Down - usual.Events[k-1].Down
					s.Events[k].Down = s.Events[k-1].Down + time.Duration(float64(gap)*math.Exp(0.08*rng.NormFloat64()))
				}
				p.add(text, s)
			}
		}
		out[i] = p
	}
	return out
}

const one, other = "green apples", "seven ships"

func TestPhrases(t *testing.T) {
	all := people(t, 3, 6, "apple pi", "six boat")
	for _, c := range []struct{ phrases, local int }{{1, 0}, {2, 0}, {1, 2}} {
		o := PhraseOptions{Enrol: 4, Phrases: c.phrases, Local: c.local}
		got, err := Phrases(t.Context(), all, o)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, r := range got {
			names = append(names, r.Scorer)
			if r.Channel != keystroke.Press || r.Phrases != c.phrases || r.People != 3 || r.Unusable != 0 {
				t.Errorf("%+v", r)
			}
			for name, x := range map[string]float64{"global_eer": r.GlobalEER, "person_eer": r.PersonEER, "fnmr_at_1": r.FNMRAt1, "fnmr_at_01": r.FNMRAt01} {
				ci, ok := r.CI[name]
				if !ok || !(x >= 0 && x <= 1 && ci[0] <= x && x <= ci[1]) {
					t.Errorf("%s of %s is %v in %v", name, r.Scorer, x, ci)
				}
			}
			if len(r.CI) != 4 || (r.Cllr > 0) != (r.Scorer == "fusion") {
				t.Errorf("%s: Cllr %v, intervals %v", r.Scorer, r.Cllr, r.CI)
			}
			if r.Scorer != "head" && r.GlobalEER > 0.2 { // rhythms that hardly vary
				t.Errorf("%s: EER %v", r.Scorer, r.GlobalEER)
			}
		}
		if names[0] != "detector" || names[len(names)-1] != "fusion" || slices.Contains(names, "head") != (c.local > 0) || slices.Contains(names, "softmax") {
			t.Errorf("scorers %q", names)
		}
		if c.local > 0 {
			continue
		}
		if again, err := Phrases(t.Context(), all, o); err != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("measured again it is %+v, %v", again, err)
		}
	}
}

// TestPhrasesUnusable has one probe in another text than its phrase, which no
// daemon would judge.
func TestPhrasesUnusable(t *testing.T) {
	all := people(t, 3, 6, one, other)
	bad := all[1].by[one][5]
	bad.Events = bad.Events[:4]
	all[1].by[one][5] = bad
	got, err := Phrases(t.Context(), all, PhraseOptions{Enrol: 4, Phrases: 1})
	if err != nil {
		t.Fatal(err)
	}
	fused := got[len(got)-1]
	if fused.Unusable != 3 { // as each of the three
		t.Errorf("%d typings were unusable, want 3", fused.Unusable)
	}
	if g, i := len(fused.Scores.Genuine), len(fused.Scores.Impostor); g != 3*4-1 || i != 6*4-2 {
		t.Errorf("%d genuine and %d impostors' scores, want 11 and 22", g, i)
	}
}

// TestPhrasesJSON holds the object that other programs read.
func TestPhrasesJSON(t *testing.T) {
	r := PhraseResult{Channel: keystroke.Press, Phrases: 5, People: 40, Figures: summarise([]eval.Scores{
		{Genuine: []float64{1, 3}, Impostor: []float64{-2, -1}}, {Genuine: []float64{1, 2}, Impostor: []float64{-2, -1}},
	}, true)}
	r.Cllr = 0.25
	b, err := json.Marshal(r)
	want := `{"channel":"press","phrases":5,"people":40,"global_eer":0,"person_eer":0,"fnmr_at_1":0,"fnmr_at_01":0,"cllr":0.25,` +
		`"ci":{"fnmr_at_01":[0,0],"fnmr_at_1":[0,0],"global_eer":[0,0],"person_eer":[0,0]}}`
	if err != nil || string(b) != want {
		t.Errorf("%s, %v, want %s", b, err, want)
	}
}

// TestRun counts the trials: everybody's later typings as everybody.
func TestRun(t *testing.T) {
	all := people(t, 3, 7, one, other)
	trials, err := run(t.Context(), all, PhraseOptions{Enrol: 5})
	if err != nil {
		t.Fatal(err)
	}
	genuine := 0
	for _, tr := range trials {
		if tr.score.NearCopy {
			t.Errorf("%s as %s, %s: a typing of the enrolment was probed", tr.typist, tr.owner, tr.text)
		}
		if tr.owner == tr.typist {
			genuine++
		}
	}
	if len(trials) != 3*3*2*2 || genuine != 3*2*2 {
		t.Errorf("%d trials, %d genuine; want 36 and 12", len(trials), genuine)
	}
}

// TestJitter moves probes as far as it is told, the same each time.
func TestJitter(t *testing.T) {
	o := PhraseOptions{Jitter: 12 * time.Millisecond}
	var squares float64
	n := 0
	for _, p := range people(t, 4, 20, one, other) {
		for i, typed := range p.all {
			sent, s := typed.sample, o.arrives(typed.sample, p.name, i)
			for k := 1; k < len(s.Events); k++ {
				d := (s.Events[k].Down - s.Events[k-1].Down) - (sent.Events[k].Down - sent.Events[k-1].Down)
				squares += float64(d) * float64(d)
				n++
			}
			if again := o.arrives(sent, p.name, i); !reflect.DeepEqual(s, again) {
				t.Fatal("another line the second time")
			}
			if same := (PhraseOptions{}).arrives(sent, p.name, i); !reflect.DeepEqual(sent, same) {
				t.Fatal("a line without jitter changes something")
			}
		}
	}
	if sd := time.Duration(math.Sqrt(squares / float64(n))); (sd - o.Jitter).Abs() > o.Jitter/10 {
		t.Errorf("intervals are off by %v, want %v", sd, o.Jitter)
	}
}

func TestProtocolRefused(t *testing.T) {
	good := PhraseOptions{Enrol: 5, Phrases: 1}
	with := func(change func(*PhraseOptions)) PhraseOptions { o := good; change(&o); return o }
	all := people(t, 3, 6, one, other)
	short := people(t, 3, 6, one, other)
	short[2].by[other] = short[2].by[other][:3] // on the second host of two
	for _, c := range []struct {
		name    string
		people  []*Typist
		options PhraseOptions
	}{
		{"nobody", nil, good},
		{"no impostors", all[:1], good},
		{"no enrolment", all, with(func(o *PhraseOptions) { o.Enrol = 0 })},
		{"a negative enrolment", all, with(func(o *PhraseOptions) { o.Enrol = -1 })},
		{"nothing left to probe", all, with(func(o *PhraseOptions) { o.Enrol = 6 })},
		{"one typed too little", short, with(func(o *PhraseOptions) { o.Local = 2 })},
		{"nobody from outside", all, with(func(o *PhraseOptions) { o.Outsiders = true })},
		{"a negative host", all, with(func(o *PhraseOptions) { o.Local = -1 })},
	} {
		if got, err := Phrases(t.Context(), c.people, c.options); !errors.Is(err, ErrProtocol) || got != nil {
			t.Errorf("%s: %v, want ErrProtocol", c.name, err)
		}
		if got, err := Fit(t.Context(), c.people, c.options); !errors.Is(err, ErrProtocol) || got.People != 0 {
			t.Errorf("%s, fit: %v, want ErrProtocol", c.name, err)
		}
	}
	for _, n := range []int{-1, 0, 3} {
		o := with(func(o *PhraseOptions) { o.Phrases = n })
		if _, err := Phrases(t.Context(), all, o); !errors.Is(err, ErrProtocol) {
			t.Errorf("%d phrases of 2: %v, want ErrProtocol", n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Phrases(ctx, people(t, 2, 9, one), PhraseOptions{Enrol: 8, Phrases: 1, Local: 2}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }
