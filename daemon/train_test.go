package daemon_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ksd/conf"
	"ksd/internal/keystroke"
	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

// await asks for the daemon's job until it is one that is wanted.
func await(t *testing.T, c *wire.Client, what string, ok func(wire.Status) bool) {
	t.Helper()
	deadline := time.Now().Add(ksdtest.Patience)
	for {
		s := must(c.Status(t.Context()))(t)
		if ok(s) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: status %+v, model %+v", what, s, s.Model)
		}
	}
}

// TestRetrain trains as an administrator: progress, a report, a file, a model
// that is loaded at once and after a restart, and the previous one kept.
func TestRetrain(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Training.Automatic = false })
	c := d.Client()
	_, err := c.Retrain(t.Context(), wire.RetrainRequest{}, nil)
	wantCode(t, "nobody to train on", err, wire.CodeTooFew)
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	path := filepath.Join(d.Config.Daemon.State, "model.ksd")

	var stages []string
	report := must(c.Retrain(t.Context(), wire.RetrainRequest{DryRun: true}, func(p wire.Progress) { stages = append(stages, p.Stage) }))(t)
	if report.Installed || report.People != 1 || strings.Join(stages, " ") != "training done" {
		t.Errorf("dry run: stages %q, report %+v", stages, report)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after a dry run: %v", err)
	}
	report = must(c.Retrain(t.Context(), wire.RetrainRequest{Seed: 7}, nil))(t)
	if !report.Installed || report.Before != nil {
		t.Errorf("report %+v", report)
	}
	m := must(c.Model(t.Context()))(t)
	if !m.Loaded || m.Seed != 7 || len(m.People) != 1 || !m.Trained.Equal(d.Clock.Now()) {
		t.Errorf("model %+v", m)
	}
	if p := must(c.User(t.Context(), "ana"))(t); !p.Trained {
		t.Errorf("person %+v", p)
	}
	first := must(os.ReadFile(path))(t)

	d.Enrol("bob", ksdtest.NewTypist(2, tempo))
	if report = must(c.Retrain(t.Context(), wire.RetrainRequest{}, nil))(t); report.Before == nil {
		t.Errorf("report %+v, want the figures before", report)
	}
	if b := must(os.ReadFile(filepath.Join(d.Config.Daemon.State, "model.previous.ksd")))(t); string(b) != string(first) {
		t.Error("the previous model is not the first")
	}
	if info := must(os.Stat(path))(t); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	d.Start()
	if m := must(d.Client().Model(t.Context()))(t); !m.Loaded || len(m.People) != 2 {
		t.Errorf("model after a restart %+v", m)
	}
	must(d.Client().Delete(t.Context(), "bob"))(t)
	if _, err := os.Stat(filepath.Join(d.Config.Daemon.State, "model.previous.ksd")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the previous model, which knew bob, is still there: %v", err)
	}
}

// TestDamagedModel starts with a file that is no model: it is left alone, the
// log says what to do, and the detector works.
func TestDamagedModel(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Training.Automatic = false })
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(d.Config.Daemon.State, "model.ksd")
	if err := os.WriteFile(path, []byte("no model"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.Start()
	if log := d.Log.String(); !strings.Contains(log, "model refused") || !strings.Contains(log, "ksdctl retrain") {
		t.Errorf("log:\n%s", log)
	}
	c := d.Client()
	if m := must(c.Model(t.Context()))(t); m.Loaded {
		t.Errorf("model %+v", m)
	}
	if code, _ := verify(t, c, "ana", ana); code != wire.Accept {
		t.Errorf("ana: %s", code)
	}
	if b := must(os.ReadFile(path))(t); string(b) != "no model" {
		t.Error("the file was changed")
	}
}

// TestRetrainAlone runs one training at a time, shows it, and ends it when the
// caller goes.
func TestRetrainAlone(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Training.Automatic = false })
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	release := d.Ear.Hold()
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	begun, ended := make(chan struct{}), make(chan error, 1)
	busy, c := d.Client(), d.Client()
	go func() {
		_, err := busy.Retrain(ctx, wire.RetrainRequest{}, func(wire.Progress) { close(begun) })
		ended <- err
	}()
	<-begun
	if s := must(c.Status(t.Context()))(t); s.Job != "training: training, 50 %" {
		t.Errorf("job %q", s.Job)
	}
	_, err := c.Retrain(t.Context(), wire.RetrainRequest{}, nil)
	wantCode(t, "a second one", err, wire.CodeBusy)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller who went: %v", err)
	}
	await(t, c, "the run ends", func(s wire.Status) bool { return s.Job == "" })
	if m := must(c.Model(t.Context()))(t); m.Loaded {
		t.Error("a cancelled run left a model")
	}
	release()
	if r := must(c.Retrain(t.Context(), wire.RetrainRequest{}, nil))(t); !r.Installed {
		t.Errorf("afterwards: %+v", r)
	}
}

// TestTrainingAfterEnrolment waits for quiet, starts, and starts again when
// there is news.
func TestTrainingAfterEnrolment(t *testing.T) {
	d := ksdtest.Start(t)
	c := d.Client()
	settle := d.Config.Training.Settle
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	d.Clock.Advance(settle / 2)
	d.Enrol("bob", ksdtest.NewTypist(2, tempo))
	d.Clock.Advance(settle / 2)
	if runs, _ := d.Ear.Trained(); runs != 0 {
		t.Errorf("%d runs before it was quiet", runs)
	}
	release := d.Ear.Hold()
	defer release()
	d.Clock.Advance(settle)
	await(t, c, "the first run", func(s wire.Status) bool { return strings.HasSuffix(s.Job, "50 %") })

	d.Enrol("eve", ksdtest.NewTypist(3, tempo)) // stops it
	await(t, c, "the first run stops", func(s wire.Status) bool { return s.Job == "training starts soon" })
	release()
	d.Clock.AwaitTimer(settle)
	d.Clock.Advance(settle)
	await(t, c, "the second run", func(s wire.Status) bool { return s.Model.Loaded })
	if runs, people := d.Ear.Trained(); runs != 2 || len(people) != 3 {
		t.Errorf("%d runs, the last on %d people; want 2 and 3", runs, len(people))
	}
	if only := d.Ear.Only(); only != nil {
		t.Errorf("without a model, heads were trained for %q alone", only)
	}
	// Who joins a model leaves the others' heads alone, and so does who goes; a
	// run that was stopped is made up for.
	joined := func(s wire.Status) bool { return s.Job == "" }
	d.Enrol("joe", ksdtest.NewTypist(4, tempo))
	release = d.Ear.Hold()
	defer release()
	d.Clock.Advance(settle)
	await(t, c, "the third run", func(s wire.Status) bool { return strings.HasSuffix(s.Job, "50 %") })
	d.Enrol("kim", ksdtest.NewTypist(5, tempo))
	await(t, c, "the third run stops", func(s wire.Status) bool { return s.Job == "training starts soon" })
	release()
	d.Clock.AwaitTimer(settle)
	d.Clock.Advance(settle)
	await(t, c, "the fourth run", joined)
	only := slices.Clone(d.Ear.Only())
	if slices.Sort(only); !slices.Equal(only, []string{"joe", "kim"}) {
		t.Errorf("heads were trained for %q", only)
	}
	must(c.Delete(t.Context(), "kim"))(t)
	d.Clock.AwaitTimer(settle)
	d.Clock.Advance(settle)
	await(t, c, "the fifth run", joined)
	if runs, people := d.Ear.Trained(); runs != 5 || len(people) != 4 || !slices.Equal(d.Ear.Only(), []string{"kim"}) {
		t.Errorf("%d runs, the last on %d people for %q", runs, len(people), d.Ear.Only())
	}
}

// TestTrainingOnFinishedSittingsOnly looks at what a training gets.
func TestTrainingOnFinishedSittingsOnly(t *testing.T) {
	d := ksdtest.Start(t, func(c *conf.Config) { c.Training.Automatic = false })
	ana := ksdtest.NewTypist(1, tempo)
	d.Enrol("ana", ana)
	c := d.Client()
	s := openPress(t, c, "ana")
	for range 7 {
		s.Next = must(c.Type(t.Context(), s.ID, wire.Typing{Sample: ana.Sample(s.Next.Phrase)}))(t).Next
	}
	must(c.Retrain(t.Context(), wire.RetrainRequest{DryRun: true}, nil))(t)
	if _, people := d.Ear.Trained(); len(people) != 1 || len(people[0].Sittings) != 1 || len(people[0].Sittings[0].Samples) != 25 {
		t.Errorf("trained on %d people, want the finished sitting of one without warm-ups", len(people))
	}
}

// TestStopWhileTraining stops the daemon in the middle of a run.
func TestStopWhileTraining(t *testing.T) {
	d := ksdtest.Start(t)
	d.Enrol("ana", ksdtest.NewTypist(1, tempo))
	release := d.Ear.Hold()
	defer release()
	begun, ended := make(chan struct{}), make(chan error, 1)
	c := d.Client()
	go func() {
		_, err := c.Retrain(t.Context(), wire.RetrainRequest{}, func(wire.Progress) { close(begun) })
		ended <- err
	}()
	<-begun
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "the caller is told", <-ended, wire.CodeCancelled)
}

// TestImport brings people from elsewhere, and refuses what could not be used.
func TestImport(t *testing.T) {
	d := ksdtest.Start(t)
	d.UID("ana")
	ana, c := ksdtest.NewTypist(1, tempo), d.Client()
	sitting := func(phrase string, n int) []keystroke.Sample {
		var out []keystroke.Sample
		for range n {
			out = append(out, ana.Sample(phrase))
		}
		return out
	}
	other := ana.Sample("another text")
	other.Phrase = "not this one"
	mixed := sitting("a phrase of hers", 2)
	mixed[1].Channel = keystroke.SSHPress
	for what, bad := range map[string]wire.ImportPerson{
		"name":         {User: "a\x1bb", Sittings: [][]keystroke.Sample{sitting("fine", 1)}},
		"empty":        {User: "ana", Sittings: [][]keystroke.Sample{{}}},
		"other text":   {User: "ana", Sittings: [][]keystroke.Sample{{other}}},
		"two channels": {User: "ana", Sittings: [][]keystroke.Sample{mixed}},
	} {
		_, err := c.Import(t.Context(), wire.Import{People: []wire.ImportPerson{{User: "bob", Sittings: [][]keystroke.Sample{sitting("fine", 1)}}, bad}})
		wantCode(t, what, err, wire.CodeBadRequest)
	}
	if people := must(c.Users(t.Context()))(t); len(people) != 0 {
		t.Errorf("refused imports left %+v", people)
	}
	r := must(c.Import(t.Context(), wire.Import{People: []wire.ImportPerson{
		{User: "ana", Sittings: [][]keystroke.Sample{sitting("a phrase of hers", 3), sitting("a phrase of hers", 2)}},
		{User: "nowhere", Sittings: [][]keystroke.Sample{sitting("a phrase of theirs", 5)}},
	}}))(t)
	if r != (wire.ImportResult{People: 2, Samples: 10}) {
		t.Errorf("result %+v", r)
	}
	if code, _ := verify(t, c, "ana", ana); code != wire.Accept {
		t.Errorf("ana: %s", code)
	}
	if code, _ := verify(t, c, "nowhere", ana); code != wire.Accept {
		t.Errorf("somebody without an account: %s", code)
	}
}
