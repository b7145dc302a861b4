package media

import (
	"sync/atomic"
	"time"
)

// Extremes tell how a stream has varied as far as userspace has seen it. All are 0 before the second packet, and those of the jitter
// when the clock rate is not known.
type Extremes struct {
	LongestGap            time.Duration // between two packets
	JitterMax, JitterMean time.Duration
}

// extremes collects them. Only the stream's worker writes.
type extremes struct {
	longest         atomic.Int64
	max, sum, count atomic.Uint64 // of the jitter, in time stamp units
}

// gap notes the time between two packets. A first packet has none before it, at 0.
func (e *extremes) gap(before, now time.Duration) {
	if d := int64(now - before); before != 0 && d > e.longest.Load() {
		e.longest.Store(d)
	}
}

func (e *extremes) jitter(units uint32) {
	e.sum.Store(e.sum.Load() + uint64(units))
	e.count.Store(e.count.Load() + 1)
	if uint64(units) > e.max.Load() {
		e.max.Store(uint64(units))
	}
}

func (e *extremes) read(rate uint32) Extremes {
	st := Extremes{LongestGap: time.Duration(e.longest.Load()), JitterMax: unitsTime(uint32(e.max.Load()), rate)}
	if n := e.count.Load(); n > 0 {
		st.JitterMean = unitsTime(uint32(e.sum.Load()/n), rate)
	}
	return st
}
