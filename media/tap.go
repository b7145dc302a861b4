package media

import (
	"net/netip"
	"time"

	"github.com/weir-media/weir/rtp"
)

// Tap takes copies of the datagrams of legs. Its method is called by workers, and for what the kernel relays by the reader of its copies,
// several at a time. It must neither wait nor keep anything of what it is given.
type Tap interface {
	Packet(p *TapPacket)
}

// Taps are who takes copies at a leg.
type Taps struct {
	Received []Tap // of what the peer sends, as it came; in clear if there are keys
	Sent     []Tap // of what the peer is sent, after all that is done to it, but in clear
	Reports  []Tap // of the RTCP that the peer sends, as far as it can be read here. It costs a flow nothing
	Link     []Tap // of STUN and DTLS that are the leg's Link's, both ways
}

// TapPacket is a datagram as a tap sees it.
type TapPacket struct {
	Data     []byte
	At       time.Duration  // on the plane's clock (see Now)
	From, To netip.AddrPort // of the datagram
	Sent     bool           // to the peer; false: received from it
	RTCP     bool
	Mark     uint32 // for a Tap's own use
}

// tap gives copies of a datagram away. It is one of the worker's own, so that nothing is allocated for it.
func (w *worker) tap(taps []Tap, p TapPacket) {
	w.tapped = p
	give(taps, &w.tapped)
	w.tapped.Data = nil
}

func give(taps []Tap, p *TapPacket) {
	for _, t := range taps {
		t.Packet(p)
	}
}

// tapReceived gives copies of what has come to a leg away.
func (w *worker) tapReceived(l *Leg, p *plan, class rtp.Class, data []byte, from netip.AddrPort) {
	w.tap(p.Taps.Received, TapPacket{Data: data, At: w.now, From: from, To: l.local, RTCP: class == rtp.RTCP || p.Kind == RTCP})
}

// tapLink gives copies of what a leg's link gets or sends away.
func (w *worker) tapLink(l *Leg, p *plan, data []byte, peer netip.AddrPort, sent bool) {
	if len(p.Taps.Link) == 0 {
		return
	}
	from, to := peer, l.local
	if sent {
		from, to = to, from
	}
	w.tap(p.Taps.Link, TapPacket{Data: data, At: w.now, From: from, To: to, Sent: sent})
}

// tapSent gives copies of what is about to be sent away.
func (w *worker) tapSent(to, via *Leg, class rtp.Class, data []byte, address netip.AddrPort) {
	if p := to.plan.Load(); p != nil && len(p.Taps.Sent) > 0 {
		w.tap(p.Taps.Sent, TapPacket{Data: data, At: w.now, From: via.local, To: address, Sent: true, RTCP: class == rtp.RTCP})
	}
}
