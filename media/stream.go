package media

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/rtp"
)

// maxSSRCs is how many sources of a pair of legs are remembered: enough for cameras that send several resolutions with a
// retransmission stream each. Beyond it the one learnt first gives way.
const maxSSRCs = 64

// streams are the SSRCs that arrive on a pair of legs, in the order of their appearance.
type streams struct {
	mu   sync.Mutex
	list []*stream
	next int    // to be replaced when full
	gone Counts // of those replaced, by userspace
	of   *Bundle
}

// stream is one SSRC: what has come of it, and how it was received. What is neither atomic nor under the lock is for the
// worker of its leg alone.
type stream struct {
	ssrc  uint32
	media atomic.Int32 // of a bundle; -1 when it is not known

	loss        rtp.Loss
	jitter      rtp.Jitter
	uniform     uniform
	resizer     *resizer // nil until packets are put together anew
	payloadType int16    // of the last packet, -1 before it
	rate        uint32   // of that, 0 when it is not known

	count tally         // of userspace; only the worker writes
	lost  atomic.Uint64 // likewise
	stray atomic.Uint64 // packets at the socket, which the kernel takes for a gap
	last  atomic.Uint64 // extended highest sequence number<<32 | time stamp of the last packet at the socket
	seen  atomic.Int64  // when that came
	units atomic.Uint64 // jitter in time stamp units<<32 | rate
	shown atomic.Int32  // payloadType, for everybody

	resume atomic.Uint32 // set when the kernel gives the stream back, for the next packet

	extremes extremes

	mu      sync.Mutex
	kernel  kernelCount
	reports reports
}

// kernelCount is what the kernel has relayed of a stream.
type kernelCount struct {
	packets, bytes uint64
	lost           int64
	seen           time.Duration // when the last one came
}

func newStream(ssrc uint32, media int) *stream {
	s := &stream{ssrc: ssrc, payloadType: -1}
	s.media.Store(int32(media))
	s.shown.Store(-1)
	return s
}

// get returns the stream of an SSRC, nil when it is not known.
func (s *streams) get(ssrc uint32) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(ssrc)
}

// find is get with the lock held.
func (s *streams) find(ssrc uint32) *stream {
	for _, one := range s.list {
		if one.ssrc == ssrc {
			return one
		}
	}
	return nil
}

// learn returns the stream of an SSRC, made now if need be, and notes the media of a bundle it belongs to, which says more
// than what was learnt before. A negative media says nothing.
func (s *streams) learn(ssrc uint32, media int) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.find(ssrc); one != nil {
		if media >= 0 {
			one.media.Store(int32(media))
		}
		return one
	}
	one := newStream(ssrc, media)
	if len(s.list) < maxSSRCs {
		s.list = append(s.list, one)
	} else {
		s.gone.add(s.list[s.next].count.load())
		s.list[s.next] = one
		s.next = (s.next + 1) % maxSSRCs
	}
	return one
}

// all returns a snapshot of the list in the room given.
func (s *streams) all(room []*stream) []*stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(room[:0], s.list...)
}

// received sums the RTP packets that have come by userspace.
func (s *streams) received() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := s.gone
	for _, one := range s.list {
		sum.add(one.count.load())
	}
	return sum
}

// restart prepares for the medias of a bundle. What was learnt stays as long as they are the same.
func (s *streams) restart(b *Bundle) {
	same := func(a, b Bundled) bool { return a.MID == b.MID }
	if s.of == nil || !slices.EqualFunc(s.of.Medias, b.Medias, same) {
		s.mu.Lock()
		for _, one := range s.list {
			one.media.Store(-1)
		}
		s.mu.Unlock()
	}
	s.of = b
	for i := range b.Medias {
		for _, ssrc := range b.Medias[i].SSRCs {
			s.learn(ssrc, i)
		}
	}
}

// stream returns the stream of an SSRC of which a packet has come.
func (w *worker) stream(l *Leg, ssrc uint32) *stream {
	s := l.stream.Load()
	if s == nil || s.ssrc != ssrc {
		s = l.streams.learn(ssrc, -1)
		l.stream.Store(s)
	}
	return s
}

// track accounts for an RTP packet whose header is in w.header.
func (w *worker) track(l *Leg, p *plan, s *stream, size int) {
	h, c := &w.header, &l.count
	if !l.settled(p) {
		c.learning.Add(1)
	}
	s.count.packets.Store(s.count.packets.Load() + 1)
	s.count.bytes.Store(s.count.bytes.Load() + uint64(size))
	if l.inKernel.Load() {
		c.stray.Add(1)
		s.stray.Add(1)
		s.note(h.Timestamp, w.now)
	} else {
		if s.resume.Load() != 0 {
			s.resumeLoss(h.Sequence)
		}
		before := s.loss.Lost
		s.loss.Update(h.SSRC, h.Sequence)
		if lost := s.loss.Lost; lost != before {
			c.lost.Add(lost - before)
			s.lost.Store(lost)
		}
		s.last.Store(uint64(s.loss.Highest)<<32 | uint64(h.Timestamp))
		s.extremes.gap(time.Duration(s.seen.Load()), w.now)
		s.seen.Store(int64(w.now))
	}
	if int16(h.PayloadType) != s.payloadType {
		s.payloadType, s.rate = int16(h.PayloadType), p.rate(h.PayloadType)
		s.shown.Store(int32(h.PayloadType))
	}
	if s.rate != 0 {
		s.jitter.Update(h.SSRC, h.Timestamp, s.rate, w.now)
		s.extremes.jitter(s.jitter.Units())
		if units := uint64(s.jitter.Units())<<32 | uint64(s.rate); units != s.units.Load() {
			s.units.Store(units)
		}
	}
}

// note takes down the time stamp of a packet whose sequence number the kernel follows.
func (s *stream) note(timestamp uint32, now time.Duration) {
	for {
		before := s.last.Load()
		if s.last.CompareAndSwap(before, before>>32<<32|uint64(timestamp)) {
			break
		}
	}
	s.seen.Store(int64(now))
}

// What stream.resume says: nothing, or whether the kernel told the sequence number where it has stopped, in the low 16 bits.
const (
	resumeThere   = 1 << 16
	resumeUnknown = 1 << 17
)

// left notes where the streams of a leg are when the kernel has given them back.
func (s *streams) left(last *fastpath.Counters) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.list {
		at := uint32(resumeUnknown) // nobody has followed it there, if it came at all
		for i := range last.Sources {
			if c := &last.Sources[i]; c.SSRC == one.ssrc && c.Packets > 0 {
				at = resumeThere | uint32(c.Seq)
			}
		}
		one.resume.Store(at)
	}
}

// resumeLoss goes on after the last packet that the kernel has accounted for, or with the one that has come.
func (s *stream) resumeLoss(came uint16) {
	at, highest := s.resume.Swap(0), uint32(s.last.Load()>>32)
	switch {
	case at&resumeThere != 0:
		s.loss.Resume(s.ssrc, rtp.Extend(highest, uint16(at)))
	case s.loss.Started:
		s.loss.Resume(s.ssrc, rtp.Extend(highest, came))
	}
	s.jitter.Pause()
}

// credit accounts for what the kernel has relayed of one of the leg's streams between two readings of its counters.
func (l *Leg) credit(before, now *fastpath.SourceCounters) {
	if now.Packets <= before.Packets {
		return
	}
	s := l.streams.learn(now.SSRC, -1)
	s.mu.Lock()
	s.kernel.packets += now.Packets - before.Packets
	s.kernel.bytes += now.Bytes - before.Bytes
	s.kernel.lost += int64(now.Lost - before.Lost)
	s.kernel.seen = now.LastSeen
	s.mu.Unlock()
	for {
		last := s.last.Load()
		highest := uint32(now.Seq)
		if s.started() {
			highest = rtp.Extend(uint32(last>>32), now.Seq)
		}
		if s.last.CompareAndSwap(last, uint64(highest)<<32|last&0xffffffff) {
			break
		}
	}
	if p := l.plan.Load(); p != nil && now.Jitter != 0 {
		s.units.Store(uint64(now.Jitter>>4)<<32 | uint64(p.rate(now.PayloadType)))
	}
}

// started tells whether a packet has come by userspace.
func (s *stream) started() bool { return s.seen.Load() != 0 }

// totals are the figures of a stream over both planes at one moment.
type totals struct {
	packets, bytes, lost uint64
	highest, timestamp   uint32
	stamped, seen        time.Duration // when the packet of the time stamp came, and the last one
	inKernel             bool          // that went by the kernel
	jitter, rate         uint32
}

// totals needs the lock.
func (s *stream) totals() totals {
	last, units := s.last.Load(), s.units.Load()
	t := totals{
		packets: s.count.packets.Load() + s.kernel.packets, bytes: s.count.bytes.Load() + s.kernel.bytes,
		highest: uint32(last >> 32), timestamp: uint32(last), stamped: time.Duration(s.seen.Load()),
		jitter: uint32(units >> 32), rate: uint32(units),
	}
	if lost := int64(s.lost.Load()) + s.kernel.lost - int64(s.stray.Load()); lost > 0 {
		t.lost = uint64(lost)
	}
	if t.seen = t.stamped; s.kernel.seen > t.seen {
		t.seen, t.inKernel = s.kernel.seen, true
	}
	return t
}

// StreamStats is what is known of one SSRC that arrives on a leg or the one beside it.
type StreamStats struct {
	SSRC  uint32
	Media int // which one of Settings.Bundle; -1 when the leg has one only, or it is not known
	Counts
	Lost      uint64        // gaps in the sequence numbers, less late arrivals
	Timestamp uint32        // of the last packet that userspace has seen
	Sequence  uint16        // the highest
	LastSeen  time.Duration // when the last packet came
	Jitter    time.Duration // of the packets that userspace has seen; 0 when the clock rate is not known
	// PayloadType is that of the last packet userspace has seen, -1 before it.
	PayloadType int
	Quality     *Quality // as its hearers have it; nil before the first report. Nobody writes to it.
}

// Streams returns the SSRCs that have come to the leg or the one beside it, in the order of their appearance. At most 64 are
// remembered.
func (l *Leg) Streams() []StreamStats {
	var stats []StreamStats
	for _, s := range l.streams.all(nil) {
		if st := l.plane.describe(s); st.Packets > 0 {
			stats = append(stats, st)
		}
	}
	return stats
}

func (p *Plane) describe(s *stream) StreamStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.totals()
	st := StreamStats{
		SSRC: s.ssrc, Media: int(s.media.Load()), Counts: Counts{Packets: t.packets, Bytes: t.bytes}, Lost: t.lost,
		Timestamp: t.timestamp, Sequence: uint16(t.highest), LastSeen: t.seen, Jitter: t.jitterTime(), PayloadType: int(s.shown.Load()),
	}
	switch q := s.reports.quality; {
	case q != nil:
		st.Quality = q.result()
	case p.measures && p.mos.Listening:
		// Too short a stream for an interval of its own.
		if v, ok := s.overall(p.now()); ok {
			v.MOS = p.mos.score(int(v.Loss), v.Jitter, 0, t.rate)
			var q quality
			q.add(v)
			st.Quality = q.result()
		}
	}
	return st
}

func (t *totals) jitterTime() time.Duration { return unitsTime(t.jitter, t.rate) }

// unitsTime turns time stamp units into a time; 0 when the rate is not known.
func unitsTime(units, rate uint32) time.Duration {
	if rate == 0 {
		return 0
	}
	return time.Duration(uint64(units) * uint64(time.Second) / uint64(rate))
}
