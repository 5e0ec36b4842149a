package policy

import (
	"testing"
	"time"
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	lock = Lockout{Failures: 5, First: 30 * time.Second, Longest: 15 * time.Minute, Forget: time.Hour}
)

func TestBrokenLockoutLocks(t *testing.T) {
	for _, l := range []Lockout{
		{},
		{First: 1, Longest: 1, Forget: 1},
		{Failures: -1, First: 1, Longest: 1, Forget: 1},
		{Failures: 1, Longest: 1, Forget: 1},
		{Failures: 1, First: -1, Longest: 1, Forget: 1},
		{Failures: 1, First: 2, Longest: 1, Forget: 1},
		{Failures: 1, First: 1, Longest: 1},
	} {
		if got := l.Next(0, time.Time{}, noon); got != Never {
			t.Errorf("%+v: until %v, want never", l, got)
		}
	}
}

func TestLockout(t *testing.T) {
	for _, c := range []struct {
		name     string
		failures int
		ago      time.Duration // since the last failure
		want     time.Duration // left to wait
	}{
		{"the failure that locks", 5, 0, 30 * time.Second},
		{"half-way", 5, 15 * time.Second, 15 * time.Second},
		{"nearly over", 5, 30*time.Second - 1, 1},
		{"doubled", 6, 0, time.Minute},
		{"doubled twice", 7, 0, 2 * time.Minute},
		{"doubled four times", 9, 0, 8 * time.Minute},
		{"never more than longest", 10, 0, 15 * time.Minute},
		{"never more than longest, long after", 1 << 40, 0, 15 * time.Minute},
		{"clock set back a little", 5, -time.Minute, 90 * time.Second},
		{"clock set back, not enough to forget", 5, -time.Hour + 1, time.Hour - 1 + 30*time.Second},

		{"none", 0, 0, 0},
		{"less than none", -1, 0, 0},
		{"one below", 4, 0, 0},
		{"over", 5, 30 * time.Second, 0},
		{"doubled and over", 6, time.Minute, 0},
		{"forgotten", 1000, time.Hour, 0},
		{"clock set back by years", 1000, -10000 * time.Hour, 0},
	} {
		last := noon.Add(-c.ago)
		want := noon.Add(c.want)
		if c.want == 0 {
			want = time.Time{}
		}
		if got := lock.Next(c.failures, last, noon); !got.Equal(want) {
			t.Errorf("%s: until %v, want %v", c.name, got, want)
		}
	}
}

// A long wait stays a wait: doubling must not run over into the past.
func TestLockoutDoesNotOverflow(t *testing.T) {
	l := Lockout{Failures: 1, First: 1, Longest: 1<<63 - 1, Forget: 1<<63 - 1}
	previous := time.Time{}
	for n := 1; n < 100; n++ {
		until := l.Next(n, noon, noon)
		if !until.After(noon) || until.Before(previous) {
			t.Fatalf("after %d failures until %v, after one less %v", n, until, previous)
		}
		previous = until
	}
}

// FuzzLockout: more failures never shorten a wait, waiting never lengthens it,
// and no wait is longer than the longest.
func FuzzLockout(f *testing.F) {
	f.Add(5, int64(0), int64(1), int64(30e9), int64(900e9), int64(3600e9))
	f.Fuzz(func(t *testing.T, failures int, ago, step, first, longest, forget int64) {
		const century = int64(100 * 365 * 24 * time.Hour)
		if ago < 0 || step < 0 || ago > century || step > century || longest > century || failures > 1<<30 {
			return
		}
		l := Lockout{Failures: 3, First: time.Duration(first), Longest: time.Duration(longest), Forget: time.Duration(forget)}
		last := noon.Add(-time.Duration(ago))
		until := l.Next(failures, last, noon)
		if until.Equal(Never) {
			return
		}
		if !until.IsZero() && (!until.After(noon) || until.Sub(last) > l.Longest) {
			t.Errorf("%+v: %d failures, the last %v ago: until %v", l, failures, time.Duration(ago), until.Sub(noon))
		}
		if more := l.Next(failures+1, last, noon); more.Before(until) {
			t.Errorf("%+v: until %v after %d failures, %v after one more", l, until, failures, more)
		}
		if later := l.Next(failures, last, noon.Add(time.Duration(step))); later.After(until) {
			t.Errorf("%+v: until %v, but later until %v", l, until, later)
		}
	})
}
