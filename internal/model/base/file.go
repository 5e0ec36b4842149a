package base

import (
	"errors"
	"fmt"
	"time"

	"ksd/internal/feature"
	"ksd/internal/model/network"
	"ksd/internal/model/sealed"
)

const (
	maxHeader = 1 << 16
	// MaxFile is the largest base file that is read, in bytes.
	MaxFile = 8 << 20
)

var format = sealed.Format{Name: "ksd-base", Version: 1, MaxHeader: maxHeader, MaxFile: MaxFile}

// Header is what a base file says of itself: enough to make it again.
type Header struct {
	Command    string        `json:"command"`     // that made it
	DataSHA256 string        `json:"data_sha256"` // of the corpus, as read
	Kernel     string        `json:"kernel"`      // of package lstm, that trained it
	Took       time.Duration `json:"took_ns"`     // wall time
	Options    Options       `json:"options"`
	Report     Report        `json:"report"`
	Spec       network.Spec  `json:"spec"`

	Vocabulary string  `json:"vocabulary"`
	Population string  `json:"population"` // SHA-256 of the table the residuals are taken against
	MaxZ       float64 `json:"max_z"`      // where they are clipped
}

// File is a trained base.
type File struct {
	Header
	Weights  []float32
	SHA256   [32]byte // of the encoded file; set by Decode
	backEnds [len(channels)]backEnd
}

// check reports a back end of a wrong size or with numbers that mean nothing.
func (b *backEnd) check(n int) error {
	if len(b.mean) != n || len(b.projection) != n*n || len(b.between) != n {
		return fmt.Errorf("back end is not of %d dimensions", n)
	}
	for _, block := range [][]float32{b.mean, b.projection, b.between} {
		for _, x := range block {
			if x-x != 0 {
				return errors.New("back end is not finite")
			}
		}
	}
	for _, x := range b.between {
		if x < 0 {
			return errors.New("back end has a negative variance")
		}
	}
	return nil
}

// floats are all numbers of the file in their order, as they stand in memory.
func (f *File) floats() [][]float32 {
	out := [][]float32{f.Weights}
	for i := range f.backEnds {
		b := &f.backEnds[i]
		out = append(out, b.mean, b.projection, b.between)
	}
	return out
}

// count is how many floats a file of these sizes has.
func count(s network.Spec) int {
	n := s.Classes
	return s.Len() + len(channels)*(n+n*n+n)
}

// Encode returns the bytes of the file.
func (f *File) Encode() ([]byte, error) {
	b, _, err := format.Seal(f.Header, f.floats()...)
	if err != nil {
		return nil, fmt.Errorf("base: %w", err)
	}
	return b, nil
}

// Decode reads what Encode wrote. The error wraps ErrFile.
func Decode(b []byte) (*File, error) {
	f, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	return f, nil
}

func decode(b []byte) (*File, error) {
	in, err := format.Open(b)
	if err != nil {
		return nil, err
	}
	f := &File{SHA256: in.Sum}
	if f.Header, err = decodeHeader(in); err != nil {
		return nil, err
	}
	all, err := in.Floats(count(f.Spec))
	if err != nil {
		return nil, err
	}
	f.fill(all)
	if err := f.Spec.CheckWeights(f.Weights); err != nil {
		return nil, err
	}
	for i := range f.backEnds {
		if err := f.backEnds[i].check(f.Spec.Classes); err != nil {
			return nil, fmt.Errorf("%s: %w", channels[i], err)
		}
	}
	return f, nil
}

// fill cuts all floats of the file, of which there are as many as the sizes say,
// into its parts.
func (f *File) fill(all []float32) {
	take := func(n int) []float32 {
		part := all[:n:n]
		all = all[n:]
		return part
	}
	n := f.Spec.Classes
	f.Weights = take(f.Spec.Len())
	for i := range f.backEnds {
		f.backEnds[i] = backEnd{mean: take(n), projection: take(n * n), between: take(n)}
	}
}

func decodeHeader(in *sealed.Opened) (Header, error) {
	var h Header
	if err := in.Decode(&h); err != nil {
		return h, err
	}
	if err := h.Spec.Check(); err != nil {
		return h, err
	}
	switch {
	case h.Vocabulary != feature.Vocabulary || h.Spec.Keys != feature.VocabularySize:
		return h, errors.New("another vocabulary of keys")
	case h.Population != feature.TableSHA256() || h.MaxZ != feature.MaxZ || h.Spec.Features != feature.Rate:
		return h, errors.New("another normalisation of times")
	case h.Spec.Classes > network.MaxWidth:
		return h, fmt.Errorf("%d dimensions, at most %d", h.Spec.Classes, network.MaxWidth)
	}
	return h, nil
}
