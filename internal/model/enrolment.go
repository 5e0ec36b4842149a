package model

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"ksd/internal/keystroke"
)

// Enrolment tells an enrolment from another one under the same name: it is the
// beginning of a SHA-256 of its first typing, of which no two have the same
// nanoseconds. Further sittings, and typings that join later, leave it what it
// is. The zero value is nobody's.
type Enrolment [16]byte

// enrolment is the person's, zero if nothing was typed.
func (p Person) enrolment() Enrolment {
	for _, sitting := range p.Sittings {
		if len(sitting.Samples) > 0 {
			return enrolmentFrom(sitting.Samples[0])
		}
	}
	return Enrolment{}
}

func enrolmentFrom(first keystroke.Sample) (e Enrolment) {
	b := fmt.Appendf(nil, "%q %q", first.Phrase, first.Channel)
	for _, v := range first.Events {
		b = binary.LittleEndian.AppendUint32(b, uint32(v.Rune))
		b = binary.LittleEndian.AppendUint64(b, uint64(v.Down))
		b = binary.LittleEndian.AppendUint64(b, uint64(v.Up))
	}
	sum := sha256.Sum256(b)
	copy(e[:], sum[:])
	return e
}

// MarshalText writes e in hexadecimal digits.
func (e Enrolment) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, e[:]), nil }

// UnmarshalText reads what MarshalText wrote.
func (e *Enrolment) UnmarshalText(b []byte) error {
	if n := hex.EncodedLen(len(e)); len(b) != n {
		return fmt.Errorf("an enrolment of %d digits, want %d", len(b), n)
	}
	_, err := hex.Decode(e[:], b)
	return err
}
