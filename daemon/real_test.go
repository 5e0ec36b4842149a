package daemon_test

import (
	"testing"

	"ksd/internal/ksdtest"
	"ksd/internal/wire"
)

// TestRealModel enrols three people at a real ksdd, trains its network, and has
// one of them challenged. How well it judges is package model's to test; here
// it is that network, detector and templates are at work, after a restart too.
func TestRealModel(t *testing.T) {
	folder := stateFolder(t, "[training]\nautomatic = false\nepochs = 1\npatience = 1\n")
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
	report := must(c.Retrain(t.Context(), wire.RetrainRequest{}, nil))(t)
	if !report.Installed || report.People != 3 || report.Epochs == 0 {
		t.Errorf("report %+v", report)
	}
	k.stop(t)
	k = startKsdd(t, folder, nil)
	c = k.client(t)
	if m := must(c.Model(t.Context()))(t); !m.Loaded || len(m.People) != 3 || len(m.SHA256) != 64 {
		t.Errorf("model %+v", m)
	}
	code, a := verify(t, c, "ana", hands["ana"])
	if a.Detail == nil || a.Detail.Network == nil || len(a.Detail.Rhythm) == 0 {
		t.Errorf("%s, detail %+v", code, a.Detail)
	}
	stranger, b := verify(t, c, "ana", hands["bob"])
	t.Logf("ana: %s, sum %.2f; bob as ana: %s, sum %.2f", code, a.Detail.Sum, stranger, b.Detail.Sum)
	k.stop(t)
}
