package media

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/weir-media/weir/rtp"
)

// reports are what RTCP has said of a stream, and what we have. The lock is the stream's.
type reports struct {
	sent    [4]sentReport // sender reports of it, as they passed here
	next    uint8
	quality *quality
	judged  time.Duration // when a hearer last reported
	ended   uint64        // packets at the time of its BYE, 0 before it

	// Of our own reports, or measurements.
	packets, lost uint64 // up to the last one
	fraction      uint8  // lost since the one before, in 1/256
}

// sentReport is a sender report, or a receiver's reference time, that somebody will refer to.
type sentReport struct {
	ntp uint32 // middle 32 bits of its NTP time
	at  time.Duration
}

// passed returns when the sender report of an NTP time was here.
func (r *reports) passed(ntp uint32) (at time.Duration, ok bool) {
	for _, s := range r.sent {
		if s.at != 0 && s.ntp == ntp {
			return s.at, true
		}
	}
	return 0, false
}

// latest returns the last sender report, zero before the first.
func (r *reports) latest() sentReport {
	return r.sent[(r.next+uint8(len(r.sent))-1)%uint8(len(r.sent))]
}

func (r *reports) pass(ntp uint64, at time.Duration) {
	r.sent[r.next] = sentReport{ntp: uint32(ntp >> 16), at: at}
	r.next = (r.next + 1) % uint8(len(r.sent))
}

// reference is the last reference time (RFC 3611, section 4.4) that a party has sent.
type reference struct {
	mu   sync.Mutex
	ssrc uint32
	sentReport
}

// reader is a worker's room to read RTCP in.
type reader struct {
	report  rtp.Report
	metrics []rtp.VoIPMetrics // of the datagram being read
	room    []byte
}

// maxMetrics bounds what one datagram may say.
const maxMetrics = 31

// read takes from an RTCP datagram what it says of streams. L is the leg that RTP of its sender comes to.
func (w *worker) read(l *Leg, p *plan, data []byte) {
	var c rtp.Compound
	var packet rtp.Packet
	w.reader.metrics = w.reader.metrics[:0]
	for c.Reset(data); c.Next(&packet); {
		if packet.Type == rtp.TypeExtendedReport {
			w.readExtended(l, packet)
		}
	}
	for c.Reset(data); c.Next(&packet); {
		switch packet.Type {
		case rtp.TypeSenderReport, rtp.TypeReceiverReport:
			w.readReport(l, p, packet)
		case rtp.TypeGoodbye:
			for i := 0; i < int(packet.Count) && len(packet.Body) >= 4*(i+1); i++ {
				if s := l.streams.get(binary.BigEndian.Uint32(packet.Body[4*i:])); s != nil {
					s.mu.Lock()
					s.reports.ended = s.totals().packets
					s.mu.Unlock()
				}
			}
		}
	}
	// Metrics of streams that the datagram has no report block of.
	for i := range w.reader.metrics {
		m := &w.reader.metrics[i]
		if from, s := l.heard(m.SSRC); s != nil {
			w.judge(l, from, s, Sample{Loss: percent(min(255, uint16(m.LossRate)+uint16(m.DiscardRate)))}, m)
		}
	}
}

func (w *worker) readReport(l *Leg, p *plan, packet rtp.Packet) {
	r := &w.reader.report
	if r.Parse(packet) != nil {
		return
	}
	if r.Sender {
		if s := l.streams.get(r.SSRC); s != nil {
			s.mu.Lock()
			s.reports.pass(r.Info.NTP, w.now)
			s.mu.Unlock()
		}
	}
	for i := range r.Reports {
		b := &r.Reports[i]
		from, s := l.heard(b.SSRC)
		if s == nil {
			continue
		}
		var trip time.Duration
		if p.ReportBy != nil {
			trip = b.RoundTrip(w.plane.ntp(w.now)) // it answers a report of ours
		} else {
			s.mu.Lock()
			if at, ok := s.reports.passed(b.LastSR); ok && b.LastSR != 0 {
				trip = since(at, b.Delay, w.now)
			}
			s.mu.Unlock()
		}
		l.measured(trip)
		rate := uint32(s.units.Load())
		w.judge(l, from, s, Sample{Jitter: unitsTime(b.Jitter, rate), Loss: percent(uint16(b.FractionLost))}, w.metricsOf(b.SSRC))
	}
}

// readExtended takes down reference times, answers to them, and VoIP metrics.
func (w *worker) readExtended(l *Leg, packet rtp.Packet) {
	var blocks rtp.Blocks
	var b rtp.Block
	var m rtp.VoIPMetrics
	ssrc, err := blocks.Reset(packet)
	if err != nil {
		return
	}
	for blocks.Next(&b) {
		if ntp, ok := b.ReferenceTime(); ok {
			l.reference.mu.Lock()
			l.reference.ssrc, l.reference.sentReport = ssrc, sentReport{uint32(ntp >> 16), w.now}
			l.reference.mu.Unlock()
		} else if m.Parse(b) == nil && len(w.reader.metrics) < maxMetrics {
			w.reader.metrics = append(w.reader.metrics, m)
		}
		for i := 0; ; i++ {
			r, ok := b.DelayReport(i)
			if !ok {
				break
			}
			l.measured(l.answered(r, w.now))
		}
	}
}

// metricsOf takes the VoIP metrics of a stream out of those that the datagram has; nil when there are none.
func (w *worker) metricsOf(ssrc uint32) *rtp.VoIPMetrics {
	all := w.reader.metrics
	for i := range all {
		if all[i].SSRC == ssrc {
			last := len(all) - 1
			all[i], all[last] = all[last], all[i]
			w.reader.metrics = all[:last]
			return &all[last]
		}
	}
	return nil
}

// answered returns the round trip that an answer to the reference time of one of l's hearers tells.
func (l *Leg) answered(r rtp.DelayReport, now time.Duration) time.Duration {
	p := l.plan.Load()
	if p == nil {
		return 0
	}
	for i := range p.everyone.sinks {
		to := p.everyone.sinks[i].RTP
		if to == nil {
			continue
		}
		to.reference.mu.Lock()
		ref, ours := to.reference.sentReport, to.reference.ssrc == r.SSRC
		to.reference.mu.Unlock()
		if ours && ref.at != 0 && ref.ntp == r.LastRR {
			return since(ref.at, r.Delay, now)
		}
	}
	return 0
}

// since returns the time from a report to the answer to it, without the delay that the answer admits, in 1/65536 s.
func since(at time.Duration, delay uint32, now time.Duration) time.Duration {
	return max(1, now-at-time.Duration(uint64(delay)*uint64(time.Second)>>16))
}

// maxRoundTrip is more than any line takes. What claims more has lost track of its clock.
const maxRoundTrip = time.Minute

// measured notes the round trip between a party and us, 0 when it is not known.
func (l *Leg) measured(trip time.Duration) {
	if trip <= 0 || trip > maxRoundTrip {
		return
	}
	l.roundTrip.Store(int64(trip))
	if f := l.figures(); f != nil {
		f.mu.Lock()
		f.sum.RoundTripLeg.add(uint64(trip.Microseconds()))
		f.mu.Unlock()
	}
}

// heard finds the stream of an SSRC among those that l sends to its peer, and the leg that it comes to.
func (l *Leg) heard(ssrc uint32) (*Leg, *stream) {
	for _, f := range l.hears.list() {
		if s := f.streams.get(ssrc); s != nil {
			return f.forRTP(), s
		}
	}
	return nil, nil
}

// forRTP returns the one of a pair of legs that RTP comes to.
func (l *Leg) forRTP() *Leg {
	if p := l.plan.Load(); p != nil && p.Kind == RTCP && l.beside != nil {
		return l.beside
	}
	return l
}

// judge turns what the peer of a leg reports of a stream into a sample. Metrics are the peer's own, if it has sent any.
func (w *worker) judge(l, from *Leg, s *stream, v Sample, metrics *rtp.VoIPMetrics) {
	mos := w.plane.mos
	v.At = w.now
	known := false
	if near, far := l.roundTrip.Load(), from.roundTrip.Load(); near > 0 && far > 0 {
		v.RoundTrip, v.RoundTripLeg, known = time.Duration(near+far), time.Duration(far), true
	}
	v.MOS = mos.score(int(v.Loss), v.Jitter, v.RoundTrip, uint32(s.units.Load()))
	complete := known || mos.Listening
	if metrics != nil {
		said := metrics.MOSConversation
		if mos.Listening {
			said = metrics.MOSListening
		}
		if said >= 10 && said <= 50 {
			v.MOS, complete = said, true // nobody knows better
		}
	}
	s.mu.Lock()
	s.reports.judged = w.now
	if complete {
		s.reports.add(v)
	}
	s.mu.Unlock()
	if f := from.figures(); f != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.sum.Jitter.add(uint64(v.Jitter.Milliseconds()))
		f.sum.Loss.add(uint64(v.Loss))
		if known {
			f.sum.RoundTrip.add(uint64(v.RoundTrip.Microseconds()))
		}
		if complete {
			f.sum.MOS.add(uint64(v.MOS))
		}
	}
}

func (r *reports) add(v Sample) {
	if r.quality == nil {
		r.quality = new(quality)
	}
	r.quality.add(v)
}

// figures returns where samples of the leg's local address are added up.
func (l *Leg) figures() *figures {
	if l.lease == nil {
		return nil
	}
	return &l.lease.pool.figures
}

// percent turns a fraction of 256 into whole percent.
func percent(fraction uint16) uint8 { return uint8(fraction * 100 >> 8) }
