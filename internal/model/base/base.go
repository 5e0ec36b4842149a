// Package base is the network that tells any two typists apart, whoever they
// are: it was trained on many people of a public corpus and is shipped with the
// program. A typing becomes a point; typings of one person lie together. Nobody
// has to be trained on to be recognised.
//
// The network is the dual-branch one of package network, whose outputs are the
// coordinates; package train has the loss. On top stands a two-covariance model
// for each channel (Space), estimated on the same people, that turns places into
// log-likelihood ratios of owner to population.
//
// # What it learned from
//
// Crops of 17 to 45 keys of windows of free text, bent to what channels do to
// typing: releases missing, ticks, ssh, jitter, keys lost and doubled. All
// windows of a person come from one essay, so the text could give the person
// away. In a share of batches, therefore, half of each person's typings carry the
// keys of somebody else's other half: there the text speaks for the wrong person.
// Report.Text tells what is left of that leak.
//
// # The file
//
// base.bin is a sealed file (package sealed) of version 1. Its header is the JSON of
// Header; its floats are the weights in the order of network.Spec, then for each of
// the channels full, press and ssh-press the D means, the D × D projection row by
// row and the D variances between people.
//
// Whatever does not fit is refused whole: a damaged file, a foreign one, one of
// another vocabulary or normalisation. It serves with any kernel of package
// lstm, whichever trained it: places differ by rounding alone.
package base

import (
	_ "embed"
	"errors"
	"fmt"
	"sync"

	"ksd/internal/keystroke"
	"ksd/internal/model/network"
)

var (
	// ErrFile is the fact that bytes are not a base file that this program can use.
	ErrFile = errors.New("not a ksd base file")
	// ErrCorpus is the fact that a corpus has too little to train on.
	ErrCorpus = errors.New("unfit corpus")
	// ErrOptions is the fact that an option is out of range.
	ErrOptions = errors.New("invalid options")
)

// channels are those there is a space for, in the order of the file.
var channels = [...]keystroke.Channel{keystroke.Full, keystroke.Press, keystroke.SSHPress}

// Base serves one base file. It is safe for concurrent use.
type Base struct {
	file   *File
	spaces map[keystroke.Channel]*Space
}

//go:embed base.bin
var shipped []byte

// Default returns the shipped base.
var Default = sync.OnceValue(func() *Base {
	f, err := Decode(shipped)
	if err != nil {
		panic(err) // a test reads it: a broken file is not released
	}
	b, err := New(f)
	if err != nil {
		panic(err)
	}
	return b
})

// New returns a base that serves f, which must not change any more. The error
// wraps ErrFile, network.ErrSpec or network.ErrWeights.
func New(f *File) (*Base, error) {
	n, err := network.New(f.Spec, f.Weights)
	if err != nil {
		return nil, err
	}
	b := &Base{file: f, spaces: map[keystroke.Channel]*Space{}}
	for i, ch := range channels {
		if err := f.backEnds[i].check(f.Spec.Classes); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrFile, ch, err)
		}
		b.spaces[ch] = &Space{n, f.backEnds[i]}
	}
	return b, nil
}

// File is what the base serves. It must not be changed.
func (b *Base) File() *File { return b.file }
