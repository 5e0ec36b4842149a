package monitor

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"ksd/sshd/link"
)

// Who has enough connections gets no other one, whatever comes with it, and hears
// why. Whose it is, the listener is told once, by the monitor.
func TestShare(t *testing.T) {
	r := newRig(t, "unenrolled = \"allow\"\n")
	m := r.start(t, false)
	r.open(t, m, "ana")
	if got := m.end(t); !slices.Equal(got.Claimed, []uint32{2001}) {
		t.Errorf("claimed for %v", got.Claimed)
	}
	r.write(t, full, "", 0)
	for _, name := range []string{"ana", "bob"} { // bob needs no second factor
		m := r.start(t, false)
		r.prove(t, m, name)
		o, err := m.Open(t.Context(), link.Open{User: name})
		if err != nil || o.OK || o.Passed || !strings.Contains(strings.Join(o.Texts, ""), "too many connections") {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
		if err := operations["admit"](t.Context(), r, m); !errors.Is(err, link.ErrEnded) {
			t.Errorf("%s goes on: %v", name, err)
		}
		if got := m.ended(t); got.Passed != 0 {
			t.Errorf("%s was let in", name)
		}
	}
}
