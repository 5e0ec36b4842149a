package sealed

import (
	"errors"
	"slices"
	"testing"
)

var test = Format{Name: "ksd-test", Version: 2, MaxHeader: 64, MaxFile: 256}

type head struct {
	Name string `json:"name"`
}

func seal(t testing.TB, f Format) []byte {
	t.Helper()
	b, _, err := f.Seal(head{"a"}, []float32{1, 2}, nil, []float32{-3})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	b, sum, err := test.Seal(head{"a"}, []float32{1, 2}, nil, []float32{-3})
	if err != nil {
		t.Fatal(err)
	}
	in, err := test.Open(b)
	if err != nil || in.Sum != sum {
		t.Fatalf("%+v, %v", in, err)
	}
	var h head
	floats, err := in.Floats(3)
	if errh := in.Decode(&h); errh != nil || h.Name != "a" || err != nil || !slices.Equal(floats, []float32{1, 2, -3}) {
		t.Errorf("%+v, %v, %v, %v", h, errh, floats, err)
	}
	for _, want := range []int{-1, 0, 2, 4} {
		if _, err := in.Floats(want); err == nil {
			t.Errorf("%d floats of 3", want)
		}
	}
	var other struct{ Age int }
	if in.Decode(&other) == nil {
		t.Error("a header with a field unknown")
	}
}

// TestOpenRefuses damages each byte, and cuts the file short at each.
func TestOpenRefuses(t *testing.T) {
	whole := seal(t, test)
	for i := range whole {
		damaged := slices.Clone(whole)
		damaged[i] ^= 1
		if _, err := test.Open(damaged); err == nil {
			t.Errorf("byte %d is another", i)
		}
		if _, err := test.Open(whole[:i]); err == nil {
			t.Errorf("cut at byte %d", i)
		}
	}
	for name, f := range map[string]Format{
		"small file":   {test.Name, test.Version, test.MaxHeader, len(whole) - 1},
		"small header": {test.Name, test.Version, 1, test.MaxFile},
		"other name":   {"ksd-else", test.Version, test.MaxHeader, test.MaxFile},
		"before":       {test.Name, 1, test.MaxHeader, test.MaxFile},
	} {
		if _, err := f.Open(whole); err == nil || errors.Is(err, ErrEarlier) {
			t.Errorf("%s: %v", name, err)
		}
	}
	later := test
	later.Version++
	if _, err := later.Open(whole); !errors.Is(err, ErrEarlier) {
		t.Errorf("a later ksd: %v", err)
	}
}

// FuzzOpen never panics, and opens nothing that Seal would not have written.
func FuzzOpen(f *testing.F) {
	f.Add(seal(f, test))
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := test.Open(b)
		if err != nil {
			return
		}
		var h head
		if _, err := in.Floats(len(in.floats) / 4); err != nil {
			t.Error(err)
		}
		_ = in.Decode(&h)
	})
}
