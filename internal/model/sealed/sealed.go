// Package sealed is the envelope of ksd's files of numbers: a header that says
// what they are, the numbers, and a checksum over both. All numbers are
// little-endian:
//
//	8 bytes   the format's name
//	4 bytes   its version
//	4 bytes   H, length of the header, at most the format's
//	H bytes   header: JSON
//	4 bytes   N, number of floats
//	4·N bytes float32
//	32 bytes  SHA-256 of all that stands before
//
// It knows nothing of what header and floats mean. A file is opened whole or not
// at all, and every length is held against what is there before it is believed.
package sealed

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// Format is one kind of file.
type Format struct {
	Name      string // of 8 bytes
	Version   uint32
	MaxHeader int // bytes
	MaxFile   int // bytes
}

// ErrEarlier is the fact that a file is of an earlier version of its format.
var ErrEarlier = errors.New("of an earlier ksd")

// Seal returns the bytes of a file, and the checksum at their end.
func (f Format) Seal(header any, blocks ...[]float32) ([]byte, [sha256.Size]byte, error) {
	h, err := json.Marshal(header)
	if err != nil {
		return nil, [sha256.Size]byte{}, fmt.Errorf("header: %w", err)
	}
	var b bytes.Buffer
	put := func(n uint32) { b.Write(binary.LittleEndian.AppendUint32(nil, n)) }
	b.WriteString(f.Name)
	put(f.Version)
	put(uint32(len(h)))
	b.Write(h)
	floats := 0
	for _, block := range blocks {
		floats += len(block)
	}
	put(uint32(floats))
	for _, block := range blocks {
		for _, x := range block {
			put(math.Float32bits(x))
		}
	}
	sum := sha256.Sum256(b.Bytes())
	b.Write(sum[:])
	return b.Bytes(), sum, nil
}

// Opened is a file whose checksum holds.
type Opened struct {
	Header []byte
	Sum    [sha256.Size]byte
	floats []byte // 4 bytes each
}

// Open opens what Seal closed. The error is the fact that does not fit; it wraps
// ErrEarlier for an earlier version.
func (f Format) Open(b []byte) (*Opened, error) {
	if len(b) > f.MaxFile {
		return nil, fmt.Errorf("%d bytes, at most %d", len(b), f.MaxFile)
	}
	start := len(f.Name) + 8
	if len(b) < start+4+sha256.Size || string(b[:len(f.Name)]) != f.Name {
		return nil, errors.New("it does not begin as one")
	}
	switch v := binary.LittleEndian.Uint32(b[len(f.Name):]); {
	case v >= 1 && v < f.Version:
		return nil, fmt.Errorf("version %d is %w", v, ErrEarlier)
	case v != f.Version:
		return nil, fmt.Errorf("version %d, want %d", v, f.Version)
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if have := sha256.Sum256(body); !bytes.Equal(have[:], sum) {
		return nil, errors.New("its checksum is wrong: it is damaged")
	}
	long := binary.LittleEndian.Uint32(b[len(f.Name)+4:])
	if int64(long) > int64(f.MaxHeader) || start+int(long)+4 > len(body) {
		return nil, fmt.Errorf("a header of %d bytes", long)
	}
	rest := body[start+int(long):]
	if n := binary.LittleEndian.Uint32(rest); int64(len(rest)) != 4+4*int64(n) {
		return nil, fmt.Errorf("%d floats in %d bytes", n, len(rest)-4)
	}
	return &Opened{Header: body[start : start+int(long)], Sum: [sha256.Size]byte(sum), floats: rest[4:]}, nil
}

// Decode reads the header into h, which must have a field for all that is there.
func (o *Opened) Decode(h any) error {
	dec := json.NewDecoder(bytes.NewReader(o.Header))
	dec.DisallowUnknownFields()
	if err := dec.Decode(h); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("header: something comes after it")
	}
	return nil
}

// Floats returns the floats, of which there must be want.
func (o *Opened) Floats(want int) ([]float32, error) {
	if n := len(o.floats) / 4; n != want {
		return nil, fmt.Errorf("%d floats, want %d", n, want)
	}
	out := make([]float32, want)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(o.floats[4*i:]))
	}
	return out, nil
}
