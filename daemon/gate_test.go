package daemon

import (
	"log/slog"
	"testing"
	"time"

	"ksd/conf"
	"ksd/internal/audit"
	"ksd/internal/policy"
	"ksd/internal/store"
	"ksd/internal/wire"
)

// TestGate is every finding: what is decided, and what stands in the audit log.
func TestGate(t *testing.T) {
	st, err := store.Open(t.Context(), t.TempDir()+"/state")
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	d := &Daemon{
		store: st, audit: audit.New(st, slog.New(slog.DiscardHandler)),
		world: World{Now: time.Now, Log: slog.New(slog.DiscardHandler)},
	}
	d.known.Store(&knowledge{})
	c := &claim{d: d, user: "ana", service: "su", source: "tty:x", config: conf.Default(), peer: wire.Peer{UID: 7}}
	b := policy.NewBounds(0.01, 0.05)
	for _, x := range []struct {
		name    string
		f       finding
		want    ruling
		outcome string
	}{
		{"nothing", finding{}, ruling{code: wire.Refuse}, "refuse"},
		{"an accept out of nowhere", finding{end: wire.Accept}, ruling{code: wire.Refuse}, "refuse"},
		{"no bounds", finding{sum: 99, typed: 1, most: 3}, ruling{code: wire.Refuse}, "refuse"},
		{"a copy, however good", finding{sum: 99, typed: 1, most: 3, bounds: b, suspect: "copy"}, ruling{code: wire.Refuse}, "refuse: copy"},
		{"too many phrases", finding{sum: 99, typed: 4, most: 3, bounds: b}, ruling{code: wire.Refuse}, "refuse"},
		{"clearly not", finding{sum: -9, typed: 1, most: 3, bounds: b}, ruling{code: wire.Refuse}, "refuse"},
		{"locked", finding{end: wire.Locked}, ruling{code: wire.Locked}, "locked"},
		{"cancelled with a good sum", finding{end: wire.Cancelled, sum: 99, typed: 1, most: 3, bounds: b}, ruling{code: wire.Cancelled}, "cancelled"},
		{"unclear", finding{sum: 1, typed: 1, most: 3, bounds: b}, ruling{more: true}, ""},
		{"unclear at the end", finding{sum: 1, typed: 3, most: 3, bounds: b}, ruling{code: wire.Refuse}, "refuse"},
		{"no terminal, nothing known", finding{entry: &policy.Entry{}}, ruling{code: wire.Unenrolled}, "unenrolled"},
		{"no terminal, not allowed", finding{entry: &policy.Entry{Enrolled: true}}, ruling{code: wire.Refuse}, "refuse"},
		{"no terminal and a good sum", finding{entry: &policy.Entry{Enrolled: true}, sum: 99, typed: 1, most: 3, bounds: b}, ruling{code: wire.Refuse}, "refuse"},
		{"no terminal, locked", finding{entry: &policy.Entry{Enrolled: true, Allowed: true, PersonLocked: true}}, ruling{code: wire.Locked}, "locked"},
		{"no terminal, bad token", finding{entry: &policy.Entry{Enrolled: true, Allowed: true, Token: policy.BadToken}}, ruling{code: wire.Refuse}, "refuse: token"},
		{"no terminal, allowed", finding{entry: &policy.Entry{Enrolled: true, Allowed: true}}, ruling{code: wire.Accept}, "accept"},
		{"no terminal, good token", finding{entry: &policy.Entry{Token: policy.GoodToken}}, ruling{code: wire.Accept}, "accept: token"},
		{"clearly", finding{sum: 9, typed: 1, most: 3, bounds: b}, ruling{code: wire.Accept}, "accept"},
	} {
		before := len(entries(t, st))
		if got := d.gate(t.Context(), c, x.f); got != x.want {
			t.Errorf("%s: %+v, want %+v", x.name, got, x.want)
		}
		log := entries(t, st)
		switch {
		case x.outcome == "" && len(log) != before:
			t.Errorf("%s: recorded, though nothing is decided", x.name)
		case x.outcome != "" && (len(log) != before+1 || log[0].Outcome != x.outcome || log[0].User != "ana" || (log[0].Event == "noninteractive") != (x.f.entry != nil) || log[0].Actor != "uid:7"):
			t.Errorf("%s: %d entries, the last %+v; want %q", x.name, len(log)-before, log[0], x.outcome)
		case x.f.typed > 0 && x.outcome != "" && (log[0].Score == nil || *log[0].Score != x.f.sum):
			t.Errorf("%s: score %v, want %v", x.name, log[0].Score, x.f.sum)
		}
	}
	d.audit = new(audit.Log)
	if got := d.gate(t.Context(), c, finding{sum: 9, typed: 1, most: 3, bounds: b}); got != (ruling{code: wire.Failed}) {
		t.Errorf("without an audit log: %+v", got)
	}
}

func entries(t *testing.T, st *store.Store) []store.AuditEntry {
	t.Helper()
	e, err := st.Audit(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
