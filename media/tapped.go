package media

import (
	"bytes"

	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/rtp"
)

// tapped takes a copy of a packet that the kernel has relayed.
func (p *Plane) tapped(pkt fastpath.TappedPacket) {
	l := p.leg(pkt.Local)
	if l == nil {
		return
	}
	plan, class := l.plan.Load(), rtp.Classify(pkt.Data)
	if plan == nil {
		return
	}
	if len(plan.Taps.Received) > 0 {
		give(plan.Taps.Received, &TapPacket{
			Data: pkt.Data, At: pkt.When, From: pkt.Source, To: pkt.Local, RTCP: class == rtp.RTCP || plan.Kind == RTCP,
		})
	}
	var h rtp.Header
	if class == rtp.RTP && plan.events != nil && h.Parse(pkt.Data) == nil {
		plan.hear(&h, pkt.Data, pkt.Source, pkt.When)
	}
	if class != rtp.RTCP || plan.Sealed || plan.Secure || rtp.CheckRTCP(pkt.Data) != nil {
		return
	}
	if len(plan.Taps.Reports) > 0 {
		give(plan.Taps.Reports, &TapPacket{Data: pkt.Data, At: pkt.When, From: pkt.Source, To: pkt.Local, RTCP: true})
	}
	data := bytes.Clone(pkt.Data)
	l.worker.do(func() {
		if plan := l.plan.Load(); plan != nil && !plan.Sealed && !plan.Secure {
			l.worker.read(l.forRTP(), plan, data)
		}
	})
}
