package media

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"time"

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
	class := rtp.Unknown
	if p.Kind != Opaque {
		if class = rtp.Classify(data); p.Anything && w.shapeless(class, data) {
			class = rtp.Unknown
		} else if class == rtp.STUN {
			w.tapLink(l, p, data, from, false)
			w.stun(l, p, data, from)
			return
		}
	}
	came := l
	if p.Primary != nil {
		// Whichever address of ours a packet came to, it is the media's.
		if l = p.Primary; l.worker != w {
			l.drop(DropNotReady)
			return
		}
		if p = l.plan.Load(); p == nil {
			l.drop(DropNotReady)
			return
		}
	}
	if p != l.seen {
		l.seen = p
		l.learn.restart(p)
	}
	sealed, ok := false, true
	if p.Kind != Opaque {
		if data, sealed, ok = w.open(l, p, class, data, from); !ok {
			return
		}
	}
	if class == rtp.DTLS && p.Link != nil {
		// The session finds out whose packets these are. Until it has, they say nothing about where the peer is.
		if l.stranger(p, from) {
			w.refuse(l, from)
			return
		}
		if p.Link.dtls(came, data, from) {
			w.tapLink(came, p, data, from, false)
			l.note(data, w.now)
			return
		}
	}
	if p.Secure && class != rtp.RTP && class != rtp.RTCP {
		l.drop(DropUnsealed) // nobody knows who has sent it
		return
	}
	if !w.admit(l, p, came, from, sealed) {
		return
	}
	hearers := &p.audience
	var s *stream
	if p.Bundle != nil {
		if hearers, s = w.unbundle(l, p, class, data); hearers == nil {
			l.note(data, w.now)
			l.drop(DropNoMedia)
			return
		}
	} else if class == rtp.RTP {
		s = w.stream(l, w.header.SSRC)
	}
	if s != nil {
		w.track(l, p, s, len(data))
	} else {
		l.note(data, w.now)
	}
	if len(p.Taps.Received) > 0 {
		w.tapReceived(l, p, class, data, from)
	}
	if p.events != nil && class == rtp.RTP {
		p.hear(&w.header, data, from, w.now)
	}
	if class == rtp.RTCP && !p.Sealed {
		if len(p.Taps.Reports) > 0 {
			w.tap(p.Taps.Reports, TapPacket{Data: data, At: w.now, From: from, To: came.local, RTCP: true})
		}
		w.read(l.forRTP(), p, data)
		if p.ReportBy != nil {
			if data = w.consume(data); len(data) == 0 {
				l.drop(DropReported)
				return
			}
		}
	}
	if p.LoopCheck && class == rtp.RTP && l.loop.seen(w.plane.seed, data, w.now) {
		l.drop(DropLoop)
		return
	}
	if p.Muted {
		l.drop(DropMuted)
		return
	}
	if class == rtp.RTP {
		if p.PacketTime != 0 && s != nil {
			w.resize(l, p, hearers, s, data)
		} else {
			w.pass(l, hearers, s, data)
		}
		return
	}
	if p.Kind == RTCP && class != rtp.RTCP {
		class = rtp.RTCP // DTLS and ZRTP of the port for RTCP
	}
	w.forward(l, hearers, class, data)
}

// note counts a packet that is not of a stream.
func (l *Leg) note(data []byte, now time.Duration) {
	l.count.in.add(1, uint64(len(data)))
	l.count.last.Store(int64(now))
}

// stun hands a STUN packet to the ICE agent.
func (w *worker) stun(l *Leg, p *plan, data []byte, from netip.AddrPort) {
	if p.Link == nil || !p.Link.stun(l, data, from) {
		l.drop(DropSTUN)
		l.odd.note(from, w.now)
	}
}

// open turns a datagram that is not STUN into a valid clear one, or drops it. Sealed tells whether it proves that its sender
// has the SRTP keys.
func (w *worker) open(l *Leg, p *plan, class rtp.Class, data []byte, from netip.AddrPort) (clear []byte, sealed, ok bool) {
	why := DropForeign
	if class == rtp.RTP || class == rtp.RTCP {
		// Strangers must not cost as much as deciphering does.
		if l.stranger(p, from) {
			w.refuse(l, from)
			return nil, false, false
		}
		if data, sealed, why, ok = w.unprotect(l, p, class, data); !ok {
			l.drop(why)
			l.odd.note(from, w.now)
			return nil, false, false
		}
		if p.Proof != nil && !l.learn.closed && p.Learning != LearnOff {
			// What has no keys that are known here may still be for the hearer, if it comes from where signalling says.
			if sealed = w.prove(l, p, class, data); !sealed && !l.proof.found && l.learn.rankOf(p, from) < rankNear {
				l.drop(DropAuth)
				return nil, false, false
			}
		}
	}
	if why, ok = w.inspect(p.Kind, class, data); !ok && p.Anything && class == rtp.Unknown {
		ok = true
	}
	if !ok {
		l.drop(why)
		l.odd.note(from, w.now)
	}
	return data, sealed, ok
}

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

// stranger tells whether a source is known not to be the peer before anything else is known of the packet.
func (l *Leg) stranger(p *plan, from netip.AddrPort) bool {
	if allowed := l.allowed.Load(); allowed != nil {
		return !slices.Contains(allowed.list, from)
	}
	if p.Learning == LearnOff {
		return !p.Open && from != p.Signalled && !slices.Contains(p.Also, from)
	}
	return l.learn.closed && !l.learn.admits(p, from)
}

// admit checks the source of a packet and learns from it.
func (w *worker) admit(l *Leg, p *plan, came *Leg, from netip.AddrPort, sealed bool) bool {
	if allowed := l.allowed.Load(); allowed != nil {
		if slices.Contains(allowed.list, from) {
			l.follow(came, from, w.now)
			return true
		}
		w.refuse(l, from)
		return false
	}
	if came.local.Addr().Is4() != l.local.Addr().Is4() {
		// Nothing can be sent there from here. Only ICE could tell by which leg.
		if !sealed {
			l.drop(DropEarly)
		}
		return sealed
	}
	var v verdict
	var changed bool
	if sealed && p.Learning != LearnOff && !l.learn.closed {
		changed = l.learn.confirm(from)
	} else {
		if !l.learn.closed && p.Kind == RTCP && l.beside != nil {
			l.learn.beside = l.beside.found()
		}
		v, changed = l.learn.see(p, from, w.now)
	}
	if changed {
		w.publish(l, p)
	}
	switch v {
	case refuse:
		w.refuse(l, from)
		return false
	case early:
		l.drop(DropEarly)
		return false
	}
	return true
}

// suppose has packets for the peer of a leg go to where it has made its handshake from, until it sends any itself.
func (w *worker) suppose(l *Leg, from netip.AddrPort) {
	p := l.plan.Load()
	if p == nil || p.Learning == LearnOff || l.closed.Load() {
		return
	}
	if l.learn.restart(p); l.learn.suppose(from) {
		w.publish(l, p)
	}
}

// publish tells everybody what the leg's learning has come to.
func (w *worker) publish(l *Leg, p *plan) {
	next := &peer{epoch: p.Epoch, closed: l.learn.closed, named: l.learn.rank >= rankNear, at: w.now}
	if old := l.peer.Load(); old != nil && old.epoch == p.Epoch && old.source.addr == l.learn.source {
		next.source, next.at = old.source, old.at
	} else {
		next.source = newEndpoint(l.learn.source)
	}
	l.peer.Store(next)
	w.plane.offload.enqueue(l)
	if next.closed {
		l.tell()
	}
	if !w.plane.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	if ok, more := w.plane.limits.learnt.allow(w.now); ok {
		w.plane.log.Debug("peer learnt", "local", l.local, "signalled", p.Signalled, "source", l.learn.source,
			"final", next.closed, "unlogged", more)
	}
}

// refuse counts a packet of a foreign source.
func (w *worker) refuse(l *Leg, from netip.AddrPort) {
	l.drop(DropForeign)
	l.strange.note(from, w.now)
	if ok, more := w.plane.limits.foreign.allow(w.now); ok {
		peer, _ := l.source()
		w.plane.log.Info("packet of a foreign source refused", "local", l.local, "source", from, "peer", peer, "unlogged", more)
	}
}

// settled tells whether the leg's source and the addresses of all its hearers are final.
func (l *Leg) settled(p *plan) bool {
	if _, closed := l.source(); !closed || len(p.everyone.sinks) == 0 {
		return false
	}
	for i := range p.everyone.sinks {
		if to := p.everyone.sinks[i].RTP; to != nil {
			if _, settled := to.destination(p.Unidirectional); !settled {
				return false
			}
		}
	}
	return true
}

// forward queues a packet for every hearer that has a leg for its kind. It counts a drop only if nobody gets it.
func (w *worker) forward(l *Leg, hearers *audience, class rtp.Class, data []byte) {
	queued, why := false, DropNoSink
	for i := range hearers.sinks {
		s := &hearers.sinks[i]
		to := s.RTP
		if class == rtp.RTCP {
			to = s.RTCP
		}
		ok, reason := w.queue(s, to, class, data)
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

// queue has a packet sent to the hearer s by one of its legs with the next flush, or says why it cannot be.
func (w *worker) queue(s *Sink, to *Leg, class rtp.Class, data []byte) (ok bool, why Drop) {
	if to == nil {
		return false, DropNoSink
	}
	if to.closed.Load() {
		return false, DropSinkClosed
	}
	if class == rtp.RTP && to.player.Load() != nil && s != &w.nobody {
		return false, DropBlocked
	}
	via := to
	if r := to.route.Load(); r != nil {
		via = r.via
	}
	address, _ := to.destination(false)
	switch {
	case address == nil:
		return false, DropNoDestination
	case via.closed.Load():
		return false, DropSinkClosed
	}
	if w.out.n == batchSize {
		w.flush()
	}
	if data, why, ok = w.transform(s, class, data); !ok {
		return false, why
	}
	if class == rtp.RTP {
		data = w.shifted(w.shift(s, to), data)
	}
	w.tapSent(to, via, class, data, address.addr)
	if data, why, ok = w.protect(to, class, data); !ok {
		return false, why
	}
	n := w.out.n
	w.out.via[n], w.out.leg[n], w.out.to[n], w.out.data[n], w.out.from[n] = via, to, address, data, w.current
	w.out.n++
	return true, 0
}

// flush sends what is queued.
func (w *worker) flush() {
	b := w.out
	for b.sending = true; b.first < b.n; {
		if w.outlet != nil && w.sendTogether() {
			continue
		}
		w.sendRun()
	}
	b.sending, b.first, b.n = false, 0, 0
}

// sendTogether sends packets by the outlet, up to the first that has to leave in another way. It is false when that is the first
// of all.
func (w *worker) sendTogether() bool {
	b := w.out
	end, socket := w.outlet.prepare(b, b.first)
	if end == b.first {
		return false
	}
	sent := w.outlet.send(socket, b.first, end)
	w.sent(sent)
	return sent > 0
}

// sendRun sends a run of packets for the same leg by its socket.
func (w *worker) sendRun() {
	b := w.out
	i := b.first
	via, end := b.via[i], i+1
	for end < b.n && b.via[end] == via && b.leg[end] == b.leg[i] {
		end++
	}
	sent, err := via.sock.send(b, i, end)
	w.sent(max(sent, 0))
	if err != nil || sent <= 0 {
		// Waiting would delay the packets of all other legs: this one is lost, the next may pass.
		via.drop(DropSend)
		if ok, more := w.plane.limits.send.allow(w.now); ok {
			w.plane.log.Warn("cannot send media packets", "local", via.local, "to", b.to[b.first].addr, "err", err, "unlogged", more)
		}
		b.first++
	}
}

// sent counts the first packets of what is queued as sent.
func (w *worker) sent(n int) {
	b := w.out
	for end := b.first + n; b.first < end; {
		of, packets, bytes := b.leg[b.first], 0, 0
		for b.first < end && b.leg[b.first] == of {
			bytes += len(b.data[b.first])
			packets++
			b.first++
		}
		if of != nil {
			of.count.out.add(uint64(packets), uint64(bytes))
		}
	}
}
