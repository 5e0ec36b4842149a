package model

import (
	"encoding/binary"
	"slices"
	"time"

	"ksd/internal/keystroke"
)

// pack writes down what a person typed in a fifth of the memory that samples take:
// a sample is its phrase, if it is not that of the one before, its channel and its
// events, which are variable-length numbers, times as differences. Nothing is
// rounded. Sittings are not told apart.
func pack(p Person) []byte {
	var b []byte
	var last string
	for _, sitting := range p.Sittings {
		for _, s := range sitting.Samples {
			phrase := s.Phrase
			if phrase == last {
				phrase = ""
			}
			last = s.Phrase
			b = append(binary.AppendUvarint(b, uint64(len(phrase))), phrase...)
			b = append(b, byte(slices.Index(keystroke.Channels(), s.Channel)))
			b = packEvents(b, s.Events)
		}
	}
	return slices.Clip(b)
}

func packEvents(b []byte, events []keystroke.Event) []byte {
	b = binary.AppendUvarint(b, uint64(len(events)))
	var last time.Duration
	for _, e := range events {
		var released byte
		if e.Released {
			released = 1
		}
		b = append(b, byte(e.Mods), released)
		b = binary.AppendVarint(b, int64(e.Key))
		b = binary.AppendVarint(b, int64(e.Rune))
		b = binary.AppendVarint(b, int64(e.Down-last))
		if e.Released {
			b = binary.AppendVarint(b, int64(e.Up-e.Down))
		}
		last = e.Down
	}
	return b
}

// unpack returns the samples that pack wrote down.
func unpack(b []byte) []keystroke.Sample {
	var out []keystroke.Sample
	var phrase string
	r := packed(b)
	for len(r) > 0 {
		if n := r.count(); n > 0 {
			phrase, r = string(r[:n]), r[n:]
		}
		s := keystroke.Sample{Phrase: phrase, Channel: keystroke.Channels()[r.byte()]}
		s.Events = make([]keystroke.Event, r.count())
		var last time.Duration
		for i := range s.Events {
			e := keystroke.Event{Mods: keystroke.Mods(r.byte()), Released: r.byte() == 1}
			e.Key, e.Rune = keystroke.Key(r.number()), rune(r.number())
			e.Down = last + time.Duration(r.number())
			if e.Released {
				e.Up = e.Down + time.Duration(r.number())
			}
			s.Events[i], last = e, e.Down
		}
		out = append(out, s)
	}
	return out
}

// packed is what is left to unpack.
type packed []byte

func (p *packed) byte() byte {
	b := (*p)[0]
	*p = (*p)[1:]
	return b
}

func (p *packed) count() int {
	n, size := binary.Uvarint(*p)
	*p = (*p)[size:]
	return int(n)
}

func (p *packed) number() int64 {
	n, size := binary.Varint(*p)
	*p = (*p)[size:]
	return n
}
