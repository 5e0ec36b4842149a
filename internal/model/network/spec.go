package network

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"ksd/internal/model/lstm"
)

// Limits of a Spec and of an input.
const (
	MaxLen     = 64      // keys in a sequence
	MaxKeys    = 4096    // vocabulary
	MaxWidth   = 256     // features, embedding, hidden, dense
	MaxClasses = 1 << 16 // people
)

var (
	// ErrSpec is the fact that the sizes of a network are out of range.
	ErrSpec = errors.New("invalid network sizes")
	// ErrWeights is the fact that weights do not fit their sizes.
	ErrWeights = errors.New("invalid network weights")
	// ErrOverflow is the fact that finite weights gave a result that is not.
	ErrOverflow = errors.New("network result not finite")
	// ErrInput is the fact that a sequence cannot be judged by the network.
	ErrInput = errors.New("invalid network input")
)

// Spec is the sizes of a network.
type Spec struct {
	Features  int     `json:"features"`  // F, timing features per key
	Keys      int     `json:"keys"`      // V, the vocabulary
	Embedding int     `json:"embedding"` // E
	Hidden    int     `json:"hidden"`    // H, of each of the three LSTMs
	Dense     int     `json:"dense"`     // D
	Classes   int     `json:"classes"`   // K, or the dimensions of an embedding
	Dropout   float32 `json:"dropout"`   // share of LSTM outputs dropped in training, [0, 1)

	// Mean makes the output of an LSTM the mean of its states, not the last.
	Mean bool `json:"mean,omitempty"`
}

// NewSpec returns the sizes that ksd uses: embedding, hidden and dense 32,
// dropout 0.4.
func NewSpec(features, keys, classes int) Spec {
	return Spec{Features: features, Keys: keys, Embedding: 32, Hidden: 32, Dense: 32, Classes: classes, Dropout: 0.4}
}

// Check reports sizes out of range. The error wraps ErrSpec.
func (s Spec) Check() error {
	for _, f := range []struct {
		name        string
		n, min, max int
	}{
		{"features", s.Features, 1, MaxWidth},
		{"keys", s.Keys, 1, MaxKeys},
		{"embedding", s.Embedding, 1, MaxWidth},
		{"hidden", s.Hidden, 1, MaxWidth},
		{"dense", s.Dense, 1, MaxWidth},
		{"classes", s.Classes, 2, MaxClasses},
	} {
		if f.n < f.min || f.n > f.max {
			return fmt.Errorf("%w: %s is %d, not in %d..%d", ErrSpec, f.name, f.n, f.min, f.max)
		}
	}
	if !(s.Dropout >= 0 && s.Dropout < 1) {
		return fmt.Errorf("%w: dropout is %v, not in [0, 1)", ErrSpec, s.Dropout)
	}
	return nil
}

// Forward is the shape of the timing branch's LSTM that reads left to right.
func (s Spec) Forward() lstm.Shape {
	return lstm.Shape{Features: s.Features, Keys: s.Keys, Embedding: s.Embedding, Hidden: s.Hidden, Mean: s.Mean}
}

// Backward is the shape of the timing branch's LSTM that reads right to left.
func (s Spec) Backward() lstm.Shape {
	l := s.Forward()
	l.Reverse = true
	return l
}

// Key is the shape of the key branch's LSTM, which sees no timing.
func (s Spec) Key() lstm.Shape {
	l := s.Forward()
	l.Features = 0
	return l
}

// Blocks are the parts of a weight vector, each row-major, in the order in
// which they stand.
type Blocks struct {
	Embedding []float32 // V × E
	Forward   []float32 // see lstm: (F+E+H+1) × 4H
	Backward  []float32 // the same
	Key       []float32 // (E+H+1) × 4H
	Dense     []float32 // 3H × D, then the D biases
	Output    []float32 // D × K, then the K biases
}

// Len is the number of weights.
func (s Spec) Len() int {
	n := 0
	for _, l := range s.lengths() {
		n += l
	}
	return n
}

func (s Spec) lengths() [6]int {
	return [6]int{
		s.Keys * s.Embedding,
		s.Forward().Len(), s.Backward().Len(), s.Key().Len(),
		(3*s.Hidden + 1) * s.Dense,
		(s.Dense + 1) * s.Classes,
	}
}

// Split returns the blocks of weights, which has Len floats; they share its
// memory.
func (s Spec) Split(weights []float32) Blocks {
	var parts [6][]float32
	for i, n := range s.lengths() {
		parts[i], weights = weights[:n:n], weights[n:]
	}
	return Blocks{parts[0], parts[1], parts[2], parts[3], parts[4], parts[5]}
}

// Initialise returns fresh weights, the same for the same seed: rows of the
// embedding with a length of about 1, matrices uniform after Glorot and Bengio
// (2010), biases 0 but for the forget gates'. The sizes must be valid.
func (s Spec) Initialise(seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 0x6b7364)) // "ksd"
	weights := make([]float32, s.Len())
	b := s.Split(weights)
	uniform(b.Embedding, math.Sqrt(3/float64(s.Embedding)), rng)
	s.Forward().Initialise(b.Forward, rng)
	s.Backward().Initialise(b.Backward, rng)
	s.Key().Initialise(b.Key, rng)
	uniform(b.Dense[:3*s.Hidden*s.Dense], math.Sqrt(6/float64(3*s.Hidden+s.Dense)), rng)
	uniform(b.Output[:s.Dense*s.Classes], math.Sqrt(6/float64(s.Dense+s.Classes)), rng)
	return weights
}

func uniform(w []float32, limit float64, rng *rand.Rand) {
	for i := range w {
		w[i] = float32(limit) * (2*rng.Float32() - 1)
	}
}

// CheckWeights reports a wrong number of weights and the first that is not
// finite. The error wraps ErrWeights.
func (s Spec) CheckWeights(weights []float32) error {
	if len(weights) != s.Len() {
		return fmt.Errorf("%w: %d weights, the sizes need %d", ErrWeights, len(weights), s.Len())
	}
	if i := notFinite(weights); i >= 0 {
		return fmt.Errorf("%w: weight %d is %v", ErrWeights, i, weights[i])
	}
	return nil
}

// CheckInput reports a sequence of a wrong length, a key outside the vocabulary
// and the first feature that is not finite. The error wraps ErrInput.
func (s Spec) CheckInput(in Sequence) error {
	n := len(in.Keys)
	if n < 1 || n > MaxLen {
		return fmt.Errorf("%w: %d keys, not in 1..%d", ErrInput, n, MaxLen)
	}
	if len(in.Features) != n*s.Features {
		return fmt.Errorf("%w: %d features for %d keys of %d", ErrInput, len(in.Features), n, s.Features)
	}
	for i, k := range in.Keys {
		if int(k) >= s.Keys {
			return fmt.Errorf("%w: key %d has id %d, the vocabulary %d", ErrInput, i, k, s.Keys)
		}
	}
	if i := notFinite(in.Features); i >= 0 {
		return fmt.Errorf("%w: feature %d of key %d is %v", ErrInput, i%s.Features, i/s.Features, in.Features[i])
	}
	return nil
}

// notFinite is the index of the first NaN or infinity, or -1.
func notFinite(x []float32) int {
	for i, v := range x {
		if v-v != 0 {
			return i
		}
	}
	return -1
}
