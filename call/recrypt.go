package call

import (
	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// recrypted returns the medias whose packets Weir decrypts and encrypts. A leg does that for all or for none, so that one
// hearer who cannot be sent packets as they are draws in everybody whom that media hears or is heard by, and so on.
func (p *Plan) recrypted() map[Ref]bool {
	if p.plain() {
		return nil
	}
	neighbours := make(map[Ref][]Ref)
	var found []Ref
	for _, party := range p.Parties {
		for i, m := range party.Media {
			here := Ref{party.ID, i}
			if m.carried(i) {
				carrier := Ref{party.ID, m.Carrier}
				neighbours[here], neighbours[carrier] = append(neighbours[here], carrier), append(neighbours[carrier], here)
			}
			if party.Echo == EchoSelf && m.Security.Keying != Plain || p.recryptsRTCP(m) {
				found = append(found, here)
			}
			for _, s := range m.Hears {
				source := p.media(s.Ref)
				if source == nil {
					continue
				}
				neighbours[here], neighbours[s.Ref] = append(neighbours[here], s.Ref), append(neighbours[s.Ref], here)
				if !source.Security.Passes(&m.Security) {
					found = append(found, here)
				}
			}
		}
	}
	all := make(map[Ref]bool)
	for len(found) > 0 {
		r := found[len(found)-1]
		found = found[:len(found)-1]
		if !all[r] {
			all[r] = true
			found = append(found, neighbours[r]...)
		}
	}
	return all
}

// plain tells whether no media has anything to do with SRTP.
func (p *Plan) plain() bool {
	for _, party := range p.Parties {
		for _, m := range party.Media {
			if m.Security.Keying != Plain {
				return false
			}
		}
	}
	return true
}

// secure puts into settings of a leg what its media needs for SRTP.
func (m *Media) secure(s *media.Settings, recrypted bool) {
	s.Link = m.Link
	if !recrypted || m.Security.Keying == Plain {
		return
	}
	s.Secure = true
	m.sdesKeys(s)
}

// sdesKeys puts the keys of KeyedSDES into settings.
func (m *Media) sdesKeys(s *media.Settings) {
	sec := &m.Security
	if sec.Keying != KeyedSDES {
		return
	}
	if sec.Receive.Suite.Valid() {
		s.Keys.In = &sec.Receive
	}
	if sec.Send.Suite.Valid() {
		s.Keys.Out = &sec.Send
	}
}

// linked tells whether a media has something that goes on between its party and us beside media.
func (m *Media) linked() bool { return m.RTP.Leg != nil && (m.handshakes() || m.ICE.Active()) }

// handshakes tells whether there is a DTLS association, or one that the party may begin.
func (m *Media) handshakes() bool {
	s := &m.Security
	return s.DTLS.Association != 0 && (s.Keying == KeyedDTLS || s.tellsDTLS && s.DTLS.Setup == sdp.SetupActpass)
}

// link returns what the packet plane is to do for the media beside relaying.
func (m *Media) link(secret []byte, software string) media.LinkConfig {
	cfg := media.LinkConfig{RTP: append([]*media.Leg{m.RTP.Leg}, m.RTP.Alternates...)}
	if !m.Mux && m.RTCP.Leg != nil {
		cfg.RTCP = append([]*media.Leg{m.RTCP.Leg}, m.RTCP.Alternates...)
	}
	if i := &m.ICE; i.Active() {
		cfg.ICE = &media.ICE{Local: i.Local, Lite: i.Lite, Controlling: i.Controlling, Remote: i.Remote, Secret: secret, Software: software}
	}
	if m.handshakes() {
		a := &m.Security.DTLS
		cfg.DTLS = &media.DTLS{Certificate: a.Certificate, Remote: a.Peer, Association: a.Association}
		switch a.Setup {
		case sdp.SetupActive:
			cfg.DTLS.Role = dtls.Active
		case sdp.SetupPassive:
			cfg.DTLS.Role = dtls.Passive
		}
	}
	return cfg
}

// links visits the links of a plan.
func (p *Plan) links(visit func(*Media)) {
	for _, party := range p.Parties {
		for _, m := range party.Media {
			if m.Link != nil {
				visit(m)
			}
		}
	}
}

// relink gives medias the links they need and takes away those they need no more.
func (d *draft) relink() {
	for _, party := range d.plan.Parties {
		for i, m := range party.Media {
			if need := m.linked() && !m.carried(i) && !d.call.foreign; need && m.Link == nil {
				m.Link = d.call.manager.cfg.Plane.NewLink()
			} else if !need {
				m.Link = nil
			}
		}
	}
}
