package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"ksd/internal/channel"
	"ksd/internal/feature"
	"ksd/internal/keystroke"
	"ksd/internal/model"
	"ksd/internal/model/lstm"
)

// SpeedOptions steer the measurement of speed.
type SpeedOptions struct {
	Channel  keystroke.Channel
	People   []int // how many are enrolled, one after the other
	Train    int   // the most people that heads are trained for; 0: no heads
	Repeat   int   // verifications timed
	Seed     uint64
	Clock    func() time.Duration // monotonic
	Resident func() int64         // bytes of memory the process holds; 0 where that is unknown
}

// SpeedResult is how fast this machine is.
type SpeedResult struct {
	Kernel  string        `json:"kernel"`
	Keys    int           `json:"keys"` // of the phrase verified
	Verify  []VerifySpeed `json:"verify"`
	Retrain []TrainSpeed  `json:"retrain"`
}

// VerifySpeed is one verification with all scorers.
type VerifySpeed struct {
	People   int     `json:"people"`
	P50      float64 `json:"p50_us"` // µs
	P99      float64 `json:"p99_us"`
	Allocs   float64 `json:"allocs"` // for each verification
	Bytes    float64 `json:"bytes"`
	Resident float64 `json:"resident_mb"` // MiB of this process, with the people enrolled
}

// TrainSpeed is one whole training.
type TrainSpeed struct {
	People  int     `json:"people"`
	Seconds float64 `json:"seconds"`
}

// speedPhrase has 24 keys.
const speedPhrase = "cold water on the stones"

// speedTypings are those of each made-up person.
const speedTypings = 10

// Speed times single verifications by people who are made up: each has a rhythm
// drawn from the population. The first o.Train of them
// have heads, and it is one of them who is verified.
//
// The error is ErrProtocol for options that do not do.
func Speed(ctx context.Context, o SpeedOptions) (SpeedResult, error) {
	if len(o.People) == 0 || slices.Min(o.People) < 1 || o.Train < 0 || o.Repeat < 1 || !o.Channel.Valid() {
		return SpeedResult{}, fmt.Errorf("%w: %v people, %d to train, %d times", ErrProtocol, o.People, o.Train, o.Repeat)
	}
	people, err := invent(max(o.Train, slices.Max(o.People)), o)
	if err != nil {
		return SpeedResult{}, err
	}
	r := SpeedResult{Kernel: lstm.Kernel, Keys: len(speedPhrase)}
	var file *model.File
	for _, n := range slices.Compact([]int{min(o.Train, 1), o.Train}) {
		if n == 0 {
			continue
		}
		start := o.Clock()
		if file, err = model.Retrain(ctx, people[:n], nil, time.Time{}, model.Options{Seed: o.Seed}, nil); err != nil {
			return SpeedResult{}, err
		}
		r.Retrain = append(r.Retrain, TrainSpeed{n, (o.Clock() - start).Seconds()})
	}
	for _, n := range o.People {
		v, err := verifySpeed(people[:n], file, o)
		if err != nil {
			return SpeedResult{}, err
		}
		r.Verify = append(r.Verify, v)
	}
	return r, nil
}

// invent makes up n people with a rhythm each, kept within some 10 ms a key.
func invent(n int, o SpeedOptions) ([]model.Person, error) {
	rng := rand.New(rand.NewPCG(o.Seed, 0x59eed))
	rhythms := feature.NewRhythms(feature.Default(), nil)
	out := make([]model.Person, n)
	for i := range out {
		usual, err := rhythms.Draw(rng, speedPhrase)
		if err != nil {
			return nil, err
		}
		s := model.Sitting{ID: int64(i)}
		for range speedTypings {
			s.Samples = append(s.Samples, show(channel.Jitter(usual, 10*time.Millisecond, rng), o.Channel, rng))
		}
		out[i] = model.Person{Name: fmt.Sprintf("person %d", i), Sittings: []model.Sitting{s}}
	}
	return out, nil
}

func verifySpeed(people []model.Person, file *model.File, o SpeedOptions) (VerifySpeed, error) {
	v, err := model.NewVerifier(people, file)
	if err != nil {
		return VerifySpeed{}, err
	}
	debug.FreeOSMemory()
	r := VerifySpeed{People: len(people), Resident: float64(o.Resident()) / (1 << 20)}
	name, probe := people[0].Name, people[0].Sittings[0].Samples[0]
	for range 20 { // caches and pools fill
		if _, err := v.Score(name, probe); err != nil {
			return VerifySpeed{}, err
		}
	}
	took := make([]time.Duration, o.Repeat)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range took {
		start := o.Clock()
		if _, err := v.Score(name, probe); err != nil {
			return VerifySpeed{}, err
		}
		took[i] = o.Clock() - start
	}
	runtime.ReadMemStats(&after)
	slices.Sort(took)
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	r.P50, r.P99 = us(took[len(took)/2]), us(took[len(took)*99/100])
	r.Allocs = float64(after.Mallocs-before.Mallocs) / float64(o.Repeat)
	r.Bytes = float64(after.TotalAlloc-before.TotalAlloc) / float64(o.Repeat)
	return r, nil
}
