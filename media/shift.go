package media

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/weir-media/weir/rtp"
)

// apply changes an RTP packet in place.
func (s Shift) apply(packet []byte) {
	binary.BigEndian.PutUint16(packet[2:], binary.BigEndian.Uint16(packet[2:])+s.Sequence)
	binary.BigEndian.PutUint32(packet[4:], binary.BigEndian.Uint32(packet[4:])+s.Timestamp)
	binary.BigEndian.PutUint32(packet[8:], binary.BigEndian.Uint32(packet[8:])^s.SSRC)
}

// shifted returns an RTP packet with its numbers moved, in the room of its place in the outgoing batch.
func (w *worker) shifted(s Shift, packet []byte) []byte {
	if s == (Shift{}) {
		return packet
	}
	if room := w.out.rooms[w.out.n]; unsafe.SliceData(packet) != unsafe.SliceData(room) {
		packet = append(room[:0], packet...)
	}
	s.apply(packet)
	return packet
}

// position is where a stream of RTP stands.
type position struct {
	ssrc      uint32
	sequence  uint16 // of the next packet
	timestamp uint32 // at the time at
	at        time.Duration
	rate      uint32 // Hz of timestamp
}

// timestampAt returns the time stamp of a packet at that time.
func (p *position) timestampAt(now time.Duration) uint32 {
	return p.timestamp + uint32(uint64(max(0, now-p.at))*uint64(p.rate)/uint64(time.Second))
}

// splice joins the next stream that is relayed to a peer onto the one that it was sent before.
type splice struct {
	end   position
	found atomic.Pointer[Shift] // nil until the first packet
}

// join returns how the packets of the stream must be moved. The first one, with its header h, decides it.
func (s *splice) join(h *rtp.Header, now time.Duration) (by Shift, first bool) {
	if found := s.found.Load(); found != nil {
		return *found, false
	}
	by = Shift{
		SSRC: s.end.ssrc ^ h.SSRC, Sequence: s.end.sequence - h.Sequence, Timestamp: s.end.timestampAt(now) - h.Timestamp,
	}
	if !s.found.CompareAndSwap(nil, &by) {
		return *s.found.Load(), false // by a worker of another source
	}
	return by, true
}

// shift returns how an RTP packet, whose header is in w.header, must be moved for a hearer.
func (w *worker) shift(s *Sink, to *Leg) Shift {
	join := to.splice.Load()
	if join == nil || s == &w.nobody {
		return s.Shift
	}
	by, first := join.join(&w.header, w.now)
	if first {
		if source := w.current; source != nil {
			go source.settleShift(to, by)
		}
	}
	return by
}

// settleShift makes a shift that was found part of the leg's plan, where the kernel's flow gets it from.
func (l *Leg) settleShift(to *Leg, by Shift) {
	l.apply.Lock()
	defer l.apply.Unlock()
	old := l.plan.Load()
	if l.closed.Load() || old == nil {
		return
	}
	p := *old
	p.Sinks = withShift(p.Sinks, to, by)
	p.audience.sinks = withShift(p.audience.sinks, to, by)
	p.everyone = &p.audience
	if p.Bundle != nil {
		p.medias = slices.Clone(p.medias)
		for i := range p.medias {
			p.medias[i].sinks = withShift(p.medias[i].sinks, to, by)
		}
		everyone := *old.everyone
		everyone.sinks = withShift(everyone.sinks, to, by)
		p.everyone = &everyone
	}
	l.plan.Store(&p)
	l.plane.offload.changed(l)
}

// withShift returns sinks that have the shift for one hearer.
func withShift(sinks []Sink, to *Leg, by Shift) []Sink {
	sinks = slices.Clone(sinks)
	for i := range sinks {
		if sinks[i].RTP == to {
			sinks[i].Shift = by
		}
	}
	return sinks
}

// keepShifts has hearers that were found a shift for keep it, when signalling says nothing of one.
func (s *Settings) keepShifts(before *plan) {
	if before == nil || !slices.ContainsFunc(before.everyone.sinks, func(k Sink) bool { return k.Shift != Shift{} }) {
		return
	}
	for _, k := range before.everyone.sinks {
		if k.Shift != (Shift{}) && k.RTP != nil && k.RTP.splice.Load() != nil {
			s.Sinks = withShift(s.Sinks, k.RTP, k.Shift)
		}
	}
}
