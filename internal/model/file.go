package model

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model/base"
	"ksd/internal/model/head"
	"ksd/internal/model/network"
	"ksd/internal/model/plda"
)

// The model file, version 2, all numbers little-endian:
//
//	8 bytes   "ksdmodel"
//	4 bytes   version, 2
//	4 bytes   H, length of the header, at most maxHeader
//	H bytes   header: JSON of fileHeader
//	4 bytes   W, number of weights of all heads
//	4·W bytes weights, float32, head by head in the header's order
//	32 bytes  SHA-256 of all that stands before
//
// Whatever does not fit is refused whole: a damaged file, a foreign one, one of
// another vocabulary, normalisation or base network. Version 1 held a network of
// all local people, of which nothing can be used; it is refused as of an earlier
// version. The kernel is only recorded: what one trained, another serves, to the
// sixth digit.
const (
	fileMagic   = "ksdmodel"
	fileVersion = 2
	maxHeader   = 16 << 20
	// MaxFile is the largest model file that is read, in bytes.
	MaxFile = 64 << 20
)

// File is trained heads with all that is needed to use and to trust them.
type File struct {
	Trained time.Time
	Kernel  string // of package lstm, that trained it: the last bits differ between kernels
	Options Options
	Report  Report
	Heads   []Head   // sorted by person, phrase and channel, each once
	SHA256  [32]byte // of the encoded file; set by Retrain, Update and Decode
}

// Head is what package head trained for one person, phrase and channel.
type Head struct {
	Person  string
	Phrase  string
	Channel keystroke.Channel
	Weights []float32
}

// People returns those who have a head, sorted.
func (f *File) People() []string {
	var out []string
	for _, h := range f.Heads {
		out = append(out, h.Person)
	}
	return slices.Compact(out)
}

func compareHeads(a, b Head) int {
	return cmp.Or(cmp.Compare(a.Person, b.Person), cmp.Compare(a.Phrase, b.Phrase), cmp.Compare(a.Channel, b.Channel))
}

// headSize is how many weights a head for a phrase on a channel has; false if
// there is none.
func headSize(phrase string, ch keystroke.Channel) (int, bool) {
	space, ok := base.Default().Space(ch)
	n := utf8.RuneCountInString(phrase)
	if !ok || n < 1 || n > network.MaxLen {
		return 0, false
	}
	return head.Size(plda.NewText(phrase, ch == keystroke.Full).Len(), space.Dim()), true
}

type fileHeader struct {
	Trained    time.Time  `json:"trained"`
	Kernel     string     `json:"kernel"`
	Vocabulary string     `json:"vocabulary"`
	Population string     `json:"population"` // SHA-256 of the table the residuals are taken against
	MaxZ       float64    `json:"max_z"`      // where they are clipped
	Base       string     `json:"base"`       // SHA-256 of the base file
	Options    Options    `json:"options"`
	Report     Report     `json:"report"`
	Heads      []fileHead `json:"heads"`
}

type fileHead struct {
	Person  string            `json:"person"`
	Phrase  string            `json:"phrase"`
	Channel keystroke.Channel `json:"channel"`
	Weights int               `json:"weights"` // how many
}

func (f *File) header() fileHeader {
	h := fileHeader{
		Trained: f.Trained.UTC(), Kernel: f.Kernel, Vocabulary: feature.Vocabulary, Population: feature.TableSHA256(),
		MaxZ: feature.MaxZ, Base: baseSHA256(), Options: f.Options, Report: f.Report,
	}
	for _, x := range f.Heads {
		h.Heads = append(h.Heads, fileHead{x.Person, x.Phrase, x.Channel, len(x.Weights)})
	}
	return h
}

func baseSHA256() string { return fmt.Sprintf("%x", base.Default().File().SHA256) }

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
	weights := 0
	for _, h := range f.Heads {
		weights += len(h.Weights)
	}
	put(weights)
	for _, h := range f.Heads {
		for _, w := range h.Weights {
			b.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(w)))
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
	switch v := binary.LittleEndian.Uint32(b[len(fileMagic):]); {
	case v >= 1 && v < fileVersion:
		return refuse("version %d is of an earlier ksd; a new training replaces it", v)
	case v != fileVersion:
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
	f, sizes, err := decodeHeader(body[start : start+size])
	if err != nil {
		return refuse("%w", err)
	}
	if err := f.decodeWeights(body[start+size:], sizes); err != nil {
		return refuse("%w", err)
	}
	f.SHA256 = [32]byte(sum)
	return f, nil
}

// decodeHeader returns a file without weights, and how many each head has.
func decodeHeader(b []byte) (*File, []int, error) {
	var h fileHeader
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&h); err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, nil, errors.New("header: something comes after it")
	}
	switch {
	case h.Vocabulary != feature.Vocabulary:
		return nil, nil, errors.New("another vocabulary of keys")
	case h.Population != feature.TableSHA256() || h.MaxZ != feature.MaxZ:
		return nil, nil, errors.New("another normalisation of times")
	case h.Base != baseSHA256():
		return nil, nil, errors.New("another base network")
	case len(h.Heads) == 0:
		return nil, nil, errors.New("it knows nobody")
	}
	f := &File{Trained: h.Trained, Kernel: h.Kernel, Options: h.Options, Report: h.Report}
	var sizes []int
	for i, x := range h.Heads {
		one := Head{Person: x.Person, Phrase: x.Phrase, Channel: x.Channel}
		if want, ok := headSize(x.Phrase, x.Channel); !ok || x.Weights != want {
			return nil, nil, fmt.Errorf("head %d: %d weights for a phrase of %d bytes on %q", i, x.Weights, len(x.Phrase), x.Channel)
		}
		if i > 0 && compareHeads(f.Heads[i-1], one) >= 0 {
			return nil, nil, fmt.Errorf("head %d: not in order", i)
		}
		f.Heads, sizes = append(f.Heads, one), append(sizes, x.Weights)
	}
	return f, sizes, nil
}

// decodeWeights reads the number of weights and those of each head in turn.
func (f *File) decodeWeights(b []byte, sizes []int) error {
	want := 0
	for _, n := range sizes {
		want += n
	}
	if n := int(binary.LittleEndian.Uint32(b)); n != want || len(b) != 4+4*n {
		return fmt.Errorf("%d weights in %d bytes, want %d", n, len(b)-4, want)
	}
	all := make([]float32, want)
	for i := range all {
		all[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4+4*i:]))
		if x := float64(all[i]); math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("weight %d is %v", i, x)
		}
	}
	for i, n := range sizes {
		f.Heads[i].Weights, all = all[:n:n], all[n:]
	}
	return nil
}
