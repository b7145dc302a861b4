package call

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/weir-media/weir/ice"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// ICEMode is what a message wants of ICE in the description that it leads to.
type ICEMode uint8

// The modes.
const (
	ICEDefault    ICEMode = iota // to who is known to do it, or is not known and the sender does
	ICERemove                    // none
	ICEForce                     // in any case
	ICEOptional                  // the sender's candidates pass, ours are added as the worst; ICEForce where it has none
	ICEForceRelay                // the same, with ours as relayed ones, and everything else of the section as it is
)

// ICEControl is what a message asks for in ICE.
type ICEControl struct {
	Mode    ICEMode
	Reject  bool // an offer is as if it did without
	Trickle bool // offer to take candidates one by one (RFC 8838)
	ICE2    bool // offer ICE as in RFC 8445

	// Be a lite agent towards the receiver of the offer, and towards its sender; nil leaves it as it is.
	LiteForward, LiteBackward *bool
}

// ICE is what is agreed about connectivity checks between a party and us for one media (RFC 8445, RFC 8839). The zero value
// is no ICE. It is a value; nothing writes to what it points to.
type ICE struct {
	// Local are our credentials; empty while there is no ICE. New ones restart it.
	Local       ice.Credentials
	Lite        bool       // we are
	Controlling bool       // the role to begin with
	Remote      ice.Remote // without credentials before the party has spoken

	offered  bool   // by the latest offer of the party
	options  string // of the latest description of the party
	declined bool   // the party was offered it and did without
	tells    bool   // the description at hand has it
	lite     bool   // we are to be when it begins
}

// Active tells whether there is ICE with the party, or the party has been offered it.
func (i *ICE) Active() bool { return i.Local != (ice.Credentials{}) }

// Trickles tells whether the party announces its candidates one by one.
func (i *ICE) Trickles() bool { return i.Active() && sdp.ICE{Options: i.options}.HasOption("trickle") }

// end leaves what outlives a session: what is known of the party, and what is wanted of us.
func (i *ICE) end() { *i = ICE{declined: i.declined, lite: i.lite} }

// begin starts a session, or starts it anew.
func (i *ICE) begin(controlling bool) {
	i.Local, i.Controlling, i.Lite, i.Remote = ice.NewCredentials(), controlling, i.lite, ice.Remote{}
}

// heard takes what the party says about its side. With other credentials than before it has restarted (RFC 8839, section
// 4.4.1.1.1), which an offer makes us do, too.
func (i *ICE) heard(s section, offer bool) {
	said := s.ICEOf(s.session)
	i.options = said.Options
	theirs := ice.Credentials{Ufrag: said.Ufrag, Pwd: said.Pwd}
	restarted := i.Active() && i.Remote.Credentials != (ice.Credentials{}) && i.Remote.Credentials != theirs
	switch {
	case offer && (!i.Active() || restarted):
		i.begin(false)
	case restarted:
		i.Remote = ice.Remote{}
	}
	before := i.Remote.Candidates
	i.Remote = ice.Remote{
		Credentials: theirs, Lite: s.session.ICELite, EndOfCandidates: s.EndOfCandidatesOf(s.session) || !said.HasOption("trickle"),
	}
	// What was trickled need not be in a later description.
	i.Remote.Candidates = addCandidates(addCandidates(nil, before), candidates(s.Candidates))
	i.declined = false
}

// candidates translates what can be reached.
func candidates(lines []sdp.Candidate) []ice.Candidate {
	var all []ice.Candidate
	for i := range lines {
		if c, ok := candidate(&lines[i]); ok {
			all = append(all, c)
		}
	}
	return all
}

func candidate(c *sdp.Candidate) (ice.Candidate, bool) {
	typ, known := ice.ParseCandidateType(c.Type)
	addr, err := netip.ParseAddr(c.Address)
	if !known || err != nil || !strings.EqualFold(c.Transport, "udp") || c.Component < ice.RTP || c.Component > ice.RTCP {
		return ice.Candidate{}, false
	}
	related, _ := netip.ParseAddr(c.RelatedAddr)
	return ice.Candidate{
		Foundation: c.Foundation, Component: int(c.Component), Priority: c.Priority, Addr: netip.AddrPortFrom(addr.Unmap(), c.Port),
		Type: typ, Related: netip.AddrPortFrom(related.Unmap(), c.RelatedPort),
	}, true
}

// addCandidates returns the list with those added that it does not have.
func addCandidates(list, more []ice.Candidate) []ice.Candidate {
	list = slices.Clone(list)
	for _, c := range more {
		if len(list) < sdp.MaxCandidates && !slices.ContainsFunc(list, func(have ice.Candidate) bool {
			return have.Component == c.Component && have.Addr == c.Addr
		}) {
			list = append(list, c)
		}
	}
	return list
}

// iceOffer settles what an offer means for ICE on both sides.
func (d *draft) iceOffer(from, to *Party, fm, tm *Media, s section, req *Request) error {
	f, t, w := &fm.ICE, &tm.ICE, &req.ICE
	for _, lite := range []struct {
		want *bool
		of   *ICE
	}{{w.LiteForward, t}, {w.LiteBackward, f}} {
		if lite.want != nil && *lite.want != lite.of.lite {
			lite.of.lite = *lite.want
			if lite.of.Active() {
				lite.of.end() // another kind of agent is another session
			}
		}
	}
	said := s.ICEOf(s.session)
	offered := said.Ufrag != "" && said.Pwd != "" && !w.Reject
	fm.pass(tm, offered, req)
	if req.Reset {
		t.declined = false
	}
	if fm.Through {
		f.end()
		t.end()
		return errors.Join(d.spread(from, fm), d.spread(to, tm))
	}
	if f.offered = offered; offered {
		f.heard(s, true)
	} else {
		f.end()
	}

	switch w.Mode {
	case ICERemove:
		t.tells = false
	case ICEForce, ICEOptional, ICEForceRelay:
		t.tells = !t.declined
	default:
		t.tells = !t.declined && (t.Active() || offered && tm.Section == nil)
	}
	if !t.tells {
		t.end()
	} else if !t.Active() {
		t.begin(true)
	}
	return errors.Join(d.spread(from, fm), d.spread(to, tm))
}

// iceAnswer settles what an answer means for ICE on both sides.
func (d *draft) iceAnswer(am, om *Media, s section, req *Request) {
	a, o := &am.ICE, &om.ICE
	said := s.ICEOf(s.session)
	does := said.Ufrag != "" && said.Pwd != ""
	if !om.Through && does && (req.ICE.Mode == ICEOptional || req.ICE.Mode == ICEForceRelay) && o.offered {
		am.Through, om.Through = true, true
	}
	if om.Through {
		a.end()
		o.end()
		return
	}
	switch {
	case a.tells && does:
		a.heard(s, false)
	case a.tells:
		a.end()
		a.declined = true
	default:
		a.end()
	}
	if o.tells = o.offered && req.ICE.Mode != ICERemove; !o.tells {
		o.end()
	}
	am.gather()
	om.gather()
}

// spread gives a media with ICE a pair of ports on every other address of its interface.
func (d *draft) spread(p *Party, m *Media) error {
	m.gather()
	if m.RTP.Leg == nil || !m.spreads() || len(m.RTP.Alternates) > 0 || d.call.manager.cfg.OneAddress {
		return nil
	}
	rtp, rtcp, err := d.call.manager.cfg.Plane.OpenBeside(p.Interface, m.RTP.Leg, d.call.id)
	d.opened = append(append(d.opened, rtp...), rtcp...)
	if err != nil {
		return noPorts(err)
	}
	m.RTP.Alternates, m.RTCP.Alternates = rtp, rtcp
	return nil
}

// spreads tells whether there is a choice of addresses.
func (m *Media) spreads() bool { return m.ICE.Active() || m.Through && !m.passes }

// gather lets go of ports that nobody has the choice of any more.
func (m *Media) gather() {
	if !m.spreads() || m.RTP.Leg == nil {
		m.RTP.Alternates, m.RTCP.Alternates = nil, nil
	}
}

// agent returns the agent of a media if it has come to an end with the credentials that are in force: what it has found is
// what is told then.
func (m *Media) agent() *ice.Agent {
	if m.Link == nil {
		return nil
	}
	if a := m.Link.Agent(); a != nil && a.Credentials() == m.ICE.Local && (a.State() == ice.Completed || a.State() == ice.Disconnected) {
		return a
	}
	return nil
}

// locals returns our candidates: on every address for RTP, then for RTCP unless it is muxed. Each address has a local
// preference of its own, the primary the highest.
func (d *draft) locals(m *Media, typ ice.CandidateType) []ice.Candidate {
	if a := m.agent(); a != nil {
		return a.LocalCandidates()
	}
	var all []ice.Candidate
	add := func(component int, c *Component) {
		for i, leg := range append([]*media.Leg{c.Leg}, c.Alternates...) {
			all = append(all, ice.Candidate{
				Foundation: ice.Foundation(d.call.manager.secret[:], leg.Local().Addr()), Component: component, Type: typ,
				Priority: ice.Priority(typ, uint16(ice.FirstLocalPreference-i), component), Addr: leg.Advertised(),
			})
		}
	}
	add(ice.RTP, &m.RTP)
	if !m.Mux {
		add(ice.RTCP, &m.RTCP)
	}
	return all
}

// ice writes the lines about ICE. Those of the sender are between it and us.
func (t *telling) ice() {
	t.out.ICE, t.out.Candidates, t.out.RemoteCandidates, t.out.EndOfCandidates = sdp.ICE{}, nil, nil, false
	i := &t.tm.ICE
	if !i.tells {
		return
	}
	t.lite = t.lite || i.Lite
	t.out.ICE = sdp.ICE{Ufrag: i.Local.Ufrag, Pwd: i.Local.Pwd}
	trickle, ice2 := t.req.ICE.Trickle, t.req.ICE.ICE2
	if !t.offer {
		said := sdp.ICE{Options: i.options}
		trickle, ice2 = said.HasOption("trickle"), said.HasOption("ice2")
	}
	var options []string
	if trickle {
		options = append(options, "trickle")
	}
	if ice2 {
		options = append(options, "ice2")
	}
	t.out.ICE.Options = strings.Join(options, " ")
	t.out.EndOfCandidates = trickle // all of ours are there
	for _, c := range t.draft.locals(t.tm, ice.Host) {
		t.out.Candidates = append(t.out.Candidates, t.candidate(c))
	}
	if agent := t.tm.agent(); agent != nil && t.offer {
		for _, c := range agent.RemoteCandidates() {
			t.out.RemoteCandidates = append(t.out.RemoteCandidates, sdp.RemoteCandidate{
				Component: uint16(c.Component), Addr: c.Addr.Addr(), Port: c.Addr.Port(),
			})
		}
	}
}

// candidate writes one of our candidates.
func (t *telling) candidate(c ice.Candidate) sdp.Candidate {
	addr := c.Addr.Addr()
	if t.req.MediaAddress.IsValid() {
		addr = t.req.MediaAddress.Unmap()
	}
	line := sdp.Candidate{
		Foundation: c.Foundation, Component: uint16(c.Component), Transport: "UDP", Priority: c.Priority,
		Address: addr.String(), Port: c.Addr.Port(), Type: c.Type.String(),
	}
	if c.Type == ice.Relayed {
		line.RelatedAddr, line.RelatedPort = line.Address, line.Port
	}
	return line
}
