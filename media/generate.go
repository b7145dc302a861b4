package media

import (
	"crypto/rand"
	"encoding/base32"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/weir-media/weir/rtp"
)

const (
	// DefaultRTCPInterval is between two reports of our own; up to a second is added by chance.
	DefaultRTCPInterval = 5 * time.Second
	reportSpread        = time.Second
	// silentIntervals without a packet, a stream is taken to have ended (RFC 3550, section 6.3.5).
	silentIntervals = 5
	// jitterSettles is how many packets the estimate of the jitter rests on before it is told: its gain is 1/16.
	jitterSettles = 16
)

// consumed are the packets that mean nothing to the far side when reports are made here. Feedback, BYE and APP are about the
// media, which is the far side's.
var consumed = rtp.Types(rtp.TypeSenderReport, rtp.TypeReceiverReport, rtp.TypeSourceDescription, rtp.TypeExtendedReport)

// feedback are the packets of the profiles with feedback (RFC 4585).
var feedback = rtp.Types(rtp.TypeTransportFeedback, rtp.TypePayloadFeedback)

// newCanonicalName returns a name for all that this plane sends reports of (RFC 7022, section 4.2).
func newCanonicalName() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])[:12]
}

// reporting tells whether a leg with that plan comes up in the worker's calendar.
func (p *plan) reporting(plane *Plane) bool {
	return p.Kind == RTP && p.Primary == nil && (p.ReportBy != nil || plane.measures)
}

// enlist has the worker report for the leg from now on, if it should.
func (l *Leg) enlist(p *plan) {
	if p.reporting(l.plane) && !l.enlisted.Swap(true) {
		l.worker.do(func() {
			w := l.worker
			l.due = w.now + l.plane.reportPause()
			w.wheel.add(l, w.now)
		})
	}
}

// reportPause draws the time to a leg's next report.
func (p *Plane) reportPause() time.Duration { return p.interval + mathrand.N(reportSpread) }

// report does what is due for a leg, and tells whether it wants to be reported for any more.
func (w *worker) report(l *Leg) (again bool) {
	again = true
	defer w.contain()
	w.current = l
	l.due = w.now + w.plane.reportPause()
	p := l.plan.Load()
	if l.closed.Load() || !p.reporting(w.plane) {
		l.enlisted.Store(false)
		// A change of mind between the two finds the leg not enlisted, or is seen here.
		if p = l.plan.Load(); l.closed.Load() || !p.reporting(w.plane) || l.enlisted.Swap(true) {
			return false
		}
	}
	w.measure(l)
	if p.ReportBy != nil && !p.Muted {
		w.generate(l, p)
	}
	w.flush()
	w.current = nil
	return true
}

// measure closes an interval of measurements of the leg's streams.
func (w *worker) measure(l *Leg) {
	w.own = l.streams.all(w.own)
	for _, s := range w.own {
		s.mu.Lock()
		v, ok := s.measure(w.now)
		if ok && w.plane.measures && w.plane.mos.Listening && w.now-s.reports.judged > 2*w.plane.interval {
			// Nobody reports who hears it, so that what we know is all there is.
			v.MOS = w.plane.mos.score(int(v.Loss), v.Jitter, 0, uint32(s.units.Load()))
			s.reports.add(v)
		} else {
			v.MOS = 0
		}
		s.mu.Unlock()
		if f := l.figures(); ok && f != nil {
			f.mu.Lock()
			f.sum.JitterMeasured.add(uint64(v.Jitter.Milliseconds()))
			if v.MOS > 0 {
				f.sum.MOS.add(uint64(v.MOS))
			}
			f.mu.Unlock()
		}
	}
}

// measure compares the stream's totals with those of the last time. It is false when nothing has come since. It needs the
// lock.
func (s *stream) measure(now time.Duration) (v Sample, ok bool) {
	r, t := &s.reports, s.totals()
	packets, lost := t.packets-r.packets, int64(t.lost-r.lost)
	r.packets, r.lost, r.fraction = t.packets, t.lost, 0
	if packets == 0 {
		return v, false
	}
	r.fraction = fractionLost(packets, lost)
	return Sample{At: now, Jitter: unitsTime(t.settledJitter(), t.rate), Loss: percent(uint16(r.fraction))}, true
}

// fractionLost is that of RFC 3550, section 6.4.1.
func fractionLost(packets uint64, lost int64) uint8 {
	if lost <= 0 {
		return 0
	}
	return uint8(min(255, uint64(lost)<<8/(packets+uint64(lost))))
}

// settledJitter is the estimate in time stamp units, 0 as long as it rests on a few packets.
func (t *totals) settledJitter() uint32 {
	if t.packets < jitterSettles {
		return 0
	}
	return t.jitter
}

// overall judges a stream by all that has come of it; false when that is nothing. It needs the lock.
func (s *stream) overall(now time.Duration) (v Sample, ok bool) {
	t := s.totals()
	v = Sample{At: now, Jitter: unitsTime(t.settledJitter(), t.rate), Loss: percent(uint16(fractionLost(t.packets, int64(t.lost))))}
	return v, t.packets > 0
}

// ended tells whether a stream is over. It needs the lock.
func (s *stream) ended(now, interval time.Duration, t *totals) bool {
	r := &s.reports
	return t.packets == 0 || r.ended == t.packets || now-t.seen > silentIntervals*(interval+reportSpread)
}

// generate sends the peer of a leg a report on each stream it is sent, with blocks on all those it sends. A peer that is
// sent nothing gets a receiver report.
func (w *worker) generate(l *Leg, p *plan) {
	r := &w.reader.report
	r.Reports = r.Reports[:0]
	for _, s := range w.own { // those of l, from measure
		s.mu.Lock()
		if t := s.totals(); !s.ended(w.now, w.plane.interval, &t) && len(r.Reports) < rtp.MaxReports {
			r.Reports = append(r.Reports, s.block(&t, w.now))
		}
		s.mu.Unlock()
	}
	sent := false
	feeders := l.hears.list()
	for i, f := range feeders {
		if f.forRTP() != f || slices.Contains(feeders[:i], f) {
			continue
		}
		w.theirs = f.streams.all(w.theirs)
		for _, s := range w.theirs {
			s.mu.Lock()
			t := s.totals()
			over := s.ended(w.now, w.plane.interval, &t)
			s.mu.Unlock()
			if over || !f.carries(s, l) {
				continue
			}
			r.SSRC, r.Sender = s.ssrc, true
			r.Info = rtp.SenderInfo{
				NTP: w.plane.ntp(w.now), Timestamp: t.timestampAt(), Packets: uint32(t.packets), Bytes: uint32(t.bytes),
			}
			w.sendReport(p, r)
			sent = true
		}
	}
	if !sent && len(r.Reports) > 0 {
		if l.reportSSRC == 0 {
			l.reportSSRC = mathrand.Uint32()
		}
		r.SSRC, r.Sender = l.reportSSRC, false
		w.sendReport(p, r)
	}
}

// block reports on a stream. It needs the stream's lock.
func (s *stream) block(t *totals, now time.Duration) rtp.ReceptionReport {
	const mostLost = 1<<23 - 1
	b := rtp.ReceptionReport{
		SSRC: s.ssrc, FractionLost: s.reports.fraction, Lost: int32(min(t.lost, mostLost)), HighestSeq: t.highest, Jitter: t.settledJitter(),
	}
	if last := s.reports.latest(); last.at != 0 {
		b.LastSR, b.Delay = last.ntp, uint32(uint64(now-last.at)<<16/uint64(time.Second))
	}
	return b
}

// timestampAt returns the RTP time stamp for a sender report: that of the last packet. What the kernel has relayed since is
// worked out from the clock.
func (t *totals) timestampAt() uint32 {
	if !t.inKernel || t.rate == 0 || t.stamped == 0 {
		return t.timestamp
	}
	return t.timestamp + uint32(uint64(t.seen-t.stamped)*uint64(t.rate)/uint64(time.Second))
}

// carries tells whether a stream of l is relayed to a leg.
func (l *Leg) carries(s *stream, to *Leg) bool {
	p, media := l.plan.Load(), int(s.media.Load())
	sinks := p.everyone.sinks
	if p.Bundle != nil && media >= 0 && media < len(p.medias) {
		sinks = p.medias[media].sinks
	}
	return slices.ContainsFunc(sinks, func(k Sink) bool { return k.RTP == to })
}

// sendReport queues a report for the peer of a leg.
func (w *worker) sendReport(p *plan, r *rtp.Report) {
	if w.out.n == batchSize {
		w.flush()
	}
	data := rtp.AppendCanonicalName(r.Append(w.out.room()), r.SSRC, w.plane.canonicalName)
	if ok, why := w.queue(&w.nobody, p.ReportBy, rtp.RTCP, data); !ok {
		p.ReportBy.drop(why)
	}
}

// consume takes out of an RTCP datagram what is for us alone when reports are made here. Nothing may be left.
func (w *worker) consume(data []byte) []byte {
	if rtp.TypesIn(data)&^consumed == 0 {
		return nil
	}
	w.flush() // the one before may be there still
	w.reader.room = rtp.AppendWithout(w.reader.room[:0], data, consumed)
	return w.reader.room
}

// ntp returns a time of the plane's clock as NTP has it, in 1/2^32 s since 1900.
func (p *Plane) ntp(now time.Duration) uint64 {
	const epoch = 2208988800 // s from 1900 to 1970
	at := p.wall.Add(now - p.wallAt)
	return uint64(at.Unix()+epoch)<<32 | uint64(at.Nanosecond())<<32/uint64(time.Second)
}
