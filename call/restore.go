package call

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// Restore makes the call of a document, on the same ports. It fails with ErrDocument when the document contradicts itself, or
// there is a call of that name; then the process is as it was before. When ports cannot be had the error is media.ErrPort.
func (m *Manager) Restore(doc *Document) error {
	return m.restore(doc, func(in Language) (*Call, error) { return m.create(doc.CallID, in, false) })
}

// restore fills the call that create makes.
func (m *Manager) restore(doc *Document, create func(Language) (*Call, error)) error {
	for _, id := range append([]string{doc.CallID}, doc.Aliases...) {
		if m.lookup(id) != nil {
			return fmt.Errorf("%w: there is a call %q", ErrDocument, id)
		}
	}
	in, err := languageOf(doc.Language)
	if err != nil {
		return err
	}
	c, err := create(in)
	if err != nil {
		return err
	}
	_, err = c.own(func(c *Call) error { return c.restore(doc) })
	return err
}

// restore has no effect when it fails. The caller owns the call, which is new.
func (c *Call) restore(doc *Document) error {
	r := &restorer{call: c, legs: make(map[netip.AddrPort]*media.Leg)}
	d := &draft{call: c}
	defer func() { d.discard() }() // nothing left to discard after a commit
	plane := c.manager.cfg.Plane
	for i := range doc.Ports {
		st := &doc.Ports[i]
		rtp, rtcp, err := plane.Reopen(st, c.id)
		if err != nil {
			return err
		}
		d.opened = append(d.opened, rtp, rtcp)
		// Documents name legs by where they were; on another node the interface may have another address.
		if !st.RTP.Closed {
			r.legs[st.Local] = rtp
		}
		if !st.RTCP.Closed {
			r.legs[st.Second()] = rtcp
		}
	}
	d.plan = r.plan(doc)
	if r.err != nil {
		return r.err
	}
	if len(d.plan.Parties)+len(doc.Early) == 0 {
		return fmt.Errorf("%w: nobody is in the call", ErrDocument)
	}
	c.created, c.lastSignal, c.deleteAt, c.revived, c.term = doc.Created, doc.LastSignal, doc.DeleteAt, time.Now(), doc.Term
	c.converts, c.faxed, c.client, c.callback = doc.Converts, doc.Faxed, doc.Client, doc.Callback
	for _, f := range doc.Early {
		c.early = append(c.early, fragment{tag: f.Tag, sdp: f.SDP})
	}
	c.aliases = doc.Aliases
	c.manager.alias(c)
	plane.Reroute(doc.Ports, func(local netip.AddrPort) *media.Leg { return r.legs[local] })
	d.commit()
	c.heardUntil = media.Now()
	c.schedule(c.revived)
	return nil
}

// alias makes further ids mean the call.
func (m *Manager) alias(c *Call) {
	for _, id := range c.aliases {
		s := m.shard(id)
		s.mu.Lock()
		s.calls[id] = c
		s.mu.Unlock()
	}
}

// restorer makes a plan of a document. It keeps the first error.
type restorer struct {
	call         *Call
	legs         map[netip.AddrPort]*media.Leg
	certificates []*dtls.Certificate
	err          error
}

func (r *restorer) plan(doc *Document) *Plan {
	p := &Plan{
		TOS: doc.TOS, Manipulation: doc.Manipulation, DropTraffic: doc.DropTraffic, GenerateRTCP: doc.GenerateRTCP, EventLog: doc.EventLog,
		lastID: doc.LastID, lastSerial: doc.LastSerial, ranks: r.call.manager.cfg.CodecPreferences,
	}
	for i := range doc.Parties {
		p.Parties = append(p.Parties, r.party(&doc.Parties[i]))
	}
	return p
}

func (r *restorer) party(doc *partyDoc) *Party {
	b, t := &doc.Bundling, &doc.Told
	p := &Party{
		ID: doc.ID, callID: doc.CallID, Tag: doc.Tag, Aliases: doc.Aliases, ViaBranch: doc.ViaBranch, Label: doc.Label, Role: doc.Role,
		Interface: doc.Interface, Created: doc.Created, OfferedBy: doc.OfferedBy,
		Description: doc.Description, Handling: doc.Handling, Manipulation: doc.Manipulation, Echo: doc.Echo, BlockShort: doc.BlockShort,
		bundling: bundling{agreed: b.Agreed, offer: b.Offer, require: b.Require, offered: b.Offered},
		told:     told{before: t.Before, origin: t.Origin, name: t.Name, address: t.Address, version: t.Version, text: t.Text},
		likeness: doc.Likeness, ourID: doc.OurID, ourVersion: doc.OurVersion,
	}
	for i := range doc.Media {
		p.Media = append(p.Media, r.media(&doc.Media[i], doc.Description))
	}
	for _, m := range p.Media {
		if m.Carrier < 0 || m.Carrier >= len(p.Media) {
			r.fail("a media shares the legs of number %d of %d", m.Carrier, len(p.Media))
		}
	}
	return p
}

func (r *restorer) media(doc *mediaDoc, said *sdp.Description) *Media {
	m := &Media{
		Pair: doc.Pair, local: doc.Local, cut: doc.Cut,
		Type: doc.Type, Protocol: doc.Protocol, Rejected: doc.Rejected, Opaque: doc.Opaque, Hidden: doc.Hidden, Foreign: doc.Foreign,
		RTP: r.component(&doc.RTP), RTCP: r.component(&doc.RTCP),
		ICE: doc.ICE.ice(), Through: doc.Through, Security: r.security(&doc.Security), Hears: doc.Hears,
		Mid: doc.Mid, Bundled: doc.Bundled, Carrier: doc.Carrier, split: doc.Split,
		ext:        extensions{offered: doc.ExtMaps.Offered, agreed: doc.ExtMaps.Agreed, private: doc.ExtMaps.Private, oneByte: doc.ExtMaps.OneByte},
		fax:        fax{gateway: doc.Fax.Gateway, version: doc.Fax.Version, fec: doc.Fax.FEC},
		MuxOffered: doc.MuxOffered, MuxTold: doc.MuxTold, Mux: doc.Mux, muxAnswer: doc.MuxAnswer,
		ours: doc.Ours, serial: doc.Serial, source: doc.Source,
		Sends: doc.Sends, Receives: doc.Receives, ptime: doc.PTime, packets: doc.Packets, made: doc.Made, tuning: doc.Tuning,
		family: doc.Family, held: doc.Held, passes: doc.Passes, Looped: doc.Looped, latched: doc.Latched, latchedTo: doc.LatchedTo,
		moving: doc.Moving, waits: doc.Waits, refuses: doc.Refuses, refused: doc.Refused, refusedFirst: doc.RefusedFirst,
	}
	m.Section, m.session = r.section(&doc.Section, said)
	m.Twin.RTP, m.Twin.RTCP = r.leg(doc.Twin.RTP), r.leg(doc.Twin.RTCP)
	m.spare[0], m.spare[1] = r.leg(doc.Spare.RTP), r.leg(doc.Spare.RTCP)
	m.former = former{rtp: r.leg(doc.Former.RTP), rtcp: r.leg(doc.Former.RTCP), remote: doc.FormerRemote}
	if o := doc.Offered; o != nil {
		m.offered = &codecOffer{
			told: o.Told, theirs: o.Theirs, added: o.Added, masked: o.Masked, insisted: o.Insisted, forced: o.Forced, asked: o.Asked,
		}
	}
	if (m.Twin.RTP == nil) != (m.Twin.RTCP == nil) || (m.former.rtp == nil) != (m.former.rtcp == nil) {
		r.fail("a pair of legs has one only")
	}
	return m
}

// section finds what placeOf has described.
func (r *restorer) section(doc *sectionDoc, said *sdp.Description) (*sdp.Media, *sdp.Session) {
	m, s := doc.Own, doc.Of
	if i := doc.Session; i != 0 {
		if said == nil || i < 0 || i > len(said.Sessions) || said.Sessions[i-1] == nil {
			r.fail("there is no session number %d", i)
			return m, s
		}
		s = said.Sessions[i-1]
	}
	if i := doc.Media; i != 0 {
		if s == nil || i < 0 || i > len(s.Media) || s.Media[i-1] == nil {
			r.fail("there is no section number %d", i)
			return m, s
		}
		m = s.Media[i-1]
	}
	if m != nil && s == nil {
		r.fail("a section stands in no session")
	}
	return m, s
}

func (r *restorer) component(doc *componentDoc) Component {
	c := Component{Leg: r.leg(doc.Leg), Signalled: doc.Signalled, Epoch: doc.Epoch}
	for _, local := range doc.Alternates {
		if leg := r.leg(local); leg != nil {
			c.Alternates = append(c.Alternates, leg)
		}
	}
	return c
}

// leg finds a leg that has been opened; nil for the zero address.
func (r *restorer) leg(local netip.AddrPort) *media.Leg {
	if !local.IsValid() {
		return nil
	}
	leg := r.legs[local]
	if leg == nil {
		r.fail("no port is described for the leg at %v", local)
	}
	return leg
}

func (r *restorer) security(doc *securityDoc) Security {
	a := &doc.DTLS
	return Security{
		Keying: doc.Keying, Receive: doc.Receive, Send: doc.Send, Recrypt: doc.Recrypt,
		DTLS: DTLS{
			Association: a.Association, Certificate: r.certificate(a.Certificate), Setup: a.Setup, Peer: a.Peer, PeerTLSID: a.PeerTLSID,
			TLSID: a.TLSID, hash: a.Hash, passive: a.Passive, chosen: a.Chosen,
		},
		sdes: doc.DoesSDES, dtls: doc.DoesDTLS, opportunistic: doc.Opportunistic, declined: doc.Declined, proposal: doc.Proposal,
		heard: cryptoLinesOf(doc.Heard), pick: doc.Pick, invites: doc.Invites, accept: doc.Accept, told: cryptoLinesOf(doc.Told),
		tellsSDES: doc.TellsSDES, tellsDTLS: doc.TellsDTLS,
	}
}

// certificate makes one of those that are the same.
func (r *restorer) certificate(c *dtls.Certificate) *dtls.Certificate {
	if c == nil {
		return nil
	}
	for _, have := range r.certificates {
		if have.Fingerprint(dtls.SHA256) == c.Fingerprint(dtls.SHA256) {
			return have
		}
	}
	r.certificates = append(r.certificates, c)
	return c
}

func (r *restorer) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrDocument, fmt.Sprintf(format, args...))
	}
}

func (doc *iceDoc) ice() ICE {
	return ICE{
		Local: doc.Local, Lite: doc.Lite, Controlling: doc.Controlling, Remote: doc.Remote, offered: doc.Offered, options: doc.Options,
		declined: doc.Declined, tells: doc.Tells, lite: doc.WantsLite,
	}
}

func cryptoLinesOf(docs []cryptoDoc) []cryptoLine {
	var lines []cryptoLine
	for _, l := range docs {
		lines = append(lines, cryptoLine{tag: l.Tag, params: l.Params, own: l.Own})
	}
	return lines
}
