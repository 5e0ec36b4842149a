package model

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model/base"
	"ksd/internal/model/head"
	"ksd/internal/model/network"
	"ksd/internal/model/plda"
	"ksd/internal/model/sealed"
)

// The model file is a sealed one (package sealed) of version 3. Its header is the
// JSON of fileHeader; its floats are the weights of the heads, one head after the
// other in the header's order.
//
// Whatever does not fit is refused whole: a damaged file, a foreign one, one of
// another vocabulary, normalisation or base network. Version 1 held a network of
// all local people, and version 2 did not say of which enrolment a head is; both are
// refused as of an earlier version. The kernel is only recorded: what one trained,
// another serves, to the sixth digit.
const (
	maxHeader = 16 << 20
	// MaxFile is the largest model file that is read, in bytes.
	MaxFile = 64 << 20
)

var format = sealed.Format{Name: "ksdmodel", Version: 3, MaxHeader: maxHeader, MaxFile: MaxFile}

// File is trained heads with all that is needed to use and to trust them.
type File struct {
	Trained time.Time
	Kernel  string // of package lstm, that trained it: the last bits differ between kernels
	Options Options
	Report  Report
	Heads   []Head   // sorted by person, phrase and channel, each once
	SHA256  [32]byte // of the encoded file; set by Retrain, Update and Decode
}

// Head is what package head trained for one person, phrase and channel. It serves
// the enrolment that it was trained on, and none that comes after it.
type Head struct {
	Person    string
	Enrolment Enrolment
	Phrase    string
	Channel   keystroke.Channel
	Weights   []float32
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
	Person    string            `json:"person"`
	Enrolment Enrolment         `json:"enrolment"`
	Phrase    string            `json:"phrase"`
	Channel   keystroke.Channel `json:"channel"`
	Weights   int               `json:"weights"` // how many
}

func (f *File) header() fileHeader {
	h := fileHeader{
		Trained: f.Trained.UTC(), Kernel: f.Kernel, Vocabulary: feature.Vocabulary, Population: feature.TableSHA256(),
		MaxZ: feature.MaxZ, Base: baseSHA256(), Options: f.Options, Report: f.Report,
	}
	for _, x := range f.Heads {
		h.Heads = append(h.Heads, fileHead{x.Person, x.Enrolment, x.Phrase, x.Channel, len(x.Weights)})
	}
	return h
}

func baseSHA256() string { return fmt.Sprintf("%x", base.Default().File().SHA256) }

// Encode returns the bytes of the file.
func (f *File) Encode() ([]byte, error) {
	b, _, err := f.encode()
	return b, err
}

// encode returns the bytes of the file and the checksum at their end.
func (f *File) encode() ([]byte, [32]byte, error) {
	var weights [][]float32
	for _, h := range f.Heads {
		weights = append(weights, h.Weights)
	}
	b, sum, err := format.Seal(f.header(), weights...)
	if err != nil {
		return nil, sum, fmt.Errorf("model: %w", err)
	}
	return b, sum, nil
}

// Decode reads what Encode wrote. The error wraps ErrFile.
func Decode(b []byte) (*File, error) {
	f, err := decode(b)
	switch {
	case errors.Is(err, sealed.ErrEarlier):
		return nil, fmt.Errorf("%w: %w; a new training replaces it", ErrFile, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	return f, nil
}

func decode(b []byte) (*File, error) {
	in, err := format.Open(b)
	if err != nil {
		return nil, err
	}
	f, sizes, err := decodeHeader(in)
	if err != nil {
		return nil, err
	}
	f.SHA256 = in.Sum
	return f, f.decodeWeights(in, sizes)
}

// decodeHeader returns a file without weights, and how many each head has.
func decodeHeader(in *sealed.Opened) (*File, []int, error) {
	var h fileHeader
	if err := in.Decode(&h); err != nil {
		return nil, nil, err
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
		one := Head{Person: x.Person, Enrolment: x.Enrolment, Phrase: x.Phrase, Channel: x.Channel}
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

// decodeWeights reads those of each head in turn.
func (f *File) decodeWeights(in *sealed.Opened, sizes []int) error {
	want := 0
	for _, n := range sizes {
		want += n
	}
	all, err := in.Floats(want)
	if err != nil {
		return err
	}
	for i, x := range all {
		if x-x != 0 {
			return fmt.Errorf("weight %d is %v", i, x)
		}
	}
	for i, n := range sizes {
		f.Heads[i].Weights, all = all[:n:n], all[n:]
	}
	return nil
}
