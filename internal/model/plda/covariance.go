package plda

import "ksd/internal/keystroke"

// The covariances, in squared population scales. Those between people were
// estimated from KLiCke (1,500 people, 20 windows of 50 keys each): the mean
// product of the residuals of two typings of one person at two places of
// different windows, by how far the keys around the places agree, fitted with
// steps that are not negative so that the sum is a covariance. Those within a
// typing are what is left of the whole, and the product of neighbours less that
// of strangers. Without any fit to it, GREYC shows the same: 0.30, 0.36, 0.46
// and 0.81 for places that have nothing, the key, the pair and the whole
// phrase in common, against 0.30, 0.36, 0.42 and 0.76 here.
const (
	noiseDD, noiseDwell         = 0.46, 0.35  // of one time in one typing
	tempoDD, tempoDwell         = 0.045, 0.08 // of all times of one typing
	neighbourDD, neighbourDwell = 0.03, 0.03  // of neighbouring times of one typing
	across                      = -0.06       // of the interval before a key and its dwell
)

// contextBack and contextAhead are how many keys around a place are compared.
const (
	contextBack  = 5
	contextAhead = 3
)

// between is the covariance of what one person always does at two places.
func between(a, b place) float64 {
	if a.dwell != b.dwell {
		return 0
	}
	back, ahead := common(a, b)
	if a.dwell {
		return betweenDwell(back, ahead)
	}
	return betweenDD(back, ahead)
}

// betweenDD and betweenDwell take the number of keys in common that lead up to
// the places, themselves included, and of those that follow.
func betweenDD(back, ahead int) float64 {
	return step(true, 0.299) + // the person's tempo
		step(back >= 1, 0.058) + // the key
		step(back >= 2, 0.061) + // the key pair
		step(back >= 3, 0.073) +
		step(back >= 4, 0.087) +
		step(back >= 6, 0.063) +
		step(back >= 2 && ahead >= 1, 0.009) +
		step(back >= 3 && ahead >= 1, 0.066) +
		step(back >= 4 && ahead >= 3, 0.048)
}

func betweenDwell(back, ahead int) float64 {
	return step(true, 0.564) +
		step(back >= 1, 0.143) +
		step(back >= 1 && ahead >= 1, 0.133) +
		step(back >= 2, 0.067) +
		step(back >= 3 && ahead >= 1, 0.095) +
		step(back >= 4 && ahead >= 3, 0.170)
}

func step(there bool, size float64) float64 {
	if there {
		return size
	}
	return 0
}

// common counts the keys that two places have in common. The ends of a text
// are keys as well: what begins alike agrees from before its beginning.
func common(a, b place) (back, ahead int) {
	for back <= contextBack && key(a, -back) == key(b, -back) {
		back++
	}
	for back > 0 && ahead < contextAhead && key(a, ahead+1) == key(b, ahead+1) {
		ahead++
	}
	return back, ahead
}

const (
	beforeText keystroke.Key = -1000 - iota
	afterText
)

func key(p place, offset int) keystroke.Key {
	switch i := p.at + offset; {
	case i < 0:
		return beforeText
	case i >= len(p.keys):
		return afterText
	default:
		return p.keys[i]
	}
}

// within is the covariance of what is peculiar to one typing at two of its
// places.
func within(a, b place) float64 {
	apart := max(a.at-b.at, b.at-a.at)
	if a.dwell != b.dwell {
		return step(apart == 0, across)
	}
	tempo, neighbour := tempoDD, neighbourDD
	if a.dwell {
		tempo, neighbour = tempoDwell, neighbourDwell
	}
	return tempo + step(apart == 1, neighbour) + step(apart == 0, usualNoise(a))
}

// usualNoise is the variance of one time in one typing.
func usualNoise(p place) float64 {
	if p.dwell {
		return noiseDwell
	}
	return noiseDD
}
