package call

import (
	"net/netip"
	"time"

	"github.com/weir-media/weir/media"
)

// apply hands every leg of the plan its settings, and every link what is agreed about it.
func (d *draft) apply() {
	p := d.plan
	p.index()
	defer func() { p.heard = nil }()
	recrypted := p.recrypted()
	var bundles map[*Media]*media.Bundle // the same for both legs
	var of *Media
	var both media.Settings // of the legs of that one
	reports := d.call.reports()
	p.components(func(party *Party, index int, m *Media, c *Component, rtcp bool) {
		if m != of {
			of, both = m, p.shared(party, index, m)
			both.Taps.Reports = reports
			d.listen(&both, party, index)
			d.call.tap(&both, party, index, m)
		}
		d.call.watch(c.Leg)
		s := p.settings(both, party, m, c, rtcp, recrypted[Ref{party.ID, index}])
		if d.call.foreign {
			s.ReportBy = nil // two nodes must not report
		}
		if m.Bundled && m.Carrier == index {
			if bundles[m] == nil {
				if bundles == nil {
					bundles = make(map[*Media]*media.Bundle)
				}
				bundles[m] = p.bundled(party, index)
			}
			s.Bundle, s.Also = bundles[m], party.alsoSignalled(index, rtcp)
		}
		former := m.former.leg(rtcp)
		if former != nil && m.moving {
			s.Via = former
		}
		c.Leg.Apply(s)
		if former != nil {
			former.Apply(media.Settings{Kind: s.Kind, TOS: s.TOS, Primary: c.Leg, Taps: media.Taps{Link: s.Taps.Link}})
		}
		for _, leg := range c.Alternates {
			leg.Apply(media.Settings{Kind: s.Kind, Link: s.Link, TOS: s.TOS, Primary: c.Leg, Taps: media.Taps{Link: s.Taps.Link}})
		}
	})
	p.links(func(m *Media) {
		if err := m.Link.Apply(m.link(d.call.manager.secret[:], d.call.manager.cfg.Software)); err != nil {
			d.call.manager.cfg.Log.Error("media cannot be linked", "call", d.call.id, "err", err)
		}
	})
}

// shared are the settings that the legs of a media have in common.
func (p *Plan) shared(party *Party, index int, m *Media) media.Settings {
	s := media.Settings{
		Kind:       media.RTP,
		Learning:   party.Handling.Learning,
		Near:       party.Handling.Near,
		Asymmetric: party.Handling.Asymmetric,
		Open:       party.Handling.Open,
		Handover:   party.Handling.Handover,
		// Nothing can be learnt of where a party is that does not send.
		Unidirectional: party.Handling.Unidirectional || !m.direction().Sends(),
		Muxed:          m.Mux,
		TOS:            p.TOS,
		LoopCheck:      m.Looped,
		Sinks:          p.sinks(party, m, Ref{party.ID, index}),
	}
	if m.Pair != nil {
		// Nothing was said of what passes here, so that all does.
		s.Anything = true
		side := m.Pair.sideOf(Ref{party.ID, index})
		if tos := m.Pair.TOS[side]; tos != 0 {
			s.TOS = tos
		}
		s.PacketTime = time.Duration(m.Pair.PacketTime[side]) * time.Millisecond
	}
	if m.tap != nil {
		s.Taps.Received = []media.Tap{m.tap}
	}
	s.Treatment = p.treatment(party, m, s.Sinks)
	if m.Opaque || m.Through {
		s.Kind = media.Opaque
	} else {
		s.Rates = p.rates(party, index)
	}
	return s
}

// settings are those of a leg that is not shared with other medias, out of what both legs have in common.
func (p *Plan) settings(s media.Settings, party *Party, m *Media, c *Component, rtcp, recrypted bool) media.Settings {
	s.Signalled, s.Epoch = c.Signalled, c.Epoch
	// Whoever sends here before this party has said where it is cannot be told from a stranger.
	s.Muted = party.Description == nil && !party.Handling.Open || m.held && !c.Signalled.IsValid()
	if rtcp && s.Kind == media.RTP {
		s.Kind = media.RTCP
	}
	if m.Pair != nil && !rtcp {
		s.Muxed, s.Sinks = true, p.portByPort(s.Sinks)
	}
	m.secure(&s, recrypted && s.Kind != media.Opaque) // what is not RTP has no keys, though the section may have had some
	p.rtcp(&s, m)
	return s
}

// sinks returns the hearers of a media.
func (p *Plan) sinks(party *Party, m *Media, r Ref) []media.Sink {
	var sinks []media.Sink
	if party.Echo == EchoSelf && !m.held {
		sinks = append(sinks, media.Sink{RTP: m.RTP.Leg, Echo: true})
	}
	for _, h := range p.hearers(r) {
		sink, sub := h.media, h.by
		if !sink.receives(sub) || !sub.Added && party.Echo != EchoOff {
			continue
		}
		to := media.Sink{RTP: sink.RTP.Leg, RTCP: sink.rtcpLeg(), Media: sub.effect(), NoFeedback: !sink.Feedback(), Extensions: extensionMap(m, sink)}
		if sub.OnlyRTCP {
			to.RTP = nil
		}
		sinks = append(sinks, to)
	}
	return sinks
}

// receives tells whether the media may be sent what a subscription brings.
func (m *Media) receives(s *Subscription) bool {
	switch {
	case m.RTP.Leg == nil || m.fax.gateway:
		return false
	case m.held:
		return false // an unspecified address must not be sent anything (RFC 3264, section 8.4)
	}
	return !s.Added || s.OnlyRTCP || m.direction().Receives()
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
