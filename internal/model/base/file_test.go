package base

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model/network"
)

// small is a file as Train would make it, of made-up numbers.
func small() *File {
	o := tiny()
	f := &File{Header: Header{
		Command: "ksdctl train-base", DataSHA256: strings.Repeat("0", 64), Kernel: "go/1", Took: time.Minute,
		Options: o, Spec: o.spec(), Vocabulary: feature.Vocabulary, Population: feature.TableSHA256(), MaxZ: feature.MaxZ,
		Report: Report{People: 3, Errors: map[keystroke.Channel]Figures{keystroke.Full: {EER: 0.125}}},
	}}
	f.Weights = f.Spec.Initialise(1)
	for i := range f.backEnds {
		f.backEnds[i] = backEnd{[]float32{float32(i), 2, 3}, []float32{1, 0, 0, 0, 1, 0, 0, 0, 1}, []float32{2, 1, 0}}
	}
	return f
}

func encode(t testing.TB, f *File) []byte {
	t.Helper()
	b, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFileRoundTrip(t *testing.T) {
	f := small()
	b := encode(t, f)
	got, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if got.SHA256 != sha256.Sum256(b[:len(b)-32]) {
		t.Error("the checksum is not that of the file")
	}
	f.SHA256 = got.SHA256
	if !reflect.DeepEqual(got, f) {
		t.Errorf("%+v\nwant %+v", got, f)
	}
	if !bytes.Equal(encode(t, got), b) {
		t.Error("encoded once more it is another file")
	}
}

// resealed is b with a checksum that fits.
func resealed(b []byte) []byte {
	body := b[:len(b)-sha256.Size]
	sum := sha256.Sum256(body)
	return append(append([]byte(nil), body...), sum[:]...)
}

func TestDecodeRefuses(t *testing.T) {
	whole := encode(t, small())
	header := int(binary.LittleEndian.Uint32(whole[12:]))
	changed := func(change func(b []byte)) []byte {
		b := append([]byte(nil), whole...)
		change(b)
		return resealed(b)
	}
	with := func(spoil func(f *File)) []byte {
		f := small()
		spoil(f)
		return encode(t, f)
	}
	replaced := func(from, to string) []byte {
		if len(from) != len(to) || !bytes.Contains(whole, []byte(from)) {
			t.Fatalf("%q cannot become %q", from, to)
		}
		return resealed(bytes.Replace(whole, []byte(from), []byte(to), 1))
	}
	for name, b := range map[string][]byte{
		"nothing":               nil,
		"cut":                   whole[:len(whole)-1],
		"sealed but cut":        resealed(whole[:len(whole)-4]),
		"sealed but longer":     resealed(append(append([]byte(nil), whole...), 0, 0, 0, 0)),
		"a bit of a weight off": append(append([]byte(nil), whole[:len(whole)-100]...), append([]byte{whole[len(whole)-100] ^ 1}, whole[len(whole)-99:]...)...),
		"foreign":               changed(func(b []byte) { b[0] = 'X' }),
		"next version":          changed(func(b []byte) { b[8]++ }),
		"huge header":           changed(func(b []byte) { binary.LittleEndian.PutUint32(b[12:], math.MaxUint32) }),
		"header too long":       changed(func(b []byte) { binary.LittleEndian.PutUint32(b[12:], uint32(len(b))) }),
		"more floats":           changed(func(b []byte) { b[16+header]++ }),
		"too large":             make([]byte, MaxFile+1),
		"unknown field":         replaced(`"command"`, `"kommand"`),
		"vocabulary":            replaced(feature.Vocabulary[:9], "bacdefghi"),
		"population":            replaced(feature.TableSHA256(), strings.Repeat("f", 64)),
		"normalisation":         replaced(`"max_z":3`, `"max_z":4`),
		"vast sizes":            replaced(`"classes":3`, `"classes":9`),
		"a NaN":                 with(func(f *File) { f.Weights[5] = float32(math.NaN()) }),
		"back end of Inf":       with(func(f *File) { f.backEnds[1].projection[2] = float32(math.Inf(1)) }),
		"variance below 0":      with(func(f *File) { f.backEnds[2].between[2] = -1 }),
		"no vocabulary":         with(func(f *File) { f.Spec.Keys++; f.Weights = f.Spec.Initialise(1) }),
		"sizes out of range":    with(func(f *File) { f.Spec.Hidden = network.MaxWidth + 1 }),
	} {
		if _, err := Decode(b); !errors.Is(err, ErrFile) {
			t.Errorf("%s: %v, want %v", name, err, ErrFile)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	f := small()
	f.backEnds[0].mean = nil
	if _, err := New(f); !errors.Is(err, ErrFile) {
		t.Errorf("no back end: %v", err)
	}
	f = small()
	f.Weights = f.Weights[1:]
	if _, err := New(f); !errors.Is(err, network.ErrWeights) {
		t.Errorf("a weight missing: %v", err)
	}
}

// FuzzDecode holds that what decodes serves, and encodes to the same file. The
// checksum is mended, so that the fuzzer gets past it.
func FuzzDecode(f *testing.F) {
	b := encode(f, small())
	f.Add(b)
	f.Add(b[:40])
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= sha256.Size {
			b = resealed(b)
		}
		file, err := Decode(b)
		if err != nil {
			if !errors.Is(err, ErrFile) {
				t.Errorf("%v is no %v", err, ErrFile)
			}
			return
		}
		if _, err := New(file); err != nil {
			t.Errorf("it decodes and cannot serve: %v", err)
		}
		again, err := file.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if once, err := Decode(again); err != nil || !reflect.DeepEqual(once.floats(), file.floats()) {
			t.Errorf("encoded once more it is another file: %v", err)
		}
	})
}
