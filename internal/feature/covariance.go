package feature

import (
	"errors"
	"math"
	"strconv"

	"ksd/internal/keystroke"
)

// Covariance says how the residuals of one kind of time (down-down or dwell)
// hang together in people who are drawn at random, in squared population
// scales, residuals clipped to ±MaxZ. A residual is what a person always does
// at that place of a text, and what it did this time; the one is independent
// of the other.
type Covariance struct {
	// Steps make up what a person always does: see Between.
	Steps [len(steps)]float64

	// What is peculiar to one typing, by itself and with its other times of
	// that kind.
	Noise     float64 // variance of one time
	Tempo     float64 // covariance of any two times, on top of it
	Neighbour float64 // covariance of neighbouring times, on top of it
}

// MaxBack and MaxAhead are how many keys around two places are compared, see
// Common.
const (
	MaxBack  = 6
	MaxAhead = 3
)

// steps are the ways in which two places can be alike: that many keys in common
// at least. Each is the indicator of an equivalence, so that a sum of them with
// sizes that are not negative is a covariance of any set of places.
var steps = [...]struct{ back, ahead int }{
	{0, 0}, // any two: the person's tempo
	{1, 0}, // the key
	{2, 0}, // the key pair
	{3, 0},
	{4, 0},
	{6, 0},
	{1, 1},
	{2, 1},
	{3, 1},
	{4, 3},
}

// Between returns the covariance of what one person always does at two places
// that have so many keys in common (Common).
func (c *Covariance) Between(back, ahead int) (sum float64) {
	for i, s := range steps {
		if back >= s.back && ahead >= s.ahead {
			sum += c.Steps[i]
		}
	}
	return sum
}

// Common counts the keys that place i of text a and place j of text b have in
// common: those that lead up to them, themselves included (0 to MaxBack), and,
// if any, those that follow (0 to MaxAhead). The ends of a text are keys as
// well: what begins alike agrees from before its beginning.
func Common(a []keystroke.Key, i int, b []keystroke.Key, j int) (back, ahead int) {
	for back < MaxBack && keyAt(a, i-back) == keyAt(b, j-back) {
		back++
	}
	for back > 0 && ahead < MaxAhead && keyAt(a, i+ahead+1) == keyAt(b, j+ahead+1) {
		ahead++
	}
	return back, ahead
}

// No key is called that.
const (
	beforeText keystroke.Key = -1000 - iota
	afterText
)

func keyAt(keys []keystroke.Key, i int) keystroke.Key {
	switch {
	case i < 0:
		return beforeText
	case i >= len(keys):
		return afterText
	default:
		return keys[i]
	}
}

// row returns the numbers of a line covariance-… of a table.
func (c *Covariance) row() []float64 {
	return append([]float64{c.Noise, c.Tempo, c.Neighbour}, c.Steps[:]...)
}

// readRow is the inverse of row. The error says what is wrong.
func (c *Covariance) readRow(f []string) error {
	xs, err := numbers(f, 3+len(steps))
	if err != nil {
		return err
	}
	for i := range xs {
		xs[i] = printed(xs[i])
	}
	c.Noise, c.Tempo, c.Neighbour = xs[0], xs[1], xs[2]
	copy(c.Steps[:], xs[3:])
	for _, x := range append(c.Steps[:], c.Tempo) {
		if x < 0 {
			return errors.New("a part of a covariance must not be below 0")
		}
	}
	if c.least() <= 0 {
		return errors.New("neighbours hang together more than there is noise")
	}
	return nil
}

// least is a bound under the eigenvalues of the covariance of all times of one
// kind of one typing: noise with neighbours is a tridiagonal matrix.
func (c *Covariance) least() float64 { return c.Noise - 2*math.Abs(c.Neighbour) }

// positive reports whether the covariance of both kinds of times of a typing,
// across between the interval before a key and its dwell, is positive definite.
func positive(dd, dwell *Covariance, across float64) bool {
	return dd.least() > 0 && dwell.least() > 0 && math.Abs(across) < math.Sqrt(dd.least())*math.Sqrt(dwell.least())
}

// printed is x with the digits that a table has: what is checked is what will
// be written.
func printed(x float64) float64 {
	y, err := strconv.ParseFloat(format(x), 64)
	if err != nil {
		return x // beyond the largest number, by rounding
	}
	return y
}
