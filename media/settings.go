package media

import (
	"net/netip"
	"slices"
	"time"

	"github.com/weir-media/weir/rtp"
	"github.com/weir-media/weir/srtp"
)

// Kind says what a leg's port is for.
type Kind uint8

// The kinds of leg.
const (
	RTP    Kind = iota
	RTCP        // the port beside RTP when the two are not muxed
	Opaque      // unknown media: any datagram is relayed unlooked-at
)

func (k Kind) String() string {
	switch k {
	case RTP:
		return "RTP"
	case RTCP:
		return "RTCP"
	}
	return "opaque"
}

// Learning says how a leg finds out where its peer really sends from.
type Learning uint8

// The modes of learning. In every mode a leg takes packets of one source only once learning has closed.
const (
	// LearnHeuristic ranks sources for up to 3 s from the first packet on: exactly the signalled one, then the
	// signalled address, then an address known to be the peer's otherwise (Settings.Near, that of the other leg of the
	// pair, or of the epoch before), then the signalled port, then any. The best so far is in use; among equals the first one
	// stays, and packets of lesser sources are refused. If there is Settings.Near, sources of the last two kinds are not
	// taken before they have sent five packets more than others. Five packets from exactly the signalled source close at once.
	LearnHeuristic Learning = iota
	// LearnOff takes packets from the signalled source only.
	LearnOff
	// LearnImmediate takes the source of the first packet.
	LearnImmediate
	// LearnDelayed takes the source of the first packet that arrives 3 s or more after the settings of a new epoch.
	// Until then packets from the signalled IP address are relayed, and others only if the peer is asymmetric.
	LearnDelayed
)

func (l Learning) String() string {
	switch l {
	case LearnHeuristic:
		return "heuristic"
	case LearnOff:
		return "off"
	case LearnImmediate:
		return "immediate"
	case LearnDelayed:
		return "delayed"
	}
	return "unknown"
}

// Settings is all that signalling says of a leg. Apply keeps what its slices and pointers lead to, which may be shared between
// legs and must not change any more.
type Settings struct {
	Kind Kind
	// Signalled is the peer's address and port as in its SDP; zero when there is none (held, or not answered yet).
	Signalled netip.AddrPort
	Learning  Learning
	// Near is a further address of the peer, such as the one its signalling came from. A source there is believed sooner, and
	// one at neither address later.
	Near netip.Addr
	// Epoch starts learning again when it differs from that of the settings before.
	Epoch uint32
	// Asymmetric says that the peer receives elsewhere than it sends from: packets for it go to Signalled, and the
	// source is learnt only to refuse others.
	Asymmetric bool
	// Open relays packets of foreign sources, too. They are not learnt from, and nobody is who sends before the peer is signalled.
	Open bool
	// Also are further sources of the peer, whose packets are relayed and not learnt from: a peer that has not heard yet
	// that its medias share a leg sends each from the port it signalled for it.
	Also []netip.AddrPort
	// Handover moves the peer to whichever source sends after learning has closed, instead of refusing it, and lets
	// a later source displace an equal one before. It has no effect with LearnOff.
	Handover bool
	// Muxed says that the peer's RTCP comes to the port of its RTP (RFC 5761).
	Muxed bool
	// Unidirectional lets a flow from or to this leg go to the kernel although the hearer has not sent anything.
	Unidirectional bool
	// Muted packets are counted and not relayed. A muted leg without a signalled peer learns nothing.
	Muted bool
	// TOS is the IPv4 TOS or IPv6 traffic class of packets that leave by this leg.
	TOS uint8
	// Rates are the clock rates of payload types that have none by themselves (rtp.StaticClockRate) or another.
	Rates []ClockRate
	// UserspaceReason, when not empty, keeps the flow out of the kernel and says why.
	UserspaceReason string
	// Link takes the STUN and DTLS packets that arrive. Without one, STUN is dropped and DTLS relayed.
	Link *Link
	// Via is the leg by which this one sends for the time being, to where packets of that one went.
	Via *Leg
	// Primary is the leg whose packets those of this one are, when this is another local address of the same media. Then
	// only Kind, Link and TOS matter.
	Primary *Leg
	// Anything has datagrams relayed that are neither RTP nor RTCP: what they are was not signalled. It is not for legs with a Link or
	// keys.
	Anything bool
	// LoopCheck has packets dropped that come again and again: the peer may be this plane.
	LoopCheck bool
	// Secure lets no packet pass in clear, in either direction: nothing but SRTP and SRTCP.
	Secure bool
	// Keys are the SRTP keys, for when Secure is set. When there are none, those before or of SetKeys stay.
	Keys Keys
	// Sealed says that packets are SRTP which nobody here has keys for, so that RTCP cannot be read.
	Sealed bool
	// Proof are the peer's keys when its packets are Sealed. The first packet that has them decides the source; before that,
	// packets without them are taken from addresses that signalling knows of only.
	Proof *srtp.Params
	// ReportBy is the leg that our own reports to the peer leave by: the one for RTCP, or this one when the peer muxes.
	// Those of the peer are then read and go no further, but for feedback, BYE and APP. Nil: RTCP is relayed. Both legs of
	// a pair have it.
	ReportBy *Leg
	// Events are the payload types of telephone events with their clock rates, and Listener is told of each that the peer sends;
	// nil: nobody is. It is told of those that Treatment blocks, too.
	Events   []ClockRate
	Listener EventListener
	// Taps get copies of what passes.
	Taps Taps
	// PacketTime is how long packets of audio shall be for the hearers, where that can be had without decoding (see divisible); 0: as they
	// come.
	PacketTime time.Duration
	// Treatment is what is done to RTP packets on the way.
	Treatment Treatment
	// Sinks are those who hear what this leg receives. The leg may be its own: that is an echo.
	Sinks []Sink
	// Bundle, when not nil, tells several medias on this leg apart; each then has sinks of its own, and those above get only
	// what is neither RTP nor RTCP. It must not change any more, and be the same one for both legs of a pair.
	Bundle *Bundle
}

// ClockRate is what the time stamps of a payload type count.
type ClockRate struct {
	PayloadType uint8
	Rate        uint32 // Hz; 0: they say nothing of when a packet was sent
}

// Sink is one hearer: RTP packets leave by RTP, RTCP ones by RTCP. They are the same leg when the hearer muxes
// (RFC 5761). A kind whose leg is nil is not relayed to this hearer.
type Sink struct {
	RTP, RTCP  *Leg
	Media      Effect // what this hearer gets of RTP that is not an event
	NoFeedback bool   // RTCP feedback (RFC 4585) is kept from it; not for what is Sealed
	Echo       bool   // RTP gets another SSRC on the way, so that the peer does not take it for its own
	Shift      Shift  // makes RTP packets those of another stream; one that was found after a prompt stays when this says nothing
	// Extensions changes the header extensions of RTP packets for this hearer; nil leaves them as they come.
	Extensions *rtp.ExtensionMap
}

// Shift makes RTP packets those of another stream. The zero value leaves them as they are.
type Shift struct {
	SSRC      uint32 // exclusive or
	Sequence  uint16 // added
	Timestamp uint32 // added
}

// plan is Settings as the packet path reads them. It is immutable.
type plan struct {
	Settings
	signalled *endpoint     // nil: none, or of another address family than the leg
	began     time.Duration // when the epoch began
	audience                // of a leg that is not shared
	medias    []audience    // of one that is, in the order of Bundle
	everyone  *audience     // all of them, none of whom would get the same RTCP twice
	events    *eventTrack   // nil: nobody wants to know
	eventSet  PayloadTypes
}

// audience is who hears the packets of a media, and what is done to them on the way.
type audience struct {
	sinks     []Sink
	treatment Treatment
	treated   string // why packets cannot simply be passed on as far as the treatment goes; empty when they can
	rewritten bool   // the header extensions change for somebody
}

func newAudience(sinks []Sink, t Treatment) audience {
	return audience{
		sinks: sinks, treatment: t, treated: t.treats(sinks),
		rewritten: slices.ContainsFunc(sinks, func(s Sink) bool { return s.Extensions != nil }),
	}
}

func newPlan(s Settings, local netip.AddrPort, before *plan, now time.Duration) *plan {
	s.Signalled = netip.AddrPortFrom(s.Signalled.Addr().Unmap(), s.Signalled.Port())
	s.Near = s.Near.Unmap()
	s.keepShifts(before)
	p := &plan{Settings: s, began: now, audience: newAudience(s.Sinks, s.Treatment), eventSet: s.eventTypes()}
	p.everyone = &p.audience
	if s.Bundle != nil {
		p.gather()
	}
	if before != nil && before.Epoch == s.Epoch {
		p.began = before.began
	}
	if !usable(s.Signalled, local) {
		p.Signalled = netip.AddrPort{}
	} else {
		p.signalled = newEndpoint(s.Signalled)
	}
	return p
}

// rate returns the clock rate of a payload type, 0 when it is not known.
func (p *plan) rate(payloadType uint8) uint32 {
	for _, r := range p.Rates {
		if r.PayloadType == payloadType {
			return r.Rate
		}
	}
	return rtp.StaticClockRate(payloadType)
}

// gather computes who hears the medias of a bundle.
func (p *plan) gather() {
	p.everyone = &audience{}
	p.medias = make([]audience, 0, len(p.Bundle.Medias))
	for i := range p.Bundle.Medias {
		media := &p.Bundle.Medias[i]
		a := newAudience(media.Sinks, media.Treatment)
		p.medias = append(p.medias, a)
		for _, s := range a.sinks {
			if slices.ContainsFunc(p.everyone.sinks, func(have Sink) bool { return have.RTCP == s.RTCP }) {
				s.RTCP = nil
			}
			p.everyone.sinks = append(p.everyone.sinks, s)
		}
	}
}

// usable tells whether a leg at local can send to the peer.
func usable(peer, local netip.AddrPort) bool {
	return peer.IsValid() && peer.Port() != 0 && !peer.Addr().IsUnspecified() && peer.Addr().Is4() == local.Addr().Is4()
}
