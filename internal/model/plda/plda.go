// Package plda weighs two explanations of a typing against each other: it is
// the owner's, or it is anybody's. It is the two-covariance model of speaker
// verification (Brümmer and de Villiers 2010) with heavy tails (Kenny 2010).
//
// What is weighed are residuals: log times in standard deviations of the
// population's for that key or key pair (feature.Stroke, clipped to ±MaxZ).
// People differ from one another in them, and each person from typing to
// typing:
//
//	residual = what the person always does there + what it did this time
//
// both Gaussian, with covariances taken from the population (Between, within).
// What a person always does at one place tells of other places, the more the
// longer the keys around them agree: the same tempo everywhere, the same reach
// for the same key, nearly the same movement in the same word. So typings of
// one text also say how another will be typed, of which a word is new and the
// rest is not. Given the owner's earlier typings, its next one is Gaussian
// again (kriging), with a mean and a covariance that a handful of typings do
// not pretend to know better than they do.
//
// The score is ln P(typing | owner) - ln P(typing | population): what the
// population does as well, the median rhythm above all, speaks for nobody.
// Both densities are taken as Student's t over the whitened residuals, so that
// one slip is a slip and not a verdict.
package plda

import "sync"

// freedom of Student's t. Chosen on CMU among 3, 4 and 7.
const freedom = 4.0

// Model scores. It keeps ready what it was last asked for, by the texts that it
// hangs on, so that one serves whoever types them, and bounds what that takes. It
// is safe for concurrent use.
type Model struct {
	known      *recent[string, *knowledge]
	posteriors *recent[structure, *posterior]
}

// NewModel returns a Model that has nothing ready yet.
func NewModel() *Model {
	return &Model{newRecent[string, *knowledge](knowledgeRoom), newRecent[structure, *posterior](posteriorRoom)}
}

// Default returns the Model that all share: nothing that it keeps is of a person.
var Default = sync.OnceValue(NewModel)
