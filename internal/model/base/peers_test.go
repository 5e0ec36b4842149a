package base

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model/lstm"
	"ksd/internal/model/network"
	"ksd/internal/model/train"
)

// The benchmarks of this file are our side of "make bench-peers": what they
// compute, other programs compute once more (tools/peers).

var peers = flag.String("peers", "", "folder that the benchmarks for peers leave their problem and their answer in")

// problem is what is computed, and what came of it.
type problem struct {
	Kernel  string
	Spec    network.Spec
	Weights []float32
	Inputs  [][]network.Sequence // batches
	Options train.MetricOptions  // of a training
	Rate    float64

	Outputs []float32 // of the only input of a pass forward
	Losses  []float64 // of the first step on each batch
}

// leave writes p to the folder for peers, if there is one.
func (p problem) leave(b *testing.B, name string) {
	b.Helper()
	if *peers == "" {
		return
	}
	text, err := json.Marshal(p)
	if err == nil {
		err = os.WriteFile(filepath.Join(*peers, name+".json"), text, 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// eachSize calls f with the shipped network, whose batches are of 32 people, and
// with one of the sizes of network.NewSpec, whose batches are of 8. There is no
// dropout, which nobody draws alike.
func eachSize(b *testing.B, f func(b *testing.B, p problem, people int)) {
	small := network.NewSpec(feature.Rate, feature.VocabularySize, 20)
	small.Mean = true
	for _, size := range []struct {
		name    string
		spec    network.Spec
		weights []float32
		people  int
	}{
		{"shipped", Default().File().Spec, Default().File().Weights, 32},
		{"small", small, small.Initialise(1), 8},
	} {
		b.Run(size.name, func(b *testing.B) {
			size.spec.Dropout = 0
			f(b, problem{Kernel: lstm.Kernel, Spec: size.spec, Weights: size.weights}, size.people)
		})
	}
}

// typed is a crop of least to most keys as the network reads it.
func typed(s keystroke.Sample, least, most int, rng *rand.Rand) network.Sequence {
	return appendSequence(network.Sequence{}, draw(s, least, most, keystroke.Full, false, rng), most)
}

// BenchmarkPeersForward is one typing of 32 keys.
func BenchmarkPeersForward(b *testing.B) {
	eachSize(b, func(b *testing.B, p problem, _ int) {
		n, err := network.New(p.Spec, p.Weights)
		if err != nil {
			b.Fatal(err)
		}
		in := typed(typists(1, 1)[0].Samples[0], 32, 32, rand.New(rand.NewPCG(1, 2)))
		p.Inputs, p.Outputs = [][]network.Sequence{{in}}, make([]float32, p.Spec.Classes)
		scratch := network.NewScratch(p.Spec)
		for b.Loop() {
			if err := n.Logits(p.Outputs, in, scratch); err != nil {
				b.Fatal(err)
			}
		}
		p.leave(b, "forward")
	})
}

// BenchmarkPeersTraining is one step of a training: one shard, with 4 typings of 17
// to 45 keys of each person.
func BenchmarkPeersTraining(b *testing.B) {
	eachSize(b, func(b *testing.B, p problem, people int) {
		o := Defaults()
		p.Weights, p.Rate = p.Spec.Initialise(1), o.Rate
		p.Options = train.MetricOptions{People: people, Crops: o.Crops, Steps: maxCrop, Shards: 1, Spread: o.Spread, Clip: clip}
		m, err := train.NewMetric(p.Spec, p.Weights, p.Options)
		if err != nil {
			b.Fatal(err)
		}
		defer m.Close()
		rng := rand.New(rand.NewPCG(1, 3))
		for range 8 {
			var batch []network.Sequence
			for _, t := range typists(people, 1) {
				for range o.Crops {
					batch = append(batch, typed(t.Samples[0], minCrop, maxCrop, rng))
				}
			}
			p.Inputs = append(p.Inputs, batch)
		}
		step := 0
		for b.Loop() {
			batch := p.Inputs[step%len(p.Inputs)]
			loss, err := m.Step(p.Rate, func(_ int, into []network.Sequence) error {
				copy(into, batch)
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			if step++; step <= len(p.Inputs) {
				p.Losses = append(p.Losses, loss)
			}
		}
		p.leave(b, "training")
	})
}
