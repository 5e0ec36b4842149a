package base

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"ksd/internal/keystroke"
	"ksd/internal/model/network"
)

// TestDistort holds that whatever is done to a typing, it stays one.
func TestDistort(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, ch := range channels {
		lost, more := 0, 0
		for range 300 {
			s := crop(typing(50, 120, 90, rng), 17+rng.IntN(29), rng)
			if len(s.Events) < 17 || len(s.Events) > 45 {
				t.Fatalf("a crop of %d keys", len(s.Events))
			}
			d := distort(s, ch, rng)
			if err := d.Validate(); err != nil || d.Channel != ch {
				t.Fatalf("%s: channel %s: %v", ch, d.Channel, err)
			}
			if len(d.Events) < len(s.Events) {
				lost++
			}
			if len(d.Events) > len(s.Events) {
				more++
			}
		}
		if lost < 20 || more < 20 {
			t.Errorf("%s: of 300 typings %d lost keys, %d have more", ch, lost, more)
		}
	}
}

func TestCrop(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	s := typing(20, 100, 80, rng)
	seen := map[keystroke.Key]bool{}
	for range 200 {
		c := crop(s, 5, rng)
		if len(c.Events) != 5 || c.Events[0].Down != 0 {
			t.Fatalf("%+v", c.Events)
		}
		at := slices.IndexFunc(s.Events, func(e keystroke.Event) bool {
			return e.Key == c.Events[0].Key && e.Up-e.Down == c.Events[0].Up
		})
		if at < 0 || s.Events[at+4].Down-s.Events[at].Down != c.Events[4].Down {
			t.Fatal("it is not a piece of the typing")
		}
		seen[c.Events[0].Key] = true
	}
	if len(seen) < 5 {
		t.Error("it always begins at the same places")
	}
	if c := crop(s, 90, rng); len(c.Events) != 20 {
		t.Errorf("%d keys of 20", len(c.Events))
	}
	if s.Events[3].Down == 0 {
		t.Error("the typing was changed")
	}
}

func TestQuantise(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	const tick = 10 * time.Millisecond
	s := typing(30, 100, 80, rng)
	q := quantise(s, tick, rng)
	for i, e := range q.Events {
		if e.Down%tick != 0 || e.Up%tick != 0 {
			t.Errorf("key %d: press at %v, release at %v", i, e.Down, e.Up)
		}
		if d := e.Down - s.Events[i].Down; d <= -tick || d >= tick {
			t.Errorf("key %d: moved by %v", i, d)
		}
	}
}

func newSource(people int) *source {
	o := tiny()
	return &source{
		people: typists(people, 6), o: o, full: true,
		rng: rand.New(rand.NewPCG(1, 1)), bank: make([][]float32, people),
	}
}

// TestSourceNear remembers people on a line; a batch of near ones then lies
// closer together than one drawn from all.
func TestSourceNear(t *testing.T) {
	s := newSource(400)
	for i := range s.bank {
		s.bank[i] = []float32{float32(i)}
	}
	neighbours := func(near bool) (n int) {
		for range 50 {
			s.choose(near)
			if len(s.chosen) != s.o.People {
				t.Fatalf("%d people", len(s.chosen))
			}
			for i, a := range s.chosen {
				for _, b := range s.chosen[:i] {
					if a == b {
						t.Fatal("somebody is there twice")
					}
					if max(a-b, b-a) <= nearest {
						n++
					}
				}
			}
		}
		return n
	}
	if far, near := neighbours(false), neighbours(true); near < 2*far {
		t.Errorf("%d neighbours, %d without looking", near, far)
	}
}

func TestSourceRemembers(t *testing.T) {
	s := newSource(8)
	s.chosen = []int{5, 2, 0, 1}
	e := make([]float32, 4*s.o.Crops*2)
	for m := range s.o.Crops {
		e[(s.o.Crops+m)*2] = float32(m) // of person 2
	}
	s.remember(e)
	if want := []float32{1.5, 0}; !slices.Equal(s.bank[2], want) || s.bank[3] != nil {
		t.Errorf("centres %v", s.bank)
	}
}

// TestTransplant: the times stay, the keys of the first half come from somebody
// else's second half.
func TestTransplant(t *testing.T) {
	s := newSource(8)
	s.o.Transplant = 0
	into := make([]network.Sequence, s.o.People*s.o.Crops)
	s.draw(into, false)
	before := make([]network.Sequence, len(into))
	for i, q := range into {
		before[i] = network.Sequence{Keys: slices.Clone(q.Keys), Features: slices.Clone(q.Features)}
	}
	s.transplant(into)
	for p := range s.o.People {
		for m := range s.o.Crops {
			i := p*s.o.Crops + m
			if !slices.Equal(into[i].Features, before[i].Features) {
				t.Fatal("times were changed")
			}
			if m >= s.o.Crops/2 {
				if !slices.Equal(into[i].Keys, before[i].Keys) {
					t.Error("a query has other keys")
				}
				continue
			}
			from := slices.IndexFunc(before, func(q network.Sequence) bool { return slices.Equal(q.Keys[:8], into[i].Keys[:8]) })
			if from < 0 || from/s.o.Crops == p || from%s.o.Crops < s.o.Crops/2 {
				t.Errorf("person %d, typing %d: keys of typing %d", p, m, from)
			}
		}
	}
}

// TestUsable has somebody who moves about in the text and types none.
func TestUsable(t *testing.T) {
	people := typists(3, 4)
	for i := range people[1].Samples[:3] {
		for j := range people[1].Samples[i].Events {
			people[1].Samples[i].Events[j].Rune = 0
		}
	}
	people[2].Samples[0].Events = people[2].Samples[0].Events[:minCrop-1]
	got := usable(people, 2)
	if len(got) != 2 || got[0].Name != "p0" || got[1].Name != "p2" || len(got[1].Samples) != 3 {
		t.Errorf("%d people are left", len(got))
	}
}

// TestDrawAlwaysFinds has a typing in which no piece is long enough.
func TestDrawAlwaysFinds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	s := typing(500, 100, 80, rng)
	for i := range s.Events {
		if i%20 != 0 {
			s.Events[i].Key, s.Events[i].Rune = keystroke.ArrowLeft, 0
		}
	}
	if got := draw(s, minCrop, maxCrop, keystroke.Press, true, rng); len(got) != 25 {
		t.Errorf("%d strokes", len(got))
	}
}
