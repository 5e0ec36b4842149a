package train

import (
	"fmt"
	"math"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"ksd/internal/model/lstm"
	"ksd/internal/model/network"
)

// oracle is the same network, unrolled step by step in gorgonia's own ops and
// in float64. It shares no code with the ops under test: the embedding is a
// product with one-hot rows, padding is undone by masks, and the loss is written
// out as a logarithm of a sum of exponentials.
type oracle struct {
	spec        network.Spec
	size, steps int
	g           *gorgonia.ExprGraph
	inputs      map[string][]float64
	params      gorgonia.Nodes
	values      [][]float64
	loss        gorgonia.Value
	vm          gorgonia.VM
	solver      gorgonia.Solver
}

func (o *oracle) matrix(name string, rows, columns int) *gorgonia.Node {
	data := make([]float64, rows*columns)
	o.inputs[name] = data
	return gorgonia.NewMatrix(o.g, tensor.Float64, gorgonia.WithName(name), gorgonia.WithShape(rows, columns),
		gorgonia.WithValue(tensor.New(tensor.WithShape(rows, columns), tensor.WithBacking(data))))
}

// parameter takes the next rows×columns numbers of weights.
func (o *oracle) parameter(name string, rows, columns int, weights *[]float32) *gorgonia.Node {
	n := o.matrix(name, rows, columns)
	data := o.inputs[name]
	for i := range data {
		data[i] = float64((*weights)[i])
	}
	*weights = (*weights)[len(data):]
	o.params, o.values = append(o.params, n), append(o.values, data)
	return n
}

var must = gorgonia.Must

func add(a, b *gorgonia.Node) *gorgonia.Node { return must(gorgonia.Add(a, b)) }
func mul(a, b *gorgonia.Node) *gorgonia.Node { return must(gorgonia.Mul(a, b)) }
func had(a, b *gorgonia.Node) *gorgonia.Node { return must(gorgonia.HadamardProd(a, b)) }

func newOracle(s network.Spec, weights []float32, size, steps int, rate float64) *oracle {
	o := &oracle{
		spec: s, size: size, steps: steps, g: gorgonia.NewGraph(), inputs: map[string][]float64{},
		solver: gorgonia.NewAdamSolver(gorgonia.WithLearnRate(rate)),
	}
	embedding := o.parameter("E", s.Keys, s.Embedding, &weights)
	o.matrix("zero", size, s.Hidden)
	keys, features := make([]*gorgonia.Node, steps), make([]*gorgonia.Node, steps)
	for t := range steps {
		keys[t] = mul(o.matrix(fmt.Sprint("onehot", t), size, s.Keys), embedding)
		features[t] = o.matrix(fmt.Sprint("x", t), size, s.Features)
		o.matrix(fmt.Sprint("live", t), size, s.Hidden)
		o.matrix(fmt.Sprint("over", t), size, s.Hidden)
	}
	states := must(gorgonia.Concat(1,
		o.unroll("forward", s.Forward(), features, keys, &weights),
		o.unroll("backward", s.Backward(), features, keys, &weights),
		o.unroll("key", s.Key(), features, keys, &weights)))
	ones := o.matrix("ones", size, 1)
	affine := func(name string, x *gorgonia.Node, rows, columns int) *gorgonia.Node {
		w := o.parameter(name, rows, columns, &weights)
		return add(mul(x, w), mul(ones, o.parameter(name+" bias", 1, columns, &weights)))
	}
	dense := must(gorgonia.Rectify(affine("D", had(states, o.matrix("mask", size, 3*s.Hidden)), 3*s.Hidden, s.Dense)))
	logits := affine("O", dense, s.Dense, s.Classes)
	total := mul(must(gorgonia.Exp(logits)), o.matrix("sum", s.Classes, 1))
	normaliser := mul(must(gorgonia.Log(total)), o.matrix("row", 1, s.Classes))
	gain := must(gorgonia.Sum(had(o.matrix("target", size, s.Classes), must(gorgonia.Sub(logits, normaliser)))))
	loss := must(gorgonia.Neg(gain))
	gorgonia.Read(loss, &o.loss)
	if _, err := gorgonia.Grad(loss, o.params...); err != nil {
		panic(err)
	}
	for _, name := range []string{"ones", "sum", "row"} {
		for i := range o.inputs[name] {
			o.inputs[name][i] = 1
		}
	}
	o.vm = gorgonia.NewTapeMachine(o.g, gorgonia.BindDualValues(o.params...))
	return o
}

// node finds an input by its name.
func (o *oracle) node(name string) *gorgonia.Node { return o.g.ByName(name)[0] }

// unroll is one LSTM over all steps; a step that a sequence does not have leaves
// its state as it was.
func (o *oracle) unroll(name string, l lstm.Shape, features, keys []*gorgonia.Node, weights *[]float32) *gorgonia.Node {
	var wx *gorgonia.Node
	if l.Features > 0 {
		wx = o.parameter(name+" x", l.Features, 4*l.Hidden, weights)
	}
	we := o.parameter(name+" e", l.Embedding, 4*l.Hidden, weights)
	u := o.parameter(name+" u", l.Hidden, 4*l.Hidden, weights)
	bias := o.parameter(name+" b", 1, 4*l.Hidden, weights)
	one := o.matrix(name+" one", o.size, 1)
	for i := range o.inputs[name+" one"] {
		o.inputs[name+" one"][i] = 1
	}
	b := mul(one, bias)
	h, c := o.node("zero"), o.node("zero")
	for i := range o.steps {
		t := i
		if l.Reverse {
			t = o.steps - 1 - i
		}
		z := add(add(b, mul(keys[t], we)), mul(h, u))
		if l.Features > 0 {
			z = add(z, mul(features[t], wx))
		}
		gate := func(k int) *gorgonia.Node {
			return must(gorgonia.Slice(z, nil, gorgonia.S(k*l.Hidden, (k+1)*l.Hidden)))
		}
		cell := add(had(must(gorgonia.Sigmoid(gate(1))), c),
			had(must(gorgonia.Sigmoid(gate(0))), must(gorgonia.Tanh(gate(2)))))
		state := had(must(gorgonia.Sigmoid(gate(3))), must(gorgonia.Tanh(cell)))
		live, over := o.node(fmt.Sprint("live", t)), o.node(fmt.Sprint("over", t))
		c, h = add(had(live, cell), had(over, c)), add(had(live, state), had(over, h))
	}
	return h
}

// load copies what the model m has loaded.
func (o *oracle) load(m *model) {
	for i := range m.mask {
		o.inputs["mask"][i] = float64(m.mask[i])
	}
	for i := range m.target {
		o.inputs["target"][i] = float64(m.target[i])
	}
	for t := range o.steps {
		x, hot := o.inputs[fmt.Sprint("x", t)], o.inputs[fmt.Sprint("onehot", t)]
		live, over := o.inputs[fmt.Sprint("live", t)], o.inputs[fmt.Sprint("over", t)]
		clear(x)
		clear(hot)
		for i, q := range m.sequences {
			on := 0.0
			if t < len(q.Keys) {
				on = 1
				hot[i*o.spec.Keys+int(q.Keys[t])] = 1
				for f := range o.spec.Features {
					x[i*o.spec.Features+f] = float64(q.Features[t*o.spec.Features+f])
				}
			}
			for u := range o.spec.Hidden {
				live[i*o.spec.Hidden+u], over[i*o.spec.Hidden+u] = on, 1-on
			}
		}
	}
}

// flat is the gradient of every weight, in their order.
func flat(t *testing.T, params gorgonia.Nodes) []float64 {
	t.Helper()
	var out []float64
	for _, p := range params {
		g, err := p.Grad()
		if err != nil {
			t.Fatal(err)
		}
		switch x := g.Data().(type) {
		case []float32:
			for _, v := range x {
				out = append(out, float64(v))
			}
		case []float64:
			out = append(out, x...)
		}
	}
	return out
}

// worst is the place and the size of the largest difference.
func worst(a, b []float64) (at int, diff float64) {
	for i := range a {
		if d := math.Abs(a[i] - b[i]); !(d <= diff) {
			at, diff = i, d
		}
	}
	return at, diff
}

// TestAgainstUnrolled holds loss, gradients and several steps of Adam against
// the oracle: ragged lengths, a batch that is not full, dropout, weights per
// sample.
func TestAgainstUnrolled(t *testing.T) {
	s := network.Spec{Features: 3, Keys: 7, Embedding: 5, Hidden: 6, Dense: 5, Classes: 4, Dropout: 0.4}
	const steps, size, rounds = 6, 5, 8
	o := Options{Epochs: 1, Batch: size, LearningRate: 0.01, Clip: math.MaxFloat64, Seed: 3}
	weights := s.Initialise(1)
	m, err := newModel(s, weights, o, steps)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	want := newOracle(s, weights, size, steps, o.LearningRate)
	defer want.vm.Close()

	for round := range rounds {
		m.load(typings(s, size-round%2, 1, steps, uint64(round)))
		m.drawMask()
		want.load(m)
		loss, err := m.gradients()
		if err != nil {
			t.Fatal(err)
		}
		want.vm.Reset()
		if err := want.vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		if d := math.Abs(loss - want.loss.Data().(float64)); !(d < 1e-6) {
			t.Errorf("step %d: loss %v, oracle %v", round, loss, want.loss)
		}
		got, exact := flat(t, m.graph.parameters), flat(t, want.params)
		if len(got) != s.Len() || len(exact) != s.Len() {
			t.Fatalf("%d and %d gradients, want %d", len(got), len(exact), s.Len())
		}
		if i, d := worst(got, exact); !(d < 1e-6) {
			t.Errorf("step %d: gradient %d is %v, oracle %v", round, i, got[i], exact[i])
		}
		for _, step := range []struct {
			gorgonia.Solver
			gorgonia.Nodes
		}{{m.solver, m.graph.parameters}, {want.solver, want.params}} {
			if err := step.Step(gorgonia.NodesToValueGrads(step.Nodes)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var exact, got []float64
	for _, v := range want.values {
		exact = append(exact, v...)
	}
	for _, v := range m.weights {
		got = append(got, float64(v))
	}
	if i, d := worst(got, exact); !(d < 1e-4) {
		t.Errorf("after %d steps: weight %d is %v, oracle %v", rounds, i, got[i], exact[i])
	} else {
		t.Logf("after %d steps of Adam the weights differ by at most %.1g", rounds, d)
	}
}
