package base

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"ksd/internal/keystroke"
	"ksd/internal/model/network"
)

// group is how many people of a batch are near each other.
const group = 4

// nearest is among how many of the nearest people the others of a group are
// drawn.
const nearest = 32

// source draws the typings of one shard. All typings of a batch are on one
// channel, because templates of different channels never meet.
type source struct {
	people []Person
	o      Options
	full   bool // or press and ssh-press in turn
	rng    *rand.Rand

	chosen []int       // people of the batch
	bank   [][]float32 // centre of each person when last drawn, nil before
}

// draw fills in crops of each of the chosen people, person by person. near says
// to choose people who type alike.
func (s *source) draw(into []network.Sequence, near bool) {
	s.choose(near)
	ch := keystroke.Full
	if !s.full {
		ch = keystroke.Press
		if s.rng.Float64() < s.o.SSH {
			ch = keystroke.SSHPress
		}
	}
	for p, person := range s.chosen {
		samples := s.people[person].Samples
		order := s.rng.Perm(len(samples))
		for m := range s.o.Crops {
			strokes := draw(samples[order[m%len(order)]], minCrop, maxCrop, ch, true, s.rng)
			into[p*s.o.Crops+m] = appendSequence(network.Sequence{}, strokes, maxCrop)
		}
	}
	if s.rng.Float64() < s.o.Transplant {
		s.transplant(into)
	}
}

// transplant gives the first half of every person's typings the keys of the
// second half of another's, so that the text speaks for somebody else. The times
// stay what they are: residuals, in order.
func (s *source) transplant(into []network.Sequence) {
	people, crops := len(s.chosen), s.o.Crops
	by := 1 + s.rng.IntN(people-1)
	for p := range people {
		for m := range crops / 2 {
			donor := into[(p+by)%people*crops+crops/2+m].Keys
			keys := into[p*crops+m].Keys
			for i := range keys {
				keys[i] = donor[i%len(donor)]
			}
		}
	}
}

// choose draws the people of a batch.
func (s *source) choose(near bool) {
	taken := make(map[int]bool, s.o.People)
	s.chosen = s.chosen[:0]
	take := func(p int) {
		if !taken[p] && len(s.chosen) < s.o.People {
			taken[p] = true
			s.chosen = append(s.chosen, p)
		}
	}
	for len(s.chosen) < s.o.People {
		p := s.rng.IntN(len(s.people))
		take(p)
		if near && s.bank[p] != nil {
			alike := s.alike(p)
			for range group - 1 {
				take(alike[s.rng.IntN(len(alike))])
			}
		}
	}
}

// alike returns the people whose centres are nearest to that of p, p among them.
func (s *source) alike(p int) []int {
	type neighbour struct {
		person   int
		distance float64
	}
	var all []neighbour
	for i, c := range s.bank {
		if c != nil {
			all = append(all, neighbour{i, distance(c, s.bank[p])})
		}
	}
	slices.SortFunc(all, func(a, b neighbour) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), a.person-b.person)
	})
	var out []int
	for _, n := range all[:min(nearest, len(all))] {
		out = append(out, n.person)
	}
	return out
}

// remember keeps the centres of the people of the batch just learned.
func (s *source) remember(embeddings []float32) {
	width := len(embeddings) / (len(s.chosen) * s.o.Crops)
	for p, person := range s.chosen {
		if s.bank[person] == nil {
			s.bank[person] = make([]float32, width)
		}
		centre := s.bank[person]
		clear(centre)
		for m := range s.o.Crops {
			for i, x := range embeddings[(p*s.o.Crops+m)*width:][:width] {
				centre[i] += x / float32(s.o.Crops)
			}
		}
	}
}

// distance is the squared distance of two points.
func distance(a, b []float32) float64 {
	sum := 0.0
	for i, x := range a {
		d := float64(x - b[i])
		sum += d * d
	}
	return sum
}
