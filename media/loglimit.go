package media

import (
	"sync/atomic"
	"time"
)

const logInterval = time.Second

// logLimit lets one line through per interval and counts the others. The zero value is ready.
type logLimit struct {
	next     atomic.Int64
	withheld atomic.Uint64
}

// allow tells whether to log now, and how many lines were withheld since the last one.
func (l *logLimit) allow(now time.Duration) (ok bool, withheld uint64) {
	next := l.next.Load()
	if int64(now) < next || !l.next.CompareAndSwap(next, int64(now+logInterval)) {
		l.withheld.Add(1)
		return false, 0
	}
	return true, l.withheld.Swap(0)
}
