package monitor

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// resources is how many kinds of limits there are (getrlimit(2)).
const resources = unix.RLIMIT_RTTIME + 1

// limits are the resource limits of a process.
type limits [resources]unix.Rlimit

// getLimits returns those of this process.
func getLimits() (l limits, err error) {
	for i := range l {
		if err := unix.Prlimit(0, i, nil, &l[i]); err != nil {
			return l, fmt.Errorf("limit %d: %w", i, err)
		}
	}
	return l, nil
}

// set makes them those of this process. What is so already is not touched: Go's
// runtime raises RLIMIT_NOFILE at its start and gives children the old one, which
// is right until the limit is set here, and then it keeps its hands off.
func (l *limits) set() error {
	now, err := getLimits()
	if err != nil {
		return err
	}
	for i := range l {
		if l[i] == now[i] {
			continue
		}
		if err := unix.Prlimit(0, i, &l[i], nil); err != nil {
			return fmt.Errorf("limit %d: %w", i, err)
		}
	}
	return nil
}
