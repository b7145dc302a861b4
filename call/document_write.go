package call

import (
	"net/netip"
	"slices"

	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// Document returns what there is to know of the call, or ErrUnknownCall, or ErrForeign. It waits for packets that legs with SRTP are busy with.
func (m *Manager) Document(id string) (*Document, error) {
	var doc *Document
	var legs []*media.Leg
	err := m.with(id, false, func(c *Call) error {
		if c.foreign {
			return ErrForeign
		}
		doc = c.document()
		c.plan.legs(func(leg *media.Leg) { legs = append(legs, leg) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	doc.Ports = m.cfg.Plane.States(legs) // of legs that close meanwhile it is what they were
	return doc, nil
}

func (c *Call) document() *Document {
	p := c.plan
	doc := &Document{
		Version: DocumentVersion, CallID: c.id, Language: c.language.text(), Client: c.client, Callback: c.callback, Aliases: slices.Clone(c.aliases), Created: c.created.UTC(), LastSignal: c.lastSignal.UTC(),
		DeleteAt: c.deleteAt.UTC(), Converts: c.converts, Faxed: c.faxed,
		TOS: p.TOS, Manipulation: p.Manipulation, DropTraffic: p.DropTraffic, GenerateRTCP: p.GenerateRTCP, EventLog: p.EventLog,
		LastID: p.lastID, LastSerial: p.lastSerial, Term: c.term,
	}
	for _, f := range c.early {
		doc.Early = append(doc.Early, earlyDoc{Tag: f.tag, SDP: f.sdp})
	}
	doc.Parties = make([]partyDoc, len(p.Parties))
	for i, party := range p.Parties {
		party.document(&doc.Parties[i])
	}
	return doc
}

func (p *Party) document(doc *partyDoc) {
	b, t := &p.bundling, &p.told
	*doc = partyDoc{
		ID: p.ID, CallID: p.callID, Tag: p.Tag, Aliases: p.Aliases, ViaBranch: p.ViaBranch, Label: p.Label, Role: p.Role,
		Interface: p.Interface, Created: p.Created.UTC(), OfferedBy: p.OfferedBy,
		Description: p.Description, Handling: p.Handling, Manipulation: p.Manipulation, Echo: p.Echo, BlockShort: p.BlockShort,
		Bundling: bundlingDoc{Agreed: b.agreed, Offer: b.offer, Require: b.require, Offered: b.offered},
		Told:     toldDoc{Before: t.before, Origin: t.origin, Name: t.name, Address: t.address, Version: t.version, Text: t.text},
		Likeness: p.likeness, OurID: p.ourID, OurVersion: p.ourVersion,
	}
	doc.Media = make([]mediaDoc, len(p.Media))
	for i, m := range p.Media {
		m.document(&doc.Media[i], p.Description)
	}
}

func (m *Media) document(doc *mediaDoc, said *sdp.Description) {
	*doc = mediaDoc{
		Section: placeOf(m.Section, m.session, said), Type: m.Type, Protocol: m.Protocol,
		Pair: m.Pair, Local: m.local, Cut: m.cut,
		Rejected: m.Rejected, Opaque: m.Opaque, Hidden: m.Hidden, Foreign: m.Foreign,
		RTP: m.RTP.document(), RTCP: m.RTCP.document(), Twin: legsOf(m.Twin.RTP, m.Twin.RTCP),
		ICE: m.ICE.document(), Through: m.Through, Security: m.Security.document(), Hears: m.Hears,
		Mid: m.Mid, Bundled: m.Bundled, Carrier: m.Carrier, Split: m.split, Spare: legsOf(m.spare[0], m.spare[1]),
		ExtMaps:    extensionsDoc{Offered: m.ext.offered, Agreed: m.ext.agreed, Private: m.ext.private, OneByte: m.ext.oneByte},
		Fax:        faxDoc{Gateway: m.fax.gateway, Version: m.fax.version, FEC: m.fax.fec},
		MuxOffered: m.MuxOffered, MuxTold: m.MuxTold, Mux: m.Mux, MuxAnswer: m.muxAnswer,
		Ours: m.ours, Serial: m.serial, Source: m.source,
		Sends: m.Sends, Receives: m.Receives, PTime: m.ptime, Packets: m.packets, Made: m.made, Tuning: m.tuning,
		Family: m.family, Held: m.held, Passes: m.passes, Looped: m.Looped, Latched: m.latched, LatchedTo: m.latchedTo,
		Former: legsOf(m.former.rtp, m.former.rtcp), FormerRemote: m.former.remote, Moving: m.moving, Waits: m.waits,
		Refuses: m.refuses, Refused: m.refused, RefusedFirst: m.refusedFirst,
	}
	if o := m.offered; o != nil {
		doc.Offered = &codecOfferDoc{
			Told: o.told, Theirs: o.theirs, Added: o.added, Masked: o.masked, Insisted: o.insisted, Forced: o.forced, Asked: o.asked,
		}
	}
}

// placeOf finds a section and its session in a description.
func placeOf(m *sdp.Media, s *sdp.Session, said *sdp.Description) sectionDoc {
	doc := sectionDoc{Of: s, Own: m}
	if said != nil {
		doc.Session = 1 + slices.Index(said.Sessions, s)
	}
	switch {
	case doc.Session > 0:
		doc.Of = nil
		if doc.Media = 1 + slices.Index(s.Media, m); doc.Media > 0 {
			doc.Own = nil
		}
	case s != nil:
		alone := *s
		alone.Media = nil // only what holds for its sections is asked of it
		doc.Of = &alone
	}
	return doc
}

func (c *Component) document() componentDoc {
	doc := componentDoc{Leg: localOf(c.Leg), Signalled: c.Signalled, Epoch: c.Epoch}
	for _, leg := range c.Alternates {
		doc.Alternates = append(doc.Alternates, leg.Local())
	}
	return doc
}

func localOf(leg *media.Leg) netip.AddrPort {
	if leg == nil {
		return netip.AddrPort{}
	}
	return leg.Local()
}

func legsOf(rtp, rtcp *media.Leg) legsDoc { return legsDoc{RTP: localOf(rtp), RTCP: localOf(rtcp)} }

func (i *ICE) document() iceDoc {
	return iceDoc{
		Local: i.Local, Lite: i.Lite, Controlling: i.Controlling, Remote: i.Remote, Offered: i.offered, Options: i.options,
		Declined: i.declined, Tells: i.tells, WantsLite: i.lite,
	}
}

func (s *Security) document() securityDoc {
	a := &s.DTLS
	return securityDoc{
		Keying: s.Keying, Receive: s.Receive, Send: s.Send, Recrypt: s.Recrypt,
		DTLS: dtlsDoc{
			Association: a.Association, Certificate: a.Certificate, Setup: a.Setup, Peer: a.Peer, PeerTLSID: a.PeerTLSID, TLSID: a.TLSID,
			Hash: a.hash, Passive: a.passive, Chosen: a.chosen,
		},
		DoesSDES: s.sdes, DoesDTLS: s.dtls, Opportunistic: s.opportunistic, Declined: s.declined, Proposal: s.proposal,
		Heard: cryptoDocs(s.heard), Pick: s.pick, Invites: s.invites, Accept: s.accept, Told: cryptoDocs(s.told),
		TellsSDES: s.tellsSDES, TellsDTLS: s.tellsDTLS,
	}
}

func cryptoDocs(lines []cryptoLine) []cryptoDoc {
	var docs []cryptoDoc
	for _, l := range lines {
		docs = append(docs, cryptoDoc{Tag: l.tag, Params: l.params, Own: l.own})
	}
	return docs
}
