package train

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"ksd/internal/model/network"
)

func metricOptions() MetricOptions {
	return MetricOptions{People: 3, Crops: 4, Steps: 6, Shards: 2, Spread: 0.3, Clip: 5, Seed: 1}
}

var embedding = network.Spec{Features: 2, Keys: 5, Embedding: 3, Hidden: 4, Dense: 6, Classes: 3, Mean: true}

func newMetric(t testing.TB, s network.Spec, o MetricOptions) *Metric {
	t.Helper()
	m, err := NewMetric(s, s.Initialise(1), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// draws returns typings in which person p has a bent of its own, drawn from the
// seed and the shard.
func draws(s network.Spec, o MetricOptions, seed uint64) func(int, []network.Sequence) error {
	return func(shard int, into []network.Sequence) error {
		rng := rand.New(rand.NewPCG(seed, uint64(shard)))
		for i := range into {
			n := 2 + rng.IntN(o.Steps-1)
			into[i] = network.Sequence{Keys: make([]uint16, n), Features: make([]float32, n*s.Features)}
			for j := range into[i].Keys {
				into[i].Keys[j] = uint16(rng.IntN(s.Keys))
			}
			for j := range into[i].Features {
				into[i].Features[j] = float32(rng.NormFloat64()) + float32(i/o.Crops)
			}
		}
		return nil
	}
}

// TestPrototypeGradient holds the gradient against central differences of the
// loss, also where embeddings are the same and a radius is nothing.
func TestPrototypeGradient(t *testing.T) {
	for _, c := range []struct {
		name   string
		spread float64
		spoil  func(e []float32)
	}{
		{"apart", 0, func([]float32) {}},
		{"apart, with radii", 0.7, func([]float32) {}},
		{"one person at a point", 0.7, func(e []float32) { clear(e[:20]) }},
		{"far", 0.7, func(e []float32) {
			for i := range e {
				e[i] *= 30
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newPrototypes(3, 4, 5, c.spread)
			rng := rand.New(rand.NewPCG(1, 2))
			e, d, unused := make([]float32, 60), make([]float32, 60), make([]float32, 60)
			for i := range e {
				e[i] = float32(math.Round(64*rng.NormFloat64()) / 64)
			}
			c.spoil(e)
			l.gradient(d, e)
			for i := range e {
				const h = 1. / 256 // exact in float32
				old := e[i]
				e[i] = old + h
				up := l.gradient(unused, e)
				e[i] = old - h
				want := (up - l.gradient(unused, e)) / (2 * h)
				e[i] = old
				if !(math.Abs(float64(d[i])-want) < 2e-4*(1+math.Abs(want))) {
					t.Errorf("by embedding %d: %v, want %v", i, d[i], want)
				}
			}
		})
	}
}

// TestPrototypeLoss has values worked out by hand.
func TestPrototypeLoss(t *testing.T) {
	l := newPrototypes(2, 2, 1, 0)
	d := make([]float32, 4)
	if got := l.gradient(d, make([]float32, 4)); math.Abs(got-math.Ln2) > 1e-12 || slices.Max(d) != 0 {
		t.Errorf("all at one point: loss %v, gradient %v, want ln 2 and zeros", got, d)
	}
	// A query at distance 0 from its own prototype and 1 from the other.
	if got, want := l.gradient(d, []float32{0, 0, 1, 1}), math.Log(1+math.Exp(-1)); math.Abs(got-want) > 1e-12 {
		t.Errorf("two points: loss %v, want %v", got, want)
	}
	// Radii 1 and 4: mean 2.5, deviation 1.5.
	r := newPrototypes(2, 2, 1, 2)
	if got, want := r.radius(d, []float32{-1, 1, -2, 2}), 2*(1.5*1.5)/(2.5*2.5); math.Abs(got-want) > 1e-5 {
		t.Errorf("radii: penalty %v, want %v", got, want)
	}
}

// TestMetricGradient holds the gradient of every parameter, through the graph,
// against central differences of the loss.
func TestMetricGradient(t *testing.T) {
	m := newMetric(t, embedding, metricOptions())
	draw := draws(embedding, m.options, 3)
	loss := func() float64 {
		t.Helper()
		x, err := m.run(0, m.shards[0], draw)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	loss()
	got, err := m.shards[0].gradient()
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i] = slices.Clone(got[i])
	}
	i := 0
	for k, d := range got {
		for j := range d {
			const h = 1. / 2048
			old := m.Weights()[i]
			m.Weights()[i] = old + h
			up := loss()
			m.Weights()[i] = old - h
			want := (up - loss()) / (2 * h)
			m.Weights()[i] = old
			if math.Abs(float64(d[j])-want) > 1e-2*(0.2+math.Abs(want)) {
				t.Errorf("parameter %d of block %d: %v, want %v", j, k, d[j], want)
			}
			i++
		}
	}
	if i != embedding.Len() {
		t.Errorf("%d parameters have a gradient, want %d", i, embedding.Len())
	}
}

func TestMetricLearns(t *testing.T) {
	o := metricOptions()
	m := newMetric(t, embedding, o)
	var first, last float64
	for i := range 150 {
		loss, err := m.Step(0.01, draws(embedding, o, uint64(i)))
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = loss
		}
		last = loss
	}
	if !(last < 0.6*first) {
		t.Errorf("the loss fell from %v to %v only", first, last)
	}
	if e, err := m.Embeddings(1); err != nil || len(e) != 12*3 {
		t.Errorf("%d numbers of embeddings, %v", len(e), err)
	}
}

// TestMetricServes compares the embeddings of the graph with those of the pass
// that serves.
func TestMetricServes(t *testing.T) {
	o := metricOptions()
	m := newMetric(t, embedding, o)
	net, err := network.New(embedding, m.Weights())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Step(0.01, draws(embedding, o, 1)); err != nil {
		t.Fatal(err)
	}
	typings := make([]network.Sequence, o.People*o.Crops)
	if err := draws(embedding, o, 1)(0, typings); err != nil {
		t.Fatal(err)
	}
	got, err := m.Embeddings(0)
	if err != nil {
		t.Fatal(err)
	}
	want, scratch := make([]float32, 3), network.NewScratch(embedding)
	for i, q := range typings {
		if err := net.Logits(want, q, scratch); err != nil {
			t.Fatal(err)
		}
		for j, x := range want {
			if math.Abs(float64(got[i*3+j]-x)) > 1e-5 {
				t.Errorf("typing %d, dimension %d: %v in training, %v serving", i, j, got[i*3+j], x)
			}
		}
	}
}

// TestMetricSameBits runs twice from the same seed, and once from another.
func TestMetricSameBits(t *testing.T) {
	s := embedding
	s.Dropout = 0.3
	weights := func(seed uint64) []float32 {
		o := metricOptions()
		o.Seed = seed
		m := newMetric(t, s, o)
		for i := range 5 {
			if _, err := m.Step(0.01, draws(s, o, uint64(i))); err != nil {
				t.Fatal(err)
			}
		}
		return slices.Clone(m.Weights())
	}
	one := weights(1)
	if !slices.Equal(one, weights(1)) {
		t.Error("the same seed gives other weights")
	}
	if slices.Equal(one, weights(2)) {
		t.Error("another seed gives the same weights")
	}
}

// TestShardsAverage has two shards with the same typings: the step is that of one.
func TestShardsAverage(t *testing.T) {
	weights := func(shards int) []float32 {
		o := metricOptions()
		o.Shards = shards
		m := newMetric(t, embedding, o)
		same := draws(embedding, o, 5)
		for range 3 {
			if _, err := m.Step(0.01, func(_ int, into []network.Sequence) error { return same(0, into) }); err != nil {
				t.Fatal(err)
			}
		}
		return m.Weights()
	}
	one, two := weights(1), weights(2)
	for i := range one {
		if math.Abs(float64(one[i]-two[i])) > 1e-6 {
			t.Fatalf("weight %d is %v with one shard, %v with two", i, one[i], two[i])
		}
	}
}

func TestMetricRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*MetricOptions){
		"zero value":   func(o *MetricOptions) { *o = MetricOptions{} },
		"one person":   func(o *MetricOptions) { o.People = 1 },
		"odd crops":    func(o *MetricOptions) { o.Crops = 3 },
		"no crops":     func(o *MetricOptions) { o.Crops = 0 },
		"no steps":     func(o *MetricOptions) { o.Steps = 0 },
		"long typings": func(o *MetricOptions) { o.Steps = network.MaxLen + 1 },
		"no shards":    func(o *MetricOptions) { o.Shards = 0 },
		"many shards":  func(o *MetricOptions) { o.Shards = MaxShards + 1 },
		"NaN":          func(o *MetricOptions) { o.Spread = math.NaN() },
		"no clip":      func(o *MetricOptions) { o.Clip = 0 },
	} {
		o := metricOptions()
		spoil(&o)
		if _, err := NewMetric(embedding, embedding.Initialise(1), o); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v, want %v", name, err, ErrOptions)
		}
	}
	if _, err := NewMetric(embedding, nil, metricOptions()); !errors.Is(err, network.ErrWeights) {
		t.Errorf("no weights: %v", err)
	}
	if _, err := NewMetric(network.Spec{}, nil, metricOptions()); !errors.Is(err, network.ErrSpec) {
		t.Errorf("no sizes: %v", err)
	}
}

func TestMetricStepRefuses(t *testing.T) {
	own := errors.New("own")
	o := metricOptions()
	for name, c := range map[string]struct {
		spoil func([]network.Sequence) error
		want  error
	}{
		"draw fails":    {func([]network.Sequence) error { return own }, own},
		"too long":      {func(s []network.Sequence) error { s[1] = long(o.Steps + 1); return nil }, network.ErrInput},
		"NaN":           {func(s []network.Sequence) error { s[1].Features[0] = float32(math.NaN()); return nil }, network.ErrInput},
		"a typing left": {func(s []network.Sequence) error { s[11] = network.Sequence{}; return nil }, network.ErrInput},
	} {
		m := newMetric(t, embedding, o)
		before := slices.Clone(m.Weights())
		_, err := m.Step(0.1, func(shard int, into []network.Sequence) error {
			if err := draws(embedding, o, 1)(shard, into); err != nil || shard == 0 {
				return err
			}
			return c.spoil(into)
		})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if !slices.Equal(before, m.Weights()) {
			t.Errorf("%s: something was learned", name)
		}
	}
}

func TestMetricDiverges(t *testing.T) {
	w := embedding.Initialise(1)
	for _, block := range [][]float32{embedding.Split(w).Dense, embedding.Split(w).Output} {
		for i := range block {
			block[i] *= 1e30
		}
	}
	m, err := NewMetric(embedding, w, metricOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Step(0.01, draws(embedding, m.options, 1)); !errors.Is(err, ErrDiverged) {
		t.Errorf("%v, want %v", err, ErrDiverged)
	}
}

func long(n int) network.Sequence {
	return network.Sequence{Keys: make([]uint16, n), Features: make([]float32, n*embedding.Features)}
}

func BenchmarkMetricStep(b *testing.B) {
	s := network.Spec{Features: 6, Keys: 61, Embedding: 24, Hidden: 64, Dense: 96, Classes: 64, Dropout: 0.2, Mean: true}
	for _, shards := range []int{1, 2} {
		b.Run(fmt.Sprintf("shards=%d", shards), func(b *testing.B) {
			o := MetricOptions{People: 32, Crops: 8, Steps: 45, Shards: shards, Spread: 0.05, Clip: 5, Seed: 1}
			m := newMetric(b, s, o)
			draw := draws(s, o, 1)
			for b.Loop() {
				if _, err := m.Step(0.001, draw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
