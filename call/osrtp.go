package call

import (
	"slices"

	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// Before RFC 8643, offers that would rather have SRTP listed each stream twice, in two sections one after the other: plain,
// and as SRTP. The answer accepts one of the two.

// twin is the plain section beside one with SRTP that a party is offered, until its answer picks one of them.
type twin struct{ RTP, RTCP *media.Leg }

// merge makes one section of two that stand for the same stream, where the message or the history of the party says so. What
// stays is the SRTP section, unless that is the one the party has refused.
func (d *draft) merge(p *Party, req *Request) {
	merged := &sdp.Description{Sessions: slices.Clone(req.SDP.Sessions)}
	k := 0
	for n, s := range merged.Sessions {
		own := *s
		own.Media = nil
		for j := 0; j < len(s.Media); j++ {
			kept, i := s.Media[j], p.position(k)
			k++
			if req.answer && i >= len(p.Media) {
				own.Media = append(own.Media, kept) // nobody offered it
				continue
			}
			m := p.at(i)
			m.refused, m.refusedFirst = "", false
			if j+1 < len(s.Media) && (req.OSRTP.AcceptLegacy || m.refuses || m.Twin.RTP != nil) && twins(kept, s.Media[j+1]) {
				other := s.Media[j+1]
				if !kept.Protocol.IsSecure() {
					kept, other = other, kept
				}
				if kept.Rejected() {
					kept, other = other, kept
				}
				m.refused, m.refusedFirst, m.refuses = other.Protocol, other == s.Media[j], true
				j++
			}
			own.Media = append(own.Media, kept)
		}
		merged.Sessions[n] = &own
	}
	req.SDP = merged
}

// twins tells whether two sections are the same stream, once plain and once as SRTP.
func twins(a, b *sdp.Media) bool {
	return a.Type == b.Type && a.Protocol.IsRTP() && b.Protocol.IsRTP() && a.Protocol.IsSecure() != b.Protocol.IsSecure()
}

// double offers a section with SRTP also plain.
func (d *draft) double(p *Party, m *Media) error {
	if m.Twin.RTP != nil {
		return nil
	}
	rtp, rtcp, err := d.call.manager.cfg.Plane.OpenPair(p.Interface, familyOf(m.RTP.Leg.Local().Addr()), d.call.id)
	if err != nil {
		return noPorts(err)
	}
	d.opened = append(d.opened, rtp, rtcp)
	m.Twin = twin{rtp, rtcp}
	return nil
}

// decide ends the time of two sections: an answer has taken one of them.
func (m *Media) decide() {
	if m.Twin.RTP != nil && !m.Section.Protocol.IsSecure() {
		m.RTP.Leg, m.RTCP.Leg = m.Twin.RTP, m.Twin.RTCP
	}
	m.Twin = twin{}
}

// sections writes the section, and the other one of two where the party knows the stream as two.
func (t *telling) sections() []*sdp.Media {
	m := t.section()
	switch {
	case t.tm.Twin.RTP != nil && t.offer && !m.Rejected():
		return []*sdp.Media{t.twin(m), m}
	case t.tm.refused != "" && t.tm.Protocol.IsRTP():
		return t.tm.withRefused(m)
	}
	return []*sdp.Media{m}
}

// withRefused puts the section that is not used beside the one that is.
func (m *Media) withRefused(used *sdp.Media) []*sdp.Media {
	refused := &sdp.Media{Type: used.Type, Protocol: m.refused, Codecs: used.Codecs}
	if m.refusedFirst {
		return []*sdp.Media{refused, used}
	}
	return []*sdp.Media{used, refused}
}

// twin writes the plain one of two sections.
func (t *telling) twin(secure *sdp.Media) *sdp.Media {
	m := secure.Clone()
	m.Protocol = sdp.ProtoAVP
	if secure.Protocol.Feedback() {
		m.Protocol = sdp.ProtoAVPF
	}
	m.Port = t.tm.Twin.RTP.Advertised().Port()
	if m.RTCP != nil {
		leg := t.tm.Twin.RTCP
		if t.tm.Mux {
			leg = t.tm.Twin.RTP
		}
		m.RTCP.Port = leg.Advertised().Port()
	}
	m.Crypto, m.Setup, m.Fingerprints, m.TLSID = nil, "", nil, ""
	m.ICE, m.Candidates, m.RemoteCandidates, m.EndOfCandidates = sdp.ICE{}, nil, nil, false
	return m
}
