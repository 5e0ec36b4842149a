package model

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

// The model file, version 1, all numbers little-endian:
//
//	8 bytes   "ksdmodel"
//	4 bytes   version, 1
//	4 bytes   H, length of the header, at most maxHeader
//	H bytes   header: JSON of fileHeader
//	4 bytes   W, number of weights, as the header's sizes demand
//	4·W bytes weights, float32, in the order of network.Spec
//	32 bytes  SHA-256 of all that stands before
//
// Whatever does not fit is refused whole: a damaged file, a foreign one, one of
// another vocabulary or normalisation. The kernel is only recorded: what one
// trained, another serves, to the sixth digit.
const (
	fileMagic   = "ksdmodel"
	fileVersion = 1
	maxHeader   = 4 << 20
	// MaxFile is the largest model file that is read, in bytes.
	MaxFile = 64 << 20
)

// File is a trained network with all that is needed to use and to trust it.
type File struct {
	Trained time.Time
	Kernel  string // of package lstm, that trained it: the last bits differ between kernels
	Options Options
	People  []string // class k of the network is People[k]; the last class is the stranger
	Report  Report
	Spec    network.Spec
	Weights []float32
	SHA256  [32]byte // of the encoded file; set by Retrain and Decode
}

type fileHeader struct {
	Trained    time.Time    `json:"trained"`
	Kernel     string       `json:"kernel"`
	Vocabulary string       `json:"vocabulary"`
	Population string       `json:"population"` // SHA-256 of the table the residuals are taken against
	MaxZ       float64      `json:"max_z"`      // where they are clipped
	Spec       network.Spec `json:"spec"`
	People     []string     `json:"people"`
	Options    Options      `json:"options"`
	Report     Report       `json:"report"`
}

func (f *File) header() fileHeader {
	return fileHeader{
		Trained: f.Trained.UTC(), Kernel: f.Kernel, Vocabulary: feature.Vocabulary, Population: feature.TableSHA256(),
		MaxZ: feature.MaxZ, Spec: f.Spec, People: f.People, Options: f.Options, Report: f.Report,
	}
}

// Encode returns the bytes of the file.
func (f *File) Encode() ([]byte, error) {
	header, err := json.Marshal(f.header())
	if err != nil {
		return nil, fmt.Errorf("model header: %w", err)
	}
	var b bytes.Buffer
	b.WriteString(fileMagic)
	put := func(n int) { b.Write(binary.LittleEndian.AppendUint32(nil, uint32(n))) }
	put(fileVersion)
	put(len(header))
	b.Write(header)
	put(len(f.Weights))
	for _, w := range f.Weights {
		b.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(w)))
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
	long := binary.LittleEndian.Uint32(b[len(fileMagic)+4:])
	if long > maxHeader || start+int(long)+4 > len(body) {
		return refuse("a header of %d bytes", long)
	}
	size := int(long)
	f, err := decodeHeader(body[start : start+size])
	if err != nil {
		return refuse("%w", err)
	}
	rest := body[start+size:]
	if n := int(binary.LittleEndian.Uint32(rest)); n != f.Spec.Len() || len(rest) != 4+4*n {
		return refuse("%d weights in %d bytes, want %d", n, len(rest)-4, f.Spec.Len())
	}
	f.Weights = make([]float32, f.Spec.Len())
	for i := range f.Weights {
		f.Weights[i] = math.Float32frombits(binary.LittleEndian.Uint32(rest[4+4*i:]))
	}
	if err := f.Spec.CheckWeights(f.Weights); err != nil {
		return refuse("%w", err)
	}
	f.SHA256 = [32]byte(sum)
	return f, nil
}

func decodeHeader(b []byte) (*File, error) {
	var h fileHeader
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&h); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("header: something comes after it")
	}
	f := &File{
		Trained: h.Trained, Kernel: h.Kernel, Options: h.Options, People: h.People, Report: h.Report, Spec: h.Spec,
	}
	switch {
	case h.Vocabulary != feature.Vocabulary || h.Spec.Keys != feature.VocabularySize:
		return nil, fmt.Errorf("another vocabulary of keys")
	case h.Population != feature.TableSHA256() || h.MaxZ != feature.MaxZ || h.Spec.Features != feature.Rate:
		return nil, fmt.Errorf("another normalisation of times")
	case len(h.People) == 0 || h.Spec.Classes != len(h.People)+1:
		return nil, fmt.Errorf("%d classes for %d people and the stranger", h.Spec.Classes, len(h.People))
	}
	return f, h.Spec.Check()
}
