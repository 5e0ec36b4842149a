package model

import (
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model/network"
)

// minTypings is how many typings of a phrase a head is trained on at least.
const minTypings = 3

// lines are those of one person, by phrase and channel.
type lines = map[templateKey][]keystroke.Line

// host is what the people of this host typed, on all the channels that it can
// show.
type host struct {
	people  map[string]lines
	rhythms *feature.Rhythms
	seed    uint64
}

// typed returns a person's lines, the newest of those that the sittings from up
// to, but not including, to hold.
func (p Person) typed(from, to int) lines {
	out := lines{}
	n := 0 // numbers all typings, whichever are asked for
	for i, s := range p.Sittings {
		for _, sample := range s.Samples {
			if from <= i && i < to {
				for _, view := range views(sample, n) {
					add(out, view)
				}
			}
			n++
		}
	}
	for key, ls := range out {
		out[key] = ls[max(0, len(ls)-newest):]
	}
	return out
}

// learnt says whether a head can be trained for a phrase, from so many typings.
func learnt(phrase string, typings int) bool {
	return typings >= minTypings && len([]rune(phrase)) <= network.MaxLen
}

// newHost draws the host's strangers after the very lines that it holds.
func newHost(people map[string]lines, seed uint64) *host {
	var here [][]keystroke.Line
	for _, person := range slices.Sorted(maps.Keys(people)) {
		var own []keystroke.Line
		for _, key := range sortedKeys(people[person]) {
			if richest(people[person], key) {
				own = append(own, people[person][key]...)
			}
		}
		here = append(here, own)
	}
	return &host{people, feature.NewRhythms(feature.Default(), here), seed}
}

// richest says whether no channel that shows more than the key's has its phrase.
func richest(of lines, key templateKey) bool {
	for _, ch := range keystroke.Channels() {
		if ch == key.channel {
			return true
		}
		if of[templateKey{key.phrase, ch}] != nil {
			return false
		}
	}
	return false
}

// hash makes a number of texts and a seed.
func hash(seed uint64, texts ...string) uint64 {
	f := fnv.New64a()
	for _, t := range texts {
		f.Write([]byte(t))
		f.Write([]byte{0})
	}
	return rand.NewPCG(seed, f.Sum64()).Uint64()
}
