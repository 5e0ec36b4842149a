package bench

import (
	"context"
	"encoding/json"
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
	"ksd/internal/model"
	"ksd/internal/model/eval"
)

// people makes up n people who type the texts so many times each: a rhythm
// drawn once from the population, kept within some 8 %.
func people(t testing.TB, n, times int, texts ...string) []*typist {
	t.Helper()
	rng := rand.New(rand.NewPCG(11, 11))
	r := feature.NewRhythms(feature.Default(), nil)
	out := make([]*typist, n)
	for i := range out {
		p := &typist{name: string(rune('a' + i)), texts: texts, by: map[string][]keystroke.Sample{}}
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
				p.by[text] = append(p.by[text], s)
			}
		}
		out[i] = p
	}
	return out
}

const one, other = "green apples", "seven ships"

func TestPhrases(t *testing.T) {
	all := people(t, 3, 6, "apple pi", "six boat")
	for _, c := range []struct {
		phrases, local int
		scorers        []string
	}{{1, 0, []string{"detector", "fusion"}}, {2, 0, []string{"detector", "fusion"}}, {1, 2, []string{"detector", "network", "fusion"}}} {
		o := PhraseOptions{Enrol: 4, Channel: keystroke.Press, Phrases: c.phrases, Local: c.local}
		got, err := Phrases(t.Context(), all, o)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, r := range got {
			names = append(names, r.Scorer)
			if r.Channel != keystroke.Press || r.Phrases != c.phrases || r.People != 3 {
				t.Errorf("%+v", r)
			}
			for name, x := range map[string]float64{"global_eer": r.GlobalEER, "fnmr_at_1": r.FNMRAt1, "fnmr_at_01": r.FNMRAt01} {
				ci, ok := r.CI[name]
				if !ok || !(x >= 0 && x <= 1 && ci.Low <= x && x <= ci.High) {
					t.Errorf("%s of %s is %v in %v", name, r.Scorer, x, ci)
				}
			}
			if r.Scorer != "network" && r.GlobalEER > 0.2 { // rhythms that hardly vary
				t.Errorf("%s: EER %v", r.Scorer, r.GlobalEER)
			}
		}
		if !slices.Equal(names, c.scorers) {
			t.Errorf("scorers %q, want %q", names, c.scorers)
		}
		if _, err := json.Marshal(got); err != nil {
			t.Error(err)
		}
		if c.local > 0 {
			continue
		}
		if again, err := Phrases(t.Context(), all, o); err != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("measured again it is %+v, %v", again, err)
		}
	}
}

// TestRun counts the trials: everybody's later typings as everybody.
func TestRun(t *testing.T) {
	all := people(t, 3, 7, one, other)
	trials, err := run(t.Context(), all, PhraseOptions{Enrol: 5, Channel: keystroke.Press})
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

func TestProtocolRefused(t *testing.T) {
	good := PhraseOptions{Enrol: 5, Channel: keystroke.Press, Phrases: 1}
	with := func(change func(*PhraseOptions)) PhraseOptions { o := good; change(&o); return o }
	all := people(t, 3, 6, one, other)
	short := people(t, 3, 6, one, other)
	short[2].by[other] = short[2].by[other][:3] // on the second host of two
	for _, c := range []struct {
		name    string
		people  []*typist
		options PhraseOptions
	}{
		{"nobody", nil, good},
		{"no impostors", all[:1], good},
		{"no enrolment", all, with(func(o *PhraseOptions) { o.Enrol = 0 })},
		{"a negative enrolment", all, with(func(o *PhraseOptions) { o.Enrol = -1 })},
		{"nothing left to probe", all, with(func(o *PhraseOptions) { o.Enrol = 6 })},
		{"one typed too little", short, with(func(o *PhraseOptions) { o.Local = 2 })},
		{"a negative host", all, with(func(o *PhraseOptions) { o.Local = -1 })},
	} {
		if got, err := Phrases(t.Context(), c.people, c.options); !errors.Is(err, ErrProtocol) || got != nil {
			t.Errorf("%s: %v, want ErrProtocol", c.name, err)
		}
		if got, err := Fit(t.Context(), c.people, c.options); !errors.Is(err, ErrProtocol) || got != (FusionFit{}) {
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
	if _, err := Phrases(ctx, people(t, 2, 9, one), PhraseOptions{Enrol: 8, Channel: keystroke.Press, Phrases: 1, Local: 2}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestAttempts adds up trials by hand: attempts are made of the n-th probes of
// one typist, phrases in their order, and what does not fill one is left out.
func TestAttempts(t *testing.T) {
	at := func(owner, typist string, number int, x float64) trial {
		return trial{owner, typist, "", number, model.Score{LLR: x}}
	}
	trials := []trial{
		at("a", "a", 0, 1), at("a", "a", 1, 10), at("a", "a", 0, 2), at("a", "a", 1, 20), at("a", "a", 0, 4),
		at("a", "b", 0, -1), at("a", "b", 0, -2),
		at("b", "a", 0, -3), at("b", "a", 0, -4),
		at("b", "b", 0, 5), at("b", "b", 0, 6), at("b", "b", 0, 7), at("b", "b", 0, 8),
	}
	llr := func(s model.Score) float64 { return s.LLR }
	for phrases, want := range map[int][]eval.Scores{
		1: {{Genuine: []float64{1, 2, 4, 10, 20}, Impostor: []float64{-1, -2}}, {Genuine: []float64{5, 6, 7, 8}, Impostor: []float64{-3, -4}}},
		2: {{Genuine: []float64{3, 30}, Impostor: []float64{-3}}, {Genuine: []float64{11, 15}, Impostor: []float64{-7}}},
		3: {{Genuine: []float64{7}}, {Genuine: []float64{18}}},
	} {
		if got := attempts(trials, phrases, llr); !reflect.DeepEqual(got, want) {
			t.Errorf("%d phrases: %v, want %v", phrases, got, want)
		}
	}
}

func TestSummarise(t *testing.T) {
	got := summarise([]eval.Scores{
		{Genuine: []float64{3, 4}, Impostor: []float64{1, 2}}, // tells its own apart
		{Genuine: []float64{1, 2}, Impostor: []float64{3, 4}}, // tells them the wrong way round
	})
	if got.People != 2 || got.PersonEER != 0.5 || got.GlobalEER != 0.5 || got.FNMRAt1 != 1 || got.FNMRAt01 != 1 {
		t.Errorf("%+v", got)
	}
	if ci := got.CI["global_eer"]; ci != (eval.Interval{Low: 0, High: 1}) {
		t.Errorf("EER in %v, want 0 to 1: either of them may be drawn twice", ci)
	}
}

const tsv = "user\tsample\ttext\tkey\tgap_ms\thold_ms\n" +
	"u1-c1\t1\tx\ta\t0\t80\n" +
	"u1-c2\t1\tx\ta\t0\t80\n" + "u1-c2\t1\tx\tb\t100\t90\n" +
	"u1-c2\t2\tx\ta\t0\t81\n" + "u1-c2\t1\ty\tc\t0\t82\n" +
	"u2-c2\t1\tx\ta\t0\t83\n"

func TestReadTypists(t *testing.T) {
	for _, ch := range []keystroke.Channel{keystroke.Full, keystroke.Press} {
		got, err := ReadTypists(strings.NewReader(tsv), "c2", ch)
		if err != nil || len(got) != 2 || got[0].name != "u1-c2" || got[1].name != "u2-c2" {
			t.Fatalf("%+v, %v", got, err)
		}
		if p := got[0]; !slices.Equal(p.texts, []string{"x", "y"}) || len(p.by["x"]) != 2 || len(p.by["y"]) != 1 {
			t.Errorf("%+v", p)
		}
		s := got[0].by["x"][0]
		if s.Channel != ch || s.Phrase != "ab" || s.Events[0].Released != (ch == keystroke.Full) {
			t.Errorf("%s: %+v", ch, s)
		}
	}
	if got, err := ReadTypists(strings.NewReader(tsv), "", keystroke.Full); err != nil || len(got) != 3 {
		t.Errorf("all classes: %d people, %v, want 3", len(got), err)
	}
	press := strings.ReplaceAll(tsv, "\t83\n", "\t-\n")
	for name, err := range map[string]error{
		"a channel that files do not hold": second(ReadTypists(strings.NewReader(tsv), "c2", keystroke.SSHPress)),
		"no channel":                       second(ReadTypists(strings.NewReader(tsv), "c2", "")),
		"full asked of presses":            second(ReadTypists(strings.NewReader(press), "c2", keystroke.Full)),
	} {
		if !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v, want ErrProtocol", name, err)
		}
	}
	for _, in := range []string{"", "nonsense\n", tsv + "u\t1\tx\ta\t0\n"} {
		if got, err := ReadTypists(strings.NewReader(in), "", keystroke.Full); err == nil || got != nil {
			t.Errorf("%q was read as %v", in, got)
		}
	}
}

func second[T any](_ T, err error) error { return err }
