package call

import (
	"net/netip"

	"github.com/weir-media/weir/media"
)

// apply hands every leg of the plan its settings.
func (p *Plan) apply() {
	p.components(func(party *Party, index int, m *Media, c *Component, rtcp bool) {
		c.Leg.Apply(p.settings(party, index, m, c, rtcp))
	})
}

func (p *Plan) settings(party *Party, index int, m *Media, c *Component, rtcp bool) media.Settings {
	s := media.Settings{
		Kind:           media.RTP,
		Signalled:      c.Signalled,
		Epoch:          c.Epoch,
		Learning:       party.Handling.Learning,
		Asymmetric:     party.Handling.Asymmetric,
		Open:           party.Handling.Open,
		Handover:       party.Handling.Handover,
		Unidirectional: party.Handling.Unidirectional,
		TOS:            p.TOS,
		// Whoever sends here before this party has said where it is cannot be told from a stranger.
		Muted: party.Description == nil && !party.Handling.Open || m.held && !c.Signalled.IsValid(),
	}
	switch {
	case m.Opaque:
		s.Kind = media.Opaque
	case rtcp:
		s.Kind = media.RTCP
	}
	for _, ref := range p.hearers(Ref{party.ID, index}) {
		// A party on hold by an unspecified address must not be sent anything (RFC 3264, section 8.4).
		if sink := p.media(ref); sink.RTP.Leg != nil && !sink.held {
			s.Sinks = append(s.Sinks, media.Sink{RTP: sink.RTP.Leg, RTCP: sink.rtcpLeg()})
		}
	}
	return s
}

// rtcpLeg returns the leg by which RTCP reaches the party.
func (m *Media) rtcpLeg() *media.Leg {
	if m.Mux {
		return m.RTP.Leg
	}
	return m.RTCP.Leg
}

func familyOf(a netip.Addr) int {
	if a.Unmap().Is4() {
		return 4
	}
	return 6
}
