package daemon

import (
	"log/slog"
	"testing"
	"time"

	"ksd/conf"
	"ksd/internal/model"
)

// timers are those that a World was asked for; a test fires them.
type timers struct {
	set []func()
	off int // how many were stopped
}

func (ts *timers) world(now time.Time) World {
	return World{
		Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		AfterFunc: func(_ time.Duration, f func()) func() bool {
			ts.set = append(ts.set, f)
			return func() bool { ts.off++; return true }
		},
	}
}

func TestLater(t *testing.T) {
	var ts timers
	ran := 0
	l := &later{world: ts.world(time.Time{})}
	l.do = func() {
		if ran++; ran == 1 {
			l.ask(time.Hour) // as one that comes back does
		}
	}
	for range 3 {
		l.ask(time.Minute)
	}
	if len(ts.set) != 1 {
		t.Fatalf("%d timers for three calls, want 1", len(ts.set))
	}
	ts.set[0]()
	if ran != 1 || len(ts.set) != 2 {
		t.Fatalf("it ran %d times, %d timers", ran, len(ts.set))
	}
	l.close()
	ts.set[1]() // too late to be stopped
	l.ask(time.Minute)
	if ran != 1 || len(ts.set) != 2 || ts.off != 1 {
		t.Errorf("closed: it ran %d times, %d timers, %d stopped", ran, len(ts.set), ts.off)
	}
}

// TestRefresh: what joined has heads trained again if they are old, and
// never disturbs a run.
func TestRefresh(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	old := &model.File{Trained: now.Add(-modelAge)}
	for _, x := range []struct {
		name   string
		file   *model.File
		change func(*trainer, *conf.Config)
		due    bool
	}{
		{"no model", nil, nil, false},
		{"a young one", &model.File{Trained: now.Add(1 - modelAge)}, nil, false},
		{"a run is under way", old, func(tr *trainer, _ *conf.Config) {
			tr.cancel, tr.background = func() { t.Error("it was stopped") }, true
		}, false},
		{"a run is due", old, func(tr *trainer, _ *conf.Config) { tr.pending = func() bool { t.Error("it was put off"); return true } }, false},
		{"the daemon stops", old, func(tr *trainer, _ *conf.Config) { tr.closed = true }, false},
		{"not automatic", old, func(_ *trainer, c *conf.Config) { c.Training.Automatic = false }, false},
		{"an old one", old, nil, true},
	} {
		var ts timers
		d, c := &Daemon{world: ts.world(now)}, conf.Default()
		tr := &trainer{d: d}
		if x.change != nil {
			x.change(tr, &c)
		}
		d.config.Store(&c)
		d.known.Store(&knowledge{file: x.file})
		if tr.refresh(); len(ts.set) == 1 != x.due {
			t.Errorf("%s: %d runs are due", x.name, len(ts.set))
		}
	}
}
