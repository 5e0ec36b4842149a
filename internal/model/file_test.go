package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
)

// small is a whole file of some 2 kB.
func small() *File {
	f := &File{
		Trained: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Kernel: "go/1", Options: Options{Seed: 7, Impostors: 0.5},
		Report: Report{
			People: 2, Heads: 3, Samples: 20, Validation: 5, Impostors: 10, TrainLoss: 0.7,
			Figures: Figures{Loss: 0.8, FMR: 0.1, FNMR: 0.2, EER: 0.15}, Before: &Figures{Loss: 0.9},
		},
	}
	for _, key := range []struct {
		person string
		templateKey
	}{{"ada", templateKey{"a b", keystroke.Full}}, {"ada", templateKey{"a b", keystroke.Press}}, {"bob", templateKey{"a", keystroke.Press}}} {
		n, _ := headSize(key.phrase, key.channel)
		h := Head{Person: key.person, Enrolment: Enrolment{1, 2, 0xfe}, Phrase: key.phrase, Channel: key.channel}
		for i := range n {
			h.Weights = append(h.Weights, float32(i)/3)
		}
		f.Heads = append(f.Heads, h)
	}
	return f
}

func encoded(t testing.TB, f *File) []byte {
	t.Helper()
	b, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFileRoundTrip(t *testing.T) {
	f := small()
	b := encoded(t, f)
	if !bytes.Equal(b, encoded(t, f)) {
		t.Error("one file, two encodings")
	}
	got, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if want := sha256.Sum256(b[:len(b)-sha256.Size]); got.SHA256 != want {
		t.Errorf("digest %x, want %x", got.SHA256, want)
	}
	f.SHA256 = got.SHA256
	if !reflect.DeepEqual(got, f) {
		t.Errorf("read\n%+v\nwrote\n%+v", got, f)
	}
	// In another zone it is the same moment and the same file.
	f.Trained = f.Trained.In(time.FixedZone("", 3600))
	if !bytes.Equal(b, encoded(t, f)) {
		t.Error("the zone changed the file")
	}
}

// TestFileDamaged flips every bit and cuts at every byte.
func TestFileDamaged(t *testing.T) {
	b := encoded(t, small())
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			if f, err := Decode(b); !errors.Is(err, ErrFile) || f != nil {
				t.Fatalf("bit %d of byte %d: %v", bit, i, err)
			}
			b[i] ^= 1 << bit
		}
	}
	for n := range b {
		if f, err := Decode(b[:n]); !errors.Is(err, ErrFile) || f != nil {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := Decode(append(slices.Clone(b), 0)); !errors.Is(err, ErrFile) {
		t.Errorf("a byte too many: %v", err)
	}
	if _, err := Decode(b); err != nil {
		t.Errorf("whole again: %v", err)
	}
}

// parts are the fields of a file, for tests that forge one with a good checksum.
type parts struct {
	magic   string
	version uint32
	long    uint32 // of the header, as claimed
	header  string
	count   uint32 // of weights, as claimed
	weights []float32
	tail    string
}

func (p parts) seal() []byte {
	var b []byte
	b = append(b, p.magic...)
	b = binary.LittleEndian.AppendUint32(b, p.version)
	b = binary.LittleEndian.AppendUint32(b, p.long)
	b = append(b, p.header...)
	b = binary.LittleEndian.AppendUint32(b, p.count)
	for _, w := range p.weights {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(w))
	}
	b = append(b, p.tail...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// forged returns a good file's parts after change, and with the header's fields
// of that name replaced.
func forged(t *testing.T, fields map[string]any, change func(*parts)) []byte {
	t.Helper()
	f := small()
	b, err := json.Marshal(f.header())
	if err != nil {
		t.Fatal(err)
	}
	var h map[string]any
	if err := json.Unmarshal(b, &h); err != nil {
		t.Fatal(err)
	}
	for name, to := range fields {
		h[name] = to
	}
	if b, err = json.Marshal(h); err != nil {
		t.Fatal(err)
	}
	var weights []float32
	for _, h := range f.Heads {
		weights = append(weights, h.Weights...)
	}
	p := parts{"ksdmodel", 3, uint32(len(b)), string(b), uint32(len(weights)), weights, ""}
	if change != nil {
		change(&p)
	}
	return p.seal()
}

func TestFileForeign(t *testing.T) {
	type m = map[string]any
	good := []m{}
	for _, h := range small().header().Heads {
		good = append(good, m{"person": h.Person, "enrolment": h.Enrolment, "phrase": h.Phrase, "channel": h.Channel, "weights": h.Weights})
	}
	heads := func(change func(hs []m) []m) m {
		var hs []m
		for _, h := range good {
			hs = append(hs, maps.Clone(h))
		}
		return m{"heads": change(hs)}
	}
	first := func(field string, to any) m {
		return heads(func(hs []m) []m { hs[0][field] = to; return hs })
	}
	if _, err := Decode(forged(t, nil, nil)); err != nil {
		t.Fatalf("unchanged: %v", err)
	}
	for name, b := range map[string][]byte{
		"nothing":                      nil,
		"another program's":            forged(t, nil, func(p *parts) { p.magic = "KSDMODEL" }),
		"version 0":                    forged(t, nil, func(p *parts) { p.version = 0 }),
		"version 1":                    forged(t, nil, func(p *parts) { p.version = 1 }),
		"version 2":                    forged(t, nil, func(p *parts) { p.version = 2 }),
		"version 4":                    forged(t, nil, func(p *parts) { p.version = 4 }),
		"another vocabulary":           forged(t, m{"vocabulary": feature.Vocabulary + "€"}, nil),
		"another population":           forged(t, m{"population": strings.Repeat("0", 64)}, nil),
		"another base network":         forged(t, m{"base": strings.Repeat("0", 64)}, nil),
		"clipped elsewhere":            forged(t, m{"max_z": 4}, nil),
		"no heads":                     forged(t, m{"heads": []m{}}, nil),
		"a field of a later version":   forged(t, m{"threshold": 1}, nil),
		"no phrase":                    forged(t, first("phrase", ""), nil),
		"a longer phrase":              forged(t, first("phrase", "a bc"), nil),
		"a phrase too long for a head": forged(t, first("phrase", strings.Repeat("a", 65)), nil),
		"an enrolment cut short":       forged(t, first("enrolment", "00"), nil),
		"an enrolment in words":        forged(t, first("enrolment", strings.Repeat("zz", 16)), nil),
		"no channel":                   forged(t, first("channel", ""), nil),
		"another channel's weights":    forged(t, first("channel", "press"), nil),
		"a weight more, as claimed":    forged(t, first("weights", len(small().Heads[0].Weights)+1), nil),
		"a head of no weights":         forged(t, first("weights", 0), nil),
		"fewer than no weights":        forged(t, first("weights", -1), nil),
		"4 G weights, as claimed":      forged(t, first("weights", 1<<32), nil),
		"one head twice":               forged(t, heads(func(hs []m) []m { return append(hs[:1], hs[0]) }), nil),
		"heads out of order":           forged(t, heads(func(hs []m) []m { slices.Reverse(hs); return hs }), nil),
		"a head without its weights": forged(t, heads(func(hs []m) []m {
			return append(hs, m{"person": "zoe", "enrolment": Enrolment{}, "phrase": "a", "channel": "press", "weights": 65})
		}), nil),
		"weights without a head":        forged(t, heads(func(hs []m) []m { return hs[:2] }), nil),
		"not JSON":                      forged(t, nil, func(p *parts) { p.header = p.header[1:]; p.long-- }),
		"JSON and more":                 forged(t, nil, func(p *parts) { p.header += "}"; p.long++ }),
		"two headers":                   forged(t, nil, func(p *parts) { p.header += p.header; p.long *= 2 }),
		"a header of 4 GB":              forged(t, nil, func(p *parts) { p.long = math.MaxUint32 }),
		"a header of 2 GB":              forged(t, nil, func(p *parts) { p.long = 1 << 31 }),
		"a header over everything":      forged(t, nil, func(p *parts) { p.long += 4 + uint32(4*len(p.weights)) }),
		"a header longer than allowed":  forged(t, nil, func(p *parts) { p.header += strings.Repeat(" ", maxHeader); p.long += maxHeader }),
		"a header one byte short":       forged(t, nil, func(p *parts) { p.long-- }),
		"4 G weights":                   forged(t, nil, func(p *parts) { p.count = math.MaxUint32 }),
		"1 G weights, 4 bytes wrapped":  forged(t, nil, func(p *parts) { p.count += 1 << 30 }),
		"a weight more than there is":   forged(t, nil, func(p *parts) { p.count++ }),
		"a weight too few":              forged(t, nil, func(p *parts) { p.count--; p.weights = p.weights[1:] }),
		"a weight that is not a number": forged(t, nil, func(p *parts) { p.weights[7] = float32(math.NaN()) }),
		"an infinite weight":            forged(t, nil, func(p *parts) { p.weights[len(p.weights)-1] = float32(math.Inf(-1)) }),
		"something behind the weights":  forged(t, nil, func(p *parts) { p.tail = "\x00\x00\x00\x00" }),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f, err := Decode(b)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrFile) || f != nil {
			t.Errorf("%s: %v, want ErrFile", name, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("%s: %d bytes were allocated to refuse it", name, took)
		}
	}
}

// TestFileLimit checks that a larger file is refused for its size, before its
// bytes are read.
func TestFileLimit(t *testing.T) {
	b := append(encoded(t, small()), make([]byte, MaxFile)...)
	if _, err := Decode(b); !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), "at most 67108864") {
		t.Errorf("%v", err)
	}
}

// The header may be as long as allowed, and no longer (see above).
func TestFileLongestHeader(t *testing.T) {
	b := forged(t, nil, func(p *parts) {
		pad := maxHeader - len(p.header)
		p.header += strings.Repeat(" ", pad)
		p.long = maxHeader
	})
	if _, err := Decode(b); err != nil {
		t.Error(err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	f := small()
	f.Report.TrainLoss = math.NaN()
	if _, err := f.Encode(); err == nil {
		t.Error("a loss that is not a number was written")
	}
}

// FuzzDecode checks, behind a checksum that holds, that whatever is accepted
// serves, is written again and is then read as the same.
func FuzzDecode(f *testing.F) {
	good := encoded(f, small())
	f.Add(good[:len(good)-sha256.Size])
	f.Add([]byte("ksdmodel\x01\x00\x00\x00\x02\x00\x00\x00{}\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := Decode(body); err != nil && !errors.Is(err, ErrFile) {
			t.Fatalf("%v is not ErrFile", err)
		}
		sum := sha256.Sum256(body)
		first, err := Decode(slices.Concat(body, sum[:]))
		if err != nil {
			if !errors.Is(err, ErrFile) || first != nil {
				t.Fatalf("%v with %v", err, first)
			}
			return
		}
		if _, err := NewVerifier(nil, first); err != nil {
			t.Fatalf("an accepted file cannot serve: %v", err)
		}
		if first.Trained = first.Trained.UTC(); first.Trained.Year() > 9999 || first.Trained.Year() < 0 {
			return // JSON's last second, in a zone west of Greenwich
		}
		b := encoded(t, first)
		second, err := Decode(b)
		if err != nil {
			t.Fatalf("what was written is refused: %v", err)
		}
		first.SHA256 = second.SHA256 // the header may have been written in another style
		if !reflect.DeepEqual(first, second) || !bytes.Equal(b, encoded(t, second)) {
			t.Fatalf("read again it is\n%+v, was\n%+v", second, first)
		}
	})
}
