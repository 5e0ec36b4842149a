package bench

import (
	"errors"
	"testing"
	"time"

	"ksd/internal/keystroke"
)

// TestSpeed runs a clock that goes on by 1 ms whenever it is read, so that every
// verification takes that long.
func TestSpeed(t *testing.T) {
	var now time.Duration
	good := SpeedOptions{
		Channel: keystroke.Press, People: []int{2, 5}, Train: 1, Repeat: 30, Seed: 1,
		Clock: func() time.Duration { now += time.Millisecond; return now }, Resident: func() int64 { return 3 << 20 },
	}
	for name, change := range map[string]func(*SpeedOptions){
		"nobody": func(o *SpeedOptions) { o.People = nil }, "less than one": func(o *SpeedOptions) { o.People = []int{3, 0} },
		"fewer than nobody trains": func(o *SpeedOptions) { o.Train = -1 }, "never": func(o *SpeedOptions) { o.Repeat = 0 },
		"no channel": func(o *SpeedOptions) { o.Channel = "" },
	} {
		o := good
		change(&o)
		if _, err := Speed(t.Context(), o); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v, want ErrProtocol", name, err)
		}
	}
	got, err := Speed(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	if got.Keys != 24 || got.Kernel == "" || len(got.Verify) != 2 || len(got.Retrain) != 1 || got.Retrain[0] != (TrainSpeed{1, 0.001}) {
		t.Errorf("%+v", got)
	}
	for i, v := range got.Verify {
		if v.People != good.People[i] || v.P50 != 1000 || v.P99 != 1000 || v.Allocs < 0 || v.Resident != 3 {
			t.Errorf("%+v", v)
		}
	}
}
