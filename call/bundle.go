package call

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// Bundle is what an offer asks for in BUNDLE groups (RFC 9143). By default groups are ignored on both sides.
type Bundle struct {
	Accept  bool // the sender's groups are accepted, and it is answered with one
	Offer   bool // a group is offered to the receiver, each section with a port of its own until it is accepted
	Require bool // the same with one port for all
	Strict  bool // the same as RFC 9143 wants it: all but one section have port 0
	Reject  bool // agreed groups are broken up
}

// bundling is how a party stands to BUNDLE groups.
type bundling struct {
	agreed  bool    // its medias are in groups
	offer   bool    // it is offered a group, in this offer and later ones
	require bool    // with one port for all
	offered [][]int // the groups of the last offer to it, as indices of medias, the one with the port first
}

// ours tells whether it was our idea to bundle.
func (b *bundling) ours() bool { return b.offer || b.require }

// heedBundle decides which medias of both sides of an offer share legs from now on.
func (d *draft) heedBundle(from, to *Party, req *Request) {
	want := req.Bundle
	if req.ICE.Mode == ICEForceRelay {
		want = Bundle{Reject: true} // what is passed through is between the parties
	}
	for _, p := range []*Party{from, to} {
		for _, m := range p.Media {
			m.spare = [2]*media.Leg{}
		}
		if want.Reject {
			p.bundling = bundling{}
		}
	}
	all := sections(req.SDP)
	ours, index := make([]*Media, len(all)), make([]int, len(all)) // of the offerer, and where the other side has theirs
	for k := range all {
		i := from.position(k)
		from.at(i)
		ours[k], index[k] = from.Media[i], from.facing(i, to)
		to.at(index[k])
	}

	var groups [][]int
	if !want.Reject && (want.Accept || from.bundling.agreed) {
		groups = from.groupsIn(req.SDP, true)
	}
	from.bundle(groups)
	from.bundling.agreed = len(groups) > 0

	if !want.Reject {
		to.bundling.offer = to.bundling.offer || want.Offer
		to.bundling.require = to.bundling.require || want.Require
	}
	var fit []int
	for k, s := range all {
		shown := !to.Media[index[k]].Hidden && (to.Media[index[k]].Section != nil || !hides(req.RemoveMedia, s.Type))
		if shown && s.Protocol.IsRTP() && (s.Port != 0 || s.BundleOnly && ours[k].Bundled) {
			fit = append(fit, index[k])
		}
	}
	to.bundling.offered = nil
	switch {
	case len(fit) == 0 || !to.bundling.agreed && !to.bundling.ours() && !want.Strict:
	case to.bundling.agreed:
		to.bundling.offered = to.regroup(fit)
	default:
		to.bundling.offered = [][]int{fit}
	}
	if to.bundling.agreed || to.bundling.require || want.Strict {
		to.bundle(to.bundling.offered)
	} else {
		to.bundle(nil)
	}
}

// groupsIn returns the BUNDLE groups of a party's description that can be accepted, as indices of its medias, the one with
// the port first. Medias that could not be told apart make a group unacceptable if so asked.
func (p *Party) groupsIn(desc *sdp.Description, distinct bool) [][]int {
	var groups [][]int
	var grouped []string
	all := sections(desc)
	for _, session := range desc.Sessions {
		for _, g := range session.Groups {
			if g.Semantics != "BUNDLE" {
				continue
			}
			var group []int
			var members []section
			for _, mid := range g.Mids {
				k := slices.IndexFunc(all, func(s section) bool { return s.session == session && s.Mid == mid })
				if k < 0 || slices.Contains(grouped, mid) || all[k].Rejected() || !all[k].Protocol.IsRTP() {
					continue
				}
				grouped = append(grouped, mid)
				if all[k].Port == 0 {
					group, members = append(group, p.position(k)), append(members, all[k])
				} else { // those with a port go before those without
					at := slices.IndexFunc(members, func(s section) bool { return s.Port == 0 })
					if at < 0 {
						at = len(members)
					}
					group, members = slices.Insert(group, at, p.position(k)), slices.Insert(members, at, all[k])
				}
			}
			if len(group) > 0 && members[0].Port != 0 && (!distinct || tellable(members)) {
				groups = append(groups, group)
			}
		}
	}
	return groups
}

// tellable tells whether packets of the sections can be told apart: all use the mid extension, or no payload type twice.
func tellable(all []section) bool {
	var seen media.PayloadTypes
	named, unique := true, true
	for _, s := range all {
		maps, _ := s.ExtMapsOf(s.session)
		named = named && byURI(maps, midURI) >= 0
		for i := range s.Codecs {
			unique = unique && !seen.Has(s.Codecs[i].PayloadType)
			seen.Add(s.Codecs[i].PayloadType)
		}
	}
	return named || unique
}

// groups returns which medias share legs now, the carrier first.
func (p *Party) groups() [][]int {
	var groups [][]int
	for i, m := range p.Media {
		if !m.Bundled || m.split || m.RTP.Leg == nil {
			continue
		}
		g := slices.IndexFunc(groups, func(g []int) bool { return p.Media[g[0]].Carrier == m.Carrier })
		switch {
		case g < 0:
			groups = append(groups, []int{i})
		case m.Carrier == i:
			groups[g] = slices.Insert(groups[g], 0, i)
		default:
			groups[g] = append(groups[g], i)
		}
	}
	return groups
}

// regroup returns the agreed groups with what is left of their medias in an offer; what is new joins the first one.
func (p *Party) regroup(fit []int) [][]int {
	var groups [][]int
	var known []int
	for _, g := range p.groups() {
		known = append(known, g...)
		if g = slices.DeleteFunc(g, func(i int) bool { return !slices.Contains(fit, i) }); len(g) > 0 {
			groups = append(groups, g)
		}
	}
	fresh := slices.DeleteFunc(slices.Clone(fit), func(i int) bool { return slices.Contains(known, i) })
	switch {
	case len(fresh) == 0:
	case len(groups) == 0:
		groups = [][]int{fresh}
	default:
		groups[0] = append(groups[0], fresh...)
	}
	return groups
}

// inBundle tells whether a media is in a group that the party is told of.
func (p *Party) inBundle(index int) bool {
	return p.Media[index].Bundled || slices.ContainsFunc(p.bundling.offered, func(g []int) bool { return slices.Contains(g, index) })
}

// carried tells whether the media, whose index is given, uses the legs of another.
func (m *Media) carried(index int) bool { return m.Bundled && !m.split && m.Carrier != index }

// bundle has the medias of each group share the legs of the first one, and all others have their own. Legs are given by share.
func (p *Party) bundle(groups [][]int) {
	for _, g := range groups {
		p.succeed(g[0], groups)
	}
	for i, m := range p.Media {
		carrier := -1
		for _, g := range groups {
			if slices.Contains(g, i) {
				carrier = g[0]
			}
		}
		if m.carried(i) && (carrier < 0 || carrier == i) {
			m.dropLegs() // they are another's
		}
		m.Bundled, m.Carrier, m.split = carrier >= 0, max(carrier, 0), false
	}
}

// succeed has a media that shared the legs of another keep them, now as the carrier of its group: what a group has goes on
// without the section that began it (RFC 9143, section 7.5.3).
func (p *Party) succeed(i int, groups [][]int) {
	m := p.Media[i]
	if !m.carried(i) {
		return
	}
	before := p.Media[m.Carrier]
	if before.RTP.Leg != m.RTP.Leg || slices.ContainsFunc(groups, func(g []int) bool { return g[0] == m.Carrier }) {
		return // they stay with the carrier, or another group has them
	}
	m.Link, before.Link = before.Link, nil
	before.dropLegs()
	m.Carrier = i
}

// share gives medias that share legs those of their carrier. The ones they had stay open as long as the party can know of
// them alone.
func (p *Party) share() {
	for i, m := range p.Media {
		if !m.carried(i) {
			continue
		}
		c := p.Media[m.Carrier]
		if m.RTP.Leg != nil && m.RTP.Leg != c.RTP.Leg {
			m.spare = [2]*media.Leg{m.RTP.Leg, m.RTCP.Leg}
		}
		m.RTP.Leg, m.RTCP.Leg, m.Mux, m.former = c.RTP.Leg, c.RTCP.Leg, c.Mux, former{}
		m.RTP.Alternates, m.RTCP.Alternates = c.RTP.Alternates, c.RTCP.Alternates
		m.Security, m.ICE, m.Link = c.Security, c.ICE, nil // there is one association only
	}
}

// handOver takes medias that have been rejected out of their groups, and makes another one the carrier if need be.
func (p *Party) handOver() {
	for _, m := range p.Media {
		m.Bundled = m.Bundled && m.RTP.Leg != nil
	}
	for _, g := range p.groups() {
		first, before := p.Media[g[0]], p.Media[g[0]].Carrier
		if before == g[0] {
			continue
		}
		first.Link, p.Media[before].Link = p.Media[before].Link, nil
		for _, m := range p.Media {
			if m.Bundled && m.Carrier == before {
				m.Carrier = g[0]
			}
		}
	}
}

// answerBundle settles which medias share legs when a party has answered.
func (d *draft) answerBundle(p *Party, req *Request) error {
	p.handOver()
	var groups [][]int
	for _, answered := range p.groupsIn(req.SDP, false) {
		for _, offered := range p.bundling.offered {
			// In the order of the offer, whose first one that is accepted has the port.
			both := slices.DeleteFunc(slices.Clone(offered), func(i int) bool { return !slices.Contains(answered, i) })
			if len(both) > 0 {
				groups = append(groups, both)
			}
		}
	}
	p.bundling.agreed = len(groups) > 0
	told := p.Media
	apart := false // some section may have been told the port of another and not share it now
	for i, m := range told {
		apart = apart || m.carried(i)
	}
	if apart {
		told = slices.Clone(told)
		for i, m := range told {
			c := *m
			told[i] = &c
		}
	}
	p.bundle(groups)
	for i, m := range p.Media {
		if !apart || m.Bundled || m.Rejected || !told[i].carried(i) || told[i].RTP.Leg == nil {
			continue
		}
		// It was told one port for all and answers apart: it sends to that port, and is sent from one of its own.
		m.Bundled, m.Carrier, m.split = true, told[i].Carrier, true
		p.Media[m.Carrier].Bundled, p.Media[m.Carrier].Carrier = true, m.Carrier
		if err := d.open(p, m, familyOf(told[i].RTP.Leg.Local().Addr())); err != nil {
			return err
		}
	}
	p.share()
	return nil
}

// bundle writes what says that a section shares the port of another.
func (t *telling) bundle() {
	t.out.BundleOnly = t.offer && t.tm.carried(t.index)
	if t.out.BundleOnly && t.req.Bundle.Strict {
		t.out.Port = 0
	}
}

// bundleGroups visits the a=group lines that tell a party of its bundles, with the media that each is about first.
func (p *Party) bundleGroups(offer bool, visit func(first int, line sdp.Group)) {
	groups := p.bundling.offered
	if !offer {
		groups = nil
		if p.bundling.agreed {
			groups = p.groups()
		}
	}
	for _, g := range groups {
		line := sdp.Group{Semantics: "BUNDLE"}
		for _, i := range g {
			line.Mids = append(line.Mids, p.Media[i].Mid)
		}
		visit(g[0], line)
	}
}

// bundled returns how packets that come by the legs of a media are told apart; nil when they are all of that one.
func (p *Plan) bundled(party *Party, carrier int) *media.Bundle {
	b := &media.Bundle{}
	for _, i := range party.sharing(carrier) {
		m := party.Media[i]
		if b.MIDExtension == 0 {
			b.MIDExtension = m.ext.id(midURI)
		}
		b.Medias = append(b.Medias, media.Bundled{MID: m.Mid, SSRCs: m.SSRCs()})
		in := &b.Medias[len(b.Medias)-1]
		in.Sinks = p.sinks(party, m, Ref{party.ID, i})
		in.Treatment = p.treatment(party, m, in.Sinks)
		if m.Section != nil {
			for k := range m.Section.Codecs {
				in.Types.Add(m.Section.Codecs[k].PayloadType)
			}
		}
	}
	if len(b.Medias) < 2 {
		return nil
	}
	return b
}

// SSRCs returns the sources that the party announces (RFC 5576).
func (m *Media) SSRCs() []uint32 {
	if m.Section == nil {
		return nil
	}
	var all []uint32
	for _, a := range m.Section.Other {
		if a.Name() != "ssrc" {
			continue
		}
		id, _, _ := strings.Cut(a.Value(), " ")
		n, err := strconv.ParseUint(id, 10, 32)
		if err == nil && !slices.Contains(all, uint32(n)) {
			all = append(all, uint32(n))
		}
	}
	return all
}

// alsoSignalled returns the addresses that a party has given for medias that share the legs of another.
func (p *Party) alsoSignalled(carrier int, rtcp bool) []netip.AddrPort {
	var also []netip.AddrPort
	for i, m := range p.Media {
		c := m.RTP
		if rtcp {
			c = m.RTCP
		}
		if m.Bundled && m.Carrier == carrier && i != carrier && c.Signalled.IsValid() {
			also = append(also, c.Signalled)
		}
	}
	return also
}
