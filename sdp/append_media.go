package sdp

import "net/netip"

// mediaSection writes a section with the values it has from its session.
func (p *printer) mediaSection(s *Session, m *Media) {
	p.mediaLine(m)
	if m.Rejected() {
		p.rejected(s, m)
		return
	}
	if m.Info != "" {
		p.plain("i=", m.Info)
	}
	if conn := m.ConnOf(s); conn != nil {
		p.text("c=")
		p.address(conn.Addr)
		p.plain("", conn.Scope)
	}
	p.bandwidth(&m.Bandwidth)
	switch {
	case m.Verbatim:
		p.attributes(m.Other)
	case m.Protocol.IsRTP():
		p.rtp(s, m)
	default:
		p.verbatim(s, m)
	}
	p.attributes(m.Appended)
}

func (p *printer) mediaLine(m *Media) {
	p.text("m=")
	p.text(m.Type)
	p.text(" ")
	p.number(uint64(m.Port))
	if m.PortCount > 0 {
		p.text("/")
		p.number(uint64(m.PortCount))
	}
	p.text(" ")
	p.text(string(m.Protocol))
	if m.Protocol.IsRTP() {
		for i := range m.Codecs {
			p.text(" ")
			p.number(uint64(m.Codecs[i].PayloadType))
		}
	} else {
		for _, f := range m.Formats {
			p.text(" ")
			p.text(f)
		}
	}
	if len(m.Codecs)+len(m.Formats) == 0 {
		p.text(" ") // the grammar wants a blank even where there is nothing to list
	}
	p.crlf()
}

// rejected writes what is left of a section nobody uses: just enough to keep its place and name. Of the connection
// only the family remains; without one there is no c= line, as in answers to the obsolete offers that list a stream
// twice, plain and as SRTP.
func (p *printer) rejected(s *Session, m *Media) {
	if conn := m.ConnOf(s); conn != nil {
		unspecified := netip.IPv4Unspecified()
		if !conn.Addr.Is4() {
			unspecified = netip.IPv6Unspecified()
		}
		p.text("c=")
		p.address(unspecified)
		p.crlf()
	}
	p.bandwidth(&m.Bandwidth)
	p.attribute("mid:", m.Mid)
	p.attribute("label:", m.Label)
}

// rtp writes the attributes of an RTP section, each kind in its fixed place.
func (p *printer) rtp(s *Session, m *Media) {
	p.attribute("mid:", m.Mid)
	p.attribute("label:", m.Label)
	p.flag("bundle-only", m.BundleOnly)
	for i := range m.Codecs {
		p.codec(&m.Codecs[i])
	}
	extMaps, allowMixed := m.ExtMapsOf(s)
	p.flag("extmap-allow-mixed", allowMixed)
	for _, e := range extMaps {
		p.extMap(e)
	}
	for _, feedback := range m.RTCPFeedback {
		p.attribute("rtcp-fb:* ", feedback)
	}
	p.attributes(m.Other)
	p.attribute("", m.DirectionOf(s).String())
	if m.RTCP != nil {
		p.rtcp(*m.RTCP)
	}
	p.flag("rtcp-mux", m.RTCPMux)
	for _, c := range m.Crypto {
		p.crypto(c)
	}
	p.dtls(m.SetupOf(s), m.FingerprintsOf(s), m.TLSIDOf(s))
	p.millis("ptime:", m.PTime)
	p.millis("maxptime:", m.MaxPTime)
	p.ice(m.ICEOf(s))
	for i := range m.Candidates {
		p.open("candidate:")
		p.dst = m.Candidates[i].append(p.dst)
		p.close()
	}
	p.remoteCandidates(m.RemoteCandidates)
	p.flag("end-of-candidates", m.EndOfCandidatesOf(s))
}

// verbatim writes the attributes of a section that carries something else than RTP as they came, then what the
// section only had from its session, so that it means the same as before.
func (p *printer) verbatim(s *Session, m *Media) {
	p.attributes(m.Other)
	if !m.Direction.Given() {
		p.attribute("", s.Direction.String())
	}
	p.inherited(s, m)
}

// inherited writes what holds for a section because its session says so, and about keys and ICE.
func (p *printer) inherited(s *Session, m *Media) {
	setup, fingerprints, id := s.Setup, s.Fingerprints, s.TLSID
	if m.Setup != "" {
		setup = ""
	}
	if len(m.Fingerprints) > 0 {
		fingerprints = nil
	}
	if m.TLSID != "" {
		id = ""
	}
	p.dtls(setup, fingerprints, id)
	ice := s.ICE
	if m.ICE.Given() {
		ice.Ufrag, ice.Pwd = "", ""
	}
	if m.ICE.Options != "" {
		ice.Options = ""
	}
	p.ice(ice)
	p.flag("end-of-candidates", s.EndOfCandidates && !m.EndOfCandidates)
}

func (p *printer) codec(c *Codec) {
	pt := uint64(c.PayloadType)
	if c.Name != "" {
		p.open("rtpmap:")
		p.number(pt)
		p.text(" ")
		p.dst = c.appendEncoding(p.dst)
		p.close()
	}
	if c.Params != "" {
		p.open("fmtp:")
		p.number(pt)
		p.text(" ")
		p.text(c.Params)
		p.close()
	}
	for _, feedback := range c.RTCPFeedback {
		p.open("rtcp-fb:")
		p.number(pt)
		p.text(" ")
		p.text(feedback)
		p.close()
	}
}

func (p *printer) extMap(e ExtMap) {
	p.open("extmap:")
	p.number(uint64(e.ID))
	if e.Direction.Given() {
		p.text("/")
		p.text(e.Direction.String())
	}
	p.text(" ")
	p.text(e.URI)
	if e.Params != "" {
		p.text(" ")
		p.text(e.Params)
	}
	p.close()
}

func (p *printer) rtcp(r RTCP) {
	p.open("rtcp:")
	p.number(uint64(r.Port))
	if r.Addr.IsValid() {
		p.text(" ")
		p.address(r.Addr)
	}
	p.close()
}

func (p *printer) crypto(c Crypto) {
	p.open("crypto:")
	p.number(uint64(c.Tag))
	p.text(" ")
	p.text(c.Suite)
	p.text(" ")
	p.text(c.KeyParams)
	if c.SessionParams != "" {
		p.text(" ")
		p.text(c.SessionParams)
	}
	p.close()
}

func (p *printer) dtls(setup Setup, fingerprints []Fingerprint, id string) {
	p.attribute("setup:", string(setup))
	for _, f := range fingerprints {
		p.open("fingerprint:")
		p.text(f.Hash)
		p.text(" ")
		p.text(f.Value)
		p.close()
	}
	p.attribute("tls-id:", id)
}

func (p *printer) millis(name string, ms int) {
	if ms > 0 {
		p.open(name)
		p.number(uint64(ms))
		p.close()
	}
}

func (p *printer) ice(i ICE) {
	p.attribute("ice-ufrag:", i.Ufrag)
	p.attribute("ice-pwd:", i.Pwd)
	p.attribute("ice-options:", i.Options)
}

func (p *printer) remoteCandidates(list []RemoteCandidate) {
	for i, c := range list {
		if i == 0 {
			p.open("remote-candidates:")
		} else {
			p.text(" ")
		}
		p.number(uint64(c.Component))
		p.text(" ")
		p.dst = c.Addr.AppendTo(p.dst)
		p.text(" ")
		p.number(uint64(c.Port))
	}
	if len(list) > 0 {
		p.close()
	}
}
