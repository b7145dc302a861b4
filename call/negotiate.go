package call

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// Caps of a call. What comes in one SIP message must not be able to take the ports of all other calls.
const (
	MaxSections = 64  // m= sections of a description
	MaxParties  = 32  // of a call by offers and answers, and as many aliases of each
	MaxOthers   = 256 // parties of a call that came in by other commands
	MaxMerged   = 256 // calls that become part of one
)

// muxAnswer is what the offerer of rtcp-mux will be told when a party answers that was offered it in turn.
type muxAnswer uint8

const (
	muxFollow muxAnswer = iota // what the answerer says
	muxAccept
	muxReject
)

// Offer carries out an offer and returns the description for the other party. The call is made if there is none.
// It fails with ErrSessionLimit, ErrDialogue, ErrIncompleteSDP, ErrRewrite or ErrNoPorts; the call is then as it was before.
func (m *Manager) Offer(req *Request) (string, error) {
	return m.signal(req, true, (*draft).offer)
}

// Answer carries out the answer of req.ToTag to the latest offer of req.FromTag and returns the description for the
// latter. It fails as Offer does, and with ErrUnknownCall.
func (m *Manager) Answer(req *Request) (string, error) {
	req.answer = true
	return m.signal(req, false, (*draft).answer)
}

func (m *Manager) signal(req *Request, create bool, step func(*draft, *Request) (string, error)) (text string, err error) {
	if n := len(req.SDP.Media()); n > MaxSections {
		return "", fmt.Errorf("%w: %d m= sections are more than the %d a call may have", ErrRewrite, n, MaxSections)
	}
	err = m.with(req.CallID, create, func(c *Call) error {
		d := c.draft()
		defer d.discard() // nothing left to discard after a commit
		if text, err = step(d, req); err != nil {
			return err
		}
		d.catchUp()
		c.deleteAt = time.Time{} // whoever signals again wants the call to live
		c.heedClient(req.Client, req.Callback)
		d.commit()
		c.signalled()
		return nil
	})
	return text, err
}

func (d *draft) offer(req *Request) (string, error) {
	if req.FromTag == req.ToTag {
		return "", fmt.Errorf("%w: from-tag and to-tag are both %q", ErrDialogue, req.FromTag)
	}
	from := d.plan.byTag(req.FromTag)
	if from == nil {
		from = d.plan.byLikeness(req)
	}
	if from == nil {
		var err error
		if from, err = d.addParty(&Party{Tag: req.FromTag, Interface: d.logical(req.FromInterface), Created: time.Now()}); err != nil {
			return "", err
		}
	}
	to, err := d.offeree(from, req)
	if err != nil {
		return "", err
	}
	if !from.partnerOf(to) {
		to.OfferedBy = from.ID // a transfer: who is there already gets somebody else to talk to
	}
	if !req.KeepTOS {
		d.plan.TOS = d.call.manager.cfg.TOS
		if req.TOS != nil {
			d.plan.TOS = *req.TOS
		}
	}
	d.merge(from, req)
	d.heed(from, req)
	d.ask(from, to, req)
	d.heedBundle(from, to, req)
	for k, s := range sections(req.SDP) {
		if err := d.offerSection(from, to, from.position(k), s, req); err != nil {
			return "", fmt.Errorf("media %d: %w", k+1, err)
		}
	}
	from.share()
	to.share()
	return d.compose(from, to, req, true)
}

// offeree finds or makes the party an offer is meant for.
func (d *draft) offeree(from *Party, req *Request) (*Party, error) {
	if to := d.plan.byTag(req.ToTag); to != nil {
		if to == from {
			return nil, fmt.Errorf("%w: from-tag %q and to-tag %q are the same party", ErrDialogue, req.FromTag, req.ToTag)
		}
		return to, nil
	}
	partners := d.plan.partners(from)
	if req.ToTag == "" && req.ViaBranch == "" {
		// Of several branches the one that has answered is meant.
		for _, p := range partners {
			if p.Description != nil && hears(from, p.ID) {
				return p, nil
			}
		}
	}
	for _, p := range partners {
		if (p.Tag == "" || req.ToTag == "") && (req.ViaBranch == "" || p.ViaBranch == req.ViaBranch) {
			if p.Tag == "" {
				p.Tag = req.ToTag // it may have rung without a description
			}
			return p, nil
		}
	}
	return d.addParty(&Party{
		Tag: req.ToTag, ViaBranch: req.ViaBranch, Interface: d.logical(req.ToInterface), Created: time.Now(), OfferedBy: from.ID,
	})
}

func (d *draft) answer(req *Request) (string, error) {
	offerer := d.plan.byTag(req.FromTag)
	if offerer == nil || offerer.Description == nil || req.FromTag == req.ToTag {
		return "", fmt.Errorf("%w: nobody with from-tag %q has offered", ErrDialogue, req.FromTag)
	}
	answerer := d.plan.byTag(req.ToTag)
	if answerer == nil {
		if answerer = d.answering(offerer, req.ViaBranch); answerer == nil {
			return "", fmt.Errorf("%w: no offer waits for an answer by %q", ErrDialogue, req.ToTag)
		}
		if answerer.Tag == "" {
			answerer.Tag = req.ToTag
		} else {
			answerer.rename(req.ToTag, !req.NewBranch)
		}
	}
	if !slices.Contains(d.plan.partners(offerer), answerer) {
		return "", fmt.Errorf("%w: %q was not offered anything by %q", ErrDialogue, req.ToTag, req.FromTag)
	}
	d.merge(answerer, req)
	d.heed(answerer, req)
	d.ask(answerer, offerer, req)
	for k, s := range sections(req.SDP) {
		i := answerer.position(k)
		if i >= len(answerer.Media) || answerer.facing(i, offerer) >= len(offerer.Media) {
			break // sections nobody offered
		}
		if err := d.answerSection(answerer, offerer, i, s, req); err != nil {
			return "", fmt.Errorf("media %d: %w", k+1, err)
		}
	}
	if err := d.answerBundle(answerer, req); err != nil {
		return "", err
	}
	offerer.handOver()
	offerer.share()
	return d.compose(answerer, offerer, req, false)
}

// answering picks the party that answers under a tag nobody has heard of: the named branch, else the one still without a tag, else
// the latest.
func (d *draft) answering(offerer *Party, branch string) *Party {
	partners := d.plan.partners(offerer)
	for _, fits := range []func(*Party) bool{
		func(p *Party) bool { return branch != "" && p.ViaBranch == branch },
		func(p *Party) bool { return p.Tag == "" },
		func(*Party) bool { return true },
	} {
		if i := slices.IndexFunc(partners, fits); i >= 0 {
			return partners[i]
		}
	}
	return nil
}

// heed takes over what a message says of its sender as a whole.
func (d *draft) heed(p *Party, req *Request) {
	p.Description = req.SDP
	p.likeness = likenesses(req)
	if req.Label != "" {
		p.Label = req.Label
	}
	learning := d.call.manager.cfg.Learning
	if req.Learning != nil {
		learning = *req.Learning
	}
	p.Handling = Handling{
		Learning: learning, Asymmetric: req.Asymmetric, Strict: req.Strict, Handover: req.Handover,
		Unidirectional: req.Unidirectional, Near: req.ReceivedFrom,
		// Who is declared to send from elsewhere cannot be told from others.
		Open: (req.Asymmetric || d.call.manager.cfg.RelayForeign) && !req.Strict,
	}
}

// section is one m= section with the session it stands in.
type section struct {
	*sdp.Media
	session *sdp.Session
}

func sections(desc *sdp.Description) []section {
	var all []section
	for _, s := range desc.Sessions {
		for _, m := range s.Media {
			all = append(all, section{m, s})
		}
	}
	return all
}

func (d *draft) offerSection(from, to *Party, i int, s section, req *Request) error {
	j := from.facing(i, to)
	fm, tm := from.at(i), to.at(j)
	d.number(fm)
	d.number(tm)
	if err := d.hear(fm, s, req); err != nil {
		return err
	}
	if tm.Section == nil && hides(req.RemoveMedia, s.Type) {
		tm.Hidden, fm.Protocol = true, s.Protocol
		return nil
	}
	translates := d.translates(fm, tm, s, req)
	tm.Type, tm.Opaque, tm.Foreign, tm.Rejected = fm.Type, fm.Opaque, fm.Foreign, fm.Rejected
	fm.Protocol = s.Protocol
	tm.Protocol = towards(tm, s.Protocol, req.Protocol)
	switch {
	case translates && !fm.Opaque:
		tm.Type, tm.Opaque, tm.Protocol = "image", true, sdp.ProtoUDPTL
	case translates:
		if !d.offerAudio(fm, tm, req) {
			tm.Rejected = true
		}
	case fm.Opaque != !tm.Protocol.IsRTP():
		return fmt.Errorf("%w: %s cannot become %s", ErrRewrite, fm.Protocol, tm.Protocol)
	}
	fm.negotiateMux(tm, offersMux(s), req.RTCPMux)

	if fm.Rejected || fm.Foreign {
		fm.dropLegs()
		tm.dropLegs()
		return nil
	}
	family := d.family(from.Interface, fm.family, 0)
	if !fm.carried(i) {
		if err := d.open(from, fm, family); err != nil {
			return err
		}
	}
	known := to.familyFor(tm)
	if wanted := d.wantedFamily(req); wanted != 0 {
		known = wanted
	}
	if !tm.carried(j) {
		if err := d.open(to, tm, d.family(to.Interface, family, known)); err != nil {
			return err
		}
	}
	if err := d.latch(to, tm, j, from, fm, req); err != nil {
		return err
	}
	fm.waits = true
	switch {
	case tm.Rejected:
		tm.dropLegs()
	case translates && fm.Opaque:
		if err := d.offerTransport(from, to, fm, tm, s, req); err != nil {
			return err
		}
	case !fm.Opaque && !translates:
		if !d.offerCodecs(fm, tm, &req.Codecs) {
			tm.Rejected = true
			tm.dropLegs()
		} else if err := d.offerTransport(from, to, fm, tm, s, req); err != nil {
			return err
		}
	}
	subscribe(tm, Ref{from.ID, i})
	if !slices.ContainsFunc(fm.Hears, func(s Subscription) bool { return !s.Added }) {
		subscribe(fm, Ref{to.ID, j})
	}
	return nil
}

// offerTransport settles what an offer means for ICE and keys.
func (d *draft) offerTransport(from, to *Party, fm, tm *Media, s section, req *Request) error {
	if err := d.iceOffer(from, to, fm, tm, s, req); err != nil {
		return err
	}
	if fm.Through {
		tm.Protocol = fm.Protocol
		fm.Security, tm.Security = Security{}, Security{}
		return nil
	}
	d.secureOffer(fm, tm, s, req)
	if req.OSRTP.OfferLegacy && tm.Protocol.IsSecure() && !tm.Bundled {
		return d.double(to, tm)
	}
	return nil
}

func (d *draft) answerSection(answerer, offerer *Party, i int, s section, req *Request) error {
	j := answerer.facing(i, offerer)
	am, om := answerer.Media[i], offerer.Media[j]
	if om.Rejected || om.Section == nil {
		return nil // an answer cannot bring back what was not offered
	}
	if err := d.hear(am, s, req); err != nil {
		return err
	}
	am.decide()
	am.Mux = am.MuxTold && s.RTCPMux
	om.Mux = om.MuxOffered && (am.muxAnswer == muxAccept || am.muxAnswer == muxFollow && am.Mux)
	if !am.Rejected && !am.Opaque && !am.Foreign {
		am.Rejected = !d.answerCodecs(am, om, &req.Codecs)
	}
	if am.Rejected {
		// Other branches may still want it.
		am.dropLegs()
		if !slices.ContainsFunc(d.plan.partners(offerer), func(p *Party) bool {
			k := offerer.facing(j, p)
			return k < len(p.Media) && p.Media[k].RTP.Leg != nil
		}) {
			om.dropLegs()
		}
		return nil
	}
	switch {
	case am.Opaque && !om.Opaque:
		om.answerFax()
	case am.Opaque:
	default:
		d.iceAnswer(am, om, s, req)
		if om.Through {
			am.Security, om.Security = Security{}, Security{}
		} else {
			if !om.Opaque {
				answerProtocol(am, om, s.Protocol, req)
			}
			d.secureAnswer(am, om, s, req)
		}
	}
	// An answer that comes again moves nothing: the ports were told with the first one.
	if om.waits {
		if err := d.latch(offerer, om, j, answerer, am, req); err != nil {
			return err
		}
		om.waits = false
	}
	// From here on the two talk to each other; branches that also rang hear the offerer no longer, and who talked to the answerer
	// before a transfer does not hear that one.
	for _, p := range d.plan.Parties {
		p.forget(func(s Subscription) bool {
			return !s.Added && (p != answerer && s.Ref == Ref{offerer.ID, j} || p != offerer && s.Ref == Ref{answerer.ID, i})
		})
	}
	subscribe(am, Ref{offerer.ID, j})
	subscribe(om, Ref{answerer.ID, i})
	return nil
}

// discardPort is in m= lines whose port is not known yet.
const discardPort = 9

// unsettled tells whether it is left to ICE where the party is: it trickles, or only says so by the port (RFC 8829, section
// 5.2.1), as WebRTC libraries do that never name a default candidate.
func unsettled(s section) bool {
	said := s.ICEOf(s.session)
	return said.HasOption("trickle") || said.Ufrag != "" && s.Port == discardPort
}

// hear stores what a party says about one of its medias.
func (d *draft) hear(m *Media, s section, req *Request) error {
	m.Section, m.session = s.Media, s.session
	m.moving = false // whatever it was told last, the party knows it
	m.Type = s.Type
	m.Rejected = s.Port == 0 && !(s.BundleOnly && m.Bundled)
	if s.Mid != "" {
		m.Mid = s.Mid
	}
	m.Opaque = !s.Protocol.IsRTP()
	m.Foreign = s.Type == "message" || strings.HasPrefix(strings.ToUpper(string(s.Protocol)), "TCP")
	m.held = false
	if m.Rejected || m.Foreign {
		return nil
	}

	conn := s.ConnOf(s.session)
	addr, told := d.believed(conn, req)
	if !addr.IsValid() {
		return fmt.Errorf("%w: no c= line gives an address", ErrIncompleteSDP)
	}
	m.family, m.Looped = familyOf(addr), d.call.manager.cfg.Plane.Owns(addr)
	// With ICE the unspecified address may mean "not known yet" (RFC 8840, section 4.1.1), not a hold.
	nowhere := conn.IsZero() || addr.IsUnspecified()
	if m.held = nowhere && !unsettled(s); m.held {
		// Where the party is has not changed: what was learnt stays closed to strangers, and music on hold goes on.
		return nil
	}
	var rtp, rtcp netip.AddrPort
	if !nowhere {
		rtp = netip.AddrPortFrom(addr, s.Port)
		rtcp = netip.AddrPortFrom(addr, s.Port+1)
		if s.RTCP != nil {
			rtcp = netip.AddrPortFrom(addr, s.RTCP.Port)
			if told && s.RTCP.Addr.IsValid() {
				rtcp = netip.AddrPortFrom(s.RTCP.Addr.Unmap(), s.RTCP.Port)
			}
		}
	}
	m.RTP.signal(rtp)
	m.RTCP.signal(rtcp)
	return nil
}

// believed returns the address media of the sender is expected at, and whether it is the one its description tells.
func (d *draft) believed(conn *sdp.Connection, req *Request) (addr netip.Addr, told bool) {
	fromMessage := req.Source == AddressFromMessage || req.Source == AddressDefault && d.call.manager.cfg.SIPSource
	switch {
	case req.ReceivedFrom.IsValid() && (fromMessage || conn == nil):
		return req.ReceivedFrom.Unmap(), false
	case conn != nil:
		return conn.Addr.Unmap(), true
	}
	return netip.Addr{}, false
}

// signal sets the signalled address, and has the leg learn again if the party moved. A party that says the same again, as
// at every session refresh, keeps what was learnt: to forget it would cut off one that only listens, and let a stranger
// take its place.
func (c *Component) signal(addr netip.AddrPort) {
	if addr != c.Signalled {
		c.Signalled = addr
		c.Epoch++
	}
}

// offersMux tells whether RTCP is to be muxed. One port for both says so, too, unless it is where nothing is (RFC 8840,
// section 4.1.1).
func offersMux(s section) bool {
	return s.RTCPMux || s.RTCP != nil && !s.Rejected() && s.RTCP.Port == s.Port && !(s.RTCP.Addr.IsValid() && s.RTCP.Addr.IsUnspecified())
}

// negotiateMux settles what an offer means for rtcp-mux on both sides (RFC 5761, section 5.1.1).
func (m *Media) negotiateMux(to *Media, offered bool, ctl RTCPMux) {
	m.MuxOffered = offered
	to.muxAnswer = muxFollow
	switch {
	case ctl.Reject:
		to.muxAnswer = muxReject
	case ctl.Demux, ctl.Accept:
		to.muxAnswer = muxAccept
	}
	if ctl.Demux || ctl.Reject {
		to.Mux = false
	}
	to.Mux = to.Mux || ctl.Require
	to.MuxTold = to.Mux || ctl.Offer || offered && !ctl.Demux && !ctl.Reject
}

// logical returns the name of an interface that exists: the one asked for, else the default one. A proxy whose names do
// not match ours still gets its call, and the log says what is wrong.
func (d *draft) logical(name string) string {
	switch {
	case d.exists(name):
		return name
	case legacyFamily(name) != 0:
		return ""
	}
	d.call.manager.cfg.Log.Warn("unknown interface is asked for, the default one is used", "call", d.call.id, "interface", name)
	return ""
}

// exists tells whether there is an interface of that name. The empty name is the default one.
func (d *draft) exists(name string) bool {
	plane := d.call.manager.cfg.Plane
	return name == "" || plane.HasFamily(name, 4) || plane.HasFamily(name, 6)
}

// wantedFamily returns the address family asked for towards the receiver. The interface names internal and external
// once stood for IPv4 and IPv6 and still do where no interface has them.
func (d *draft) wantedFamily(req *Request) int {
	if req.Family == 0 && !d.exists(req.ToInterface) {
		return legacyFamily(req.ToInterface)
	}
	return req.Family
}

func legacyFamily(name string) int {
	switch name {
	case "internal":
		return 4
	case "external":
		return 6
	}
	return 0
}

// familyFor returns the address family a party's media has, or had, or another one of its medias has; 0 when there is none yet.
func (p *Party) familyFor(m *Media) int {
	if m.RTP.Leg == nil && m.family != 0 {
		return m.family
	}
	for _, m := range append([]*Media{m}, p.Media...) {
		if m.RTP.Leg != nil {
			return familyOf(m.RTP.Leg.Local().Addr())
		}
	}
	return 0
}

// family picks the address family of a leg: the known one, else the wanted one, else whatever the interface has.
func (d *draft) family(iface string, wanted, known int) int {
	if known != 0 {
		return known
	}
	plane := d.call.manager.cfg.Plane
	if !plane.HasFamily(iface, wanted) && plane.HasFamily(iface, 10-wanted) {
		return 10 - wanted // 4 for 6, 6 for 4
	}
	return wanted
}

// position returns the index of the media that the k-th section of the party's own descriptions is about.
func (p *Party) position(k int) int {
	for i, m := range p.Media {
		if m.Hidden {
			continue
		}
		if k == 0 {
			return i
		}
		k--
	}
	return len(p.Media) + k
}

// at returns the i-th media of the party, made now if need be.
func (p *Party) at(i int) *Media {
	for len(p.Media) <= i {
		p.Media = append(p.Media, &Media{})
	}
	return p.Media[i]
}

func (m *Media) dropLegs() {
	m.RTP.Leg, m.RTCP.Leg, m.Twin, m.former, m.spare = nil, nil, twin{}, former{}, [2]*media.Leg{}
	m.ICE.end()
	m.gather()
}

// subscribe makes the media that r names the one m hears by offer and answer. What m hears beside that stays.
func subscribe(m *Media, r Ref) {
	sub := Subscription{Ref: r}
	if i := slices.IndexFunc(m.Hears, func(s Subscription) bool { return s.Ref == r }); i >= 0 {
		sub = m.Hears[i]
		sub.Added = false
	}
	m.forget(func(s Subscription) bool { return !s.Added || s.Ref == r })
	m.Hears = append(m.Hears, sub)
}
