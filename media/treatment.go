package media

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/weir-media/weir/rtp"
)

// Effect says what becomes of RTP packets that carry media, as against telephone events. The greater wins.
type Effect uint8

// The effects.
const (
	Pass    Effect = iota
	Silence        // the payload becomes silence; a packet whose payload type has none is blocked
	Block
)

// Treatment is what is done to the RTP packets of a leg before its hearers get them. RTCP passes whatever it says. The
// zero value leaves everything as it is and costs nothing; any other keeps the flow out of the kernel.
type Treatment struct {
	Drop      bool        // no RTP passes, events included
	Media     Effect      // for every hearer; Sink.Media is for one
	OnEvents  EventEffect // for telephone events (RFC 4733)
	EventCode uint8       // what EventReplace makes of them

	// Uniform are the payload types whose packets are all of one size. Shorter ones are blocked.
	Uniform PayloadTypes
	// Events are the payload types of telephone events, which Media leaves alone.
	Events PayloadTypes
	// Silences has the octet that silence is made of for each payload type, 0 where there is none. Nobody writes to it.
	Silences *[128]byte
}

// EventEffect says what becomes of telephone events.
type EventEffect uint8

// The effects on events.
const (
	EventPass    EventEffect = iota
	EventBlock               // they reach nobody
	EventReplace             // each becomes Treatment.EventCode
	EventRandom              // each becomes a random digit, the same one for all of its packets
)

// PayloadTypes is a set of RTP payload types.
type PayloadTypes [2]uint64

// Add puts a payload type into the set. Only the seven bits of an RTP header count.
func (s *PayloadTypes) Add(pt uint8) { s[pt>>6&1] |= 1 << (pt & 63) }

// Has tells whether a payload type is in the set.
func (s *PayloadTypes) Has(pt uint8) bool { return s[pt>>6&1]&(1<<(pt&63)) != 0 }

// treats tells whether packets cannot simply be passed on to the hearers, and why.
func (t *Treatment) treats(sinks []Sink) (why string) {
	switch {
	case t.Drop:
		return "traffic is dropped"
	case t.Media != Pass:
		return "media is blocked or silenced"
	case t.OnEvents != EventPass:
		return "events are blocked"
	case t.Uniform != PayloadTypes{}:
		return "short packets are blocked"
	}
	for i := range sinks {
		switch {
		case sinks[i].Media != Pass:
			return "media is blocked or silenced"
		case sinks[i].Echo:
			return "media is echoed"
		}
	}
	return ""
}

// uniform finds out how long the packets of a payload type are that are all of one size. The zero value is ready.
type uniform struct {
	payloadType uint8
	size        int // of the last packet
	run         int // packets of that size in a row
	normal      int // 0 until known
}

// echoMask makes the SSRC of an echo another than that of its origin (RFC 3550, section 8.2 takes equal ones for a loop).
const echoMask = 0x5a5a5a5a

// uniformRun packets of one size in a row make it the normal one, also after a change to a shorter packet time.
const uniformRun = 10

// short tells whether a packet is shorter than the normal ones.
func (u *uniform) short(payloadType uint8, size int) bool {
	if payloadType != u.payloadType {
		*u = uniform{payloadType: payloadType}
	}
	if size != u.size {
		u.size, u.run = size, 0
	}
	if u.run++; u.run >= uniformRun {
		u.normal = size
	}
	return size < u.normal
}

// treat forwards an RTP packet, whose header is in w.header, as the treatment wants it.
func (w *worker) treat(l *Leg, a *audience, s *stream, data []byte) {
	t, h := &a.treatment, &w.header
	event := t.Events.Has(h.PayloadType)
	switch {
	case t.Drop, event && t.OnEvents == EventBlock, !event && t.Media == Block:
		l.drop(DropBlocked)
		return
	case t.Uniform.Has(h.PayloadType) && s.uniform.short(h.PayloadType, h.PayloadSize):
		l.drop(DropShort)
		return
	}
	if h.TrimPadding(data) != nil {
		l.drop(DropBadRTP)
		return
	}
	if event {
		w.disguise(t, data)
	}
	// The packet changes in place, so that each group of hearers is served before the change for the next.
	queued, why := w.serveGroup(a, data, event, Pass, false)
	if octet := t.silence(h.PayloadType); octet != 0 && a.any(event, Silence, false) {
		w.flush()
		payload := data[h.PayloadStart : h.PayloadStart+h.PayloadSize]
		for i := range payload {
			payload[i] = octet
		}
		n, _ := w.serveGroup(a, data, event, Silence, false)
		queued += n
	}
	if a.any(event, Pass, true) && !a.any(event, Silence, false) { // nobody is sent an echo of silence
		w.flush()
		ssrc := data[8:rtp.HeaderSize]
		binary.BigEndian.PutUint32(ssrc, h.SSRC^echoMask)
		n, _ := w.serveGroup(a, data, event, Pass, true)
		queued += n
	}
	if queued == 0 {
		l.drop(why)
	}
}

// disguise puts another digit into a telephone event.
func (w *worker) disguise(t *Treatment, data []byte) {
	h := &w.header
	if h.PayloadSize < rtp.EventSize || t.OnEvents == EventPass {
		return
	}
	code := t.EventCode
	if t.OnEvents == EventRandom {
		// All packets of an event have its time stamp (RFC 4733, section 2.2), and nobody else knows the secret.
		const decimals = 10
		code = uint8(maphash.Comparable(w.plane.seed, uint64(h.SSRC)<<32|uint64(h.Timestamp)) % decimals)
	}
	data[h.PayloadStart] = code
}

// serveGroup queues a packet for the hearers of one effect, those of an echo or the others. If it is queued for none, why
// says what kept it from the last one.
func (w *worker) serveGroup(a *audience, data []byte, event bool, effect Effect, echo bool) (queued int, why Drop) {
	why = DropNoSink
	for i := range a.sinks {
		s := &a.sinks[i]
		if a.effect(i, event) != effect || s.Echo != echo {
			why = DropBlocked
			continue
		}
		ok, reason := w.queue(s, s.RTP, rtp.RTP, data)
		if ok {
			queued++
		} else {
			why = reason
		}
	}
	return queued, why
}

// effect returns what the i-th hearer gets of a packet.
func (a *audience) effect(i int, event bool) Effect {
	if event {
		return Pass
	}
	return max(a.treatment.Media, a.sinks[i].Media)
}

// any tells whether there is a hearer of that effect.
func (a *audience) any(event bool, effect Effect, echo bool) bool {
	for i := range a.sinks {
		if a.effect(i, event) == effect && a.sinks[i].Echo == echo {
			return true
		}
	}
	return false
}

// silence returns the octet that silence of a payload type is made of; 0 when there is none.
func (t *Treatment) silence(payloadType uint8) byte {
	if t.Silences == nil {
		return 0
	}
	return t.Silences[payloadType&0x7f]
}
