package media

import (
	"time"

	"golang.org/x/sys/unix"
)

// The runtime's monotonic clock is CLOCK_MONOTONIC, but it shows differences only; one reading of the real one at start
// gives the offset.
var (
	clockBase   = time.Now()
	clockOffset = monotonic()
)

func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("media: CLOCK_MONOTONIC: " + err.Error()) // every Linux has it
	}
	return time.Duration(ts.Nano())
}

// Now returns the time on CLOCK_MONOTONIC, the clock of all times of this package and of fastpath.Counters.
func Now() time.Duration { return clockOffset + time.Since(clockBase) }
