package srtp

import "slices"

const (
	// MaxStreams is how many SSRCs a context follows at a time. When one more comes, the stream that was silent longest
	// is forgotten; streams whose rollover counter is above zero go last, because they would not be understood again.
	MaxStreams = 64

	maxRTPIndex  = 1<<48 - 1
	maxRTCPIndex = 1<<31 - 1
)

// State is what a context knows of one SSRC. It is a plain value, to be stored or handed over.
type State struct {
	SSRC    uint32 `json:",omitzero"`
	Started bool   `json:",omitzero"` // whether an RTP packet has passed; if not, Seq has no meaning
	Seq     uint16 `json:",omitzero"` // highest, modulo 2^16
	ROC     uint32 `json:",omitzero"` // rollover counter that belongs to Seq, or to the first packet to come
	// NextRTCP is the index of the next SRTCP packet to send, or the lowest that is above all received.
	NextRTCP uint32 `json:",omitzero"`
	NewKey   bool   `json:",omitzero"` // set by ForNewKey, until the first RTP packet
}

// ForNewKey returns the state with which a context of another master key goes on. The rollover counter stays with the stream
// (RFC 3711, section 3.3.1), and the SRTCP index begins anew. Since not all senders keep to that, a receiver also takes a
// first packet whose rollover counter has begun anew. It has no replays to fear from before the key.
func (s State) ForNewKey() State {
	s.NextRTCP, s.NewKey = 0, true
	return s
}

// A stream is what a context knows of one SSRC.
type stream struct {
	ssrc     uint32
	used     uint64 // tick of the last packet
	started  bool
	newKey   bool   // no packet has passed since the key changed
	index    uint64 // highest; before the first packet, its rollover counter times 2^16
	nextRTCP uint64

	// Inbound only.
	rtp, rtcp window
}

// estimate returns the index of a packet by its sequence number (RFC 3711, section 3.3.1). A packet from before index zero,
// which cannot be, is taken for one ahead with a rollover counter of zero, as most receivers do; late then tells by how much
// it would be behind the highest, and is 0 for all others.
func (s *stream) estimate(seq uint16) (index uint64, late int64) {
	if !s.started {
		return s.index | uint64(seq), 0
	}
	highest := uint16(s.index)
	d := int64(int16(seq - highest))
	if d == -1<<15 && highest < 1<<15 {
		d = -d // half way round is ahead from the lower half
	}
	if int64(s.index)+d < 0 {
		return uint64(seq), -d
	}
	return uint64(int64(s.index) + d), 0
}

// passed takes note of a packet.
func (s *stream) passed(index uint64) {
	if !s.started || s.newKey || index > s.index {
		s.index = index
	}
	s.started, s.newKey = true, false
}

func (s *stream) state() State {
	return State{
		SSRC: s.ssrc, Started: s.started, Seq: uint16(s.index), ROC: uint32(s.index >> 16), NextRTCP: uint32(s.nextRTCP),
		NewKey: s.newKey,
	}
}

// streams are those of one context.
type streams struct {
	list     []*stream
	last     *stream // of the last packet
	tick     uint64
	window   int    // packets; 0 for a context that has no replay protection
	restRTCP uint64 // a forgotten stream goes on with this SRTCP index, so that none is used twice
}

// find returns the stream of an SSRC; nil when there is none.
func (t *streams) find(ssrc uint32) *stream {
	if t.last != nil && t.last.ssrc == ssrc {
		return t.last
	}
	for _, s := range t.list {
		if s.ssrc == ssrc {
			return s
		}
	}
	return nil
}

// use returns the stream of an SSRC, which it makes if there is none, as that of the last packet.
func (t *streams) use(ssrc uint32) *stream {
	s := t.find(ssrc)
	if s == nil {
		s = t.add(ssrc)
	}
	t.tick++
	s.used, t.last = t.tick, s
	return s
}

func (t *streams) add(ssrc uint32) *stream {
	var s *stream
	if len(t.list) < MaxStreams {
		s = &stream{}
		if t.window > 0 {
			s.rtp, s.rtcp = newWindow(t.window), newWindow(t.window)
		}
		t.list = append(t.list, s)
	} else {
		s = slices.MinFunc(t.list, func(a, b *stream) int {
			aRolled, bRolled := a.index>>16 > 0, b.index>>16 > 0
			switch {
			case aRolled != bRolled && aRolled:
				return 1
			case aRolled != bRolled:
				return -1
			case a.used < b.used:
				return -1
			}
			return 1
		})
		t.restRTCP = max(t.restRTCP, s.nextRTCP)
	}
	*s = stream{ssrc: ssrc, rtp: s.rtp, rtcp: s.rtcp}
	s.rtp.reset(0)
	s.rtcp.reset(0)
	if t.window == 0 {
		s.nextRTCP = t.restRTCP
	}
	return s
}

// Export returns what the context knows of its streams, the one silent longest first.
func (t *streams) Export() []State {
	byUse := slices.SortedFunc(slices.Values(t.list), func(a, b *stream) int {
		if a.used < b.used {
			return -1
		}
		return 1
	})
	states := make([]State, len(byUse))
	for i, s := range byUse {
		states[i] = s.state()
	}
	return states
}

// Import sets what the context knows of the streams given, in place of what it knew of them. A receiver takes all packets
// up to the state for received.
func (t *streams) Import(states ...State) {
	for _, v := range states {
		s := t.use(v.SSRC)
		s.started, s.index, s.nextRTCP = v.Started, uint64(v.ROC)<<16, min(uint64(v.NextRTCP), maxRTCPIndex+1)
		next := s.index
		if v.Started {
			s.index |= uint64(v.Seq)
			next = s.index + 1
		}
		if s.newKey = v.NewKey; s.newKey {
			next = 0
		}
		s.rtp.reset(next)
		s.rtcp.reset(s.nextRTCP)
	}
}

// SetROC sets the rollover counter of a stream that has not begun, as another protocol has signalled it. A stream that has
// begun knows better.
func (t *streams) SetROC(ssrc, roc uint32) {
	if s := t.find(ssrc); s == nil || !s.started {
		s = t.use(ssrc)
		s.index = uint64(roc) << 16
		s.rtp.reset(s.index)
	}
}
