package train

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"ksd/internal/model/lstm"
	"ksd/internal/model/network"
)

// TestPanicInOp feeds an op what Fit's checks would have refused.
func TestPanicInOp(t *testing.T) {
	m, err := newModel(small, small.Initialise(1), options(), 6)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	bad := typings(small, 4, 3, 6, 1)
	bad[2].Keys[1] = 999
	if _, err := m.step(bad); !errors.Is(err, ErrGraph) || !strings.Contains(err.Error(), "panic") {
		t.Errorf("step: %v, want %v and the panic", err, ErrGraph)
	}
}

func TestDiverged(t *testing.T) {
	for name, spoil := range map[string]func(w []float32){
		"all weights huge": func(w []float32) {
			for i := range w {
				w[i] *= 1e30
			}
		},
		"only the loss is infinite": func(w []float32) {
			b := small.Split(w).Output
			b[len(b)-2], b[len(b)-1] = 3e38, -3e38
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := small.Initialise(1)
			spoil(w)
			m, err := newModel(small, w, options(), 6)
			if err != nil {
				t.Fatal(err)
			}
			defer m.close()
			if _, err := m.step(typings(small, 16, 3, 6, 1)); !errors.Is(err, ErrDiverged) {
				t.Errorf("step: %v, want %v", err, ErrDiverged)
			}
			_, _, err = Fit(t.Context(), small, w, typings(small, 16, 3, 6, 1), nil, options(), nil)
			if !errors.Is(err, ErrDiverged) {
				t.Errorf("Fit: %v, want %v", err, ErrDiverged)
			}
		})
	}
}

// TestShortBatch loads a full batch, then a smaller one: nothing of the first
// may be left.
func TestShortBatch(t *testing.T) {
	m, err := newModel(small, small.Initialise(1), options(), 6)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	m.load(typings(small, m.size, 3, 6, 1))
	m.load(typings(small, 3, 3, 6, 2))
	for i, q := range m.sequences[3:] {
		if q.Keys != nil || q.Features != nil {
			t.Errorf("sequence %d is left over", 3+i)
		}
	}
	for i, x := range m.target[3*small.Classes:] {
		if x != 0 {
			t.Errorf("target %d is left over", 3*small.Classes+i)
		}
	}
}

// TestOpsAreNotMerged applies two layers to the same nodes: gorgonia takes ops
// with the same hash for one.
func TestOpsAreNotMerged(t *testing.T) {
	g, b := gorgonia.NewGraph(), lstm.NewBatch(2, 3, small.Features)
	shape := small.Forward()
	matrix := func(name string, rows, columns int) *gorgonia.Node {
		return gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithName(name), gorgonia.WithShape(rows, columns))
	}
	e, w := matrix("e", small.Keys, small.Embedding), matrix("w", shape.Len()/(4*small.Hidden), 4*small.Hidden)
	one := must(gorgonia.ApplyOp(newRecurrence("one", shape, b, 2, 3).lastState(), e, w))
	two := must(gorgonia.ApplyOp(newRecurrence("two", small.Backward(), b, 2, 3).lastState(), e, w))
	if one == two || one.Hashcode() == two.Hashcode() {
		t.Error("two layers became one node")
	}
}

// TestFloats reads a column range of a wider matrix, and refuses what is no
// matrix of float32.
func TestFloats(t *testing.T) {
	d := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float32{1, 2, 3, 4, 5, 6}))
	view, err := d.Slice(nil, gorgonia.S(1, 3))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := floats(view.(*tensor.Dense)); err != nil || !slices.Equal(got, []float32{2, 3, 5, 6}) {
		t.Errorf("floats of columns 1 and 2: %v, %v", got, err)
	}
	for _, bad := range []gorgonia.Value{
		gorgonia.NewF32(1),
		tensor.New(tensor.WithShape(3), tensor.WithBacking([]float32{1, 2, 3})),
		tensor.New(tensor.WithShape(1, 1), tensor.WithBacking([]float64{1})),
	} {
		if got, err := floats(bad); err == nil {
			t.Errorf("floats(%v) = %v, want an error", bad, got)
		}
	}
}

// TestClip compares the gradient before and after.
func TestClip(t *testing.T) {
	o := options()
	o.Clip = 0.01
	m, err := newModel(small, small.Initialise(1), o, 6)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	m.load(typings(small, o.Batch, 3, 6, 1))
	m.drawMask()
	if _, err := m.gradients(); err != nil {
		t.Fatal(err)
	}
	before := flat(t, m.graph.parameters)
	if err := m.clipGradients(); err != nil {
		t.Fatal(err)
	}
	after := flat(t, m.graph.parameters)
	length, was := norm(after), norm(before)
	if was <= o.Clip || math.Abs(length-o.Clip) > 1e-6 {
		t.Errorf("length %v, was %v, want %v", length, was, o.Clip)
	}
	for i := range after {
		if math.Abs(after[i]-before[i]*o.Clip/was) > 1e-9 {
			t.Fatalf("gradient %d turned from %v to %v", i, before[i], after[i])
		}
	}
}

func norm(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum)
}

// TestServingAgreesWithTraining compares the logits of the pass that serves
// with those on the graph, where nothing is dropped.
func TestServingAgreesWithTraining(t *testing.T) {
	s := network.NewSpec(6, 40, 5)
	s.Dropout = 0
	examples := typings(s, 24, 1, network.MaxLen, 1)
	o := options()
	o.Batch = len(examples)
	m, err := newModel(s, s.Initialise(1), o, network.MaxLen)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	logits, scratch := make([]float32, s.Classes), network.NewScratch(s)
	for round := range 3 {
		net, err := network.New(s, m.weights)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.step(examples); err != nil {
			t.Fatal(err)
		}
		graph := m.graph.logits.Data().([]float32)
		for i, e := range examples {
			if err := net.Logits(logits, e.Sequence, scratch); err != nil {
				t.Fatal(err)
			}
			for k, x := range logits {
				if d := math.Abs(float64(x - graph[i*s.Classes+k])); !(d < 1e-5) {
					t.Errorf("round %d, example %d: logit %d is %v serving, %v training", round, i, k, x, graph[i*s.Classes+k])
				}
			}
		}
	}
}

// TestDropoutMask counts what is dropped.
func TestDropoutMask(t *testing.T) {
	s := small
	s.Dropout = 0.4
	m, err := newModel(s, s.Initialise(1), options(), 6)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	dropped, all := 0, 0
	for range 40 {
		m.drawMask()
		for _, x := range m.mask {
			all++
			if x == 0 {
				dropped++
			} else if math.Abs(float64(x)-1/0.6) > 1e-6 {
				t.Fatalf("a kept output is scaled by %v, want 1/0.6", x)
			}
		}
	}
	if got := float64(dropped) / float64(all); math.Abs(got-0.4) > 0.02 {
		t.Errorf("%.3f dropped, want 0.4", got)
	}
}
