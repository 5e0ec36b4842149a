package plda

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

func TestRecent(t *testing.T) {
	r := newRecent[string, int](10)
	have := func(want string) {
		t.Helper()
		got, taken := "", 0
		for _, key := range []string{"a", "b", "c", "d"} {
			if e := r.at[key]; e != nil {
				got += key
				taken += e.Value.(*kept[string, int]).bytes
			}
		}
		if got != want || r.taken != taken || r.taken > r.room || r.order.Len() != len(want) {
			t.Errorf("%q in %d bytes, said to be %d; want %q", got, taken, r.taken, want)
		}
	}
	r.put("a", 1, 4)
	r.put("b", 2, 4)
	if _, ok := r.get("c"); ok {
		t.Error("what was never put is there")
	}
	if x, ok := r.get("a"); !ok || x != 1 {
		t.Errorf("%v, %v", x, ok)
	}
	r.put("c", 3, 4) // a was used since b was
	have("ac")
	r.put("a", 5, 6)
	have("ac")
	if x, _ := r.get("a"); x != 5 {
		t.Errorf("%v, want the newer", x)
	}
	r.put("d", 4, 11) // more than there is room for
	have("")
	r.put("b", 2, 10)
	have("b")
}

// TestModelIsShared has callers ask one small Model for more than it has room
// for, all at once.
func TestModelIsShared(t *testing.T) {
	rng := rand.New(rand.NewPCG(19, 20))
	var owners []*Owner
	var texts []*Text
	for i := range 3 {
		text := NewText(fmt.Sprint("sentence ", i, " or so"), true)
		texts = append(texts, text)
		owners = append(owners, NewOwner([]Typed{NewTyped(text, person(rng, text, 1, 0, 0.5))}, nil))
	}
	x := person(rng, texts[0], 1, 0, 0.5)[0]
	want := map[[2]int]float64{}
	for i, o := range owners {
		for k, text := range texts {
			want[[2]int{i, k}] = score(t, NewModel(), o, text, x)
		}
	}
	m := NewModel()
	m.known.room, m.posteriors.room = 4_000, 30_000
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			var s Scratch
			for n := range 60 {
				i, k := (n+g)%3, n/3%3
				if got, err := m.LLR(owners[i], texts[k], x, &s); err != nil || got != want[[2]int{i, k}] {
					t.Errorf("owner %d, text %d: %v, %v, alone it was %v", i, k, got, err, want[[2]int{i, k}])
				}
			}
		})
	}
	all.Wait()
	if m.known.taken > 4_000 || m.posteriors.taken > 30_000 || m.known.taken == 0 || m.posteriors.order.Len() == 9 {
		t.Errorf("%d and %d bytes are kept, of %d posteriors", m.known.taken, m.posteriors.taken, m.posteriors.order.Len())
	}
}
