package capture

import "unicode"

// Limits of what a sequence that means a key may hold.
const (
	maxFields = 6 // win32-input-mode has so many
	maxParts  = 4
)

// none stands where a sequence has no number.
const none = -1

// fields are the numbers of a CSI: fields with ";" between, parts of one with
// ":" between.
type fields struct {
	n     [maxFields][maxParts]int32
	count int // fields, at least 1
}

// parseFields reads the parameters of a CSI. It fails at anything that is no
// number of Unicode's range, and at more than a key has.
func parseFields(b []byte) (f fields, ok bool) {
	for i := range f.n {
		f.n[i] = [maxParts]int32{none, none, none, none}
	}
	i, j := 0, 0
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			f.n[i][j] = max(f.n[i][j], 0)*10 + int32(c-'0')
			if f.n[i][j] > unicode.MaxRune {
				return f, false
			}
		case c == ';' && i+1 < maxFields:
			i, j = i+1, 0
		case c == ':' && j+1 < maxParts:
			j++
		default:
			return f, false
		}
	}
	f.count = i + 1
	return f, true
}

// at returns a number, or what stands for it where there is none.
func (f *fields) at(i, j int, missing int32) int32 {
	if f.n[i][j] == none {
		return missing
	}
	return f.n[i][j]
}

// single reports whether no field from the i-th on has a second part.
func (f *fields) single(i int) bool {
	for ; i < maxFields; i++ {
		for _, n := range f.n[i][1:] {
			if n != none {
				return false
			}
		}
	}
	return true
}
