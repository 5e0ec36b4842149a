package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model"
)

// writers makes up n people who type so many sentences each, of a stock that
// they share, in a rhythm of their own: slow or fast by person and by key.
func writers(t testing.TB, n, sentences int) []*Typist {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 3))
	stock := []string{"cold water", "another hand", "the garden", "quiet roads", "more bread", "home again", "a lantern"}
	out := make([]*Typist, n)
	for i := range out {
		p := &Typist{name: fmt.Sprint("w", i), by: map[string][]keystroke.Sample{}}
		habit := map[keystroke.Key]float64{}
		for k := range sentences {
			text := stock[(i+k)%len(stock)]
			s := feature.Compose(text, func(_ int, prev, key keystroke.Key) float64 {
				if _, ok := habit[key]; !ok {
					habit[key] = 0.4 * rng.NormFloat64()
				}
				return feature.Default().DownDown(prev, key).Center + habit[key] + 0.1*rng.NormFloat64()
			}, func(_ int, _, key keystroke.Key) float64 {
				return feature.Default().Dwell(key).Center + habit[key] + 0.1*rng.NormFloat64()
			})
			p.add(text, s)
		}
		out[i] = p
	}
	return out
}

func TestFreeTextRefused(t *testing.T) {
	all := writers(t, 3, 5)
	good := FreeOptions{Enrol: 4, People: 3}
	lonely := writers(t, 2, 2) // sentences 0 and 1, and 1 and 2
	lonely[1].texts, lonely[1].all[0].text, lonely[1].all[1].text = []string{"p", "q"}, "p", "q"
	for name, c := range map[string]struct {
		people []*Typist
		o      FreeOptions
	}{
		"nobody":                {nil, good},
		"no impostors":          {all[:1], good},
		"one enrolled":          {all, FreeOptions{Enrol: 4, People: 1}},
		"no enrolment":          {all, FreeOptions{People: 3}},
		"nothing left to probe": {all, FreeOptions{Enrol: 5, People: 3}},
		"fewer than none":       {all, FreeOptions{Enrol: 4, People: 3, Impostors: -1}},
		"no common sentence":    {lonely, FreeOptions{Enrol: 1, People: 2}},
	} {
		if got, err := FreeText(t.Context(), c.people, c.o); !errors.Is(err, ErrProtocol) || got != nil {
			t.Errorf("%s: %v, want ErrProtocol", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := FreeText(ctx, all, good); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestFreeText(t *testing.T) {
	all := writers(t, 6, 6)
	got, err := FreeText(t.Context(), all, FreeOptions{Enrol: 4, People: 4, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	r := got[0]
	if r.Scorer != "digraphs" || r.Channel != keystroke.Full || r.People != 4 || r.Enrol != 4 || r.Unusable != 0 {
		t.Errorf("%+v", r)
	}
	if g, i := len(r.Everyone.Scores.Genuine), len(r.Everyone.Scores.Impostor); g != 4*2 || i != 4*3*2 {
		t.Errorf("%d genuine, %d impostors' scores; want 8 and 24", g, i)
	}
	for _, f := range []Figures{r.Everyone, r.Same} {
		if f.GlobalEER > 0.3 || len(f.CI) != 4 || len(f.Scores.Genuine) != 8 {
			t.Errorf("EER %v, %d genuine, intervals %v", f.GlobalEER, len(f.Scores.Genuine), f.CI)
		}
	}
	var names []string
	for _, r := range got {
		names = append(names, r.Scorer)
		if r.Scorer != "digraphs" && (len(r.Everyone.Scores.Impostor) != 4*3*2 || r.Everyone.GlobalEER > 0.2) {
			t.Errorf("%s: EER %v of %d impostors' scores", r.Scorer, r.Everyone.GlobalEER, len(r.Everyone.Scores.Impostor))
		}
	}
	if !slices.Equal(names, []string{"digraphs", "plda", "base", "fusion"}) || got[3].Everyone.Cllr == 0 {
		t.Errorf("measured %v", names)
	}
	got, err = FreeText(t.Context(), all, FreeOptions{Enrol: 4, People: 6, Impostors: 2, Seed: 1})
	if err != nil || len(got[0].Everyone.Scores.Impostor) != 6*2*2 {
		t.Errorf("with two impostors each: %d scores, %v", len(got[0].Everyone.Scores.Impostor), err)
	}
}

func TestFitFree(t *testing.T) {
	all := writers(t, 6, 6)
	if _, err := FitFree(t.Context(), all, FreeOptions{People: 6}); !errors.Is(err, ErrProtocol) {
		t.Errorf("%v, want ErrProtocol", err)
	}
	got, err := FitFree(t.Context(), all, FreeOptions{Enrol: 4, People: 6, Impostors: 3, Seed: 1})
	if err != nil || got.People != 6 || got.Weights != got.Alone || got.Weights[1] <= 0 || got.Weights[3] != 0 || got.Crossed.GlobalEER > 0.3 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestAnyText knows whom it was built from, whatever they type.
func TestAnyText(t *testing.T) {
	p := writers(t, 1, 6)[0]
	a, err := newAnyText([]model.Person{{Name: "a", Sittings: []model.Sitting{{Samples: []keystroke.Sample{p.all[0].sample, p.all[1].sample}}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Score("b", p.all[2].sample); !errors.Is(err, model.ErrUnenrolled) {
		t.Errorf("%v, want ErrUnenrolled", err)
	}
	if s, err := a.Score("a", p.all[2].sample); err != nil || s.LLR == 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// toy is a scorer that does as it is told.
type toy func(person string, s keystroke.Sample) (model.Score, error)

func (f toy) Score(person string, s keystroke.Sample) (model.Score, error) { return f(person, s) }

func llr(s model.Score) float64 { return s.LLR }

// TestSameSentence has a scorer that knows people by the sentences they typed
// alone: it tells everybody apart who types others, and nobody who types the same.
func TestSameSentence(t *testing.T) {
	all := writers(t, 7, 4)
	own := map[string]map[string]bool{}
	for _, p := range all {
		own[p.name] = map[string]bool{}
		for _, text := range p.texts {
			own[p.name][text] = true
		}
	}
	reader := toy(func(person string, s keystroke.Sample) (model.Score, error) {
		if own[person][s.Phrase] {
			return model.Score{LLR: 1}, nil
		}
		return model.Score{LLR: -1}, nil
	})
	trials, err := freeTrials(t.Context(), reader, all, newAuthors(all), FreeOptions{Enrol: 2})
	if err != nil {
		t.Fatal(err)
	}
	everyone := freeScores(trials, false, llr)
	for i, s := range freeScores(trials, true, llr) {
		// Of seven sentences everybody typed four: 3 + 2 + 1 of neighbours on either side.
		if len(s.Genuine) != 2 || len(s.Impostor) != 12 {
			t.Errorf("%d genuine and %d impostors' scores, want 2 and 12", len(s.Genuine), len(s.Impostor))
		}
		for _, x := range s.Impostor {
			if x != 1 {
				t.Error("an impostor typed another sentence")
			}
		}
		if len(everyone[i].Impostor) != 12 || everyone[i].FNMRAt(1) != 0 {
			t.Errorf("%+v", everyone[i])
		}
	}
}

func TestFreeScoresErrors(t *testing.T) {
	all := writers(t, 4, 3)
	boom := errors.New("boom")
	_, err := freeTrials(t.Context(), toy(func(person string, _ keystroke.Sample) (model.Score, error) {
		if person == "w2" {
			return model.Score{}, boom
		}
		return model.Score{}, nil
	}), all, newAuthors(all), FreeOptions{Enrol: 2})
	if !errors.Is(err, boom) {
		t.Errorf("%v, want the scorer's", err)
	}
	trials, err := freeTrials(t.Context(), toy(func(_ string, s keystroke.Sample) (model.Score, error) {
		if s.Phrase == all[0].all[2].text {
			return model.Score{}, fmt.Errorf("%w: no", model.ErrUnusable)
		}
		return model.Score{}, nil
	}), all, newAuthors(all), FreeOptions{Enrol: 2})
	everyone := freeScores(trials, false, llr)
	if err != nil || unusable(trials) == 0 || len(everyone[0].Genuine) != 0 || len(everyone[1].Genuine) != 1 {
		t.Errorf("%+v, %d unusable, %v", everyone, unusable(trials), err)
	}
}

func TestDigraphs(t *testing.T) {
	p := writers(t, 2, 6)
	d := newDigraphs([]model.Person{{Name: "a", Sittings: []model.Sitting{{Samples: []keystroke.Sample{p[0].all[0].sample, p[0].all[1].sample}}}}})
	if _, err := d.Score("b", p[0].all[2].sample); !errors.Is(err, model.ErrUnenrolled) {
		t.Errorf("%v, want ErrUnenrolled", err)
	}
	if _, err := d.Score("a", keystroke.Sample{Channel: keystroke.Press, Events: []keystroke.Event{{Key: 'a', Rune: 'a'}}}); !errors.Is(err, model.ErrUnusable) {
		t.Errorf("%v, want ErrUnusable", err)
	}
	own, _ := d.Score("a", p[0].all[0].sample)
	slow := p[0].all[0].sample.PressOnly()
	for i := range slow.Events {
		slow.Events[i].Down *= 3
	}
	other, err := d.Score("a", slow)
	if err != nil || !(own.LLR > other.LLR) || math.IsNaN(own.LLR) {
		t.Errorf("own %v, three times as slow %v, %v", own.LLR, other.LLR, err)
	}
}
