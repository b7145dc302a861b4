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

// Languages without descriptions speak of one medium at a time, by address, and so of the two medias that face each other as of one
// thing: a pair. Each pair has a life of its own within the call. All else is as after an offer and an answer.

// PairKey names a pair: by the tag of the party that opened it, or, seen from the other side, with that tag in second place.
type PairKey struct {
	CallID         string
	FromTag, ToTag string // ToTag may be empty
	// Number is what the language calls the medium, as it stands beside FromTag, and ToNumber beside ToTag; 0: nothing.
	Number, ToNumber int
}

// Pair is what holds for the two medias of a pair together. It is immutable; both medias have the same one.
type Pair struct {
	Number  int
	Created time.Time
	Sides   [2]Ref // first of the party that opened it
	// Answered tells that the other side has said where it is.
	Answered bool
	// PayloadTypes are what the sides listed last, in order of preference; nil when they did not.
	PayloadTypes [2][]uint8
	// PacketTime is how long the packets that a side sends shall be for the other, in ms; 0: as they are.
	PacketTime [2]int

	// Holds keep the pair open as long as there is one.
	Strong bool
	Weak   [2]bool

	TOS [2]uint8 // of what the sides are sent; 0: that of the call

	TTL, SetupTTL time.Duration // without packets or commands, after and before the answer
	Signalled     time.Time     // when a command last concerned it
	Notify        Notify
}

// Notify is whom to tell that a pair has timed out, in the words of the language.
type Notify struct{ Socket, Tag string }

// PairRequest is what one side says of a pair.
type PairRequest struct {
	PairKey
	Language Language
	Client   netip.Addr // where the command came from, if that is known
	// Remote is where the side is. With port 0 or an unspecified address it is not known yet; its family counts all the same.
	Remote netip.AddrPort
	Type   string // of the medium; empty: audio

	// Interfaces face the sides, first the one that opens the pair, and Local is the address of the ports if it is not for the
	// interfaces to choose. They count when ports are opened.
	Interfaces [2]string
	Local      netip.Addr
	NewPort    bool // the other side is told another port

	Weak         bool // the hold is the weak one of the side
	Asymmetric   bool // the side is at Remote wherever it sends from
	PayloadTypes []uint8
	PacketTime   int // ms, for the other side, of the packets that this side sends; 0: as they are

	TTL, SetupTTL time.Duration // of a pair that is opened; 0: as configured for calls
	Notify        Notify        // of an offer
}

// Placed is what came of a PairRequest.
type Placed struct {
	Told      netip.AddrPort // to the other side
	Created   bool           // the pair was made
	Completed bool           // it was answered for the first time
}

// OfferPair says where the side of FromTag is, and returns the address to tell the other side. The pair, and the call, are made
// if there are none. It fails with ErrSessionLimit, ErrDialogue, ErrFamily or ErrNoPorts; the call is then as it was before.
func (m *Manager) OfferPair(req *PairRequest) (Placed, error) {
	return m.signalPair(req, true)
}

// AnswerPair says where the side that FromTag does not name is, and returns the address to tell the one it names. It fails as
// OfferPair does, and with ErrUnknownCall or ErrNoPair.
func (m *Manager) AnswerPair(req *PairRequest) (Placed, error) {
	return m.signalPair(req, false)
}

func (m *Manager) signalPair(req *PairRequest, offer bool) (done Placed, err error) {
	create := func() (*Call, error) {
		if !offer {
			return nil, ErrUnknownCall
		}
		return m.create(req.CallID, req.Language, true)
	}
	err = m.find(req.CallID, create, func(c *Call) error {
		d := c.draft()
		defer d.discard() // nothing left to discard after a commit
		if done, err = d.signalPair(req, offer); err != nil {
			return err
		}
		c.deleteAt = time.Time{} // whoever signals again wants the call to live
		c.heedClient(req.Client, netip.Addr{})
		d.commit()
		c.signalled()
		return nil
	})
	return done, err
}

func (d *draft) signalPair(req *PairRequest, offer bool) (done Placed, err error) {
	p, side := d.plan.pair(&req.PairKey)
	if done.Created = p == nil; done.Created {
		if !offer {
			return done, ErrNoPair
		}
		if p, err = d.newPair(req); err != nil {
			return done, err
		}
	}
	if !offer {
		side = 1 - side
	}
	next := *p
	next.Signalled = time.Now()
	if req.Weak {
		next.Weak[side] = true
	} else if offer {
		next.Strong = true
	}
	if offer {
		next.Notify = Notify{strings.Clone(req.Notify.Socket), strings.Clone(req.Notify.Tag)}
	}
	if side == 1 {
		next.Answered, done.Completed = true, !p.Answered
		d.nameOther(&next, req, offer)
	}
	next.PayloadTypes[side], next.PacketTime[side] = req.PayloadTypes, req.PacketTime
	if err := d.place(&next, side, req); err != nil {
		return done, err
	}
	to := next.Sides[1-side]
	if tm := d.plan.media(to); req.NewPort && !done.Created {
		if req.Local.IsValid() {
			tm.local = req.Local
		}
		if err := d.reopen(d.plan.byID(to.Party), tm, familyOf(tm.RTP.Leg.Local().Addr())); err != nil {
			return done, err
		}
	}
	d.setPair(&next)
	done.Told = d.plan.media(to).RTP.Leg.Advertised()
	return done, nil
}

// pair finds a pair, and which of its sides FromTag names; nil if there is none.
func (p *Plan) pair(key *PairKey) (found *Pair, side int) {
	reverse := key.ToNumber
	if reverse == 0 {
		reverse = key.Number
	}
	for opener, pair := range p.pairs {
		switch {
		case opener.Tag == key.FromTag && pair.Number == key.Number:
			return pair, 0
		case opener.Tag == key.ToTag && key.ToTag != "" && pair.Number == reverse:
			return pair, 1
		}
	}
	return nil, 0
}

// pairs visits all pairs with the party that opened each.
func (p *Plan) pairs(yield func(*Party, *Pair) bool) {
	for _, party := range p.Parties {
		for i, m := range party.Media {
			if m.Pair == nil || m.Pair.Sides[0] != (Ref{party.ID, i}) || !p.open(m.Pair) {
				continue
			}
			if !yield(party, m.Pair) {
				return
			}
		}
	}
}

// open tells whether a pair has its ports. Other languages, which know nothing of it, may have taken them.
func (p *Plan) open(pair *Pair) bool {
	for _, side := range pair.Sides {
		if m := p.media(side); m == nil || m.RTP.Leg == nil || m.RTCP.Leg == nil {
			return false
		}
	}
	return true
}

// portByPort returns the hearers of what comes to a port for RTP as pairs have them: it leaves by the port for RTP, RTCP too. Whether the
// parties mux is between them.
func (p *Plan) portByPort(sinks []media.Sink) []media.Sink {
	sinks = slices.Clone(sinks)
	for _, pair := range p.pairs {
		for _, side := range pair.Sides {
			leg := p.media(side).RTP.Leg
			for i := range sinks {
				if sinks[i].RTP == leg {
					sinks[i].RTCP = leg
				}
			}
		}
	}
	return sinks
}

// sideOf returns which of the sides a media is.
func (p *Pair) sideOf(r Ref) int {
	if p.Sides[0] == r {
		return 0
	}
	return 1
}

// setPair makes p the state of the two medias.
func (d *draft) setPair(p *Pair) {
	for _, side := range p.Sides {
		if m := d.plan.media(side); m != nil {
			m.Pair = p
		}
	}
}

// newPair adds the two medias, with their ports.
func (d *draft) newPair(req *PairRequest) (*Pair, error) {
	from := d.plan.byTag(req.FromTag)
	if from == nil {
		var err error
		from, err = d.addParty(&Party{Tag: req.FromTag, Interface: d.logical(req.Interfaces[0]), Created: time.Now()})
		if err != nil {
			return nil, err
		}
	}
	to, err := d.otherParty(from, req)
	if err != nil {
		return nil, err
	}
	p := &Pair{
		Number: req.Number, Created: time.Now(), TTL: req.TTL, SetupTTL: req.SetupTTL, Sides: [2]Ref{{from.ID, from.vacancy()}, {to.ID, to.vacancy()}},
	}
	if n := max(p.Sides[0].Media, p.Sides[1].Media); n >= MaxSections {
		return nil, fmt.Errorf("%w: the party has %d medias, the most it may have", ErrDialogue, n)
	}
	cfg := &d.call.manager.cfg
	if p.TTL <= 0 {
		p.TTL = cfg.Timeout
	}
	if p.SetupTTL <= 0 {
		p.SetupTTL = cfg.OfferTimeout
	}
	fm, tm := from.at(p.Sides[0].Media), to.at(p.Sides[1].Media)
	family := familyOf(req.Remote.Addr())
	for i, m := range []*Media{fm, tm} {
		d.number(m)
		m.Type, m.Protocol = strings.Clone(req.Type), sdp.ProtoAVP
		if m.Type == "" {
			m.Type = "audio"
		}
		party, wanted := d.plan.byID(p.Sides[i].Party), family
		switch local := req.Local; {
		case local.IsValid() && (i == 1 || familyOf(local) == family):
			m.local, wanted = local, familyOf(local)
		case req.Interfaces != [2]string{} && i == 1:
			wanted = d.family(party.Interface, family, 0)
		case !cfg.Plane.HasFamily(party.Interface, family):
			return nil, fmt.Errorf("%w: interface %q has no IPv%d", ErrFamily, party.Interface, family)
		}
		if err := d.open(party, m, wanted); err != nil {
			return nil, err
		}
	}
	subscribe(tm, p.Sides[0])
	subscribe(fm, p.Sides[1])
	return p, nil
}

// vacancy returns the index of a media that was cut, or of the next one.
func (p *Party) vacancy() int {
	i := slices.IndexFunc(p.Media, func(m *Media) bool { return m.cut })
	if i < 0 {
		return len(p.Media)
	}
	*p.Media[i] = Media{}
	return i
}

// otherParty finds or makes the party that a new pair faces.
func (d *draft) otherParty(from *Party, req *PairRequest) (*Party, error) {
	tag := req.ToTag
	if tag == req.FromTag {
		tag = ""
	}
	if to := d.plan.byTag(tag); to != nil {
		return to, nil
	}
	for _, to := range d.plan.partners(from) {
		if to.Tag == "" || tag == "" {
			return to, nil
		}
	}
	return d.addParty(&Party{Tag: tag, Interface: d.logical(req.Interfaces[1]), Created: time.Now(), OfferedBy: from.ID})
}

// nameOther gives the side that did not open the pair the tag it now has.
func (d *draft) nameOther(p *Pair, req *PairRequest, offer bool) {
	tag := req.ToTag
	if offer || tag != "" && tag == d.plan.byID(p.Sides[0].Party).Tag {
		tag = req.FromTag
	}
	other := d.plan.byID(p.Sides[1].Party)
	if tag != "" && d.plan.byTag(tag) == nil {
		other.rename(tag, other.Tag != "")
	}
}

// place takes over where a side is and how it wants to be treated.
func (d *draft) place(p *Pair, side int, req *PairRequest) error {
	at := p.Sides[side]
	party, m := d.plan.byID(at.Party), d.plan.media(at)
	family := familyOf(req.Remote.Addr())
	if local := m.RTP.Leg.Local(); familyOf(local.Addr()) != family {
		return fmt.Errorf("%w: %v cannot be reached from %v", ErrFamily, req.Remote, local)
	}
	cfg := &d.call.manager.cfg
	addr := req.Remote.Addr().Unmap()
	m.family, m.Looped = family, cfg.Plane.Owns(addr)
	known := !addr.IsUnspecified() && req.Remote.Port() != 0
	// To take back an address that was known is a hold; what has been learnt stays closed to strangers.
	m.held = !known && m.RTP.Signalled.IsValid()
	if known {
		m.RTP.signal(netip.AddrPortFrom(addr, req.Remote.Port()))
		m.RTCP.signal(netip.AddrPortFrom(addr, req.Remote.Port()+1))
	}
	if party.Handling.Asymmetric && !req.Asymmetric {
		// Only now may it be learnt where to send. Otherwise what was learnt stays, as after any message that says the same again.
		m.RTP.Epoch++
		m.RTCP.Epoch++
	}
	party.Handling = Handling{
		Learning: cfg.Learning, Asymmetric: req.Asymmetric, Open: req.Asymmetric || cfg.RelayForeign,
	}
	m.Section = &sdp.Media{
		Section: sdp.Section{Conn: &sdp.Connection{Addr: addr}}, Type: m.Type, Port: req.Remote.Port(), Protocol: m.Protocol,
	}
	for _, pt := range req.PayloadTypes {
		c, _ := sdp.StaticCodec(pt)
		m.Section.Codecs = append(m.Section.Codecs, c)
	}
	party.describe()
	return nil
}

// describe makes up the description that a party would have sent which was described media by media.
func (p *Party) describe() {
	session := &sdp.Session{}
	for _, m := range p.Media {
		if m.Section != nil {
			session.Media, m.session = append(session.Media, m.Section), session
		}
	}
	p.Description = &sdp.Description{Sessions: []*sdp.Session{session}}
}

// ReleasePairs gives up a hold on the pairs that the key names, the weak one of its side or the strong one, and ends those that
// nothing holds any more. Number 0 names all pairs of the tag. It fails with ErrUnknownCall or ErrNoPair.
func (m *Manager) ReleasePairs(key *PairKey, weak bool) error {
	return m.with(key.CallID, false, func(c *Call) error {
		matches := c.plan.matching(key)
		if len(matches) == 0 {
			return ErrNoPair
		}
		d := c.draft()
		defer d.discard()
		var over []*Pair
		for _, match := range matches {
			next := *match.pair
			if weak {
				next.Weak[1-match.side] = false
			} else {
				next.Strong = false
			}
			if !next.Strong && next.Weak == [2]bool{} {
				over = append(over, match.pair)
			} else {
				d.setPair(&next)
			}
		}
		c.endPairs(d, over, ReasonDeleted)
		return nil
	})
}

// pairMatch is a pair and the side that the first tag of a key names.
type pairMatch struct {
	pair *Pair
	side int
}

// matching returns the pairs that a key names, all of the tag if its number is 0.
func (p *Plan) matching(key *PairKey) []pairMatch {
	var all []pairMatch
	for opener, pair := range p.pairs {
		switch {
		case opener.Tag == key.FromTag && (key.Number == 0 || pair.Number == key.Number):
			all = append(all, pairMatch{pair, 0})
		case opener.Tag == key.ToTag && key.ToTag != "" && (key.ToNumber == 0 || pair.Number == key.ToNumber):
			all = append(all, pairMatch{pair, 1})
		}
	}
	return all
}

// endPairs commits a draft without the given pairs, or ends the call if nothing is left then.
func (c *Call) endPairs(d *draft, over []*Pair, why Reason) {
	for _, p := range over {
		d.cut(p)
	}
	var doomed []*Party
	for _, p := range d.plan.Parties {
		if len(p.Media) > 0 && !slices.ContainsFunc(p.Media, func(m *Media) bool { return !m.cut }) {
			doomed = append(doomed, p)
		}
	}
	doomed = d.plan.withLonely(doomed)
	if len(doomed) == len(d.plan.Parties) {
		if why != ReasonDeleted {
			c.manager.timedOut.Add(1)
		}
		c.end(why)
		return
	}
	d.remove(doomed)
	states := c.states(over)
	d.commit()
	c.signalled()
	c.tellEnd(why, states, false)
}

// cut takes the two medias of a pair out of use. Their places stay, as others are named by theirs.
func (d *draft) cut(p *Pair) {
	for _, side := range p.Sides {
		if m := d.plan.media(side); m != nil {
			m.dropLegs()
			*m = Media{Rejected: true, Protocol: m.Protocol, Type: m.Type, cut: true}
		}
	}
}
