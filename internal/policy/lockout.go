package policy

import "time"

// Lockout makes whoever was refused too often in a row wait: First after
// Failures refusals, twice as long after each further one, Longest at most.
// After Forget without a refusal everything is forgotten. People and sources
// have a Lockout each.
//
// The zero value denies: it locks for good.
type Lockout struct {
	Failures int           // refusals in a row that lock, at least 1
	First    time.Duration // the first wait
	Longest  time.Duration // the longest wait
	Forget   time.Duration // quiet time after which refusals no longer count
}

// Never is the end of a lock-out that does not end.
var Never = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)

// Next returns when the next attempt is allowed after so many failures in a
// row, the last of them at last. The zero time means now.
//
// The clock may have been set meanwhile. A last failure that lies in the
// future by Forget or more is forgotten as one in the past would be: a machine
// that booted with a wrong date must not lock people out for years.
func (l Lockout) Next(failures int, last, now time.Time) (until time.Time) {
	if l.Failures < 1 || l.First <= 0 || l.Longest < l.First || l.Forget <= 0 {
		return Never
	}
	if failures < l.Failures || now.Sub(last).Abs() >= l.Forget {
		return time.Time{}
	}
	until = last.Add(l.wait(failures))
	if !until.After(now) {
		return time.Time{}
	}
	return until
}

// wait returns First doubled for each failure beyond Failures.
func (l Lockout) wait(failures int) time.Duration {
	d := l.First
	for n := l.Failures; n < failures && d < l.Longest; n++ {
		if d > l.Longest/2 {
			return l.Longest
		}
		d *= 2
	}
	return d
}
