package media

import (
	"bytes"

	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/rtp"
)

// copier gives copies of what the kernel has relayed away. It belongs to the reader of the kernel's copies.
type copier struct {
	header rtp.Header
	packet TapPacket
	room   [2048]byte // none of the kernel's copies is longer
}

// tapped takes a copy of a packet that the kernel has relayed.
func (p *Plane) tapped(pkt fastpath.TappedPacket) {
	l := p.leg(pkt.Local)
	if l == nil {
		return
	}
	plan := l.plan.Load()
	if plan == nil {
		return
	}
	class := rtp.Classify(pkt.Data)
	c := &p.copier
	if len(plan.Taps.Received) > 0 {
		c.packet = TapPacket{Data: pkt.Data, At: pkt.When, From: pkt.Source, To: pkt.Local, RTCP: class == rtp.RTCP || plan.Kind == RTCP}
		give(plan.Taps.Received, &c.packet)
	}
	c.sent(plan, class, &pkt)
	if class == rtp.RTP && plan.events != nil && c.header.Parse(pkt.Data) == nil {
		plan.hear(&c.header, pkt.Data, pkt.Source, pkt.When)
	}
	if class != rtp.RTCP || plan.Sealed || plan.Secure || rtp.CheckRTCP(pkt.Data) != nil {
		return
	}
	if len(plan.Taps.Reports) > 0 {
		c.packet = TapPacket{Data: pkt.Data, At: pkt.When, From: pkt.Source, To: pkt.Local, RTCP: true}
		give(plan.Taps.Reports, &c.packet)
	}
	data := bytes.Clone(pkt.Data)
	l.worker.do(func() {
		if plan := l.plan.Load(); plan != nil && !plan.Sealed && !plan.Secure {
			l.worker.read(l.forRTP(), plan, data)
		}
	})
}

// sent gives copies of what the hearers of a leg have been sent for a packet to those who tap that. The kernel gives away what comes, so
// that the rest is worked out here: both planes make the same of a packet.
func (c *copier) sent(p *plan, class rtp.Class, pkt *fastpath.TappedPacket) {
	for i := range p.sinks {
		s := &p.sinks[i]
		to := s.RTP
		if class == rtp.RTCP {
			to = s.RTCP
		}
		if to == nil {
			continue
		}
		hearer := to.plan.Load()
		if hearer == nil || len(hearer.Taps.Sent) == 0 {
			continue
		}
		via := to
		if r := to.route.Load(); r != nil {
			via = r.via
		}
		address, _ := to.destination(p.Unidirectional)
		data, ok := pkt.Data, address != nil
		if ok && class == rtp.RTP {
			data, ok = c.relayed(p, i, data)
		}
		if ok {
			c.packet = TapPacket{Data: data, At: pkt.When, From: via.local, To: address.addr, Sent: true, RTCP: class == rtp.RTCP}
			give(hearer.Taps.Sent, &c.packet)
		}
	}
}

// relayed makes of an RTP packet what the i-th hearer has been sent for it, with what treatmentInKernel lets the kernel do. It is false
// when that is nothing.
func (c *copier) relayed(p *plan, i int, data []byte) (out []byte, ok bool) {
	s, h, t := &p.sinks[i], &c.header, &p.audience.treatment
	if h.Parse(data) != nil {
		return nil, false
	}
	if s.Extensions != nil {
		if data, ok = s.Extensions.Rewrite(c.room[:0], data, h); !ok || h.Parse(data) != nil {
			return nil, false
		}
	} else {
		data = append(c.room[:0], data...)
	}
	event := t.Events.Has(h.PayloadType)
	switch effect := p.effect(i, event); {
	case t.Drop, event && t.OnEvents == EventBlock, effect == Block:
		return nil, false
	case effect == Silence:
		octet := t.silence(h.PayloadType)
		if octet == 0 || h.TrimPadding(data) != nil {
			return nil, false
		}
		payload := data[h.PayloadStart : h.PayloadStart+h.PayloadSize]
		for k := range payload {
			payload[k] = octet
		}
	}
	by := s.Shift
	if s.Echo {
		by.SSRC ^= echoMask
	}
	by.apply(data)
	return data, true
}
