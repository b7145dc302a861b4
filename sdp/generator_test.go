package sdp

import (
	"math/rand/v2"
	"net/netip"
	"strconv"
)

// generator makes random descriptions that are equal to what parsing their own text gives, but for what printing
// resolves.
type generator struct{ *rand.Rand }

func (g generator) maybe() bool { return g.IntN(2) == 0 }

// word returns one of many distinct words without blanks.
func (g generator) word() string { return "w" + strconv.Itoa(g.IntN(1000)) }

func (g generator) optional(text string) string {
	if g.maybe() {
		return ""
	}
	return text
}

func (g generator) words() (list []string) {
	for range g.IntN(4) {
		list = append(list, g.word())
	}
	return list
}

func (g generator) addr() netip.Addr {
	var raw [16]byte
	for i := range raw {
		raw[i] = byte(g.Uint32())
	}
	if g.maybe() {
		return netip.AddrFrom16(raw)
	}
	return netip.AddrFrom4([4]byte(raw[:4]))
}

func (g generator) description() *Description {
	d := &Description{}
	for range 1 + g.IntN(3) {
		d.Sessions = append(d.Sessions, g.session())
	}
	return d
}

func (g generator) session() *Session {
	s := &Session{
		Section:     g.section(),
		Origin:      Origin{g.word() + " " + g.word(), g.word(), g.word(), "IN", "IP4", g.word()},
		Name:        g.optional(g.word()),
		URI:         g.optional(g.word()),
		Emails:      g.words(),
		Phones:      g.words(),
		Timing:      g.optional("1 2"),
		LoopProtect: g.optional(g.word()),
		ICELite:     g.maybe(),
	}
	s.Other = g.attributes()
	for range g.IntN(3) {
		s.addGroup(Group{[]string{"BUNDLE", "LS"}[g.IntN(2)], append([]string{g.word()}, g.words()...)})
	}
	for range g.IntN(4) {
		s.Media = append(s.Media, g.media())
	}
	return s
}

func (g generator) attributes() (list []Attribute) {
	for range g.IntN(3) {
		list = append(list, Attribute("x-"+g.word()+g.optional(":"+g.word()+"  ")))
	}
	return list
}

func (g generator) section() Section {
	s := Section{
		Info:             g.optional(g.word() + " "),
		Direction:        ParseDirection([]string{"", "sendrecv", "sendonly", "recvonly", "inactive"}[g.IntN(5)]),
		ICE:              ICE{g.optional(g.word()), g.optional(g.word()), g.optional("trickle ice2")},
		Setup:            Setup(g.optional("active")),
		TLSID:            g.optional(g.word()),
		EndOfCandidates:  g.maybe(),
		ExtMapAllowMixed: g.maybe(),
	}
	if g.maybe() {
		s.Conn = &Connection{Addr: g.addr(), Scope: g.optional("/" + g.word())}
	}
	for t := range bandwidthTypes {
		if g.maybe() {
			s.Bandwidth.Set(t, uint64(g.IntN(3)))
		}
	}
	for range g.IntN(3) {
		s.Fingerprints = append(s.Fingerprints, Fingerprint{g.word(), g.word()})
		s.ExtMaps = append(s.ExtMaps,
			ExtMap{uint8(1 + g.IntN(14)), Direction(g.IntN(2)) * SendOnly, g.word(), g.optional(g.word())})
	}
	return s
}

func (g generator) media() *Media {
	m := &Media{Type: g.word(), Port: uint16(g.IntN(4)), PortCount: uint16(g.IntN(2)), Mid: g.optional(g.word())}
	if g.IntN(4) == 0 {
		m.Protocol, m.Formats = "udptl", g.words()
		m.Conn = &Connection{Addr: g.addr()}
		m.Other = g.attributes()
		if m.Mid != "" {
			m.Other = append(m.Other, Attribute("mid:"+m.Mid))
		}
		return m
	}
	m.Section = g.section()
	m.Other = g.attributes()
	m.Protocol = []Protocol{ProtoAVP, ProtoTLSSAVPF}[g.IntN(2)]
	m.Codecs = make([]Codec, 0, 8)
	for pt := uint8(g.IntN(30)); pt < 128 && len(m.Codecs) < 8; pt += 1 + uint8(g.IntN(40)) {
		c, known := StaticCodec(pt)
		if !known && g.maybe() {
			c.Name, c.ClockRate, c.Channels = g.word(), g.Uint32()|1, uint8(1+g.IntN(3))
		}
		c.Params = g.optional(g.word() + ";  " + g.word())
		c.RTCPFeedback = g.words()
		m.Codecs = append(m.Codecs, c)
	}
	m.Label = g.optional(g.word())
	m.BundleOnly = g.maybe()
	m.RTCPFeedback = g.words()
	if g.maybe() {
		m.RTCP = &RTCP{Port: uint16(g.Uint32())}
		if g.maybe() {
			m.RTCP.Addr = g.addr()
		}
	}
	m.RTCPMux = g.maybe()
	m.PTime, m.MaxPTime = g.IntN(3), g.IntN(3)
	for range g.IntN(3) {
		m.Crypto = append(m.Crypto, Crypto{g.Uint32N(1e9), g.word(), g.word(), g.optional(g.word() + " " + g.word())})
		m.RemoteCandidates = append(m.RemoteCandidates,
			RemoteCandidate{uint16(1 + g.IntN(256)), g.addr(), uint16(g.Uint32())})
		c := Candidate{
			Foundation: g.word(), Component: uint16(1 + g.IntN(256)), Transport: g.word(), Priority: g.Uint32(),
			Address: g.word(), Port: uint16(g.Uint32()), Type: g.word(), Extensions: g.optional("generation 0"),
		}
		if g.maybe() {
			c.RelatedAddr, c.RelatedPort = g.word(), uint16(g.Uint32())
		}
		m.Candidates = append(m.Candidates, c)
	}
	return m
}
