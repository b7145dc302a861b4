package call

import (
	"slices"

	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// rtcp puts into the settings of a leg what has to do with RTCP: what it may be read with, and whether it is made here.
func (p *Plan) rtcp(s *media.Settings, m *Media) {
	if s.Kind == media.Opaque {
		return
	}
	s.Sealed = m.Security.Keying != Plain && !s.Secure
	if sec := &m.Security; s.Sealed && sec.Keying == KeyedSDES && sec.Receive.Suite.Valid() && !sec.Receive.UnauthenticatedRTP {
		s.Proof = &sec.Receive
	}
	if !p.GenerateRTCP {
		return
	}
	s.ReportBy = m.rtcpLeg()
	if s.Sealed && s.Kind == media.RTCP {
		// RTP passes as it is, and both sides have the same keys: those are good for reports of our own.
		s.Sealed, s.Secure, s.Proof = false, true, nil
		m.sdesKeys(s)
	}
}

// recryptsRTCP tells whether packets of a media must be decrypted only since reports of our own go among them.
func (p *Plan) recryptsRTCP(m *Media) bool {
	return p.GenerateRTCP && m.Mux && m.Security.Keying != Plain
}

// rates returns the clock rates of what a party may send on the legs of a media, which figures of reception need.
func (p *Plan) rates(party *Party, index int) []media.ClockRate {
	return p.clocks(party, index, func(c *sdp.Codec) (rate uint32, ok bool) {
		if ok = c.ClockRate != 0; isEvent(c) {
			return 0, ok // all packets of an event have the same time stamp
		}
		return c.ClockRate, ok
	})
}

// clocks returns the payload types of what a party may send on the legs of a media, each once, with what rate makes of them.
func (p *Plan) clocks(party *Party, index int, rate func(*sdp.Codec) (rate uint32, ok bool)) []media.ClockRate {
	var clocks []media.ClockRate
	for i, m := range party.Media {
		if i != index && !(m.carried(i) && m.Carrier == index) {
			continue
		}
		for c := range p.spoken(party, m) {
			r, ok := rate(c)
			if ok && !slices.ContainsFunc(clocks, func(o media.ClockRate) bool { return o.PayloadType == c.PayloadType }) {
				clocks = append(clocks, media.ClockRate{PayloadType: c.PayloadType, Rate: r})
			}
		}
	}
	return clocks
}

// Feedback tells whether the party takes RTCP feedback: by its profile, or because it names some (RFC 4585, section 4.2).
func (m *Media) Feedback() bool {
	if m.Protocol.Feedback() || m.Section != nil && len(m.Section.RTCPFeedback) > 0 {
		return true
	}
	if m.Section == nil {
		return false
	}
	for i := range m.Section.Codecs {
		if len(m.Section.Codecs[i].RTCPFeedback) > 0 {
			return true
		}
	}
	return false
}

// received sorts the SSRCs that have come from a party by its medias.
func (p *Party) received() [][]media.StreamStats {
	all := make([][]media.StreamStats, len(p.Media))
	for i, m := range p.Media {
		if m.RTP.Leg == nil || m.carried(i) {
			continue
		}
		sharing := p.sharing(i)
		for _, s := range m.RTP.Leg.Streams() {
			to := i
			if s.Media >= 0 && s.Media < len(sharing) {
				to = sharing[s.Media]
			}
			all[to] = append(all[to], s)
		}
	}
	return all
}

// sharing returns the medias that share the legs of a carrier, itself included, in the order that the packet plane has them.
func (p *Party) sharing(carrier int) []int {
	var all []int
	for i, m := range p.Media {
		if m.Bundled && m.Carrier == carrier && m.RTP.Leg != nil {
			all = append(all, i)
		}
	}
	return all
}

// streams fills in which SSRCs come from each media of a snapshot and which go to it.
func (s *Snapshot) streams() {
	from := make(map[Ref][]media.StreamStats)
	for i := range s.Parties {
		p := &s.Parties[i]
		for k, streams := range p.Party.received() {
			p.Media[k].Ingress = streams
			from[Ref{p.Party.ID, k}] = streams
		}
	}
	for i := range s.Parties {
		for k := range s.Parties[i].Media {
			m := &s.Parties[i].Media[k]
			for j := range m.Media.Hears {
				if sub := &m.Media.Hears[j]; !sub.OnlyRTCP && m.Media.receives(sub) {
					m.Egress = append(m.Egress, from[sub.Ref]...)
				}
			}
		}
	}
}
