package capture

import (
	"time"

	"golang.org/x/sys/unix"
)

// Monotonic reads CLOCK_MONOTONIC, which cannot fail on Linux. It is the clock
// that programs pass to Open: the same on both ends of a pseudo-terminal, and
// no setting of the wall clock bends it.
func Monotonic() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return time.Duration(ts.Nano())
}
