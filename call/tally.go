package call

import (
	"sync"
	"time"
)

// tally is what is left of calls that have ended.
type tally struct {
	mu sync.Mutex
	Past
}

// Past sums over the calls that have ended.
type Past struct {
	Seconds, SquaredSeconds float64 // of their lives
	// Streams are counted by the pair of medias that an offer and its answer tie together.
	SilentStreams uint64 // no packet in either direction
	OneWayStreams uint64 // packets in one direction only
}

// count takes in a call that has ended. The caller owns it.
func (t *tally) count(c *Call) {
	received := make(map[Ref]uint64)
	for _, p := range c.plan.Parties {
		for i, m := range p.Media {
			if m.RTP.Leg != nil {
				st := m.RTP.Leg.Stats()
				received[Ref{p.ID, i}] = st.In.Packets + st.Kernel.Packets
			}
		}
	}
	var silent, oneWay uint64
	for _, p := range c.plan.Parties {
		for i, m := range p.Media {
			for _, s := range m.Hears {
				if s.Added || s.Party >= p.ID { // each pair once
					continue
				}
				mine, ok := received[Ref{p.ID, i}]
				theirs, known := received[s.Ref]
				switch {
				case !ok || !known:
				case mine == 0 && theirs == 0:
					silent++
				case mine == 0 || theirs == 0:
					oneWay++
				}
			}
		}
	}
	life := time.Since(c.created).Seconds()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Seconds += life
	t.SquaredSeconds += life * life
	t.SilentStreams += silent
	t.OneWayStreams += oneWay
}

func (t *tally) read() Past {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.Past
}
