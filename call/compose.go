package call

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/weir-media/weir/sdp"
)

// told is what a party has been told before, for the parts of a description that must stay the same to it.
type told struct {
	before  bool // told anything at all
	origin  sdp.Origin
	name    string
	address netip.Addr
	version uint64 // last told
	text    string // of the last description, with the version the source had
}

// compose writes the description that tells `to` what `from` has said, with our addresses in it.
func (d *draft) compose(from, to *Party, req *Request, offer bool) (string, error) {
	out := &sdp.Description{}
	ours := make(map[*sdp.Session]*sdp.Session)
	for _, s := range from.Description.Sessions {
		ours[s] = &sdp.Session{
			Origin: s.Origin, Name: s.Name, URI: s.URI, Emails: s.Emails, Phones: s.Phones, Timing: s.Timing,
			MusicOnHold: s.MusicOnHold,
			Section:     sdp.Section{Info: s.Info, Bandwidth: s.Bandwidth, Other: s.Other},
		}
		if req.LoopProtect {
			ours[s].LoopProtect = d.call.manager.loopID
		}
		out.Sessions = append(out.Sessions, ours[s])
	}
	if len(out.Sessions) == 0 {
		return "", fmt.Errorf("%w: the description is empty", ErrIncompleteSDP)
	}
	said := make(map[int]section)
	for k, s := range sections(from.Description) {
		said[from.position(k)] = s
	}
	offeredUpTo := 0 // sections the receiver of an answer has offered this time
	if !offer {
		offeredUpTo = to.position(len(sections(to.Description)))
	}
	session := out.Sessions[0]
	for i, tm := range to.Media {
		s, spoken := said[i]
		switch {
		case tm.Hidden, !offer && i >= offeredUpTo:
		case spoken:
			session = ours[s.session]
			session.Media = append(session.Media, compose(s.Media, from.Media[i], tm, i, req, offer))
		case !offer && tm.Section != nil:
			// An answer has a section for every one offered (RFC 3264, section 6).
			session.Media = append(session.Media, refusal(tm.Section, tm, offer))
		}
	}
	appendAttributes(out, req.Attributes)
	return to.tell(out, req.Replace, editor(req.Attributes)), nil
}

// compose writes one section for the party that tm belongs to, from the section of the party that fm belongs to.
func compose(said *sdp.Media, fm, tm *Media, index int, req *Request, offer bool) *sdp.Media {
	if fm.Foreign && tm.Foreign {
		return said.Clone()
	}
	if tm.RTP.Leg == nil || fm.Rejected || tm.Rejected {
		return refusal(said, tm, offer)
	}
	m := said.Clone()
	rtp := tm.RTP.Leg.Advertised()
	m.Protocol = tm.Protocol
	m.Port, m.PortCount = rtp.Port(), 0
	m.Conn = &sdp.Connection{Addr: rtp.Addr()}
	if req.MediaAddress.IsValid() {
		m.Conn.Addr = req.MediaAddress.Unmap()
	}
	if fm.held && !req.Replace.ZeroAddress {
		m.Conn.Addr = unspecified(familyOf(m.Conn.Addr))
	}
	if fm.Opaque {
		return m
	}

	// ICE ends here until Weir has an agent of its own: candidates of the other side would lead around it.
	m.ICE, m.Candidates, m.RemoteCandidates, m.EndOfCandidates = sdp.ICE{}, nil, nil, false
	m.BundleOnly = false

	m.ExtMaps, m.ExtMapAllowMixed = said.ExtMapsOf(fm.session)
	m.Setup, m.Fingerprints, m.TLSID = "", nil, ""
	m.Crypto = nil
	if m.Protocol.IsSecure() {
		// Both ends hold the keys and Weir passes on what they encrypted, so that the keys pass as they are, too.
		m.Crypto = unpadded(said.Crypto)
		m.Setup, m.Fingerprints, m.TLSID = said.SetupOf(fm.session), said.FingerprintsOf(fm.session), said.TLSIDOf(fm.session)
	}

	m.Direction = fm.direction()
	if fm.held && !req.OriginalDirection {
		m.Direction = sdp.SendOnly
	}
	if offer {
		if m.Mid == "" && req.GenerateMID {
			m.Mid = strconv.Itoa(index + 1)
		}
	} else if tm.Section != nil {
		m.Mid = tm.Section.Mid
		m.Codecs = offered(m.Codecs, tm.Section.Codecs)
		if m.PTime == 0 {
			m.PTime = tm.Section.PTime // who asked for a packet time is told one
		}
	}

	m.Codecs = req.Codecs.apply(m.Codecs, offer)
	m.RTCPMux = tm.Mux || offer && tm.MuxTold
	m.RTCP = nil
	if !req.NoRTCP {
		m.RTCP = &sdp.RTCP{Port: tm.rtcpLeg().Advertised().Port()}
		if req.FullRTCP {
			m.RTCP.Addr = m.Conn.Addr
		}
	}
	return m
}

// refusal writes a section with port 0 that keeps the place of the one it refuses.
func refusal(said *sdp.Media, tm *Media, offer bool) *sdp.Media {
	m := &sdp.Media{Type: said.Type, Protocol: tm.Protocol, Codecs: said.Codecs, Formats: said.Formats, Mid: said.Mid, Label: said.Label}
	m.Bandwidth = said.Bandwidth
	if !offer && tm.Section != nil {
		m.Type, m.Codecs, m.Formats, m.Mid = tm.Section.Type, tm.Section.Codecs, tm.Section.Formats, tm.Section.Mid
		m.Protocol = tm.Section.Protocol
	}
	m.Conn = &sdp.Connection{Addr: unspecified(tm.family)}
	return m
}

// offered drops the codecs of an answer that the offer did not have. If none would be left, both sides mean something this
// proxy does not know, and the answer passes as it is.
func offered(answer, offer []sdp.Codec) []sdp.Codec {
	var kept []sdp.Codec
	for _, a := range answer {
		for _, o := range offer {
			if a.PayloadType == o.PayloadType || a.Name != "" && a.Name == o.Name && a.ClockRate == o.ClockRate {
				kept = append(kept, a)
				break
			}
		}
	}
	if len(kept) == 0 {
		return answer
	}
	return kept
}

// unpadded writes keys without the padding of base64, which some ends do not take (RFC 4568, section 6.1).
func unpadded(lines []sdp.Crypto) []sdp.Crypto {
	out := slices.Clone(lines)
	for i := range out {
		if keys, err := out[i].Keys(); err == nil {
			out[i].KeyParams = sdp.FormatKeys(keys, false)
		}
	}
	return out
}

// unspecified returns the address that says "nowhere" in a family; IPv4's when the family is not known.
func unspecified(family int) netip.Addr {
	if family == 6 {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// tell puts what must stay the same to this party in the place of what the source said, and returns the text.
func (p *Party) tell(out *sdp.Description, r Replace, edit sdp.Edit) string {
	t := &p.told
	first := out.Sessions[0]
	if !t.before {
		t.origin, t.name = first.Origin, first.Name
		t.version, _ = strconv.ParseUint(first.Origin.Version, 10, 64)
	}
	if addr := firstAddress(out); !t.address.IsValid() && addr.IsValid() {
		t.address = addr
	}
	for _, s := range out.Sessions {
		if r.OriginFull {
			version := s.Origin.Version
			s.Origin = t.origin
			s.Origin.Version = version
		}
		if r.Username {
			s.Origin.Username = t.origin.Username
		}
		if r.SessionName {
			s.Name = t.name
		}
		if (r.Origin || r.OriginFull) && t.address.IsValid() {
			s.Origin.AddrType, s.Origin.Address = addrType(t.address), t.address.String()
		}
	}
	text := t.count(out, r, edit)
	t.before = true
	return text
}

// count writes the version of the o= line and returns the text. The version goes up when the text differs from the last
// one in anything but the version (RFC 3264, section 8), or at every message if so asked.
func (t *told) count(out *sdp.Description, r Replace, edit sdp.Edit) string {
	print := func() string { return string(out.AppendEdited(make([]byte, 0, 1500), edit)) }
	if !r.Version && !r.OriginFull && !r.ForceVersion {
		return print()
	}
	set := func(version string) {
		for _, s := range out.Sessions {
			s.Origin.Version = version
		}
	}
	if !t.before {
		t.text = print()
		return t.text
	}
	set(strconv.FormatUint(t.version, 10))
	text := print()
	if text != t.text || r.ForceVersion {
		t.version++
		set(strconv.FormatUint(t.version, 10))
		text = print()
	}
	t.text = text
	return text
}

// firstAddress returns our address in the first section that is in use.
func firstAddress(out *sdp.Description) netip.Addr {
	for _, m := range out.Media() {
		if !m.Rejected() && m.Conn != nil && !m.Conn.IsZero() {
			return m.Conn.Addr
		}
	}
	return netip.Addr{}
}

func addrType(a netip.Addr) string {
	if a.Is4() {
		return "IP4"
	}
	return "IP6"
}
