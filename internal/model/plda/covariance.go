package plda

import "ksd/internal/feature"

// covariance returns how the times of a place's kind hang together, as KLiCKe
// shows it: the table of the population has it, and feature.Builder estimates
// it.
func covariance(p place) *feature.Covariance {
	if p.dwell {
		return &feature.Default().DwellCovariance
	}
	return &feature.Default().DDCovariance
}

// between is the covariance of what one person always does at two places.
func between(a, b place) float64 {
	if a.dwell != b.dwell {
		return 0
	}
	return covariance(a).Between(feature.Common(a.keys, a.at, b.keys, b.at))
}

// within is the covariance of what is peculiar to one typing at two of its
// places.
func within(a, b place) float64 {
	apart := max(a.at-b.at, b.at-a.at)
	c := covariance(a)
	switch {
	case a.dwell != b.dwell && apart == 0:
		return feature.Default().Across
	case a.dwell != b.dwell:
		return 0
	case apart == 0:
		return c.Tempo + c.Noise
	case apart == 1:
		return c.Tempo + c.Neighbour
	default:
		return c.Tempo
	}
}

// usualNoise is the variance of one time in one typing.
func usualNoise(p place) float64 { return covariance(p).Noise }
