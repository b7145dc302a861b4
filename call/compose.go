package call

import (
	"fmt"
	"net/netip"
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
		said[from.facing(from.position(k), to)] = s
	}
	offeredUpTo := 0 // sections the receiver of an answer has offered this time
	if !offer {
		offeredUpTo = to.position(len(sections(to.Description)))
	}
	session := out.Sessions[0]
	for i, tm := range to.Media {
		s, spoken := said[i]
		t := telling{draft: d, from: from, to: to, tm: tm, index: i, said: s.Media, req: req, offer: offer}
		if j := to.facing(i, from); j < len(from.Media) {
			t.fm = from.Media[j]
		}
		switch {
		case tm.Hidden, !offer && i >= offeredUpTo:
		case spoken && t.fm != nil: // others nobody has offered
			session = ours[s.session]
			session.Media = append(session.Media, t.sections()...)
			session.ICELite = session.ICELite || t.lite
			if tm.Through && req.ICE.Mode == ICEForceRelay {
				session.Groups = s.session.Groups
			}
		case !offer && tm.Section != nil:
			t.said = tm.Section
			m := t.unanswered()
			if tm.refused != "" {
				session.Media = append(session.Media, tm.withRefused(m)...)
				continue
			}
			session.Media = append(session.Media, m)
		}
	}
	to.bundleGroups(offer, func(first int, line sdp.Group) {
		session := out.Sessions[0]
		if s, spoken := said[first]; spoken {
			session = ours[s.session]
		}
		session.Groups = append(session.Groups, line)
	})
	appendAttributes(out, req.Attributes)
	return to.tell(out, req.Replace, editor(req.Attributes)), nil
}

// telling is one section on its way: what from said in it, and what to is told instead. Each stage writes its own lines into out.
type telling struct {
	draft    *draft
	from, to *Party
	fm, tm   *Media
	index    int
	said     *sdp.Media
	req      *Request
	offer    bool
	out      *sdp.Media
	lite     bool // we are a lite ICE agent
}

// section writes the section.
func (t *telling) section() *sdp.Media {
	if t.fm.Foreign && t.tm.Foreign && !t.tm.Rejected {
		m := t.said.Clone()
		m.Conn = t.said.ConnOf(t.fm.session)
		return m
	}
	if t.tm.RTP.Leg == nil || t.fm.Rejected || t.tm.Rejected {
		return refusal(t.said, t.tm, t.offer, t.refusedName())
	}
	if t.tm.Through {
		return t.through()
	}
	if t.fm.Opaque != t.tm.Opaque {
		return t.translated()
	}
	t.out = t.said.Clone()
	t.transport()
	if t.fm.Opaque {
		return t.out
	}
	t.ice()
	t.mid()
	t.bundle()
	t.extMaps()
	t.keys()
	t.direction()
	t.codecs()
	t.rtcp()
	return t.out
}

// transport writes the m= and c= lines.
func (t *telling) transport() {
	rtp := t.tm.RTP.Leg.Advertised()
	t.out.Protocol = t.tm.Protocol
	t.out.Port, t.out.PortCount = rtp.Port(), 0
	t.out.Conn = &sdp.Connection{Addr: rtp.Addr()}
	if t.req.MediaAddress.IsValid() {
		t.out.Conn.Addr = t.req.MediaAddress.Unmap()
	}
	if t.fm.held && !t.req.Replace.ZeroAddress {
		t.out.Conn.Addr = unspecified(familyOf(t.out.Conn.Addr))
	}
}

func (t *telling) direction() {
	t.out.Direction = t.fm.direction()
	if t.fm.held && !t.req.OriginalDirection {
		t.out.Direction = sdp.MakeDirection(t.out.Direction.Sends(), false)
	}
}

// codecs writes the formats of the m= line and the lines that go with them.
func (t *telling) codecs() {
	t.out.Codecs, t.out.PTime = t.tm.Sends, t.tm.ptime
}

func (t *telling) rtcp() {
	t.out.RTCPMux = t.tm.Mux || t.offer && t.tm.MuxTold
	t.out.RTCP = nil
	if t.req.NoRTCP {
		return
	}
	t.out.RTCP = &sdp.RTCP{Port: t.tm.rtcpLeg().Advertised().Port()}
	if t.req.FullRTCP {
		t.out.RTCP.Addr = t.out.Conn.Addr
	}
}

// unanswered writes a section that the answer has left out, although it has to have one for each that was offered (RFC
// 3264, section 6). Nothing was said against it: it stays as it was offered, on hold by the unspecified address, until the
// other side says more.
func (t *telling) unanswered() *sdp.Media {
	fm := t.fm
	if fm == nil || fm.Rejected || fm.Opaque || t.tm.Rejected || t.tm.RTP.Leg == nil || t.tm.Protocol.IsSecure() {
		return refusal(t.said, t.tm, t.offer, t.refusedName())
	}
	t.out = t.said.Clone()
	t.transport()
	t.out.Conn.Addr = unspecified(familyOf(t.out.Conn.Addr))
	t.out.Other, t.out.ExtMaps, t.out.RTCPFeedback = nil, nil, nil // what it said of itself
	t.ice()
	t.mid()
	t.bundle()
	t.out.Direction = t.tm.direction()
	t.rtcp()
	return t.out
}

// refusal writes a section with port 0 that keeps the place of the one it refuses. What a party offered as refused comes back the
// way it wrote it.
func refusal(said *sdp.Media, tm *Media, offer bool, mid string) *sdp.Media {
	m := &sdp.Media{Type: said.Type, Protocol: tm.Protocol, Codecs: said.Codecs, Formats: said.Formats, Mid: mid, Label: said.Label}
	m.Bandwidth = said.Bandwidth
	if own := tm.Section; own != nil {
		if !offer {
			m.Type, m.Protocol = own.Type, own.Protocol
		}
		if own.Rejected() || said.Protocol != own.Protocol {
			m.Codecs, m.Formats = own.Codecs, own.Formats
		}
	}
	m.Conn = &sdp.Connection{Addr: unspecified(tm.family)}
	return m
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
	print := func() string { return string(out.AppendEdited(make([]byte, 0, 128+384*len(out.Media())), edit)) }
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
