package base

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"ksd/internal/feature"
	"ksd/internal/model/network"
)

const (
	fileMagic   = "ksd-base"
	fileVersion = 1
	maxHeader   = 1 << 16
	// MaxFile is the largest base file that is read, in bytes.
	MaxFile = 8 << 20
)

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
	header, err := json.Marshal(f.Header)
	if err != nil {
		return nil, fmt.Errorf("base header: %w", err)
	}
	var b bytes.Buffer
	b.WriteString(fileMagic)
	put := func(n uint32) { b.Write(binary.LittleEndian.AppendUint32(nil, n)) }
	put(fileVersion)
	put(uint32(len(header)))
	b.Write(header)
	put(uint32(count(f.Spec)))
	for _, block := range f.floats() {
		for _, x := range block {
			put(math.Float32bits(x))
		}
	}
	sum := sha256.Sum256(b.Bytes())
	b.Write(sum[:])
	return b.Bytes(), nil
}

// Decode reads what Encode wrote. The error wraps ErrFile.
func Decode(b []byte) (*File, error) {
	refuse := func(format string, args ...any) (*File, error) {
		return nil, fmt.Errorf("%w: %w", ErrFile, fmt.Errorf(format, args...))
	}
	if len(b) > MaxFile {
		return refuse("%d bytes, at most %d", len(b), MaxFile)
	}
	start := len(fileMagic) + 8
	if len(b) < start+4+sha256.Size || string(b[:len(fileMagic)]) != fileMagic {
		return refuse("it does not begin as one")
	}
	if v := binary.LittleEndian.Uint32(b[len(fileMagic):]); v != fileVersion {
		return refuse("version %d, want %d", v, fileVersion)
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if have := sha256.Sum256(body); !bytes.Equal(have[:], sum) {
		return refuse("its checksum is wrong: it is damaged")
	}
	size := binary.LittleEndian.Uint32(b[len(fileMagic)+4:])
	if size > maxHeader || start+int(size)+4 > len(body) {
		return refuse("a header of %d bytes", size)
	}
	f := &File{SHA256: [32]byte(sum)}
	var err error
	if f.Header, err = decodeHeader(body[start : start+int(size)]); err != nil {
		return refuse("%w", err)
	}
	rest := body[start+int(size):]
	if n := binary.LittleEndian.Uint32(rest); int64(n) != int64(count(f.Spec)) || len(rest) != 4+4*int(n) {
		return refuse("%d floats in %d bytes, want %d", n, len(rest)-4, count(f.Spec))
	}
	f.fill(rest[4:])
	if err := f.Spec.CheckWeights(f.Weights); err != nil {
		return refuse("%w", err)
	}
	for i := range f.backEnds {
		if err := f.backEnds[i].check(f.Spec.Classes); err != nil {
			return refuse("%s: %w", channels[i], err)
		}
	}
	return f, nil
}

// fill makes the floats of the file from b, which has as many as the sizes say.
func (f *File) fill(b []byte) {
	n := f.Spec.Classes
	f.Weights = make([]float32, f.Spec.Len())
	for i := range f.backEnds {
		f.backEnds[i] = backEnd{make([]float32, n), make([]float32, n*n), make([]float32, n)}
	}
	for _, block := range f.floats() {
		for i := range block {
			block[i] = math.Float32frombits(binary.LittleEndian.Uint32(b))
			b = b[4:]
		}
	}
}

func decodeHeader(b []byte) (Header, error) {
	var h Header
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&h); err != nil {
		return h, fmt.Errorf("header: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return h, errors.New("header: something comes after it")
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
