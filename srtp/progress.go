package srtp

// ProgressWindow is how many packets a Progress tells apart.
const ProgressWindow = 2 * wordBits

// Progress is how far the RTP of one SSRC has come, for somebody else who protects or unprotects packets of the same stream
// under the same key, at the same time or from then on. Both stay right however they take turns, as long as each learns of
// the other's progress within 2^15 packets.
type Progress struct {
	Highest uint64 // index of a packet: rollover counter << 16 | sequence number

	// Bit i of the whole tells whether the packet with index Highest-i was received. A sender does not know, and leaves
	// it zero.
	Seen [2]uint64
}

// Progress returns how far a stream has come; false when it has not begun, or not under this key.
func (t *streams) Progress(ssrc uint32) (Progress, bool) {
	s := t.find(ssrc)
	if s == nil || !s.started || s.newKey {
		return Progress{}, false
	}
	p := Progress{Highest: s.index}
	if t.window > 0 {
		for i := range min(uint64(ProgressWindow), s.index+1) {
			if !s.rtp.fresh(s.index - i) {
				p.Seen[i/wordBits] |= 1 << (i % wordBits)
			}
		}
	}
	return p, true
}

// Advance takes over how far somebody else has come with a stream.
func (t *streams) Advance(ssrc uint32, p Progress) {
	s := t.find(ssrc)
	if s == nil || !s.started || s.newKey {
		s = t.use(ssrc)
		s.rtp.reset(0)
	}
	s.passed(p.Highest)
	if t.window == 0 {
		return
	}
	for i := range min(uint64(ProgressWindow), p.Highest+1) {
		if p.Seen[i/wordBits]>>(i%wordBits)&1 != 0 && s.rtp.fresh(p.Highest-i) {
			s.rtp.see(p.Highest - i)
		}
	}
}

// Begun calls fn with every stream that has a Progress, the one of the last packet first; the others are in no order.
func (t *streams) Begun(fn func(ssrc uint32, p Progress)) {
	if t.last != nil {
		if p, ok := t.Progress(t.last.ssrc); ok {
			fn(t.last.ssrc, p)
		}
	}
	for _, s := range t.list {
		if s == t.last {
			continue
		}
		if p, ok := t.Progress(s.ssrc); ok {
			fn(s.ssrc, p)
		}
	}
}
