package daemon_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

// TestRealModel enrols three people at a real ksdd, trains their heads, and has
// one of them challenged. How well it judges is package model's to test; here
// it is that heads, detector and templates are at work, after a restart too.
func TestRealModel(t *testing.T) {
	folder := stateFolder(t, "[training]\nautomatic = false\n")
	k := startKsdd(t, folder, nil)
	c := k.client(t)
	hands := map[string]*ksdtest.Typist{
		"ana": ksdtest.NewTypist(1, tempo), "bob": ksdtest.NewTypist(2, tempo), "eve": ksdtest.NewTypist(3, tempo),
	}
	for user, typist := range hands {
		if err := ksdtest.Enrol(t.Context(), c, user, typist); err != nil {
			t.Fatal(err)
		}
	}
	// A model of an earlier version locks nobody out: it is refused, and the next
	// training replaces it.
	k.stop(t)
	path := filepath.Join(folder, "model.ksd")
	if err := os.WriteFile(path, append([]byte("ksdmodel\x01\x00\x00\x00"), make([]byte, 100)...), 0o600); err != nil {
		t.Fatal(err)
	}
	k = startKsdd(t, folder, nil)
	c = k.client(t)
	if m := must(c.Model(t.Context()))(t); m.Loaded || !strings.Contains(k.log.String(), "version 1 is of an earlier ksd") {
		t.Errorf("model %+v, log %s", m, k.log.String())
	}
	if code, a := verify(t, c, "ana", hands["ana"]); a.Detail == nil || a.Detail.Head != nil {
		t.Errorf("%s, detail %+v", code, a.Detail)
	}
	report := must(c.Retrain(t.Context(), wire.RetrainRequest{}, nil))(t)
	if !report.Installed || report.People != 3 || report.Heads == 0 {
		t.Errorf("report %+v", report)
	}
	k.stop(t)
	k = startKsdd(t, folder, nil)
	c = k.client(t)
	if m := must(c.Model(t.Context()))(t); !m.Loaded || len(m.People) != 3 || len(m.SHA256) != 64 {
		t.Errorf("model %+v", m)
	}
	code, a := verify(t, c, "ana", hands["ana"])
	if a.Detail == nil || a.Detail.Head == nil || len(a.Detail.Rhythm) == 0 {
		t.Errorf("%s, detail %+v", code, a.Detail)
	}
	stranger, b := verify(t, c, "ana", hands["bob"])
	t.Logf("ana: %s, sum %.2f; bob as ana: %s, sum %.2f", code, a.Detail.Sum, stranger, b.Detail.Sum)
	k.stop(t)
}
