package media

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/weir-media/weir/rtp"
)

// relay takes one datagram through the packet path: classify, check the source, account, and queue it for those who hear
// it. Data stays in place until flush.
func (w *worker) relay(l *Leg, data []byte, from netip.AddrPort) {
	p := l.plan.Load()
	if p == nil {
		l.drop(DropNotReady)
		return
	}
	if p != l.seen {
		l.seen = p
		l.learn.restart(p)
	}
	class := rtp.Unknown
	if p.Kind != Opaque {
		class = rtp.Classify(data)
		if class == rtp.STUN {
			w.stun(l)
			return
		}
		if why, ok := w.inspect(p.Kind, class, data); !ok {
			l.drop(why)
			return
		}
	}
	if !w.admit(l, p, from) {
		return
	}
	l.count.in.add(1, uint64(len(data)))
	if l.count.last.Load() != int64(w.now) {
		l.count.last.Store(int64(w.now))
	}
	if class == rtp.RTP {
		w.track(l, p)
	}
	if p.Muted {
		l.drop(DropMuted)
		return
	}
	if class == rtp.RTP && p.treated != "" {
		w.treat(l, p, data)
		return
	}
	w.forward(l, p, data, class == rtp.RTCP || p.Kind == RTCP)
}

// stun is where a leg with an ICE agent would hand over to it.
func (w *worker) stun(l *Leg) { l.drop(DropSTUN) }

// inspect validates a datagram as far as its class can be; the header of an RTP packet stays in w.header.
func (w *worker) inspect(kind Kind, class rtp.Class, data []byte) (why Drop, ok bool) {
	switch class {
	case rtp.RTP:
		if kind == RTCP {
			return DropRTPOnRTCP, false
		}
		return DropBadRTP, w.header.Parse(data) == nil
	case rtp.RTCP:
		return DropBadRTCP, rtp.CheckRTCP(data) == nil
	case rtp.DTLS, rtp.ZRTP:
		return 0, true
	}
	return DropGarbage, false
}

// admit checks the source of a packet and learns from it.
func (w *worker) admit(l *Leg, p *plan, from netip.AddrPort) bool {
	v, changed := l.learn.see(p, from, w.now)
	if changed {
		w.publish(l, p)
	}
	switch v {
	case refuse:
		l.drop(DropForeign)
		w.logForeign(l, from)
		return false
	case early:
		l.drop(DropEarly)
		return false
	}
	return true
}

// publish tells everybody what the leg's learning has come to.
func (w *worker) publish(l *Leg, p *plan) {
	next := &peer{epoch: p.Epoch, closed: l.learn.closed, at: w.now}
	if old := l.peer.Load(); old != nil && old.epoch == p.Epoch && old.source.addr == l.learn.source {
		next.source, next.at = old.source, old.at
	} else {
		next.source = newEndpoint(l.learn.source)
	}
	l.peer.Store(next)
	w.plane.offload.enqueue(l)
	if !w.plane.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	if ok, more := w.plane.limits.learnt.allow(w.now); ok {
		w.plane.log.Debug("peer learnt", "local", l.local, "signalled", p.Signalled, "source", l.learn.source,
			"final", next.closed, "unlogged", more)
	}
}

func (w *worker) logForeign(l *Leg, from netip.AddrPort) {
	if ok, more := w.plane.limits.foreign.allow(w.now); ok {
		peer, _ := l.source()
		w.plane.log.Info("packet of a foreign source refused", "local", l.local, "source", from, "peer", peer, "unlogged", more)
	}
}

// track accounts for an RTP packet whose header is in w.header.
func (w *worker) track(l *Leg, p *plan) {
	h, c := &w.header, &l.count
	if !l.settled(p) {
		c.learning.Add(1)
	}
	if l.inKernel.Load() {
		c.stray.Add(1)
	} else {
		if l.resume.Load() != 0 {
			if ssrc, seq, ok := unpackPosition(l.resume.Swap(0)); ok {
				l.loss.Resume(ssrc, seq)
			}
		}
		before := l.loss.Lost
		l.loss.Update(h.SSRC, h.Sequence)
		if l.loss.Lost != before {
			c.lost.Store(l.loss.Lost)
		}
		l.position.Store(packPosition(l.loss.SSRC, l.loss.Seq))
	}
	rate := p.ClockRate
	if rate == 0 {
		rate = rtp.StaticClockRate(h.PayloadType)
	}
	if rate != 0 {
		l.jitter.Update(h.SSRC, h.Timestamp, rate, w.now)
		c.jitter.Store(uint64(l.jitter.Units())<<32 | uint64(rate))
	}
}

// settled tells whether the leg's source and the addresses of all its hearers are final.
func (l *Leg) settled(p *plan) bool {
	if _, closed := l.source(); !closed || len(p.Sinks) == 0 {
		return false
	}
	for i := range p.Sinks {
		if to := p.Sinks[i].RTP; to != nil {
			if _, settled := to.destination(p.Unidirectional); !settled {
				return false
			}
		}
	}
	return true
}

// forward queues a packet for every hearer that has a leg for its kind. It counts a drop only if nobody gets it.
func (w *worker) forward(l *Leg, p *plan, data []byte, rtcp bool) {
	queued, why := false, DropNoSink
	for i := range p.Sinks {
		to := p.Sinks[i].RTP
		if rtcp {
			to = p.Sinks[i].RTCP
		}
		ok, reason := w.queue(to, data)
		if ok {
			queued = true
		} else if reason != DropNoSink {
			why = reason
		}
	}
	if !queued {
		l.drop(why)
	}
}

// queue has a packet sent to the peer of a leg with the next flush, or says why it cannot be.
func (w *worker) queue(to *Leg, data []byte) (ok bool, why Drop) {
	if to == nil {
		return false, DropNoSink
	}
	if to.closed.Load() {
		return false, DropSinkClosed
	}
	address, _ := to.destination(false)
	if address == nil {
		return false, DropNoDestination
	}
	if w.out.n == batchSize {
		w.flush()
	}
	n := w.out.n
	w.out.via[n], w.out.to[n], w.out.data[n] = to, address, data
	w.out.n++
	return true, 0
}

// flush sends what is queued, in runs of packets for the same leg.
func (w *worker) flush() {
	b := w.out
	for i := 0; i < b.n; {
		via, end := b.via[i], i+1
		for end < b.n && b.via[end] == via {
			end++
		}
		sent, err := via.sock.send(b, i, end)
		if sent > 0 {
			bytes := 0
			for _, data := range b.data[i : i+sent] {
				bytes += len(data)
			}
			via.count.out.add(uint64(sent), uint64(bytes))
			i += sent
		}
		if err != nil || sent == 0 {
			// Waiting would delay the packets of all other legs: this one is lost, the next may pass.
			via.drop(DropSend)
			if ok, more := w.plane.limits.send.allow(w.now); ok {
				w.plane.log.Warn("cannot send media packets", "local", via.local, "to", b.to[i].addr, "err", err, "unlogged", more)
			}
			i++
		}
	}
	b.n = 0
}
