package train

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"ksd/internal/model/network"
)

// small is a network that learns in a second, even under the race detector.
var small = network.Spec{Features: 2, Keys: 8, Embedding: 8, Hidden: 8, Dense: 8, Classes: 2, Dropout: 0.2}

func options() Options {
	o := Defaults()
	o.Epochs, o.Batch, o.LearningRate, o.Patience = 12, 16, 0.01, 0
	return o
}

// typings returns n sequences of lo..hi keys, all of it drawn at random.
func typings(s network.Spec, n, lo, hi int, seed uint64) []Example {
	rng := rand.New(rand.NewPCG(seed, 0))
	out := make([]Example, n)
	for i := range out {
		l := lo + rng.IntN(hi-lo+1)
		e := Example{Class: rng.IntN(s.Classes), Weight: 0.5 + rng.Float32()}
		e.Keys, e.Features = make([]uint16, l), make([]float32, l*s.Features)
		for j := range e.Keys {
			e.Keys[j] = uint16(rng.IntN(s.Keys))
		}
		for j := range e.Features {
			e.Features[j] = float32(rng.NormFloat64())
		}
		out[i] = e
	}
	return out
}

// byTiming makes the first feature tell the class.
func byTiming(examples []Example) []Example {
	for _, e := range examples {
		for j := 0; j < len(e.Features); j += len(e.Features) / len(e.Keys) {
			e.Features[j] += 2 * float32(e.Class)
		}
	}
	return examples
}

// byText makes the text alone tell the class: class 0 begins with one of the
// keys 0..3, class 1 with one of 4..7.
func byText(examples []Example) []Example {
	for _, e := range examples {
		clear(e.Features)
		e.Keys[0] = e.Keys[0]%4 + uint16(4*e.Class)
	}
	return examples
}

// accuracy is the share of examples whose largest logit is their class's.
func accuracy(t *testing.T, s network.Spec, weights []float32, examples []Example) float64 {
	t.Helper()
	net, err := network.New(s, weights)
	if err != nil {
		t.Fatal(err)
	}
	logits, scratch, right := make([]float32, s.Classes), network.NewScratch(s), 0
	for _, e := range examples {
		if err := net.Logits(logits, e.Sequence, scratch); err != nil {
			t.Fatal(err)
		}
		if slices.Index(logits, slices.Max(logits)) == e.Class {
			right++
		}
	}
	return float64(right) / float64(len(examples))
}

func TestFitRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	type input struct {
		spec              network.Spec
		initial           []float32
		train, validation []Example
		options           Options
	}
	for name, c := range map[string]struct {
		spoil func(*input)
		want  error
	}{
		"no class to tell apart":   {func(in *input) { in.spec.Classes = 1 }, network.ErrSpec},
		"weights of another size":  {func(in *input) { in.initial = make([]float32, 3) }, network.ErrWeights},
		"a weight that is NaN":     {func(in *input) { in.initial = small.Initialise(1); in.initial[5] = nan }, network.ErrWeights},
		"no examples":              {func(in *input) { in.train = nil }, ErrExamples},
		"zero options":             {func(in *input) { in.options = Options{} }, ErrOptions},
		"a batch of 0":             {func(in *input) { in.options.Batch = 0 }, ErrOptions},
		"a batch too large":        {func(in *input) { in.options.Batch = MaxBatch + 1 }, ErrOptions},
		"a learning rate of NaN":   {func(in *input) { in.options.LearningRate = math.NaN() }, ErrOptions},
		"no clip":                  {func(in *input) { in.options.Clip = 0 }, ErrOptions},
		"negative patience":        {func(in *input) { in.options.Patience = -1 }, ErrOptions},
		"an empty sequence":        {func(in *input) { in.train[3].Sequence = network.Sequence{} }, network.ErrInput},
		"a sequence too long":      {func(in *input) { in.train[3] = typings(small, 1, 65, 65, 1)[0] }, network.ErrInput},
		"a feature missing":        {func(in *input) { in.train[3].Features = in.train[3].Features[1:] }, network.ErrInput},
		"a feature that is NaN":    {func(in *input) { in.train[3].Features[1] = nan }, network.ErrInput},
		"a feature without bounds": {func(in *input) { in.train[3].Features[1] = -inf }, network.ErrInput},
		"an unknown key":           {func(in *input) { in.train[3].Keys[0] = 8 }, network.ErrInput},
		"a class too high":         {func(in *input) { in.train[3].Class = 2 }, ErrExamples},
		"a negative class":         {func(in *input) { in.train[3].Class = -1 }, ErrExamples},
		"a weight below 0":         {func(in *input) { in.train[3].Weight = -1 }, ErrExamples},
		"a weight of NaN":          {func(in *input) { in.train[3].Weight = nan }, ErrExamples},
		"a weight without bounds":  {func(in *input) { in.train[3].Weight = inf }, ErrExamples},
		"no weight at all": {func(in *input) {
			for i := range in.train {
				in.train[i].Weight = 0
			}
		}, ErrExamples},
		"validation of an unknown key": {func(in *input) { in.validation[1].Keys[0] = 8 }, network.ErrInput},
		"validation of a wrong class":  {func(in *input) { in.validation[1].Class = 2 }, ErrExamples},
	} {
		t.Run(name, func(t *testing.T) {
			in := input{small, nil, typings(small, 20, 3, 6, 1), typings(small, 5, 3, 6, 2), options()}
			c.spoil(&in)
			told := false
			w, _, err := Fit(t.Context(), in.spec, in.initial, in.train, in.validation, in.options, func(Progress) { told = true })
			if !errors.Is(err, c.want) || w != nil {
				t.Errorf("Fit: %v, want %v and no weights", err, c.want)
			}
			if told {
				t.Error("the training began")
			}
		})
	}
}

func TestLearns(t *testing.T) {
	for name, shape := range map[string]func([]Example) []Example{"timing": byTiming, "text": byText} {
		t.Run(name, func(t *testing.T) {
			w, r, err := Fit(t.Context(), small, nil, shape(typings(small, 240, 4, 10, 1)), nil, options(), nil)
			if err != nil {
				t.Fatal(err)
			}
			got := accuracy(t, small, w, shape(typings(small, 200, 4, 10, 2)))
			t.Logf("%.2f right of examples not seen, loss %.2f", got, r.TrainLoss)
			if got < 0.85 {
				t.Errorf("%.2f right of examples not seen, want 0.85", got)
			}
		})
	}
}

// TestKeyBranchLearnsText shuts the output gates of the timing branch, so that
// only the key branch can tell the texts apart.
func TestKeyBranchLearnsText(t *testing.T) {
	initial := small.Initialise(1)
	b := small.Split(initial)
	for _, w := range [][]float32{b.Forward, b.Backward} {
		for i := len(w) - small.Hidden; i < len(w); i++ { // the biases of the output gates
			w[i] = -100
		}
	}
	train, fresh := byText(typings(small, 240, 4, 10, 1)), byText(typings(small, 200, 4, 10, 2))
	w, _, err := Fit(t.Context(), small, initial, train, nil, options(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := accuracy(t, small, w, fresh); got < 0.85 {
		t.Errorf("%.2f right by the key branch alone, want 0.85", got)
	}
}

// TestWeightsCount trains on two sets of contrary labels: the one that weighs
// more wins.
func TestWeightsCount(t *testing.T) {
	train := byTiming(typings(small, 320, 4, 8, 1))
	for i := range train {
		train[i].Weight = 1
		if i%2 == 0 {
			train[i].Class, train[i].Weight = 1-train[i].Class, 0.05
		}
	}
	w, _, err := Fit(t.Context(), small, nil, train, nil, options(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := accuracy(t, small, w, byTiming(typings(small, 200, 4, 8, 2))); got < 0.8 {
		t.Errorf("%.2f right, want 0.8: the light half should not count", got)
	}
}

// TestEarlyStopping validates on labels of which a quarter are wrong: once the
// network is sure of itself the loss grows again.
func TestEarlyStopping(t *testing.T) {
	train, validation := byTiming(typings(small, 120, 4, 8, 1)), byTiming(typings(small, 40, 4, 8, 2))
	for i := range validation {
		if i%4 == 0 {
			validation[i].Class = 1 - validation[i].Class
		}
	}
	o := options()
	o.Epochs, o.Patience, o.LearningRate = 60, 3, 0.003
	var losses []float64
	w, r, err := Fit(t.Context(), small, nil, train, validation, o, func(p Progress) {
		if p.Batch == p.Batches {
			losses = append(losses, p.ValidationLoss)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("validation loss %.3f", losses)
	if r.Epochs != r.BestEpoch+o.Patience || r.Epochs != len(losses) {
		t.Errorf("%d epochs run, %d told, the best was %d: want it to stop %d later", r.Epochs, len(losses), r.BestEpoch, o.Patience)
	}
	if r.BestEpoch < 2 {
		t.Errorf("the best epoch is %d: the test needs one that is better than the first", r.BestEpoch)
	}
	if best := slices.Min(losses); r.ValidationLoss != best || losses[r.BestEpoch-1] != best {
		t.Errorf("validation loss %v in epoch %d, of %v", r.ValidationLoss, r.BestEpoch, losses)
	}

	// The weights are those of the best epoch: the same training, cut there,
	// ends with them.
	o.Epochs, o.Patience = r.BestEpoch, 0
	again, _, err := Fit(t.Context(), small, nil, train, nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w, again) {
		t.Error("the weights are not those of the best epoch")
	}
}

func TestSameSeedSameBits(t *testing.T) {
	train, validation := typings(small, 50, 1, 9, 1), typings(small, 10, 1, 9, 2)
	o := options()
	o.Epochs = 2
	fit := func(procs int, seed uint64, initial []float32) []float32 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		o.Seed = seed
		w, _, err := Fit(t.Context(), small, initial, train, validation, o, nil)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	first := fit(1, 7, nil)
	if !slices.Equal(first, fit(2, 7, nil)) {
		t.Error("other weights with GOMAXPROCS=2")
	}
	if !slices.Equal(first, fit(2, 7, small.Initialise(7))) {
		t.Error("other weights from the same initial ones")
	}
	if slices.Equal(first, fit(1, 8, nil)) {
		t.Error("the same weights from another seed")
	}
}

// observed counts how often Fit asks whether to go on.
type observed struct {
	context.Context
	asked int
}

func (o *observed) Err() error {
	o.asked++
	return o.Context.Err()
}

// TestCancel cancels in the middle of the only epoch and counts: not one step
// may follow.
func TestCancel(t *testing.T) {
	inner, cancel := context.WithCancel(t.Context())
	defer cancel()
	ctx := &observed{Context: inner}
	o := options()
	o.Epochs, o.Batch = 1, 4
	var told []Progress
	w, _, err := Fit(ctx, small, nil, typings(small, 40*4, 3, 6, 1), nil, o, func(p Progress) {
		told = append(told, p)
		cancel()
	})
	if !errors.Is(err, context.Canceled) || w != nil {
		t.Errorf("Fit: %v, want %v and no weights", err, context.Canceled)
	}
	if len(told) != 1 || told[0].Batch != progressEvery || told[0].Batches != 40 {
		t.Fatalf("told %+v, want one report, of step %d of 40", told, progressEvery)
	}
	if ctx.asked != progressEvery+1 {
		t.Errorf("asked %d times, want once before each of %d steps and once after", ctx.asked, progressEvery)
	}
}

// TestCancelWhileValidating cancels after the last step.
func TestCancelWhileValidating(t *testing.T) {
	inner, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := options()
	o.Epochs, o.Batch = 1, 64
	ctx := &cancelAt{Context: inner, cancel: cancel, at: 10}
	_, _, err := Fit(ctx, small, nil, typings(small, 64, 3, 6, 1), typings(small, 500, 3, 6, 2), o, nil)
	if !errors.Is(err, context.Canceled) || ctx.asked != 10 {
		t.Errorf("Fit: %v after asking %d times, want %v after 10", err, ctx.asked, context.Canceled)
	}
}

// cancelAt is cancelled when it is asked for the time at.
type cancelAt struct {
	context.Context
	cancel    context.CancelFunc
	asked, at int
}

func (c *cancelAt) Err() error {
	c.asked++
	if c.asked == c.at {
		c.cancel()
	}
	return c.Context.Err()
}

// TestMemoryIsBounded compares the live heap after few and after many epochs.
func TestMemoryIsBounded(t *testing.T) {
	o := options()
	o.Epochs = 30
	var heap [2]uint64
	_, _, err := Fit(t.Context(), small, nil, typings(small, 64, 3, 6, 1), typings(small, 8, 3, 6, 2), o, func(p Progress) {
		if p.Batch < p.Batches || p.Epoch != 5 && p.Epoch != o.Epochs {
			return
		}
		runtime.GC()
		runtime.GC() // what a pool held goes in the second
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		heap[p.Epoch/o.Epochs] = now.HeapAlloc
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("live heap %d bytes after 5 epochs, %d after %d", heap[0], heap[1], o.Epochs)
	if heap[1] > heap[0]+256<<10 {
		t.Errorf("live heap grew from %d to %d bytes", heap[0], heap[1])
	}
}

func BenchmarkEpoch(b *testing.B) {
	s := network.NewSpec(6, 64, 20)
	examples := byTiming(typings(s, 2000, 16, 32, 1))
	o := Defaults()
	o.Epochs, o.Patience = 1, 0
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Fit(b.Context(), s, nil, examples, nil, o, nil); err != nil {
			b.Fatal(err)
		}
	}
}
