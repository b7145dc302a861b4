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
	class := rtp.Classify(pkt.Data)
	if plan := l.plan.Load(); plan != nil && len(plan.Taps.Received) > 0 {
		give(plan.Taps.Received, &TapPacket{
			Data: pkt.Data, At: pkt.When, From: pkt.Source, To: pkt.Local, RTCP: class == rtp.RTCP || plan.Kind == RTCP,
		})
	}
	if class != rtp.RTCP || rtp.CheckRTCP(pkt.Data) != nil {
		return
	}
	data := bytes.Clone(pkt.Data)
	l.worker.do(func() {
		if plan := l.plan.Load(); plan != nil && !plan.Sealed && !plan.Secure {
			l.worker.read(l.forRTP(), plan, data)
		}
	})
}
